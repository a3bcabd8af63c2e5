#include "services/scheduler/workloads.h"

#include "services/scheduler/admission.h"
#include "services/scheduler/allowance.h"
#include "services/scheduler/audit.h"
#include "services/scheduler/done_request.h"

enum { REASON_MAX = 256 };

struct error *workload_check_asker(struct update *update, const char *workload_id,
                                   const char *account_id, const Coffer__V1__Expectation *if_match)
{
    const Coffer__V1__Workload *workload = update->workload;

    if (!workload || (account_id[0] && strcmp(account_id, workload->account_id) != 0))
        return error_new(ERROR_NOT_FOUND, "no workload '%s'", workload_id);
    if (!if_match || (if_match->generation == workload->generation &&
                      if_match->event_sequence == workload->event_sequence))
        return NULL;
    update->is_final = true;
    struct error *err =
        error_new(ERROR_ABORTED, "workload '%s' has changed meanwhile", workload_id);
    return error_set_reason(err, "if_match");
}

/* What is so already, or about to be. */
static bool is_granted(const Coffer__V1__Workload *workload, enum trigger trigger)
{
    switch (trigger) {
    case TRIGGER_START:
        return workload->desired == COFFER__V1__DESIRED_STATE__DESIRED_RUNNING &&
               workload->status != COFFER__V1__WORKLOAD_STATUS__ERROR;
    case TRIGGER_STOP:
        return workload->desired == COFFER__V1__DESIRED_STATE__DESIRED_STOPPED;
    case TRIGGER_DELETE:
        return workload->desired == COFFER__V1__DESIRED_STATE__DESIRED_DELETED;
    default:
        return false;
    }
}

static struct error *replace_secrets(struct update *update, ProtobufCBinaryData sealed)
{
    Coffer__V1__WorkloadInput *input;
    uint64_t version;
    const char *id = update->workload->workload_id;
    struct error *err =
        record_load(update->scheduler, KEY_WORKLOAD_INPUT, id,
                    &coffer__v1__workload_input__descriptor, update->arena, &input, &version);

    if (err)
        return err;
    if (!input)
        return error_new(ERROR_DATA_LOSS, "workload '%s' has lost its input", id);
    input->sealed_secrets = sealed;
    change_put(&update->change, KEY_WORKLOAD_INPUT, id, version, &input->base, 0);
    return NULL;
}

/* Who wants it to run while its host is lost gives up the place there for another one. */
static struct error *leave_lost_host(struct update *update)
{
    Coffer__V1__Workload *workload = update->workload;
    bool holds;
    struct error *err = reservation_holds(update->scheduler, workload, workload->image_version,
                                          update->arena, &holds);

    return err || holds ? err : reservation_move(&update->change, workload);
}

struct granting {
    const struct wish *wish;
    struct asked asked;
    bool audited;
};

/* Sets update->skip where there is nothing to do. A repeat is one whatever it expects. */
static struct error *judge(struct update *update, struct granting *granting)
{
    const struct wish *wish = granting->wish;
    struct done_request before = {0};
    struct error *err =
        done_request_find(update->scheduler, &granting->asked, update->arena, &before);

    err = err
              ?: workload_check_asker(update, wish->workload_id, wish->account_id,
                                      before.done ? NULL : wish->if_match);
    if (err)
        return err;
    update->skip = before.done || is_granted(update->workload, wish->trigger);
    granting->audited = update->skip ? before.audited : wish->audit != NULL;
    return NULL;
}

static struct error *grant(struct update *update, void *data)
{
    struct granting *granting = data;
    const struct wish *wish = granting->wish;
    Coffer__V1__Workload *workload = update->workload;
    const struct event_detail detail = {
        .message = arena_printf(update->arena, "%.*s", REASON_MAX, wish->reason),
    };
    struct error *err = judge(update, granting);

    if (err || update->skip)
        return err;
    if (workload->desired == COFFER__V1__DESIRED_STATE__DESIRED_DELETED)
        return error_new(ERROR_FAILED_PRECONDITION, "workload '%s' is being deleted",
                         wish->workload_id);
    err = allowance_check(update->scheduler, workload, wish->allowance, update->arena);
    if (!err && wish->sealed_secrets.len)
        err = replace_secrets(update, wish->sealed_secrets);
    if (!err && (wish->trigger == TRIGGER_RESTART || wish->trigger == TRIGGER_START))
        err = leave_lost_host(update);
    if (err)
        return err;
    workload->desired = wish->trigger == TRIGGER_STOP ? COFFER__V1__DESIRED_STATE__DESIRED_STOPPED
                        : wish->trigger == TRIGGER_DELETE
                            ? COFFER__V1__DESIRED_STATE__DESIRED_DELETED
                            : COFFER__V1__DESIRED_STATE__DESIRED_RUNNING;
    workload->restarts = 0;
    done_request_note(&update->change, &granting->asked, workload->workload_id);
    workload_new_generation(workload);
    return workload_move(update, wish->trigger, SOURCE_USER, &detail);
}

struct error *workload_wish(struct scheduler *scheduler, const struct wish *wish,
                            struct arena *arena, Coffer__V1__WorkloadReply *reply)
{
    struct granting granting = {.wish = wish, .asked = {wish->request_id, wish->audit}};
    struct error *err = audit_check(wish->audit);

    if (!err && wish->sealed_secrets.len)
        err = admission_check_secrets(scheduler, wish->workload_id, wish->sealed_secrets);
    err = err
              ?: workload_update(scheduler, wish->workload_id, grant, &granting, arena,
                                 &reply->workload);
    if (!err)
        reply->audited = granting.audited;
    return err;
}
