#include "services/api-gateway/test_fixture.h"

#include <curl/curl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "schemas/catalog.pb-c.h"
#include "schemas/host.pb-c.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "shared/store/keys.h"

static void write_text(const struct fixture *fixture, const char *name, const char *text)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", fixture->dir, name);

    assert_null(file_write_atomic(path, text, strlen(text), 0600));
}

static void write_fleet(struct fixture *fixture)
{
    struct sign_key authority;
    char sign[65];
    char box[65];

    assert_null(sign_key_generate(&authority));
    assert_null(box_key_generate(&fixture->authority_box));
    assert_null(sign_key_generate(&fixture->gateway_key));
    assert_null(sign_key_generate(&fixture->guest_key));
    hex_encode(authority.public, 32, sign);
    hex_encode(fixture->authority_box.public, 32, box);
    _cleanup_free_ char *json =
        xasprintf("{\"authority_sign_public\":\"%s\",\"authority_box_public\":\"%s\","
                  "\"workload_domain\":\"w.coffer.test\"}",
                  sign, box);
    write_text(fixture, "fleet.json", json);
    _cleanup_free_ char *dir = xasprintf("%s/gateway", fixture->dir);
    assert_null(dir_make(dir, 0700));
    _cleanup_free_ char *key = xasprintf("%s/gateway/sign.key", fixture->dir);
    assert_null(key_file_save(key, fixture->gateway_key.secret));
    write_text(fixture, "key", TEST_KEY "\n");
    write_text(fixture, "admin-key", TEST_ADMIN "\n");
    write_text(fixture, "trust.json",
               "{\"acme\":{\"directory\":\"https://acme.coffer.test/dir\",\"ca\":\"\"},"
               "\"registry_cas\":{}}");
}

static void configure(struct fixture *fixture)
{
    struct gateway_config *config = &fixture->config;

    config->listen = xstrdup("127.0.0.1:0");
    config->metrics_listen = xstrdup("127.0.0.1:0");
    config->redis_url = xstrdup("memory:");
    config->redis_password_file = xstrdup("");
    config->fleet_dir = xstrdup(fixture->dir);
    config->trust_file = xasprintf("%s/trust.json", fixture->dir);
    config->bootstrap_key_file = xasprintf("%s/key", fixture->dir);
    config->admin_key_file = xasprintf("%s/admin-key", fixture->dir);
    config->images_dir = xstrdup("");
    config->docs_dir = xstrdup("");
    config->tls_cert = xstrdup("");
    config->tls_key = xstrdup("");
    config->cache_mib = 8;
    config->max_connections = 64;
    config->workers = 16;
    config->streams_per_account = 32;
    config->cors_origins = xstrdup("https://console.coffer.test");
    config->webhook_timeout_ms = 10000;
}

static void put(const struct fixture *fixture, const char *key, const void *data, size_t size)
{
    const struct store_write write = {.key = key,
                                      .expected_version = UINT64_MAX,
                                      .value = {.data = (uint8_t *)data, .len = size}};
    const struct store_change change = {.writes = &write, .n_writes = 1};

    assert_null(store_commit(fixture->store, &change));
}

void put_message(const struct fixture *fixture, const char *key, const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    _cleanup_free_ uint8_t *packed = xcalloc(1, size + 1);

    protobuf_c_message_pack(message, packed);
    put(fixture, key, packed, size);
}

void index_add(const struct fixture *fixture, const char *set, const char *member)
{
    const struct store_index_edit edit = {.set = set, .member = member};
    const struct store_change change = {.edits = &edit, .n_edits = 1};

    assert_null(store_commit(fixture->store, &change));
}

void put_artifact(const struct fixture *fixture, const char *version, bool enabled,
                  int64_t built_at_ms)
{
    Coffer__V1__Artifact artifact = COFFER__V1__ARTIFACT__INIT;
    _cleanup_free_ char *key = xasprintf("%s%s", KEY_ARTIFACT, version);

    artifact.version = (char *)version;
    artifact.enabled = enabled;
    artifact.built_at_ms = built_at_ms;
    put_message(fixture, key, &artifact.base);
    index_add(fixture, KEY_ARTIFACTS, version);
}

