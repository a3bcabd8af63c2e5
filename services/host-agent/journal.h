/*
 * What survives the agent: one folder per VM below <state>/vms, every file replaced atomically.
 *
 *   vm.json       the record: what is wanted, what was last seen, what the launch measured
 *   order.json    a start that was accepted and is not carried out yet (0600: bus credentials)
 *   config.img    config disk    state.img  state disk    console.log, console.log.1
 *
 * A folder without vm.json is half-made, unless libvirt has a domain of it: journal_sweep().
 */
#pragma once

#include "services/host-agent/vm_facts.h"
#include "shared/attestation/launch.h"
#include "shared/base/buffer.h"

enum vm_state { VM_STARTING, VM_RUNNING, VM_STOPPED, VM_FAILED };
enum vm_wish { VM_WISH_RUN, VM_WISH_STOP, VM_WISH_DELETE };

struct vm_record {
    struct vm_facts facts; /* generation: of the latest command */
    enum vm_wish wish;
    bool carried_out; /* the wish was, or failed for good, and that was said */
    enum vm_state state;
    char *reason; /* why it failed; never NULL */
    int64_t started_at_ms;
    int64_t changed_at_ms;
    uint64_t sequence; /* number of the latest message about it */
    bool measured;     /* the two below hold */
    uint8_t measurement[LAUNCH_DIGEST_SIZE];
    uint8_t report_id[32];
};

void vm_record_done(struct vm_record *record);
static inline void vm_record_cleanup_(struct vm_record *record)
{
    vm_record_done(record);
}
#define _cleanup_record_ _cleanup_(vm_record_cleanup_)
void vm_record_copy(struct vm_record *ret_record, const struct vm_record *from);

/* What only the launch needs; wiped by vm_order_done(). */
struct vm_order {
    uint64_t generation; /* one of another generation than its record is void */
    struct buffer manifest;
    struct buffer compose;
    char *files_reference; /* "" none */
    char *credentials;     /* creds file content for the guest */
};

void vm_order_done(struct vm_order *order);
static inline void vm_order_cleanup_(struct vm_order *order)
{
    vm_order_done(order);
}
#define _cleanup_order_ _cleanup_(vm_order_cleanup_)

struct journal;

struct error *journal_open(const char *state_dir, struct journal **ret_journal) _must_check_;
void journal_free(struct journal *journal);
DEFINE_CLEANUP(struct journal *, journal_free)

/* All records. One that cannot be read is DATA_LOSS in *ret_problem (may be NULL afterwards) and
 * left alone: its VM is adopted from what libvirt knows. Caller: vm_record_done() each, free(). */
struct error *journal_load(struct journal *journal, struct vm_record **ret_records, size_t *ret_n,
                           struct error **ret_problem) _must_check_;

/* Removes the folders of VMs that nobody knows. */
struct error *journal_sweep(struct journal *journal,
                            bool (*is_known)(void *data, const char *workload_id),
                            void *data) _must_check_;

struct error *journal_save(struct journal *journal, const struct vm_record *record) _must_check_;
struct error *journal_save_order(struct journal *journal, const char *workload_id,
                                 const struct vm_order *order) _must_check_;
struct error *journal_load_order(struct journal *journal, const char *workload_id,
                                 struct vm_order *ret_order) _must_check_; /* NOT_FOUND */
struct error *journal_drop_order(struct journal *journal, const char *workload_id) _must_check_;

/* Disks, console, order: all but the record. */
struct error *journal_remove_files(struct journal *journal, const char *workload_id) _must_check_;
/* The record too. */
struct error *journal_remove(struct journal *journal, const char *workload_id) _must_check_;

/* <state>/vms/<workload id>/<name>; caller frees. */
char *journal_path(const struct journal *journal, const char *workload_id, const char *name);
