/* Creating: what is right reaches the scheduler sealed; what is wrong is named, all of it. */
#include "services/api-gateway/test_fixture.h"

#include "shared/base/alloc.h"
#include "shared/store/keys.h"

#define CANARY "canary-5f1c77"

static const char good_compose[] = "services:\n  web:\n    image: hello:1\n"
                                   "    environment:\n      GREETING: ${GREETING}\n";

static json_t *body_with(const char *compose)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:{s:s}}", "workloadId",
                     "w-new", "name", "hello", "artifactsVersion", TEST_IMAGE, "dockerCompose",
                     compose, "publicContainerName", "web", "publicContainerPort", 8080, "memory",
                     1024, "cpus", 2, "disk", 10, "gpus", 0, "envVars", "GREETING", CANARY "-env");
}

static struct answer create(const struct fixture *f, const json_t *body)
{
    _cleanup_free_ char *text = json_dumps(body, 0);

    return http_post(f, "/api/v1/workloads/create", text);
}

static void add_all_secrets(json_t *body)
{
    json_object_set_new(body, "dockerCredentials",
                        json_pack("[{s:s, s:s, s:s}]", "server", "registry.coffer.test:5000",
                                  "username", "me", "password", CANARY "-password"));
    _cleanup_free_ char *content = base64_encode_new(CANARY "-file", strlen(CANARY "-file"));
    json_object_set_new(body, "secretFiles",
                        json_pack("{s:{s:s, s:s}}", "tls/key.pem", "content", content, "salt",
                                  "0101010101010101010101010101010101010101010101010101010101"
                                  "010101"));
    json_object_set_new(body, "files", json_pack("{s:s}", "a.txt", "aGVsbG8="));
}

static void test_create_answers_the_workload(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_(json_decrefp) json_t *body = body_with(good_compose);
    _cleanup_answer_ struct answer answer = create(f, body);

    (void)state;
    if (answer.status != 200)
        fail_msg("%s", buffer_text(&answer.body));
    assert_string_equal(answer_text(&answer, "workloadId"), "w-new");
    assert_string_equal(answer_text(&answer, "status"), "scheduled");
    assert_string_equal(answer_text(&answer, "domain"), "w-new.w.coffer.test");
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(answer.json, "envVarNames"), 0)),
        "GREETING");
    _cleanup_answer_ struct answer manifest = http_get(f, "/api/v1/workloads/w-new/manifest");
    uint8_t hash[32];
    char hex[65];
    manifest_hash(manifest.body.data, manifest.body.size, hash);
    hex_encode(hash, 32, hex);
    assert_string_equal(answer_text(&answer, "manifestHash"), hex);
    assert_string_equal(answer_text(&manifest, "schema"), "coffer.manifest/v1");
    _cleanup_answer_ struct answer got = http_get(f, "/api/v1/workloads/w-new");
    assert_int_equal(json_array_size(json_object_get(got.json, "envVarNames")), 1);
}

static void test_id_is_made_when_none_is_given(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_(json_decrefp) json_t *body = body_with(good_compose);

    (void)state;
    json_object_del(body, "workloadId");
    _cleanup_answer_ struct answer answer = create(f, body);
    assert_int_equal(answer.status, 200);
    assert_int_equal(strlen(answer_text(&answer, "workloadId")), 36);
}

static void test_custom_domain_is_in_the_manifest(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_(json_decrefp) json_t *body = body_with(good_compose);

    (void)state;
    json_object_set_new(body, "domain", json_string("app.example.com"));
    _cleanup_answer_ struct answer answer = create(f, body);
    assert_string_equal(answer_text(&answer, "domain"), "app.example.com");
    _cleanup_answer_ struct answer manifest = http_get(f, "/api/v1/workloads/w-new/manifest");
    assert_non_null(strstr(buffer_text(&manifest.body), "\"domains\":[\"app.example.com\"]"));
}

static void test_public_service_by_container_name(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_(json_decrefp) json_t *body =
        body_with("services: {app: {image: hello, container_name: web}}");
    _cleanup_answer_ struct answer answer = create(f, body);

    (void)state;
    assert_int_equal(answer.status, 200);
    _cleanup_answer_ struct answer manifest = http_get(f, "/api/v1/workloads/w-new/manifest");
    assert_non_null(strstr(buffer_text(&manifest.body), "\"service\":\"app\""));
}