void put_image(const struct fixture *fixture, const char *version, const char *json)
{
    _cleanup_free_ char *key = xasprintf("%s%s", KEY_IMAGE, version);

    put_artifact(fixture, version, true, 1700000000123);
    put(fixture, key, json, strlen(json));
}

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

static void put_host(const struct fixture *fixture)
{
    Coffer__V1__HostHeartbeat heartbeat = COFFER__V1__HOST_HEARTBEAT__INIT;
    Coffer__V1__ImageState image = COFFER__V1__IMAGE_STATE__INIT;
    Coffer__V1__ImageState *images[] = {&image};
    Coffer__V1__Host host = COFFER__V1__HOST__INIT;

    image.version = TEST_IMAGE;
    image.ready = true;
    heartbeat.images = images;
    heartbeat.n_images = 1;
    heartbeat.public_address = "192.0.2.7";
    host.host_id = TEST_HOST;
    host.heartbeat = &heartbeat;
    put_message(fixture, KEY_HOST TEST_HOST, &host.base);
    index_add(fixture, KEY_HOSTS, TEST_HOST);
    put_artifact(fixture, TEST_IMAGE, true, 1700000000123);
    put(fixture, KEY_IMAGE TEST_IMAGE, "{\"version\":\"" TEST_IMAGE "\"}", 19);
}

void put_workload(const struct fixture *fixture, const char *id, const char *account,
                  Coffer__V1__WorkloadStatus status)
{
    Coffer__V1__Workload workload = COFFER__V1__WORKLOAD__INIT;
    _cleanup_free_ char *key = xasprintf("%s%s", KEY_WORKLOAD, id);
    _cleanup_free_ char *set = xasprintf("%s%s", KEY_WORKLOADS_OF, account);

    workload.workload_id = (char *)id;
    workload.account_id = (char *)account;
    workload.name = "one";
    workload.status = status;
    workload.host_id = TEST_HOST;
    workload.domain = "one.w.coffer.test";
    workload.boot_number = 1;
    workload.created_at_ms = 1700000000123;
    workload.guest_sign_public =
        (ProtobufCBinaryData){.len = 32, .data = (uint8_t *)fixture->guest_key.public};
    put_message(fixture, key, &workload.base);
    index_add(fixture, set, id);
}

