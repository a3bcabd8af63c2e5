/* What one workload that should run needs next. */
#include "services/scheduler/commands.h"
#include "services/scheduler/hosts.h"
#include "services/scheduler/reconcile_private.h"

/* A heartbeat that is this much younger than the launch must show the VM. */
enum { VM_APPEARS_MS = 15000 };

static bool is_due(const struct pass *pass, int64_t at_ms)
{
    return at_ms && clock_wall_ms(pass->scheduler->clock) >= at_ms;
}

static bool host_is_lost(const struct pass *pass, const Coffer__V1__Workload *workload)
{
    const Coffer__V1__Host *host = pass_host(pass, workload->host_id);

    return !host || host->status == COFFER__V1__HOST_STATUS__LOST;
}

static struct error *wait_for_host(struct pass *pass, const Coffer__V1__Workload *workload)
{
    return step_apply(pass, workload,
                      &(struct step){
                          .trigger = TRIGGER_HOST_LOST,
                          .source = SOURCE_SCHEDULER,
                          .detail = {.code = "host_lost",
                                     .message = arena_printf(
                                         pass->arena,
                                         "host '%s' is not heard of; goes on when it is back, or "
                                         "restart the workload to move it",
                                         workload->host_id)},
                      });
}

static struct error *fail(struct pass *pass, const Coffer__V1__Workload *workload,
                          enum trigger trigger, bool retry, const char *code, const char *message)
{
    return step_apply(pass, workload,
                      &(struct step){
                          .trigger = trigger,
                          .source = SOURCE_SCHEDULER,
                          .plan_retry = retry,
                          .detail = {.code = code, .message = message},
                      });
}

/* Why nothing happens is shown, without an event per attempt. */
static struct error *note_reason(struct update *update, void *data)
{
    Coffer__V1__Workload *workload = update->workload;

    update->skip = !workload || workload->status != COFFER__V1__WORKLOAD_STATUS__SCHEDULED ||
                   strcmp(workload->status_code, "host_unreachable") == 0;
    if (update->skip)
        return NULL;
    workload->status_code = arena_strdup(update->arena, "host_unreachable");
    workload->status_reason = arena_strdup(update->arena, data);
    return NULL;
}

static struct error *launch_failed(struct pass *pass, Coffer__V1__Workload *workload,
                                   struct error *err)
{
    _cleanup_(error_freep) struct error *owned = err;
    char *text = arena_strdup(pass->arena, error_text(owned));

    if (pass_note_unreachable(pass, workload->host_id, owned))
        return workload_update(pass->scheduler, workload->workload_id, note_reason, text,
                               pass->arena, NULL);
    return fail(pass, workload, TRIGGER_LAUNCH_REFUSED, true, "launch_refused", text);
}

static struct error *launch(struct pass *pass, Coffer__V1__Workload *workload)
{
    Coffer__V1__Vm *vm;
    struct error *err = command_start(pass->scheduler, workload, pass->arena, &vm);

    if (err)
        return launch_failed(pass, workload, err);
    return step_apply(pass, workload,
                      &(struct step){.trigger = TRIGGER_LAUNCHED, .source = SOURCE_SCHEDULER});
}

static struct error *reconcile_scheduled(struct pass *pass, Coffer__V1__Workload *workload)
{
    if (host_is_lost(pass, workload))
        return wait_for_host(pass, workload);
    if (is_due(pass, workload->deadline_at_ms))
        return fail(pass, workload, TRIGGER_DEADLINE, true, "start_timeout",
                    workload->status_reason[0] ? workload->status_reason
                                               : "the host did not start it in time");
    if (!pass_can_command(pass, workload->host_id))
        return NULL;
    struct error *err = reconcile_dns(pass, workload);
    return err ?: launch(pass, workload);
}

