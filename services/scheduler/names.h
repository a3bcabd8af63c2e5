/*
 * The names of workloads: whose each is. One that is given up stays nobody's until its DNS record
 * is gone, however long the name server refuses that; then it is free. Until then only the account
 * that had it may take it again, which ends the removal.
 *
 * coffer:domain:<name>       the workload's id, or "-": it is to be removed
 * coffer:leaving-name:<name> LeavingName
 * coffer:leaving-names       set of <name>
 */
#pragma once

#include "services/scheduler/records.h"

enum { LEAVING_NAMES_MAX = 65536 };

/* Who wants a name. */
struct name_taker {
    const char *name;
    const char *workload_id;
    const char *account_id;
};

/* Only names below our zone are ours to write; a custom domain is the owner's. */
bool name_is_ours(const struct scheduler *scheduler, const char *name);

/* ALREADY_EXISTS, reason domain_taken. record is that of the name, read already. */
struct error *name_check(struct scheduler *scheduler, const struct store_record *record,
                         const struct name_taker *taker, struct arena *arena) _must_check_;
/* The same with reading it. *ret_version is for name_take(). */
struct error *name_check_free(struct scheduler *scheduler, const struct name_taker *taker,
                              struct arena *arena, uint64_t *ret_version) _must_check_;

/* version: of the record that was checked; the commit is ABORTED when it is another one by then. */
void name_take(struct change *change, const struct name_taker *taker, uint64_t version);

/* recorded: its DNS record may be there. The workload has it for sure. */
void name_give_up(struct change *change, const Coffer__V1__Workload *workload, bool recorded);

/* Whether the name is that workload's, and not to be removed. */
struct error *name_is_of(struct scheduler *scheduler, const char *name, const char *workload_id,
                         struct arena *arena, bool *ret_its) _must_check_;

/* What is to be removed; NULL and version 0 when it is not (any more). *ret_domain_version is for
 * name_gone(). */
struct error *name_leaving(struct scheduler *scheduler, const char *name, struct arena *arena,
                           Coffer__V1__LeavingName **ret_leaving, uint64_t *ret_version,
                           uint64_t *ret_domain_version) _must_check_;

/* Its DNS record is gone: it is free. */
void name_gone(struct change *change, const char *name, uint64_t version, uint64_t domain_version);