void put_event(const struct fixture *fixture, const char *id, const char *account,
               uint64_t sequence, const char *kind)
{
    Coffer__V1__WorkloadEvent event = COFFER__V1__WORKLOAD_EVENT__INIT;
    _cleanup_free_ char *subject = xasprintf("evt.workload.%s.%s", id, kind);
    _cleanup_free_ char *message_id = xasprintf("%s.%d", id, (int)sequence);

    event.workload_id = (char *)id;
    event.account_id = (char *)account;
    event.sequence = sequence;
    event.kind = (char *)kind;
    event.at_ms = 1700000000000;
    event.message = "words";
    assert_null(bus_send(fixture->peer, subject, &event.base, message_id, NULL, 1000));
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

static void set_manifest(const ProtobufCBinaryData *text, struct arena *arena,
                         Coffer__V1__Workload *workload)
{
    struct manifest *manifest;
    uint8_t *hash = arena_alloc(arena, 32);

    assert_null(manifest_parse(text->data, text->len, arena, &manifest));
    manifest_hash(text->data, text->len, hash);
    workload->manifest_sha256 = (ProtobufCBinaryData){.len = 32, .data = hash};
    workload->public_service = (char *)manifest->public_service;
    workload->public_port = manifest->public_port;
}

static struct error *on_create(void *state, struct bus_call *call)
{
    const Coffer__V1__CreateWorkloadRequest *request = call->in;
    Coffer__V1__WorkloadReply *reply = call->out;
    struct error *err = take_command(state, call);

    if (err)
        return err;
    Coffer__V1__WorkloadInput input = COFFER__V1__WORKLOAD_INPUT__INIT;
    Coffer__V1__Workload *workload = arena_alloc(call->arena, sizeof(*workload));
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
    set_manifest(&request->manifest, call->arena, workload);
    input.manifest = request->manifest;
    input.compose = request->compose;
    input.files = request->files;
    input.n_files = request->n_files;
    input.sealed_secrets = request->sealed_secrets;
    put_message(state, arena_printf(call->arena, "%s%s", KEY_WORKLOAD, request->workload_id),
                &workload->base);
    put_message(state, arena_printf(call->arena, "%s%s", KEY_WORKLOAD_INPUT, request->workload_id),
                &input.base);
    index_add(state, arena_printf(call->arena, "%s%s", KEY_WORKLOADS_OF, request->account_id),
              request->workload_id);
    reply->workload = workload;
    return NULL;
}

static void note(const struct fixture *fixture, const char *request_id)
{
    _cleanup_free_ char *key = xasprintf("%s%s", KEY_DONE_REQUEST, request_id);
    const struct store_write write = {.key = key, .value = {.data = (uint8_t *)"done", .len = 4}};
    const struct store_change change = {.writes = &write, .n_writes = 1};

    error_free(store_commit(fixture->store, &change)); /* this is no thread to fail in */
}

void note_lost(struct fixture *fixture)
{
    note(fixture, fixture->lost_request);
}

static bool is_done(const struct fixture *fixture, const char *request_id, struct arena *arena)
{
    const char *key = arena_printf(arena, "%s%s", KEY_DONE_REQUEST, request_id);
    struct store_record record = {0};

    error_free(store_get(fixture->store, key, arena, &record));
    return record.version != 0;
}

/* After a change. */
static struct error *note_done(struct fixture *fixture, const char *request_id)
{
    if (fixture->lose_answer) {
        fixture->lose_answer = false;
        snprintf(fixture->lost_request, sizeof(fixture->lost_request), "%s", request_id);
        return error_new(ERROR_UNAVAILABLE, "the answer was lost");
    }
    if (*request_id)
        note(fixture, request_id);
    return NULL;
}

static struct error *answer_command(struct fixture *fixture, struct bus_call *call, const char *id,
                                    const char *account, const char *request_id)
{
    Coffer__V1__WorkloadReply *reply = call->out;
    struct error *err = take_command(fixture, call);

    if (err)
        return err;
    Coffer__V1__Workload *workload = arena_alloc(call->arena, sizeof(*workload));
    coffer__v1__workload__init(workload);
    workload->workload_id = (char *)id;
    workload->account_id = (char *)account;
    workload->status = COFFER__V1__WORKLOAD_STATUS__STOPPING;
    reply->workload = workload;
    if (is_done(fixture, request_id, call->arena))
        return NULL;
    fixture->done++;
    return note_done(fixture, request_id);
}

static struct error *on_wish(void *state, struct bus_call *call)
{
    const Coffer__V1__WorkloadRequest *request = call->in;

    return answer_command(state, call, request->workload_id, request->account_id,
                          request->request_id);
}

static struct error *on_restart(void *state, struct bus_call *call)
{
    const Coffer__V1__RestartWorkloadRequest *request = call->in;

    return answer_command(state, call, request->workload_id, request->account_id,
                          request->request_id);
}

static struct error *compare_expected(struct fixture *fixture,
                                      const Coffer__V1__UpdateWorkloadRequest *request,
                                      struct arena *arena, Coffer__V1__Workload **ret_workload)
{
    const Coffer__V1__Expectation *expected = request->if_match;
    const char *key = arena_printf(arena, "%s%s", KEY_WORKLOAD, request->workload_id);
    struct store_record record;
    void *message = NULL;

    assert_null(store_get(fixture->store, key, arena, &record));
    assert_null(bus_unpack(&coffer__v1__workload__descriptor, record.value.data, record.value.len,
                           arena, &message));
    *ret_workload = message;
    if (!expected || (expected->generation == (*ret_workload)->generation &&
                      expected->event_sequence == (*ret_workload)->event_sequence))
        return NULL;
    return error_set_reason(error_new(ERROR_ABORTED, "changed meanwhile"), "if_match");
}

static void keep_input(const struct fixture *fixture,
                       const Coffer__V1__UpdateWorkloadRequest *request, struct arena *arena)
{
    Coffer__V1__WorkloadInput input = COFFER__V1__WORKLOAD_INPUT__INIT;

    input.manifest = request->manifest;
    input.compose = request->compose;
    input.files = request->files;
    input.n_files = request->n_files;
    put_message(fixture, arena_printf(arena, "%s%s", KEY_WORKLOAD_INPUT, request->workload_id),
                &input.base);
}

/* Keeps the new input, as the scheduler does; what was sealed before is not its matter here. */
static struct error *on_update(void *state, struct bus_call *call)
{
    const Coffer__V1__UpdateWorkloadRequest *request = call->in;
    Coffer__V1__Workload *workload = NULL;
    struct fixture *fixture = state;
    void (*meanwhile)(struct fixture * f) = fixture->meanwhile;

    fixture->meanwhile = NULL;
    if (meanwhile)
        meanwhile(fixture);
    struct error *err = take_command(fixture, call);
    if (err)
        return err;
    err = compare_expected(fixture, request, call->arena, &workload);
    ((Coffer__V1__WorkloadReply *)call->out)->workload = workload;
    if (is_done(fixture, request->request_id, call->arena)) {
        error_free(err);
        return NULL;
    }
    if (err)
        return err;
    fixture->done++;
    workload->name = request->name;
    workload->domain = request->domain;
    workload->image_version = request->image_version;
    workload->generation++;
    set_manifest(&request->manifest, call->arena, workload);
    keep_input(fixture, request, call->arena);
    put_message(fixture, arena_printf(call->arena, "%s%s", KEY_WORKLOAD, request->workload_id),
                &workload->base);
    return note_done(fixture, request->request_id);
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
    return take_command(state, call);
}

static struct error *on_tier(void *state, struct bus_call *call)
{
    const Coffer__V1__WorkloadTier *request = call->in;
    Coffer__V1__WorkloadTier *reply = call->out;

    *reply = *request;
    reply->if_match = NULL;
    if (!*reply->tier_id)
        reply->tier_id = arena_strdup(call->arena, "tier-made");
    struct error *err = take_command(state, call);
    return err ?: note_done(state, request->request_id);
}

static struct error *on_tier_removal(void *state, struct bus_call *call)
{
    const Coffer__V1__WorkloadTierRequest *request = call->in;
    struct error *err = take_command(state, call);

    return err ?: note_done(state, request->request_id);
}

static struct error *on_removal(void *state, struct bus_call *call)
{
    return take_command(state, call);
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

struct fixture *fixture_new(void)
{
    return fixture_new_with_clock(clock_system());
}

struct fixture *fixture_new_with_clock(struct clock *clock)
{
    return fixture_new_with(clock, store_memory_new_with_clock(clock));
}

struct fixture *fixture_new_with(struct clock *clock, struct store *store)
{
    struct fixture *fixture = xnew(struct fixture);

    pthread_mutex_init(&fixture->lock, NULL);
    strcpy(fixture->dir, "/tmp/coffer-gateway-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
    curl_global_init(CURL_GLOBAL_DEFAULT);
    write_fleet(fixture);
    configure(fixture);
    fixture->bus = bus_memory_new();
    fixture->peer = bus_memory_attach(fixture->bus);
    assert_null(bus_ensure_streams(fixture->peer));
    fixture->store = store;
    put_host(fixture);
    for (size_t i = 0; i < ELEMENTSOF(scheduler_rows); i++)
        assert_null(bus_subscribe(fixture->peer, &scheduler_rows[i], scheduler_rows[i].subject,
                                  fixture, &fixture->subscriptions[fixture->n_subscriptions++]));
    assert_null(
        gateway_new(&fixture->config, fixture->bus, fixture->store, clock, &fixture->gateway));
    return fixture;
}

static void remove_files(const struct fixture *fixture)
{
    static const char *const names[] = {"fleet.json", "gateway/sign.key", "key", "admin-key",
                                        "trust.json"};

    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", fixture->dir, names[i]);
        unlink(path);
    }
    _cleanup_free_ char *dir = xasprintf("%s/gateway", fixture->dir);
    rmdir(dir);
    rmdir(fixture->dir);
}

void fixture_free(struct fixture *fixture)
{
    gateway_free(fixture->gateway);
    for (size_t i = 0; i < fixture->n_subscriptions; i++)
        bus_unsubscribe(fixture->subscriptions[i]);
    bus_free(fixture->peer);
    bus_free(fixture->bus);
    config_done(gateway_config_rows, &fixture->config);
    remove_files(fixture);
    buffer_done(&fixture->last_payload);
    buffer_done(&fixture->all_payloads);
    pthread_mutex_destroy(&fixture->lock);
    free(fixture);
}

void answer_done(struct answer *answer)
{
    buffer_done(&answer->body);
    buffer_done(&answer->headers);
    json_decref(answer->json);
}

static size_t on_data(char *data, size_t size, size_t n, void *buffer)
{
    buffer_add(buffer, data, size * n);
    return size * n;
}

static CURL *make_call(const struct fixture *fixture, const char *method, const char *path,
                       const char *key, struct curl_slist **headers)
{
    CURL *curl = curl_easy_init();
    _cleanup_free_ char *url =
        strncmp(path, "http://", 7) == 0
            ? xstrdup(path)
            : xasprintf("http://127.0.0.1:%u%s", http_server_port(fixture->gateway->http), path);
    _cleanup_free_ char *authorization = xasprintf("Authorization: Bearer %s", key ?: "");

    if (key)
        *headers = curl_slist_append(*headers, strchr(key, ':') ? key : authorization);
    *headers = curl_slist_append(*headers, "Expect:");
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    return curl;
}

/* One file for each test program, begun anew by it; see tests/openapi/check. */
static FILE *open_record(void)
{
    static FILE *file;
    const char *dir = getenv("COFFER_RECORD_DIR");

    if (!file && dir) {
        _cleanup_free_ char *path = xasprintf("%s/%s.jsonl", dir, program_invocation_short_name);
        assert_null(dir_make(dir, 0755));
        file = fopen(path, "we");
        assert_non_null(file);
    }
    return file;
}

static json_t *text_of(const void *data, size_t size)
{
    return json_stringn(data, size) ?: json_string("(not UTF-8)");
}

/* Those that openapi.json tells of; every answer has others as well. */
static json_t *told_headers(const struct answer *answer)
{
    static const char *const names[] = {
        "X-Request-Id",
        "RateLimit-Limit",
        "RateLimit-Remaining",
        "RateLimit-Reset",
        "Idempotent-Replayed",
        "Retry-After",
        "ETag",
        "Link",
        "Coffer-Next-Cursor",
        "WWW-Authenticate",
        "Allow",
        "Location",
    };
    json_t *json = json_object();

    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        _cleanup_free_ char *value = answer_header(answer, names[i]);
        if (value)
            json_object_set_new(json, names[i], text_of(value, strlen(value)));
    }
    return json;
}

/* What is served is what openapi.json says: every answer is kept for the check. */
static void record(CURL *curl, const struct answer *answer)
{
    FILE *file = open_record();
    char *url = NULL;
    char *method = NULL;
    char *type = NULL;

    if (!file)
        return;
    curl_easy_getinfo(curl, CURLINFO_EFFECTIVE_URL, &url);
    curl_easy_getinfo(curl, CURLINFO_EFFECTIVE_METHOD, &method);
    curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
    const char *path = strchr(strstr(url, "://") + 3, '/');
    _cleanup_(json_decrefp) json_t *json =
        json_pack("{s:s, s:o, s:i, s:s, s:o, s:o}", "method", method, "path",
                  text_of(path ?: "/", strlen(path ?: "/")), "status", (int)answer->status,
                  "contentType", type ?: "", "headers", told_headers(answer), "body",
                  text_of(buffer_text(&answer->body), answer->body.size));
    _cleanup_free_ char *line = json_dumps(json, JSON_COMPACT);
    if (fprintf(file, "%s\n", line) < 0 || fflush(file) != 0)
        fail_msg("an answer cannot be recorded");
}

/* Takes the headers. */
static struct answer perform(CURL *curl, struct curl_slist *headers, const char *body)
{
    struct answer answer = {0};

    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 30L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer.body);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &answer.headers);
    if (body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    }
    CURLcode code = curl_easy_perform(curl);
    if (code != CURLE_OK)
        fail_msg("call: %s", curl_easy_strerror(code));
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
    record(curl, &answer);
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    answer.json = json_loadb(buffer_text(&answer.body), answer.body.size, 0, NULL);
    return answer;
}

