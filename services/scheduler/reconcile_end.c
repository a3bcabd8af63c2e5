/* Stopping, deleting, and VMs that should not be there. */
#include "services/scheduler/commands.h"
#include "services/scheduler/hosts.h"
#include "services/scheduler/names.h"
#include "services/scheduler/reconcile_private.h"
#include "services/scheduler/workloads.h"
#include "shared/base/encode.h"
#include "shared/base/log.h"

static bool vm_has_ended(const Coffer__V1__Vm *vm)
{
    return !vm || vm->state == COFFER__V1__VM_STATE__VM_STOPPED ||
           vm->state == COFFER__V1__VM_STATE__VM_FAILED;
}

static bool may_command(struct pass *pass, const char *verb, const char *workload_id)
{
    return pacing_allows(pass->scheduler, arena_printf(pass->arena, "%s %s", verb, workload_id));
}

/* Whether its VM is gone for sure, or as sure as it gets: a lost host is told when it is back. */
static struct error *end_vm(struct pass *pass, const Coffer__V1__Workload *workload,
                            const char *verb, bool *ret_ended)
{
    const Coffer__V1__Host *host = pass_host(pass, workload->host_id);
    Coffer__V1__Vm *vm = NULL;

    *ret_ended = !host || host->status == COFFER__V1__HOST_STATUS__LOST;
    if (*ret_ended || !pass_can_command(pass, workload->host_id) ||
        !may_command(pass, verb, workload->workload_id))
        return NULL;
    struct error *err = command_end(pass->scheduler, verb, workload->host_id, workload->workload_id,
                                    workload->generation, pass->arena, &vm);
    if (pass_note_unreachable(pass, workload->host_id, err)) {
        error_free(err);
        return NULL;
    }
    *ret_ended = !err && vm_has_ended(vm);
    return err;
}

struct error *reconcile_stopping(struct pass *pass, Coffer__V1__Workload *workload)
{
    bool ended;
    struct error *err = end_vm(pass, workload, "stop", &ended);

    if (err || !ended)
        return err;
    return step_apply(pass, workload,
                      &(struct step){.trigger = TRIGGER_STOPPED, .source = SOURCE_SCHEDULER});
}

/* Everything but the tombstone goes in one commit, and the name, which its DNS record may outlive.
 */
static struct error *bury(struct update *update, _unused_ void *data)
{
    struct change *change = &update->change;
    Coffer__V1__Workload *workload = update->workload;
    const char *id = workload ? workload->workload_id : NULL;

    update->skip = !workload || workload->status != COFFER__V1__WORKLOAD_STATUS__DELETING;
    if (update->skip)
        return NULL;
    struct error *err = reservation_drop(change, workload);
    if (err)
        return err;
    change_delete(change, KEY_WORKLOAD_INPUT, id, UINT64_MAX);
    change_delete(change, KEY_BOOT, id, UINT64_MAX);
    name_give_up(change, workload, workload->dns_address[0]);
    change_index(change, KEY_WORKLOADS, "", id, true);
    change_index(change, KEY_WORKLOADS_OF, workload->account_id, id, true);
    update->expire_ms = (int64_t)update->scheduler->config->tombstone_ms;
    workload->dns_address = arena_strdup(update->arena, "");
    return workload_move(update, TRIGGER_GONE, SOURCE_SCHEDULER, NULL);
}

struct error *reconcile_deleting(struct pass *pass, Coffer__V1__Workload *workload)
{
    bool ended;
    struct error *err = end_vm(pass, workload, "delete", &ended);

    if (err || !ended)
        return err;
    pass->scheduler->names_leave = true;
    return workload_update(pass->scheduler, workload->workload_id, bury, NULL, pass->arena, NULL);
}

static int compare_id(const void *id, const void *workload)
{
    return strcmp(id, (*(Coffer__V1__Workload *const *)workload)->workload_id);
}

/* The common case, decided without the store. */
static bool vm_is_expected(const struct pass *pass, const Coffer__V1__Host *host,
                           const Coffer__V1__Vm *vm)
{
    Coffer__V1__Workload *const *found =
        bsearch(vm->workload_id, pass->workloads, pass->n_workloads, sizeof(*found), compare_id);

    return found && strcmp((*found)->host_id, host->host_id) == 0 &&
           (*found)->status != COFFER__V1__WORKLOAD_STATUS__STOPPED;
}

/* "stop", "delete", or NULL when the VM may be where it is. */
static struct error *judge_vm(struct pass *pass, const Coffer__V1__Host *host,
                              const Coffer__V1__Vm *vm, const char **ret_verb)
{
    Coffer__V1__Workload *workload;
    uint64_t version;
    struct error *err;

    *ret_verb = NULL;
    if (!name_is_valid(vm->workload_id) || vm_is_expected(pass, host, vm))
        return NULL;
    /* Not from the snapshot: the VM may belong to a workload that was created since. */
    err = record_load(pass->scheduler, KEY_WORKLOAD, vm->workload_id,
                      &coffer__v1__workload__descriptor, pass->arena, &workload, &version);
    if (err)
        return err;
    if (!workload || workload->status == COFFER__V1__WORKLOAD_STATUS__DELETED ||
        strcmp(workload->host_id, host->host_id) != 0)
        *ret_verb = "delete";
    else if (workload->status == COFFER__V1__WORKLOAD_STATUS__STOPPED && !vm_has_ended(vm))
        *ret_verb = "stop";
    return NULL;
}

static struct error *remove_orphan(struct pass *pass, const Coffer__V1__Host *host,
                                   const Coffer__V1__Vm *vm, const char *verb)
{
    Coffer__V1__Vm *left;

    if (!may_command(pass, verb, vm->workload_id))
        return NULL;
    log_warning("vm should not be there", "host", host->host_id, "workload", vm->workload_id,
                "told to", verb);
    struct error *err = command_end(pass->scheduler, verb, host->host_id, vm->workload_id,
                                    vm->generation, pass->arena, &left);
    (void)pass_note_unreachable(pass, host->host_id, err);
    log_failure(LOG_LEVEL_WARNING, "vm not removed", err);
    return NULL;
}

struct error *reconcile_orphans(struct pass *pass)
{
    for (size_t i = 0; i < pass->n_hosts; i++) {
        const Coffer__V1__Host *host = pass->hosts[i];
        for (size_t k = 0; host->heartbeat && k < host->heartbeat->n_vms; k++) {
            const Coffer__V1__Vm *vm = host->heartbeat->vms[k];
            const char *verb;
            if (!pass_can_command(pass, host->host_id))
                break;
            struct error *err = judge_vm(pass, host, vm, &verb);
            if (!err && verb)
                err = remove_orphan(pass, host, vm, verb);
            if (err)
                return err;
        }
    }
    return NULL;
}
