/* What a create or an update would meet, found out by the functions that they use. */
#include "services/scheduler/admission.h"
#include "services/scheduler/allowance.h"
#include "services/scheduler/artifacts.h"
#include "services/scheduler/names.h"
#include "services/scheduler/tiers.h"
#include "services/scheduler/workloads.h"
#include "shared/manifest/manifest.h"

struct plan {
    struct scheduler *scheduler;
    const Coffer__V1__PlanWorkloadRequest *request;
    struct arena *arena;
    Coffer__V1__PlanWorkloadReply *reply;
    Coffer__V1__Workload *workload; /* as it is, or as it would be created */
    bool exists;
};

/* The first refusal is the answer. What has no reason, or the store's, is an error of the plan
 * itself. */
static struct error *note_refusal(struct plan *plan, struct error *err)
{
    Coffer__V1__PlanWorkloadReply *reply = plan->reply;

    if (!err || !error_reason(err)[0] || strcmp(error_reason(err), STORE_AWAY) == 0)
        return err;
    if (!reply->refusal_code[0]) {
        reply->refusal_code = arena_strdup(plan->arena, error_reason(err));
        reply->refusal = arena_strdup(plan->arena, error_text(err));
    }
    error_free(err);
    return NULL;
}

static struct error *load_existing(struct plan *plan)
{
    const Coffer__V1__PlanWorkloadRequest *request = plan->request;
    struct update update = {.scheduler = plan->scheduler, .arena = plan->arena};
    uint64_t version;
    struct error *err =
        record_load(plan->scheduler, KEY_WORKLOAD, request->workload_id,
                    &coffer__v1__workload__descriptor, plan->arena, &update.workload, &version);

    err = err ?: workload_check_asker(&update, request->workload_id, request->account_id, NULL);
    if (err)
        return err;
    if (update.workload->desired == COFFER__V1__DESIRED_STATE__DESIRED_DELETED)
        return error_new(ERROR_FAILED_PRECONDITION, "workload '%s' is being deleted",
                         request->workload_id);
    plan->workload = update.workload;
    plan->exists = true;
    return NULL;
}

static struct error *make_new(struct plan *plan)
{
    Coffer__V1__Workload *workload = arena_alloc(plan->arena, sizeof(*workload));

    coffer__v1__workload__init(workload);
    workload->account_id = plan->request->account_id;
    workload->resources = plan->request->resources;
    workload->desired = COFFER__V1__DESIRED_STATE__DESIRED_RUNNING;
    plan->workload = workload;
    return admission_check_resources(workload->resources);
}

static struct error *check_image(struct plan *plan)
{
    struct scheduler *scheduler = plan->scheduler;
    const char *version = plan->request->image_version;

    if (!manifest_version_is_valid(version))
        return error_new(ERROR_INVALID_ARGUMENT, "'%.64s' is no image version", version);
    struct error *err = images_check(scheduler->images, version);
    if (error_get_code(err) == ERROR_NOT_FOUND)
        err = error_set_reason(err, "no_image");
    return note_refusal(plan, err ?: artifact_check(scheduler, version, plan->arena));
}

/* What exists keeps its price, whatever the tiers say today. */
static struct error *find_price(struct plan *plan)
{
    Coffer__V1__WorkloadTier *tier = NULL;
    struct error *err = tier_match(plan->scheduler, plan->workload->resources, plan->arena, &tier);

    if (plan->exists && error_get_code(err) == ERROR_OUT_OF_RANGE) {
        error_free(err);
        err = NULL;
    }
    if (tier)
        plan->reply->tier = tier->name;
    if (tier && !plan->exists)
        plan->workload->usd_micros_per_minute = tier->usd_micros_per_minute;
    plan->reply->usd_micros_per_minute = plan->workload->usd_micros_per_minute;
    return note_refusal(plan, err);
}

static struct error *check_domain(struct plan *plan)
{
    const char *domain = plan->request->domain;
    const struct name_taker taker = {domain, plan->workload->workload_id,
                                     plan->workload->account_id};
    uint64_t version;

    if (!domain[0])
        return NULL;
    if (!manifest_domain_is_valid(domain))
        return error_new(ERROR_INVALID_ARGUMENT, "domain '%.253s' is not a host name", domain);
    return note_refusal(plan, name_check_free(plan->scheduler, &taker, plan->arena, &version));
}

/* A workload that stays stopped uses nothing. */
static struct error *check_allowance(struct plan *plan)
{
    const Coffer__V1__Workload *workload = plan->workload;
    struct usage usage;
    struct error *err = usage_load(plan->scheduler, workload->account_id, plan->arena, &usage);
    const bool runs = workload->desired == COFFER__V1__DESIRED_STATE__DESIRED_RUNNING;

    if (err)
        return err;
    if (runs && (!plan->exists || !usage_counts(workload)))
        usage_add(&usage, workload->resources, workload->usd_micros_per_minute);
    plan->reply->account_usd_micros_per_minute = usage.usd_micros_per_minute;
    if (!runs)
        return NULL;
    return note_refusal(
        plan, usage_check(&usage, workload->usd_micros_per_minute, plan->request->allowance));
}

static void add_notes(struct plan *plan, const struct placement *placement)
{
    Coffer__V1__PlanWorkloadReply *reply = plan->reply;

    reply->candidates = (uint32_t)placement->fitting;
    reply->notes = arena_alloc(plan->arena, (placement->n_notes + 1) * sizeof(*reply->notes));
    for (size_t i = 0; i < placement->n_notes; i++) {
        Coffer__V1__PlacementNote *note = arena_alloc(plan->arena, sizeof(*note));
        coffer__v1__placement_note__init(note);
        note->reason = arena_strdup(plan->arena, placement->notes[i].reason);
        note->hosts = (uint32_t)placement->notes[i].hosts;
        reply->notes[reply->n_notes++] = note;
    }
}

static struct error *find_place(struct plan *plan)
{
    const char *version = plan->request->image_version;
    const Coffer__V1__Workload *workload = plan->workload;
    struct placement placement = {0};
    const char *host_id = "";
    bool holds;
    struct error *err = reservation_holds(plan->scheduler, workload, version, plan->arena, &holds);

    if (err)
        return err;
    if (holds) {
        plan->reply->host_id = workload->host_id;
        plan->reply->candidates = 1;
        return NULL;
    }
    err = reservation_survey(plan->scheduler, workload, version, plan->arena, &placement, &host_id);
    plan->reply->host_id = (char *)host_id;
    add_notes(plan, &placement);
    return note_refusal(plan, err);
}

struct error *workload_plan(struct scheduler *scheduler,
                            const Coffer__V1__PlanWorkloadRequest *request, struct arena *arena,
                            Coffer__V1__PlanWorkloadReply *reply)
{
    struct plan plan = {.scheduler = scheduler, .request = request, .arena = arena, .reply = reply};
    struct error *err = request->workload_id[0] ? load_existing(&plan) : make_new(&plan);

    err = err ?: check_image(&plan);
    err = err ?: find_price(&plan);
    err = err ?: check_domain(&plan);
    err = err ?: check_allowance(&plan);
    err = err ?: find_place(&plan);
    if (!err)
        reply->admitted = !reply->refusal_code[0];
    return err;
}
