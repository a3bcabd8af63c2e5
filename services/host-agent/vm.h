/*
 * The VMs of this host: what is wanted of each, and what is. A command only changes what is wanted
 * (journal first) and answers with the state; vm_work() brings the machine there, one pass at a
 * time, from whatever it finds: so a repeated pass, a killed agent or a lost libvirt need no code
 * of their own. Identity of a VM is (workload id, generation).
 *
 * Commands and copies may come from any thread; vm_work() from one (the worker, or a test).
 */
#pragma once

#include "services/host-agent/collateral.h"
#include "services/host-agent/hypervisor.h"
#include "services/host-agent/image_cache.h"
#include "services/host-agent/ingress.h"
#include "services/host-agent/journal.h"
#include "services/host-agent/sp_channel.h"
#include "shared/base/clock.h"

#define VM_MAX         1024
#define VM_CONSOLE_MAX (256 * 1024)
#define VM_TAIL_MAX    4000 /* last console lines of a failed VM */

/* A VM as others see it. */
struct vm_status {
    struct vm_facts facts;
    enum vm_state state;
    char *reason;
    char address[16];
    int64_t started_at_ms;
    uint64_t sequence;
};
void vm_status_done(struct vm_status *status);
void vm_statuses_free(struct vm_status *statuses, size_t n);

struct vms;

struct vms_options {
    struct hypervisor *hypervisor; /* all of these stay the caller's and outlive the VMs */
    struct image_cache *images;
    struct ingress *ingress;
    struct journal *journal;
    struct sp_channel *channel;         /* software TEE; NULL: none */
    struct host_collateral *collateral; /* of the chip, for config disks; NULL: none */
    struct clock *clock;
    const char *state_dir;
    const char *host_id;
    const char *leaf_url;
    const char *network;
    const char *cpu_model;
    bool sev_snp; /* real hardware */

    /* Plain files by reference; UNAVAILABLE is tried again at the next pass. */
    struct error *(*fetch_files)(void *data, const char *reference, struct arena *arena,
                                 const void **ret_files, size_t *ret_size);
    /* A VM changed its state. tail: its last console lines when it failed, else "". Called before
     * the change is journalled, so that a kill in between repeats it with the same sequence. */
    struct error *(*changed)(void *data, const struct vm_status *status, const char *tail);
    void *data;
};

/* Loads the journal. */
struct error *vms_new(const struct vms_options *options, struct vms **ret_vms) _must_check_;
void vms_free(struct vms *vms); /* leaves the machines running */
DEFINE_CLEANUP(struct vms *, vms_free)

/* facts are checked here. The same generation again answers the same; lower: FAILED_PRECONDITION.
 */
struct error *vms_start(struct vms *vms, const struct vm_facts *facts, const struct vm_order *order,
                        struct vm_status *ret_status) _must_check_;

/* A workload that is not here is stopped, and deleted, already. */
struct error *vms_stop(struct vms *vms, const char *workload_id, uint64_t generation,
                       uint32_t grace_seconds, struct vm_status *ret_status) _must_check_;
struct error *vms_delete(struct vms *vms, const char *workload_id, uint64_t generation,
                         struct vm_status *ret_status) _must_check_;

/* Deleted ones are left out. Caller: vm_statuses_free(). */
struct vm_status *vms_copy(struct vms *vms, size_t *ret_n);
/* NOT_FOUND. */
struct error *vms_console(struct vms *vms, const char *workload_id, size_t max,
                          struct buffer *ret_text) _must_check_;

/* libvirt has been asked at least once: what vms_copy() says is what is. */
bool vms_is_settled(struct vms *vms);

/* One pass. The error is what kept it from finishing; the next pass starts over. */
struct error *vm_work(struct vms *vms) _must_check_;

/* Something happened; a waiting vms_wait() returns. workload_id may be NULL. Any thread. */
void vms_wake(void *vms, const char *workload_id);
/* Until the next pass is due: at once after vms_wake(), else in some seconds. */
void vms_wait(struct vms *vms);
