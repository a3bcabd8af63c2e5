/* The scheduler of the tests: keeps what it is given, and answers as it is told. Its handlers run
 * on the bus's own thread: what they find wrong is the answer, never a failed assertion. */
#include "services/api-gateway/test_fixture_parts.h"

#include "schemas/catalog.pb-c.h"
#include "schemas/host.pb-c.h"
#include "shared/base/alloc.h"
#include "shared/store/audit_trail.h"
#include "shared/store/keys.h"

void *last_request(const struct fixture *fixture, const ProtobufCMessageDescriptor *type,
                   struct arena *arena)
{
    void *message = NULL;

    assert_null(
        bus_unpack(type, fixture->last_payload.data, fixture->last_payload.size, arena, &message));
    return message;
}

Coffer__V1__Secrets *open_secrets(const struct fixture *fixture, const char *workload_id,
                                  ProtobufCBinaryData box, struct arena *arena)
{
    _cleanup_buffer_ struct buffer plain = {0};
    void *secrets = NULL;

    if (!box.len)
        return NULL;
    assert_null(seal_open(&fixture->authority_box,
                          arena_printf(arena, "coffer/secrets/v1 %s", workload_id), box.data,
                          box.len, &plain));
    assert_null(
        bus_unpack(&coffer__v1__secrets__descriptor, plain.data, plain.size, arena, &secrets));
    return secrets;
}

/* The scheduler of the tests: keeps what it is given, and answers. */
static struct error *take_command(struct fixture *fixture, const struct bus_call *call)
{
    struct error *err = NULL;

    pthread_mutex_lock(&fixture->lock);
    fixture->commands++;
    snprintf(fixture->last_subject, sizeof(fixture->last_subject), "%s", call->message->subject);
    buffer_done(&fixture->last_payload);
    buffer_add(&fixture->last_payload, call->message->data, call->message->size);
    buffer_add(&fixture->all_payloads, call->message->data, call->message->size);
    if (fixture->answer_code != ERROR_OK)
        err = error_set_reason(error_new(fixture->answer_code, "%s", fixture->answer_text),
                               fixture->answer_reason ?: "");
    pthread_mutex_unlock(&fixture->lock);
    return err;
}

static struct error *set_manifest(const ProtobufCBinaryData *text, struct arena *arena,
                                  Coffer__V1__Workload *workload)
{
    struct manifest *manifest;
    uint8_t *hash = arena_alloc(arena, 32);
    struct error *err = manifest_parse(text->data, text->len, arena, &manifest);

    if (err)
        return err;
    manifest_hash(text->data, text->len, hash);
    workload->manifest_sha256 = (ProtobufCBinaryData){.len = 32, .data = hash};
    workload->public_service = (char *)manifest->public_service;
    workload->public_port = manifest->public_port;
    return NULL;
}

/* The workload that the request asks for, on the one host. */
static struct error *make_workload(const Coffer__V1__CreateWorkloadRequest *request,
                                   struct arena *arena, Coffer__V1__Workload **ret_workload)
{
    Coffer__V1__Workload *workload = arena_alloc(arena, sizeof(*workload));

    coffer__v1__workload__init(workload);
    workload->workload_id = request->workload_id;
    workload->account_id = request->account_id;
    workload->name = request->name;
    workload->status = COFFER__V1__WORKLOAD_STATUS__SCHEDULED;
    workload->host_id = TEST_HOST;
    workload->domain = request->domain;
    workload->image_version = request->image_version;
    workload->resources = request->resources;
    workload->generation = 1;
    workload->created_at_ms = 1700000000123;
    workload->updated_at_ms = 1700000000123;
    *ret_workload = workload;
    return set_manifest(&request->manifest, arena, workload);
}

static struct error *keep_new(const struct fixture *fixture,
                              const Coffer__V1__CreateWorkloadRequest *request, struct arena *arena,
                              const Coffer__V1__Workload *workload)
{
    Coffer__V1__WorkloadInput input = COFFER__V1__WORKLOAD_INPUT__INIT;
    const char *id = request->workload_id;

    input.manifest = request->manifest;
    input.compose = request->compose;
    input.files = request->files;
    input.n_files = request->n_files;
    input.sealed_secrets = request->sealed_secrets;
    struct error *err =
        keep_message(fixture, arena_printf(arena, "%s%s", KEY_WORKLOAD, id), &workload->base);
    err = err
              ?: keep_message(fixture, arena_printf(arena, "%s%s", KEY_WORKLOAD_INPUT, id),
                              &input.base);
    return err
               ?: keep_index(fixture,
                             arena_printf(arena, "%s%s", KEY_WORKLOADS_OF, request->account_id),
                             id);
}