struct answer http_call_with(const struct fixture *fixture, const char *method, const char *path,
                             const char *key, const char *const *headers, const char *body)
{
    struct curl_slist *list = NULL;
    CURL *curl = make_call(fixture, method, path, key, &list);

    for (; *headers; headers++)
        list = curl_slist_append(list, *headers);
    return perform(curl, list, body);
}

struct answer http_call(const struct fixture *fixture, const char *method, const char *path,
                        const char *key, const char *body)
{
    const char *const none[] = {NULL};

    return http_call_with(fixture, method, path, key, none, body);
}

struct answer http_call_header(const struct fixture *fixture, const char *method, const char *path,
                               const char *header, const char *body)
{
    struct curl_slist *headers = curl_slist_append(NULL, header);
    CURL *curl = make_call(fixture, method, path, TEST_KEY, &headers);

    return perform(curl, headers, body);
}

struct answer http_admin(const struct fixture *fixture, const char *method, const char *path,
                         const char *body)
{
    struct curl_slist *headers = curl_slist_append(NULL, "x-api-key: " TEST_ADMIN);
    CURL *curl = make_call(fixture, method, path, NULL, &headers);

    return perform(curl, headers, body);
}

struct answer http_post(const struct fixture *fixture, const char *path, const char *body)
{
    return http_call(fixture, "POST", path, TEST_KEY, body);
}

