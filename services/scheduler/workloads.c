#include "services/scheduler/workloads.h"

#include "services/scheduler/admission.h"
#include "services/scheduler/allowance.h"
#include "services/scheduler/artifacts.h"
#include "services/scheduler/tiers.h"
#include "shared/base/log.h"

enum { CREATE_ATTEMPTS = 8, REASON_MAX = 256 };

/* A repeated create: the same account and the same manifest mean the same request. */
static struct error *answer_existing(const Coffer__V1__Workload *workload,
                                     const Coffer__V1__CreateWorkloadRequest *request)
{
    uint8_t digest[MANIFEST_SHA256_SIZE];

    manifest_hash(request->manifest.data, request->manifest.len, digest);
    if (strcmp(workload->account_id, request->account_id) == 0 &&
        workload->manifest_sha256.len == sizeof(digest) &&
        memcmp(workload->manifest_sha256.data, digest, sizeof(digest)) == 0 &&
        workload->desired != COFFER__V1__DESIRED_STATE__DESIRED_DELETED)
        return NULL;
    return error_new(ERROR_ALREADY_EXISTS, "workload '%s' exists already", request->workload_id);
}

/* Whether the image version and the size are to be had today, and at what price. */
static struct error *check_offer(struct scheduler *scheduler,
                                 const Coffer__V1__CreateWorkloadRequest *request,
                                 struct arena *arena, uint64_t *ret_usd_micros_per_minute)
{
    Coffer__V1__WorkloadTier *tier;
    struct error *err = artifact_check(scheduler, request->image_version, arena);

    err = err ?: tier_match(scheduler, request->resources, arena, &tier);
    if (!err)
        *ret_usd_micros_per_minute = tier ? tier->usd_micros_per_minute : 0;
    return err;
}

static Coffer__V1__Workload *new_workload(struct change *change,
                                          const Coffer__V1__CreateWorkloadRequest *request,
                                          const struct manifest *manifest)
{
    Coffer__V1__Workload *workload = arena_alloc(change->arena, sizeof(*workload));
    uint8_t digest[MANIFEST_SHA256_SIZE];

    coffer__v1__workload__init(workload);
    manifest_hash(request->manifest.data, request->manifest.len, digest);
    workload->workload_id = request->workload_id;
    workload->account_id = request->account_id;
    workload->name = request->name;
    workload->desired = COFFER__V1__DESIRED_STATE__DESIRED_RUNNING;
    workload->generation = 1;
    workload->resources = request->resources;
    workload->image_version = request->image_version;
    workload->domain = request->domain;
    workload->manifest_sha256 = arena_bytes(change->arena, digest, sizeof(digest));
    workload->created_at_ms = clock_wall_ms(change->scheduler->clock);
    workload->updated_at_ms = workload->created_at_ms;
    workload->public_service = arena_strdup(change->arena, manifest->public_service);
    workload->public_port = manifest->public_port;
    return workload;
}

static void put_input(struct change *change, const Coffer__V1__CreateWorkloadRequest *request)
{
    Coffer__V1__WorkloadInput input = COFFER__V1__WORKLOAD_INPUT__INIT;

    input.manifest = request->manifest;
    input.compose = request->compose;
    input.files = request->files;
    input.n_files = request->n_files;
    input.sealed_secrets = request->sealed_secrets;
    change_put(change, KEY_WORKLOAD_INPUT, request->workload_id, 0, &input.base, 0);
}

struct error *domain_check_free(struct scheduler *scheduler, const char *domain,
                                const char *workload_id, struct arena *arena, uint64_t *ret_version)
{
    struct store_record record;
    struct error *err = store_get(scheduler->store, arena_printf(arena, "%s%s", KEY_DOMAIN, domain),
                                  arena, &record);

    if (err)
        return err;
    *ret_version = record.version;
    if (record.version && (record.value.len != strlen(workload_id) ||
                           memcmp(record.value.data, workload_id, record.value.len) != 0)) {
        err = error_new(ERROR_ALREADY_EXISTS, "domain '%s' belongs to another workload", domain);
        return error_set_reason(err, "domain_taken");
    }
    return NULL;
}