static bool holds(const struct buffer *buffer, const char *text)
{
    return buffer->size && memmem(buffer->data, buffer->size, text, strlen(text));
}

static void test_secrets_leave_only_sealed(void **state)
{
    static const char *const records[] = {KEY_WORKLOAD "w-new", KEY_WORKLOAD_INPUT "w-new"};
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_(json_decrefp) json_t *body = body_with(good_compose);

    (void)state;
    add_all_secrets(body);
    _cleanup_answer_ struct answer answer = create(f, body);
    _cleanup_answer_ struct answer got = http_get(f, "/api/v1/workloads/w-new");
    _cleanup_answer_ struct answer list = http_get(f, "/api/v1/workloads/list");
    _cleanup_answer_ struct answer manifest = http_get(f, "/api/v1/workloads/w-new/manifest");
    if (answer.status != 200)
        fail_msg("%s", buffer_text(&answer.body));
    assert_true(f->all_payloads.size > 500);
    assert_false(holds(&f->all_payloads, CANARY));
    assert_false(holds(&answer.body, CANARY) || holds(&got.body, CANARY) ||
                 holds(&list.body, CANARY) || holds(&manifest.body, CANARY));
    for (size_t i = 0; i < ELEMENTSOF(records); i++) {
        struct store_record record;
        assert_null(store_get(f->store, records[i], arena, &record));
        assert_true(record.version > 0);
        assert_null(memmem(record.value.data, record.value.len, CANARY, strlen(CANARY)));
    }
}

static void test_authority_opens_what_was_given(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_(json_decrefp) json_t *body = body_with(good_compose);

    (void)state;
    add_all_secrets(body);
    _cleanup_answer_ struct answer answer = create(f, body);
    assert_int_equal(answer.status, 200);
    const Coffer__V1__CreateWorkloadRequest *sent =
        last_request(f, &coffer__v1__create_workload_request__descriptor, arena);
    const Coffer__V1__Secrets *secrets = open_secrets(f, "w-new", sent->sealed_secrets, arena);
    assert_int_equal(secrets->n_environment, 1);
    assert_string_equal(secrets->environment[0]->name, "GREETING");
    assert_string_equal(secrets->environment[0]->value, CANARY "-env");
    assert_string_equal(secrets->registries[0]->server, "registry.coffer.test:5000");
    assert_string_equal(secrets->registries[0]->password, CANARY "-password");
    assert_string_equal(secrets->files[0]->path, "tls/key.pem");
    assert_memory_equal(secrets->files[0]->content.data, CANARY "-file", strlen(CANARY "-file"));
    assert_int_equal(secrets->files[0]->salt.len, 32);
    assert_int_equal(secrets->files[0]->salt.data[0], 1);
}