struct answer http_get(const struct fixture *fixture, const char *path)
{
    return http_call(fixture, "GET", path, TEST_KEY, NULL);
}

struct until {
    struct buffer *seen;
    const char *text;
    bool found;
};

static size_t on_stream(char *data, size_t size, size_t n, void *state)
{
    struct until *until = state;

    buffer_add(until->seen, data, size * n);
    until->found = strstr(buffer_text(until->seen), until->text) != NULL;
    return until->found ? 0 : size * n;
}

bool http_stream_until(const struct fixture *fixture, const char *path, const char *last_event_id,
                       const char *text, int timeout_s, struct buffer *ret_seen)
{
    struct until until = {.seen = ret_seen, .text = text};
    struct answer answer = {0};
    size_t before = ret_seen->size;
    struct curl_slist *headers = NULL;
    CURL *curl = make_call(fixture, "GET", path, TEST_KEY, &headers);
    _cleanup_free_ char *last = xasprintf("Last-Event-ID: %s", last_event_id ?: "");

    if (last_event_id)
        headers = curl_slist_append(headers, last);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)timeout_s);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_stream);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &until);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &answer.headers);
    (void)curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
    if (ret_seen->size > before)
        buffer_add(&answer.body, ret_seen->data + before, ret_seen->size - before);
    if (answer.status)
        record(curl, &answer);
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    answer_done(&answer);
    return until.found;
}

const char *answer_text(const struct answer *answer, const char *name)
{
    return json_string_value(json_object_get(answer->json, name)) ?: "";
}

char *answer_header(const struct answer *answer, const char *name)
{
    size_t size = strlen(name);

    for (const char *line = buffer_text(&answer->headers); line && *line;) {
        const char *end = strstr(line, "\r\n");
        if (end && strncasecmp(line, name, size) == 0 && strncmp(line + size, ": ", 2) == 0)
            return xasprintf("%.*s", (int)(end - line - (int)size - 2), line + size + 2);
        line = end ? end + 2 : NULL;
    }
    return NULL;
}

bool has_finding(const struct answer *answer, const char *where_or_rule)
{
    const json_t *finding;
    size_t i;

    json_array_foreach(json_object_get(answer->json, "findings"), i, finding)
    {
        const char *where = json_string_value(json_object_get(finding, "where"));
        const char *rule = json_string_value(json_object_get(finding, "rule"));
        if (strcmp(where, where_or_rule) == 0 || strcmp(rule, where_or_rule) == 0)
            return true;
    }
    return false;
}