/* The VM as the host sees it: NULL code when all is well. */
static const char *vm_trouble(const struct pass *pass, const Coffer__V1__Workload *workload,
                              const char **ret_message)
{
    const Coffer__V1__Host *host = pass_host(pass, workload->host_id);
    const Coffer__V1__Vm *vm = host_find_vm(host, workload->workload_id);

    if (host->status != COFFER__V1__HOST_STATUS__READY)
        return NULL;
    if (!vm || vm->generation < workload->generation) {
        *ret_message = "the host does not have the VM any more";
        return host->last_seen_at_ms > workload->launched_at_ms + VM_APPEARS_MS ? "vm_gone" : NULL;
    }
    *ret_message = vm->reason;
    if (vm->state == COFFER__V1__VM_STATE__VM_FAILED)
        return "vm_failed";
    return vm->state == COFFER__V1__VM_STATE__VM_STOPPED ? "vm_stopped" : NULL;
}

/* Without a certificate everything else may be well, and it can still come. */
static struct error *boot_is_late(struct pass *pass, const Coffer__V1__Workload *workload)
{
    if (workload->status == COFFER__V1__WORKLOAD_STATUS__AWAITING_CERT)
        return fail(pass, workload, TRIGGER_CERTIFICATE_LATE, false, "certificate_timeout",
                    "no certificate came in time");
    return fail(pass, workload, TRIGGER_DEADLINE, true, "boot_timeout",
                "the guest did not get on with its boot in time");
}

static struct error *reconcile_live(struct pass *pass, Coffer__V1__Workload *workload)
{
    const char *message = NULL;

    if (host_is_lost(pass, workload))
        return wait_for_host(pass, workload);
    const char *code = vm_trouble(pass, workload, &message);
    if (code)
        return fail(pass, workload, TRIGGER_VM_GONE, true, code, message);
    if (is_due(pass, workload->deadline_at_ms))
        return boot_is_late(pass, workload);
    return reconcile_dns(pass, workload);
}

/* The lost host is back: with the VM, or without. */
static struct error *reconcile_waiting(struct pass *pass, Coffer__V1__Workload *workload)
{
    const Coffer__V1__Host *host = pass_host(pass, workload->host_id);

    if (!host || host->status != COFFER__V1__HOST_STATUS__READY)
        return NULL;
    const Coffer__V1__Vm *vm = host_find_vm(host, workload->workload_id);
    bool runs = vm && vm->generation == workload->generation &&
                (vm->state == COFFER__V1__VM_STATE__VM_RUNNING ||
                 vm->state == COFFER__V1__VM_STATE__VM_STARTING);
    return step_apply(pass, workload,
                      &(struct step){
                          .trigger = runs ? TRIGGER_HOST_BACK : TRIGGER_REPLACE,
                          .source = SOURCE_SCHEDULER,
                          .new_generation = !runs,
                          .detail = {.message = "the host is back"},
                      });
}

static struct error *reconcile_error(struct pass *pass, Coffer__V1__Workload *workload)
{
    if (!is_due(pass, workload->next_attempt_at_ms))
        return NULL;
    return step_apply(
        pass, workload,
        &(struct step){
            .trigger = TRIGGER_RETRY,
            .source = SOURCE_SCHEDULER,
            .new_generation = true,
            .detail = {.code = workload->status_code, .message = workload->status_reason},
        });
}

struct error *reconcile_workload(struct pass *pass, Coffer__V1__Workload *workload)
{
    switch ((enum status)workload->status) {
    case STATUS_SCHEDULED:
        return reconcile_scheduled(pass, workload);
    case STATUS_STARTING:
    case STATUS_AWAITING_CERT:
    case STATUS_RUNNING:
    case STATUS_DEGRADED:
        return reconcile_live(pass, workload);
    case STATUS_WAITING:
        return reconcile_waiting(pass, workload);
    case STATUS_ERROR:
        return reconcile_error(pass, workload);
    case STATUS_STOPPING:
        return reconcile_stopping(pass, workload);
    case STATUS_DELETING:
        return reconcile_deleting(pass, workload);
    default:
        return NULL;
    }
}
