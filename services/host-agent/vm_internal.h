/* What vm.c, vm_work.c and vm_launch.c share; nobody else includes it. */
#pragma once

#include <pthread.h>

#include "services/host-agent/vm.h"

struct vm {
    struct vm_record record;
    char address[16];
    bool shutdown_sent;
    bool served;        /* its channel is the security processor's */
    int64_t stop_at_ms; /* monotonic; when a shut-down VM is destroyed */
    uint64_t revision;  /* raised by every command, so that a pass sees it was overtaken */
};

struct vms {
    struct vms_options options;
    char *channel_dir;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t woken;
    bool awake;
    bool settled;
    struct vm **vms;
    size_t n;
    int64_t next_scan_ms; /* of the images; the worker's */
};

/* With the lock held. NULL: not there. */
struct vm *vms_find(struct vms *vms, const char *workload_id);
struct vm *vms_add(struct vms *vms, const struct vm_record *record); /* takes a copy */
void vms_forget(struct vms *vms, const char *workload_id);
void vm_status_of(const struct vm *vm, struct vm_status *ret_status);

/* The socket of a VM's channel; caller frees. */
char *vms_channel_path(const struct vms *vms, const char *workload_id);

/* What a pass works on: a copy of the VM as it was when the pass began. */
struct vm_plan {
    struct vm_record record;
    uint64_t revision;
    bool shutdown_sent;
    bool served;
    int64_t stop_at_ms;
};

/* Journals the plan's record and makes it the VM's, unless a command came in between: ABORTED. */
struct error *vms_commit(struct vms *vms, const struct vm_plan *plan) _must_check_;

/* Makes the files and starts the domain; the plan's record then carries measurement and report id.
 */
struct error *vm_launch(struct vms *vms, struct vm_plan *plan,
                        const struct vm_order *order) _must_check_;

/* Lets the software security processor serve a launched VM. */
void vm_serve_channel(struct vms *vms, const struct vm_record *record);