/* One field changed; NULL value: taken away. */
static const struct {
    const char *name;
    const char *json;
    const char *where;
} bad_fields[] = {
    {"name", NULL, "name"},
    {"name", "\"\"", "name"},
    {"name", "5", "name"},
    {"workloadId", "\"UPPER\"", "workloadId"},
    {"workloadId", "\"a.b\"", "workloadId"},
    {"artifactsVersion", NULL, "artifactsVersion"},
    {"artifactsVersion", "\"9.9.9\"", "artifactsVersion"},
    {"artifactsVersion", "\"../../x\"", "artifactsVersion"},
    {"dockerCompose", NULL, "dockerCompose"},
    {"dockerCompose", "\"\"", "dockerCompose"},
    {"dockerCompose", "{}", "dockerCompose"},
    {"publicContainerName", NULL, "publicContainerName"},
    {"publicContainerName", "\"other\"", "public-service"},
    {"publicContainerPort", NULL, "publicContainerPort"},
    {"publicContainerPort", "0", "publicContainerPort"},
    {"publicContainerPort", "65536", "publicContainerPort"},
    {"publicContainerPort", "\"80\"", "publicContainerPort"},
    {"memory", NULL, "memory"},
    {"memory", "1", "memory"},
    {"memory", "-1", "memory"},
    {"memory", "1e3", "memory"},
    {"cpus", "0", "cpus"},
    {"cpus", "65", "cpus"},
    {"disk", "0", "disk"},
    {"gpus", "17", "gpus"},
    {"gpus", "true", "gpus"},
    {"domain", "\"not a domain\"", "domain"},
    {"domain", "\"localhost\"", "domain"},
    {"envVars", "[]", "envVars"},
    {"envVars", "{\"GREETING\": 5}", "envVars.GREETING"},
    {"envVars", "{\"GREETING\": \"x\", \"a-b\": \"x\"}", "envVars.a-b"},
    {"envVars", "{\"GREETING\": \"x\", \"FILES\": \"x\"}", "envVars.FILES"},
    {"envVars", "{\"GREETING\": \"x\", \"COFFER_X\": \"x\"}", "envVars.COFFER_X"},
    {"envVars", "{\"GREETING\": \"x\", \"LD_PRELOAD\": \"x\"}", "envVars.LD_PRELOAD"},
    {"envVars", "{}", "unset-variable"},
    {"files", "{\"../x\": \"aGk=\"}", "files.../x"},
    {"files", "{\"/x\": \"aGk=\"}", "files./x"},
    {"files", "{\"x\": \"not base64\"}", "files.x"},
    {"files", "{\"x\": 5}", "files.x"},
    {"files", "[]", "files"},
    {"secretFiles", "{\"x\": {\"content\": \"aGk=\", \"salt\": \"12\"}}", "secretFiles.x"},
    {"secretFiles", "{\"x\": {}}", "secretFiles.x"},
    {"secretFiles", "{\"x\": \"aGk=\"}", "secretFiles.x"},
    {"secretFiles", "{\"../x\": {\"content\": \"aGk=\"}}", "secretFiles.../x"},
    {"dockerCredentials", "{}", "dockerCredentials"},
    {"dockerCredentials", "[{}]", "dockerCredentials[0].password"},
    {"dockerCredentials", "[5]", "dockerCredentials[0].username"},
    {"dockerCredentials", "[{\"server\":\"a b\",\"username\":\"a\",\"password\":\"b\"}]",
     "dockerCredentials[0].server"},
    {"memoy", "1024", "memoy"},
};

static void test_each_bad_field_is_named_and_nothing_is_created(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(bad_fields); i++) {
        _cleanup_(json_decrefp) json_t *body = body_with(good_compose);
        if (bad_fields[i].json)
            json_object_set_new(body, bad_fields[i].name,
                                json_loads(bad_fields[i].json, JSON_DECODE_ANY, NULL));
        else
            json_object_del(body, bad_fields[i].name);
        _cleanup_answer_ struct answer answer = create(f, body);
        if (answer.status != 400 || !has_finding(&answer, bad_fields[i].where))
            fail_msg("%s = %s: %ld %s", bad_fields[i].name, bad_fields[i].json, answer.status,
                     buffer_text(&answer.body));
        assert_false(holds(&answer.body, CANARY));
    }
    assert_int_equal(f->commands, 0);
}

/* The existing system's words, when that is all that is wrong. */
static void test_refused_images_and_sizes_have_their_own_kinds(void **state)
{
    static const struct {
        const char *version;
        enum error_code code; /* of the scheduler */
        long status;
        const char *kind;
    } rows[] = {
        {"9.9.9", ERROR_OK, 400, "ARTIFACT_VERSION_DOES_NOT_EXIST"},
        {TEST_IMAGE, ERROR_NOT_FOUND, 400, "ARTIFACT_VERSION_DOES_NOT_EXIST"},
        {TEST_IMAGE, ERROR_OUT_OF_RANGE, 400, "INVALID_WORKLOAD_TIER"},
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    (void)state;
    f->answer_text = "told";
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(json_decrefp) json_t *body = body_with(good_compose);
        json_object_set_new(body, "artifactsVersion", json_string(rows[i].version));
        f->answer_code = rows[i].code;
        _cleanup_answer_ struct answer answer = create(f, body);
        assert_int_equal(answer.status, rows[i].status);
        assert_string_equal(answer_text(&answer, "kind"), rows[i].kind);
    }
    _cleanup_answer_ struct answer missing = http_get(f, "/api/v1/workloads/w-new");
    assert_int_equal(missing.status, 404);
}

