#include "services/scheduler/revise.h"

#include "services/scheduler/admission.h"
#include "services/scheduler/allowance.h"
#include "services/scheduler/artifacts.h"
#include "services/scheduler/audit.h"
#include "services/scheduler/done_request.h"
#include "services/scheduler/names.h"
#include "services/scheduler/secrets.h"
#include "services/scheduler/workloads.h"
#include "shared/base/log.h"

enum { REASON_MAX = 256 };

struct revision {
    const Coffer__V1__UpdateWorkloadRequest *request;
    const struct manifest *manifest;
    uint8_t digest[MANIFEST_SHA256_SIZE];
    const Coffer__V1__Secrets *given; /* opened; empty when there are none */
    struct asked asked;
    bool audited; /* of the last attempt */
};

/* What an attempt found out about the record before. */
struct before {
    Coffer__V1__WorkloadInput *input;
    uint64_t input_version;
    struct manifest *manifest;
    Coffer__V1__Secrets *secrets;
};

static struct error *check_request(struct scheduler *scheduler, struct revision *revision,
                                   struct arena *arena)
{
    const Coffer__V1__UpdateWorkloadRequest *request = revision->request;
    Coffer__V1__CreateWorkloadRequest as = COFFER__V1__CREATE_WORKLOAD_REQUEST__INIT;
    struct manifest *manifest;
    Coffer__V1__Secrets *given;

    as.name = request->name;
    as.domain = request->domain;
    as.manifest = request->manifest;
    as.compose = request->compose;
    as.files = request->files;
    as.n_files = request->n_files;
    as.image_version = request->image_version;
    struct error *err = admission_check_content(scheduler, &as, arena, &manifest);
    err = err ?: admission_check_secrets(scheduler, request->workload_id, request->sealed_secrets);
    err = err
              ?: secrets_open(scheduler, request->workload_id, request->sealed_secrets, arena,
                              &given);
    if (err)
        return err;
    manifest_hash(request->manifest.data, request->manifest.len, revision->digest);
    revision->manifest = manifest;
    revision->given = given;
    return NULL;
}

/* Compose, files and image are the same where the manifest is. */
static bool is_same(const Coffer__V1__Workload *workload, const struct revision *revision)
{
    const Coffer__V1__UpdateWorkloadRequest *request = revision->request;

    return workload->manifest_sha256.len == sizeof(revision->digest) &&
           memcmp(workload->manifest_sha256.data, revision->digest, sizeof(revision->digest)) ==
               0 &&
           !request->sealed_secrets.len && strcmp(workload->domain, request->domain) == 0 &&
           strcmp(workload->name, request->name) == 0;
}

static struct error *load_before(struct update *update, struct before *before)
{
    struct scheduler *scheduler = update->scheduler;
    const char *id = update->workload->workload_id;
    struct error *err =
        record_load(scheduler, KEY_WORKLOAD_INPUT, id, &coffer__v1__workload_input__descriptor,
                    update->arena, &before->input, &before->input_version);

    if (!err && !before->input)
        err = error_new(ERROR_DATA_LOSS, "workload '%s' has lost its input", id);
    err = err
              ?: manifest_parse(before->input->manifest.data, before->input->manifest.len,
                                update->arena, &before->manifest);
    return err
               ?: secrets_open(scheduler, id, before->input->sealed_secrets, update->arena,
                               &before->secrets);
}

static struct error *put_input(struct update *update, const struct revision *revision,
                               const struct before *before, const Coffer__V1__Secrets *secrets)
{
    const Coffer__V1__UpdateWorkloadRequest *request = revision->request;
    Coffer__V1__WorkloadInput input = COFFER__V1__WORKLOAD_INPUT__INIT;
    struct error *err = secrets_seal(update->scheduler, request->workload_id, secrets,
                                     update->arena, &input.sealed_secrets);

    if (err)
        return err;
    input.manifest = request->manifest;
    input.compose = request->compose;
    input.files = request->files;
    input.n_files = request->n_files;
    change_put(&update->change, KEY_WORKLOAD_INPUT, request->workload_id, before->input_version,
               &input.base, 0);
    return NULL;
}

/* The record of the old name may be about to be written, whatever is noted of it. */
static struct error *take_domain(struct update *update, const char *domain)
{
    Coffer__V1__Workload *workload = update->workload;
    const struct name_taker taker = {domain, workload->workload_id, workload->account_id};
    uint64_t version;

    if (strcmp(workload->domain, domain) == 0)
        return NULL;
    struct error *err = name_check_free(update->scheduler, &taker, update->arena, &version);
    if (err)
        return err;
    name_take(&update->change, &taker, version);
    name_give_up(&update->change, workload, true);
    workload->dns_address = arena_strdup(update->arena, "");
    return NULL;
}