/* Past hooks of the test, which are for what the gateway writes. */
static void commit(const struct fixture *fixture, const struct store_change *change)
{
    error_free(fixture->store_ops->commit(fixture->store, change)); /* no thread to fail in */
}

static void note(const struct fixture *fixture, const char *request_id, const char *entry_id)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    const char *text = audit_trail_note(arena, "done", entry_id);
    const struct store_write write = {.key =
                                          arena_printf(arena, "%s%s", KEY_DONE_REQUEST, request_id),
                                      .value = arena_bytes(arena, text, strlen(text))};

    commit(fixture, &(struct store_change){.writes = &write, .n_writes = 1});
}

void note_lost(struct fixture *fixture)
{
    note(fixture, fixture->lost_request, fixture->lost_entry);
}

/* Returns whether it was asked for, and done. */
static bool keep_entry(const struct fixture *fixture, const Coffer__V1__AuditEntry *audit)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct store_list_edit edits[AUDIT_LISTS];

    if (!audit || fixture->leaves_audit)
        return false;
    size_t n = audit_trail_edits(arena, audit->account_id, audit->entry, edits);
    commit(fixture, &(struct store_change){.lists = edits, .n_lists = n});
    return true;
}

static struct error *on_create(void *state, struct bus_call *call)
{
    const Coffer__V1__CreateWorkloadRequest *request = call->in;
    Coffer__V1__WorkloadReply *reply = call->out;
    Coffer__V1__Workload *workload = NULL;
    struct error *err = take_command(state, call);

    err = err ?: make_workload(request, call->arena, &workload);
    err = err ?: keep_new(state, request, call->arena, workload);
    if (err)
        return err;
    reply->workload = workload;
    reply->audited = keep_entry(state, request->audit);
    return NULL;
}

/* Then whether its entry is there is the answer, too. */
static bool is_done(const struct fixture *fixture, const char *request_id,
                    const Coffer__V1__AuditEntry *audit, struct arena *arena,
                    protobuf_c_boolean *ret_audited)
{
    const char *key = arena_printf(arena, "%s%s", KEY_DONE_REQUEST, request_id);
    struct store_record record = {0};

    error_free(store_get(fixture->store, key, arena, &record));
    *ret_audited = audit && audit_trail_is_noted(&record.value, audit->id);
    return record.version != 0;
}

/* After a change. */
static struct error *note_done(struct fixture *fixture, const char *request_id,
                               const Coffer__V1__AuditEntry *audit, protobuf_c_boolean *ret_audited)
{
    *ret_audited = keep_entry(fixture, audit);
    const char *entry_id = *ret_audited ? audit->id : "";
    const bool lost = fixture->lose_answer;

    if (lost) {
        fixture->lose_answer = false;
        snprintf(fixture->lost_request, sizeof(fixture->lost_request), "%s", request_id);
        snprintf(fixture->lost_entry, sizeof(fixture->lost_entry), "%s", entry_id);
    }
    if (*request_id && (!lost || fixture->note_first))
        note(fixture, request_id, entry_id);
    return lost ? error_new(ERROR_UNAVAILABLE, "the answer was lost") : NULL;
}

static struct error *answer_command(struct fixture *fixture, struct bus_call *call,
                                    const Coffer__V1__WorkloadRequest *request)
{
    Coffer__V1__WorkloadReply *reply = call->out;
    struct error *err = take_command(fixture, call);

    if (err)
        return err;
    Coffer__V1__Workload *workload = arena_alloc(call->arena, sizeof(*workload));
    coffer__v1__workload__init(workload);
    workload->workload_id = request->workload_id;
    workload->account_id = request->account_id;
    workload->status = COFFER__V1__WORKLOAD_STATUS__STOPPING;
    reply->workload = workload;
    if (is_done(fixture, request->request_id, request->audit, call->arena, &reply->audited))
        return NULL;
    fixture->done++;
    return note_done(fixture, request->request_id, request->audit, &reply->audited);
}