/* The list of the issue, and then some. */
static const struct {
    const char *compose;
    const char *rule;
} bad_composes[] = {
    {"services: {web: {image: a, privileged: true}}", "privileged"},
    {"services: {web: {image: a, ports: ['80:8080']}}", "port-reserved"},
    {"services: {web: {image: a, ports: ['443:8080']}}", "port-reserved"},
    {"services: {other: {image: a}}", "public-service"},
    {"services: {web: {image: '${X}'}}", "interpolation"},
    {"services:\n  web: [\n", "yaml"},
    {"services: {web: {image: a, volumes: ['/var/run/docker.sock:/s']}}", "bind-mount"},
    {"services: {web: {image: a}, coffer-attester: {image: b}}", "reserved-name"},
};

static void test_each_bad_compose_text_is_found_and_nothing_is_created(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(bad_composes); i++) {
        _cleanup_(json_decrefp) json_t *body = body_with(bad_composes[i].compose);
        _cleanup_answer_ struct answer answer = create(f, body);
        if (answer.status != 400 || !has_finding(&answer, bad_composes[i].rule))
            fail_msg("%s: %ld %s", bad_composes[i].compose, answer.status,
                     buffer_text(&answer.body));
        assert_string_equal(answer_text(&answer, "kind"), "INVALID_PAYLOAD");
    }
    _cleanup_answer_ struct answer missing = http_get(f, "/api/v1/workloads/w-new");
    assert_int_equal(missing.status, 404);
    assert_int_equal(f->commands, 0);
}

static void test_two_megabytes_of_aliases(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_buffer_ struct buffer text = {0};

    (void)state;
    buffer_add_text(&text, "a: &a [x]\nb: [");
    while (text.size < 2 * 1024 * 1024)
        buffer_add_text(&text, "*a,");
    _cleanup_(json_decrefp) json_t *body = body_with(buffer_text(&text));
    _cleanup_answer_ struct answer answer = create(f, body);
    assert_int_equal(answer.status, 400);
    assert_true(has_finding(&answer, "size"));
    assert_int_equal(f->commands, 0);
}

static void test_every_problem_is_named_at_once(void **state)
{
    static const char *const wanted[] = {
        "name",         "cpus",    "publicContainerPort", "envVars.COFFER_A", "privileged",
        "network_mode", "surprise"};
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_(json_decrefp) json_t *body =
        body_with("services: {web: {image: a, privileged: true, network_mode: host}}");

    (void)state;
    json_object_del(body, "name");
    json_object_set_new(body, "cpus", json_integer(0));
    json_object_set_new(body, "publicContainerPort", json_integer(70000));
    json_object_set_new(body, "envVars", json_pack("{s:s}", "COFFER_A", "x"));
    json_object_set_new(body, "surprise", json_true());
    _cleanup_answer_ struct answer answer = create(f, body);
    assert_int_equal(answer.status, 400);
    for (size_t i = 0; i < ELEMENTSOF(wanted); i++)
        if (!has_finding(&answer, wanted[i]))
            fail_msg("%s is not among %s", wanted[i], buffer_text(&answer.body));
}

static void test_scheduler_reasons_reach_the_owner(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_(json_decrefp) json_t *body = body_with(good_compose);

    (void)state;
    f->answer_code = ERROR_RESOURCE_EXHAUSTED;
    f->answer_reason = "no_host";
    f->answer_text = "2 hosts: memory exhausted (needs 4096 MiB, most free 1024 MiB)";
    _cleanup_answer_ struct answer answer = create(f, body);
    assert_int_equal(answer.status, 503);
    assert_string_equal(answer_text(&answer, "kind"), "NOT_ENOUGH_RESOURCES");
    assert_non_null(strstr(answer_text(&answer, "error"), "memory exhausted"));
}

static void test_what_does_not_fit_in_a_message_is_said(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_(json_decrefp) json_t *body = body_with(good_compose);
    _cleanup_free_ char *large = xcalloc(1, 2 * 1024 * 1024);

    (void)state;
    _cleanup_free_ char *content = base64_encode_new(large, 2 * 1024 * 1024);
    json_object_set_new(body, "files", json_pack("{s:s}", "large", content));
    _cleanup_answer_ struct answer answer = create(f, body);
    assert_int_equal(answer.status, 413);
    assert_int_equal(f->commands, 0);
}

