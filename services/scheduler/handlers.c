/* What the scheduler answers and hears on the bus: one row per subject. */
#include "services/scheduler/artifacts.h"
#include "services/scheduler/hosts.h"
#include "services/scheduler/intake.h"
#include "services/scheduler/release.h"
#include "services/scheduler/tiers.h"
#include "services/scheduler/workloads.h"
#include "shared/bus/subject.h"

static struct error *on_create(void *state, struct bus_call *call)
{
    return intake_create(state, call);
}

/* Only what makes a workload run is measured by the allowance. */
static struct error *wish(struct scheduler *scheduler, struct bus_call *call, enum trigger trigger)
{
    const Coffer__V1__WorkloadRequest *request = call->in;

    return workload_wish(scheduler,
                         &(struct wish){
                             .trigger = trigger,
                             .workload_id = request->workload_id,
                             .account_id = request->account_id,
                             .reason = request->reason,
                             .if_match = request->if_match,
                             .request_id = request->request_id,
                             .audit = request->audit,
                             .allowance = trigger == TRIGGER_START ? request->allowance : NULL,
                         },
                         call->arena, call->out);
}

static struct error *on_start(void *state, struct bus_call *call)
{
    return wish(state, call, TRIGGER_START);
}

static struct error *on_stop(void *state, struct bus_call *call)
{
    return wish(state, call, TRIGGER_STOP);
}

static struct error *on_delete(void *state, struct bus_call *call)
{
    return wish(state, call, TRIGGER_DELETE);
}

static struct error *on_restart(void *state, struct bus_call *call)
{
    const Coffer__V1__RestartWorkloadRequest *request = call->in;

    return workload_wish(state,
                         &(struct wish){
                             .trigger = TRIGGER_RESTART,
                             .workload_id = request->workload_id,
                             .account_id = request->account_id,
                             .reason = request->reason,
                             .sealed_secrets = request->sealed_secrets,
                             .request_id = request->request_id,
                             .audit = request->audit,
                             .if_match = request->if_match,
                             .allowance = request->allowance,
                         },
                         call->arena, call->out);
}

static struct error *on_update(void *state, struct bus_call *call)
{
    return workload_revise(state, call->in, call->arena, call->out);
}

static struct error *on_plan(void *state, struct bus_call *call)
{
    return workload_plan(state, call->in, call->arena, call->out);
}

static struct error *on_heartbeat(void *state, struct bus_call *call)
{
    char host_id[64];

    if (!subject_token(call->message->subject, 2, host_id, sizeof(host_id)))
        return error_new(ERROR_INVALID_ARGUMENT, "subject names no host");
    return host_heartbeat(state, host_id, call->in, call->arena);
}

static struct error *set_artifact(void *state, struct bus_call *call, bool enabled)
{
    const Coffer__V1__ArtifactRequest *request = call->in;
    Coffer__V1__Artifact *artifact;
    struct error *err = artifact_set(state, request, enabled, call->arena, &artifact);

    if (!err)
        *(Coffer__V1__Artifact *)call->out = *artifact;
    return err;
}

static struct error *on_artifact_enable(void *state, struct bus_call *call)
{
    return set_artifact(state, call, true);
}

static struct error *on_artifact_disable(void *state, struct bus_call *call)
{
    return set_artifact(state, call, false);
}

static struct error *on_tier_create(void *state, struct bus_call *call)
{
    Coffer__V1__WorkloadTier *tier;
    struct error *err = tier_create(state, call->in, call->arena, &tier);

    if (!err)
        *(Coffer__V1__WorkloadTier *)call->out = *tier;
    return err;
}

static struct error *on_tier_update(void *state, struct bus_call *call)
{
    Coffer__V1__WorkloadTier *tier;
    struct error *err = tier_update(state, call->in, call->arena, &tier);

    if (!err)
        *(Coffer__V1__WorkloadTier *)call->out = *tier;
    return err;
}

static struct error *on_tier_delete(void *state, struct bus_call *call)
{
    Coffer__V1__Empty *reply = call->out;
    bool audited = false;
    struct error *err = tier_delete(state, call->in, call->arena, &audited);

    reply->audited = audited;
    return err;
}

static struct error *on_host_delete(void *state, struct bus_call *call)
{
    Coffer__V1__Empty *reply = call->out;
    bool audited = false;
    struct error *err = host_remove(state, call->in, call->arena, &audited);

    reply->audited = audited;
    return err;
}

/* boot.<h>.<w>.<step> */
static struct error *boot_place(const struct bus_call *call, char ret_host[64],
                                char ret_workload[64])
{
    if (subject_token(call->message->subject, 1, ret_host, 64) &&
        subject_token(call->message->subject, 2, ret_workload, 64))
        return NULL;
    return error_new(ERROR_INVALID_ARGUMENT, "subject names no host and workload");
}

static struct error *on_challenge(void *state, struct bus_call *call)
{
    char host_id[64];
    char workload_id[64];
    struct error *err = boot_place(call, host_id, workload_id);

    return err ?: release_challenge(state, host_id, workload_id, call->in, call->arena, call->out);
}

static struct error *on_attest(void *state, struct bus_call *call)
{
    char host_id[64];
    char workload_id[64];
    struct error *err = boot_place(call, host_id, workload_id);

    return err ?: release_attest(state, host_id, workload_id, call->in, call->arena, call->out);
}

#define MESSAGE(name) (&coffer__v1__##name##__descriptor)

const struct bus_handler scheduler_handlers[] = {
    {"svc.scheduler.workload.create", MESSAGE(create_workload_request), MESSAGE(workload_reply),
     on_create, NULL},
    {"svc.scheduler.workload.start", MESSAGE(workload_request), MESSAGE(workload_reply), on_start,
     NULL},
    {"svc.scheduler.workload.stop", MESSAGE(workload_request), MESSAGE(workload_reply), on_stop,
     NULL},
    {"svc.scheduler.workload.restart", MESSAGE(restart_workload_request), MESSAGE(workload_reply),
     on_restart, NULL},
    {"svc.scheduler.workload.delete", MESSAGE(workload_request), MESSAGE(workload_reply), on_delete,
     NULL},
    {"svc.scheduler.workload.update", MESSAGE(update_workload_request), MESSAGE(workload_reply),
     on_update, NULL},
    {"svc.scheduler.workload.plan", MESSAGE(plan_workload_request), MESSAGE(plan_workload_reply),
     on_plan, NULL},
    {"svc.scheduler.artifact.enable", MESSAGE(artifact_request), MESSAGE(artifact),
     on_artifact_enable, NULL},
    {"svc.scheduler.artifact.disable", MESSAGE(artifact_request), MESSAGE(artifact),
     on_artifact_disable, NULL},
    {"svc.scheduler.tier.create", MESSAGE(workload_tier), MESSAGE(workload_tier), on_tier_create,
     NULL},
    {"svc.scheduler.tier.update", MESSAGE(workload_tier), MESSAGE(workload_tier), on_tier_update,
     NULL},
    {"svc.scheduler.tier.delete", MESSAGE(workload_tier_request), MESSAGE(empty), on_tier_delete,
     NULL},
    {"svc.scheduler.host.delete", MESSAGE(host_request), MESSAGE(empty), on_host_delete, NULL},
    {"hb.host.*", MESSAGE(host_heartbeat), NULL, on_heartbeat, NULL},
    {"boot.*.*.challenge", MESSAGE(challenge_request), MESSAGE(challenge_reply), on_challenge,
     NULL},
    {"boot.*.*.attest", MESSAGE(attest_request), MESSAGE(attest_reply), on_attest, NULL},
    {0},
};