/* One commit: record, input, domain, reservation, indexes and the first two events. */
static struct error *create_once(struct scheduler *scheduler,
                                 const Coffer__V1__CreateWorkloadRequest *request,
                                 const struct manifest *manifest, struct arena *arena,
                                 Coffer__V1__Workload **ret_workload)
{
    struct update update = {.scheduler = scheduler, .arena = arena};
    struct change *change = &update.change;
    const char *id = request->workload_id;
    uint64_t version;
    uint64_t domain_version;
    uint64_t price;
    struct error *err = record_load(scheduler, KEY_WORKLOAD, id, &coffer__v1__workload__descriptor,
                                    arena, ret_workload, &version);

    if (err)
        return err;
    if (*ret_workload)
        return answer_existing(*ret_workload, request);
    err = check_offer(scheduler, request, arena, &price);
    err = err ?: domain_check_free(scheduler, request->domain, id, arena, &domain_version);
    if (err)
        return err;
    change_init(change, scheduler, arena);
    update.workload = new_workload(change, request, manifest);
    update.workload->usd_micros_per_minute = price;
    err = allowance_check(scheduler, update.workload, request->allowance, arena);
    err = err ?: reservation_make(change, update.workload);
    if (err)
        return err;
    change_workload_event(change, update.workload, "created", SOURCE_USER, NULL);
    err = workload_move(&update, TRIGGER_CREATE, SOURCE_USER, NULL);
    if (err)
        return err;
    put_input(change, request);
    change_put_bytes(change, KEY_DOMAIN, request->domain, domain_version, id, strlen(id));
    change_index(change, KEY_WORKLOADS, "", id, false);
    change_index(change, KEY_WORKLOADS_OF, request->account_id, id, false);
    change_put(change, KEY_WORKLOAD, id, 0, &update.workload->base, 0);
    *ret_workload = update.workload;
    return change_commit(change);
}

struct error *workload_create(struct scheduler *scheduler,
                              const Coffer__V1__CreateWorkloadRequest *request, struct arena *arena,
                              Coffer__V1__Workload **ret_workload)
{
    Coffer__V1__Workload *workload = NULL;
    struct manifest *manifest;
    struct error *err = admission_check(scheduler, request, arena, &manifest);

    for (int i = 0; !err && i < CREATE_ATTEMPTS; i++) {
        err = create_once(scheduler, request, manifest, arena, &workload);
        if (error_get_code(err) != ERROR_ABORTED)
            break;
        if (i + 1 == CREATE_ATTEMPTS)
            return error_recode(err, ERROR_UNAVAILABLE);
        error_free(err);
        err = NULL;
    }
    if (err)
        return err;
    log_info("workload created", "workload", workload->workload_id, "host", workload->host_id);
    scheduler_kick(scheduler);
    *ret_workload = workload;
    return NULL;
}

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

/* A restart while the host is lost gives up the place there: the owner prefers another one. */
static struct error *move_away(struct update *update)
{
    Coffer__V1__Workload *workload = update->workload;

    if (workload->status != COFFER__V1__WORKLOAD_STATUS__WAITING)
        return NULL;
    struct error *err = reservation_drop(&update->change, workload);
    return err ?: reservation_make(&update->change, workload);
}

static struct error *grant(struct update *update, void *data)
{
    const struct wish *wish = data;
    Coffer__V1__Workload *workload = update->workload;
    const struct event_detail detail = {
        .message = arena_printf(update->arena, "%.*s", REASON_MAX, wish->reason),
    };
    struct error *err =
        workload_check_asker(update, wish->workload_id, wish->account_id, wish->if_match);

    if (err)
        return err;
    update->skip = is_granted(workload, wish->trigger);
    if (update->skip)
        return NULL;
    if (workload->desired == COFFER__V1__DESIRED_STATE__DESIRED_DELETED)
        return error_new(ERROR_FAILED_PRECONDITION, "workload '%s' is being deleted",
                         wish->workload_id);
    err = allowance_check(update->scheduler, workload, wish->allowance, update->arena);
    if (!err && wish->sealed_secrets.len)
        err = replace_secrets(update, wish->sealed_secrets);
    if (!err && wish->trigger == TRIGGER_RESTART)
        err = move_away(update);
    if (err)
        return err;
    workload->desired = wish->trigger == TRIGGER_STOP ? COFFER__V1__DESIRED_STATE__DESIRED_STOPPED
                        : wish->trigger == TRIGGER_DELETE
                            ? COFFER__V1__DESIRED_STATE__DESIRED_DELETED
                            : COFFER__V1__DESIRED_STATE__DESIRED_RUNNING;
    workload->restarts = 0;
    workload_new_generation(workload);
    return workload_move(update, wish->trigger, SOURCE_USER, &detail);
}

struct error *workload_wish(struct scheduler *scheduler, const struct wish *wish,
                            struct arena *arena, Coffer__V1__Workload **ret_workload)
{
    struct error *err = NULL;

    if (wish->sealed_secrets.len)
        err = admission_check_secrets(scheduler, wish->workload_id, wish->sealed_secrets);
    return err
               ?: workload_update(scheduler, wish->workload_id, grant, (void *)wish, arena,
                                  ret_workload);
}
