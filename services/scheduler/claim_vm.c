/* src.host.<h>.vm: a host says that one of its VMs changed. */
#include "services/scheduler/claim.h"

static struct error *vm_ended(struct update *update, const Coffer__V1__VmChanged *changed)
{
    Coffer__V1__Workload *workload = update->workload;
    bool failed = changed->vm->state == COFFER__V1__VM_STATE__VM_FAILED;
    const struct event_detail detail = {
        .code = failed ? "vm_failed" : "vm_stopped",
        .message = arena_printf(update->arena, "%.1024s%s%.2048s", changed->vm->reason,
                                changed->console_tail[0] ? "\n" : "", changed->console_tail),
    };

    if (workload->status == COFFER__V1__WORKLOAD_STATUS__STOPPING)
        return workload_move(update, TRIGGER_STOPPED, SOURCE_HOST, NULL);
    update->skip = !fsm_find(TRIGGER_VM_GONE, SOURCE_HOST, (enum status)workload->status);
    if (update->skip)
        return NULL;
    workload_plan_retry(update->scheduler, workload);
    return workload_move(update, TRIGGER_VM_GONE, SOURCE_HOST, &detail);
}

static struct error *vm_started(struct update *update)
{
    Coffer__V1__Workload *workload = update->workload;

    update->skip = workload->status != COFFER__V1__WORKLOAD_STATUS__SCHEDULED;
    if (update->skip)
        return NULL;
    workload->launched_at_ms = clock_wall_ms(update->scheduler->clock);
    return workload_move(update, TRIGGER_LAUNCHED, SOURCE_HOST, NULL);
}

struct error *claim_vm(struct update *update, void *data)
{
    const struct claim *claim = data;
    const Coffer__V1__VmChanged *changed = claim->in;
    struct error *err = claim_check_place(update, claim);

    if (err)
        return err;
    /* A stop has a generation of its own, its VM the one before. */
    bool stopping = update->workload->status == COFFER__V1__WORKLOAD_STATUS__STOPPING;
    if (changed->vm->generation > update->workload->generation ||
        (changed->vm->generation < update->workload->generation && !stopping)) {
        scheduler_count(update->scheduler, COUNTER_STALE_CLAIM, claim->message->subject,
                        "of another generation");
        update->skip = true;
        return NULL;
    }
    switch (changed->vm->state) {
    case COFFER__V1__VM_STATE__VM_STARTING:
    case COFFER__V1__VM_STATE__VM_RUNNING:
        return vm_started(update);
    case COFFER__V1__VM_STATE__VM_STOPPED:
    case COFFER__V1__VM_STATE__VM_FAILED:
        return vm_ended(update, changed);
    default:
        update->skip = true;
        return NULL;
    }
}