static struct error *on_wish(void *state, struct bus_call *call)
{
    return answer_command(state, call, call->in);
}

static struct error *on_restart(void *state, struct bus_call *call)
{
    const Coffer__V1__RestartWorkloadRequest *request = call->in;
    Coffer__V1__WorkloadRequest as = COFFER__V1__WORKLOAD_REQUEST__INIT;

    as.workload_id = request->workload_id;
    as.account_id = request->account_id;
    as.request_id = request->request_id;
    as.audit = request->audit;
    return answer_command(state, call, &as);
}

static struct error *compare_expected(struct fixture *fixture,
                                      const Coffer__V1__UpdateWorkloadRequest *request,
                                      struct arena *arena, Coffer__V1__Workload **ret_workload)
{
    const Coffer__V1__Expectation *expected = request->if_match;
    const char *key = arena_printf(arena, "%s%s", KEY_WORKLOAD, request->workload_id);
    struct store_record record;
    void *message = NULL;

    struct error *err = store_get(fixture->store, key, arena, &record);
    err = err
              ?: bus_unpack(&coffer__v1__workload__descriptor, record.value.data, record.value.len,
                            arena, &message);
    if (err)
        return err;
    *ret_workload = message;
    if (!expected || (expected->generation == (*ret_workload)->generation &&
                      expected->event_sequence == (*ret_workload)->event_sequence))
        return NULL;
    return error_set_reason(error_new(ERROR_ABORTED, "changed meanwhile"), "if_match");
}

static struct error *keep_input(const struct fixture *fixture,
                                const Coffer__V1__UpdateWorkloadRequest *request,
                                struct arena *arena)
{
    Coffer__V1__WorkloadInput input = COFFER__V1__WORKLOAD_INPUT__INIT;

    input.manifest = request->manifest;
    input.compose = request->compose;
    input.files = request->files;
    input.n_files = request->n_files;
    return keep_message(fixture,
                        arena_printf(arena, "%s%s", KEY_WORKLOAD_INPUT, request->workload_id),
                        &input.base);
}

/* Keeps the new input, as the scheduler does; what was sealed before is not its matter here. */
static struct error *revise(struct fixture *fixture,
                            const Coffer__V1__UpdateWorkloadRequest *request, struct arena *arena,
                            Coffer__V1__WorkloadReply *reply)
{
    Coffer__V1__Workload *workload = reply->workload;
    const char *key = arena_printf(arena, "%s%s", KEY_WORKLOAD, request->workload_id);

    fixture->done++;
    workload->name = request->name;
    workload->domain = request->domain;
    workload->image_version = request->image_version;
    workload->generation++;
    struct error *err = set_manifest(&request->manifest, arena, workload);
    err = err ?: keep_input(fixture, request, arena);
    err = err ?: keep_message(fixture, key, &workload->base);
    return err ?: note_done(fixture, request->request_id, request->audit, &reply->audited);
}

static struct error *on_update(void *state, struct bus_call *call)
{
    const Coffer__V1__UpdateWorkloadRequest *request = call->in;
    Coffer__V1__WorkloadReply *reply = call->out;
    struct fixture *fixture = state;
    void (*meanwhile)(struct fixture * f) = fixture->meanwhile;

    fixture->meanwhile = NULL;
    if (meanwhile)
        meanwhile(fixture);
    struct error *err = take_command(fixture, call);
    if (err)
        return err;
    err = compare_expected(fixture, request, call->arena, &reply->workload);
    if (is_done(fixture, request->request_id, request->audit, call->arena, &reply->audited)) {
        error_free(err);
        return NULL;
    }
    return err ?: revise(fixture, request, call->arena, reply);
}

static struct error *on_plan(void *state, struct bus_call *call)
{
    const struct fixture *fixture = state;
    Coffer__V1__PlanWorkloadReply *reply = call->out;

    reply->admitted = true;
    reply->host_id = TEST_HOST;
    reply->candidates = 1;
    if (fixture->plan)
        *reply = *fixture->plan;
    return take_command(state, call);
}