static struct answer restart(const struct fixture *f, const char *fields)
{
    _cleanup_free_ char *text = xasprintf("{\"workloadId\":\"w-new\"%s}", fields);

    return http_post(f, "/api/v1/workloads/restart", text);
}

static void test_restart_keeps_or_replaces_secrets(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_(json_decrefp) json_t *body = body_with(good_compose);
    _unused_ _cleanup_answer_ struct answer created = create(f, body);
    _cleanup_answer_ struct answer kept = restart(f, "");
    void *message = NULL;

    (void)state;
    assert_int_equal(kept.status, 200);
    assert_null(bus_unpack(&coffer__v1__restart_workload_request__descriptor, f->last_payload.data,
                           f->last_payload.size, arena, &message));
    assert_int_equal(((Coffer__V1__RestartWorkloadRequest *)message)->sealed_secrets.len, 0);
    _cleanup_answer_ struct answer replaced =
        restart(f, ",\"envVars\":{\"GREETING\":\"" CANARY "-new\"}");
    assert_int_equal(replaced.status, 200);
    const Coffer__V1__RestartWorkloadRequest *sent =
        last_request(f, &coffer__v1__restart_workload_request__descriptor, arena);
    const Coffer__V1__Secrets *secrets = open_secrets(f, "w-new", sent->sealed_secrets, arena);
    assert_string_equal(secrets->environment[0]->value, CANARY "-new");
    assert_non_null(sent->if_match); /* they are those of this manifest */
    assert_int_equal(sent->if_match->generation, 1);
    assert_false(holds(&f->all_payloads, CANARY));
}

static void test_restart_cannot_change_what_the_manifest_names(void **state)
{
    static const struct {
        const char *fields;
        const char *where;
    } rows[] = {
        {",\"envVars\":{}", "envVars"},
        {",\"envVars\":{\"GREETING\":\"x\",\"MORE\":\"x\"}", "envVars"},
        {",\"envVars\":{\"GREETING\":\"x\"},\"dockerCredentials\":[{\"server\":\"r\","
         "\"username\":\"u\",\"password\":\"p\"}]",
         "dockerCredentials"},
        {",\"dockerCredentials\":[]", "envVars"},
        {",\"envVars\":{\"GREETING\":\"x\"},\"secretFiles\":{\"a\":{\"content\":\"aGk=\"}}",
         "secretFiles"},
        {",\"unknown\":1", "unknown"},
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_(json_decrefp) json_t *body = body_with(good_compose);
    _unused_ _cleanup_answer_ struct answer created = create(f, body);

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_answer_ struct answer answer = restart(f, rows[i].fields);
        if (answer.status != 400 || !has_finding(&answer, rows[i].where))
            fail_msg("%s: %ld %s", rows[i].fields, answer.status, buffer_text(&answer.body));
    }
    assert_int_equal(f->commands, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create_answers_the_workload),
        cmocka_unit_test(test_id_is_made_when_none_is_given),
        cmocka_unit_test(test_custom_domain_is_in_the_manifest),
        cmocka_unit_test(test_public_service_by_container_name),
        cmocka_unit_test(test_secrets_leave_only_sealed),
        cmocka_unit_test(test_authority_opens_what_was_given),
        cmocka_unit_test(test_each_bad_field_is_named_and_nothing_is_created),
        cmocka_unit_test(test_refused_images_and_sizes_have_their_own_kinds),
        cmocka_unit_test(test_each_bad_compose_text_is_found_and_nothing_is_created),
        cmocka_unit_test(test_two_megabytes_of_aliases),
        cmocka_unit_test(test_every_problem_is_named_at_once),
        cmocka_unit_test(test_scheduler_reasons_reach_the_owner),
        cmocka_unit_test(test_what_does_not_fit_in_a_message_is_said),
        cmocka_unit_test(test_restart_keeps_or_replaces_secrets),
        cmocka_unit_test(test_restart_cannot_change_what_the_manifest_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