/* What was verified before says nothing about the next boot. */
static void take_content(struct update *update, const struct revision *revision)
{
    Coffer__V1__Workload *workload = update->workload;
    const Coffer__V1__UpdateWorkloadRequest *request = revision->request;

    workload->name = request->name;
    workload->image_version = request->image_version;
    workload->domain = request->domain;
    workload->manifest_sha256 =
        arena_bytes(update->arena, revision->digest, sizeof(revision->digest));
    workload->public_service = arena_strdup(update->arena, revision->manifest->public_service);
    workload->public_port = revision->manifest->public_port;
    workload->measurement = (ProtobufCBinaryData){0};
    workload->image_root = arena_strdup(update->arena, "");
    workload->evidence_kind = arena_strdup(update->arena, "");
    workload->restarts = 0;
    done_request_note(&update->change, &revision->asked, workload->workload_id);
    workload_new_generation(workload);
}

/* A workload that is not to run takes the new configuration at its next start. */
static struct error *tell(struct update *update, const struct revision *revision,
                          const char *changes, bool runs)
{
    const char *reason = revision->request->reason;
    const struct event_detail detail = {
        .message = arena_printf(update->arena, "%.*s%s%s", REASON_MAX, reason,
                                reason[0] ? ": " : "", changes),
        .manifest_sha256 = update->workload->manifest_sha256,
    };

    change_workload_event(&update->change, update->workload, "updated", SOURCE_USER, &detail);
    return runs ? workload_move(update, TRIGGER_UPDATE, SOURCE_USER,
                                &(struct event_detail){.message = detail.message})
                : NULL;
}

static struct error *change_all(struct update *update, const struct revision *revision)
{
    Coffer__V1__Workload *workload = update->workload;
    const Coffer__V1__UpdateWorkloadRequest *request = revision->request;
    const bool runs = workload->desired == COFFER__V1__DESIRED_STATE__DESIRED_RUNNING;
    struct before before;
    Coffer__V1__Secrets *secrets;
    bool holds;
    struct error *err = load_before(update, &before);

    err = err
              ?: secrets_overlay(revision->manifest, before.secrets, revision->given, update->arena,
                                 &secrets);
    if (err)
        return err;
    const char *changes = configuration_changes(
        &(struct configuration){workload->name, workload->domain, before.manifest, before.secrets},
        &(struct configuration){request->name, request->domain, revision->manifest, secrets},
        update->arena);
    err = put_input(update, revision, &before, secrets);
    err = err ?: take_domain(update, request->domain);
    err = err
              ?: reservation_holds(update->scheduler, workload, request->image_version,
                                   update->arena, &holds);
    if (err)
        return err;
    take_content(update, revision);
    if (!holds)
        err = reservation_move(&update->change, workload);
    return err ?: tell(update, revision, changes, runs);
}

static struct error *check_name(const struct update *update, const char *name)
{
    const Coffer__V1__Workload *workload = update->workload;
    const struct name_taker taker = {name, workload->workload_id, workload->account_id};
    uint64_t version;

    return name_check_free(update->scheduler, &taker, update->arena, &version);
}

static struct error *revise(struct update *update, void *data)
{
    struct revision *revision = data;
    const Coffer__V1__UpdateWorkloadRequest *request = revision->request;
    const Coffer__V1__Workload *workload = update->workload;
    struct done_request before = {0};
    struct error *err =
        done_request_find(update->scheduler, &revision->asked, update->arena, &before);

    err = err
              ?: workload_check_asker(update, request->workload_id, request->account_id,
                                      before.done ? NULL : request->if_match);
    update->skip = !err && before.done;
    revision->audited = before.audited;
    if (err || before.done)
        return err;
    if (workload->desired == COFFER__V1__DESIRED_STATE__DESIRED_DELETED)
        return error_new(ERROR_FAILED_PRECONDITION, "workload '%s' is being deleted",
                         request->workload_id);
    update->skip = is_same(workload, revision);
    if (update->skip)
        return NULL;
    /* In the order of a create and of a plan, so that all name the same refusal. */
    err = artifact_check(update->scheduler, request->image_version, update->arena);
    err = err ?: check_name(update, request->domain);
    if (!err && workload->desired == COFFER__V1__DESIRED_STATE__DESIRED_RUNNING)
        err = allowance_check(update->scheduler, workload, request->allowance, update->arena);
    revision->audited = request->audit != NULL;
    return err ?: change_all(update, revision);
}

struct error *workload_revise(struct scheduler *scheduler,
                              const Coffer__V1__UpdateWorkloadRequest *request, struct arena *arena,
                              Coffer__V1__WorkloadReply *reply)
{
    struct revision revision = {.request = request, .asked = {request->request_id, request->audit}};
    struct error *err = audit_check(request->audit);

    err = err ?: check_request(scheduler, &revision, arena);
    err = err
              ?: workload_update(scheduler, request->workload_id, revise, &revision, arena,
                                 &reply->workload);
    if (err)
        return err;
    reply->audited = revision.audited;
    log_info("workload updated", "workload", request->workload_id);
    return NULL;
}
