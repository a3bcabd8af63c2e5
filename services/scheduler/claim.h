/* One claim on its way: where it says it comes from, and its message. */
#pragma once

#include "schemas/guest.pb-c.h"
#include "services/scheduler/records.h"

struct claim {
    const struct bus_message *message;
    char host_id[64];
    char workload_id[64];
    char kind[64];
    const void *in;
};

/* The claim's host holds the workload's reservation. PERMISSION_DENIED, counted, otherwise. */
struct error *claim_check_place(struct update *update, const struct claim *claim) _must_check_;

/*
 * The guest's signature with the key on record, and its counter. *ret_signed is false for an
 * unsigned claim before a release in this boot; after one that is PERMISSION_DENIED. *counter is
 * raised; a counter that does not rise is ALREADY_EXISTS.
 */
struct error *claim_check_signature(struct update *update, const struct claim *claim,
                                    uint64_t *counter, bool *ret_signed) _must_check_;

/* What each kind of claim does to the record: functions for workload_update(), data is the claim.
 */
struct error *claim_vm(struct update *update, void *data) _must_check_;
struct error *claim_stage(struct update *update, void *data) _must_check_;
struct error *claim_health(struct update *update, void *data) _must_check_;