static struct error *on_artifact(void *state, struct bus_call *call)
{
    const Coffer__V1__ArtifactRequest *request = call->in;
    Coffer__V1__Artifact *reply = call->out;

    reply->version = request->version;
    reply->built_at_ms = 1700000000123;
    struct error *err = take_command(state, call);
    reply->audited = !err && keep_entry(state, request->audit);
    return err;
}

static struct error *on_tier(void *state, struct bus_call *call)
{
    const Coffer__V1__WorkloadTier *request = call->in;
    Coffer__V1__WorkloadTier *reply = call->out;

    *reply = *request;
    reply->if_match = NULL;
    reply->audit = NULL;
    if (!*reply->tier_id)
        reply->tier_id = arena_strdup(call->arena, "tier-made");
    struct error *err = take_command(state, call);
    if (err || is_done(state, request->request_id, request->audit, call->arena, &reply->audited))
        return err;
    return note_done(state, request->request_id, request->audit, &reply->audited);
}

static struct error *on_tier_removal(void *state, struct bus_call *call)
{
    const Coffer__V1__WorkloadTierRequest *request = call->in;
    Coffer__V1__Empty *reply = call->out;
    struct error *err = take_command(state, call);

    return err ?: note_done(state, request->request_id, request->audit, &reply->audited);
}

static struct error *on_removal(void *state, struct bus_call *call)
{
    const Coffer__V1__HostRequest *request = call->in;
    Coffer__V1__Empty *reply = call->out;
    struct error *err = take_command(state, call);

    reply->audited = !err && keep_entry(state, request->audit);
    return err;
}

static const struct bus_handler scheduler_rows[] = {
    {"svc.scheduler.artifact.enable", &coffer__v1__artifact_request__descriptor,
     &coffer__v1__artifact__descriptor, on_artifact, NULL},
    {"svc.scheduler.artifact.disable", &coffer__v1__artifact_request__descriptor,
     &coffer__v1__artifact__descriptor, on_artifact, NULL},
    {"svc.scheduler.tier.create", &coffer__v1__workload_tier__descriptor,
     &coffer__v1__workload_tier__descriptor, on_tier, NULL},
    {"svc.scheduler.tier.update", &coffer__v1__workload_tier__descriptor,
     &coffer__v1__workload_tier__descriptor, on_tier, NULL},
    {"svc.scheduler.tier.delete", &coffer__v1__workload_tier_request__descriptor,
     &coffer__v1__empty__descriptor, on_tier_removal, NULL},
    {"svc.scheduler.host.delete", &coffer__v1__host_request__descriptor,
     &coffer__v1__empty__descriptor, on_removal, NULL},
    {"svc.scheduler.workload.create", &coffer__v1__create_workload_request__descriptor,
     &coffer__v1__workload_reply__descriptor, on_create, NULL},
    {"svc.scheduler.workload.restart", &coffer__v1__restart_workload_request__descriptor,
     &coffer__v1__workload_reply__descriptor, on_restart, NULL},
    {"svc.scheduler.workload.update", &coffer__v1__update_workload_request__descriptor,
     &coffer__v1__workload_reply__descriptor, on_update, NULL},
    {"svc.scheduler.workload.plan", &coffer__v1__plan_workload_request__descriptor,
     &coffer__v1__plan_workload_reply__descriptor, on_plan, NULL},
    {"svc.scheduler.workload.start", &coffer__v1__workload_request__descriptor,
     &coffer__v1__workload_reply__descriptor, on_wish, NULL},
    {"svc.scheduler.workload.stop", &coffer__v1__workload_request__descriptor,
     &coffer__v1__workload_reply__descriptor, on_wish, NULL},
    {"svc.scheduler.workload.delete", &coffer__v1__workload_request__descriptor,
     &coffer__v1__workload_reply__descriptor, on_wish, NULL},
};

void fixture_subscribe_scheduler(struct fixture *fixture)
{
    for (size_t i = 0; i < ELEMENTSOF(scheduler_rows); i++)
        assert_null(bus_subscribe(fixture->peer, &scheduler_rows[i], scheduler_rows[i].subject,
                                  fixture, &fixture->subscriptions[fixture->n_subscriptions++]));
}
