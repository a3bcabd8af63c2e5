/* Plans: what a create or an update would meet, exactly; and nothing happens. */
#include "services/api-gateway/test_fixture.h"

#include "shared/base/alloc.h"
#include "shared/base/file.h"

#define CANARY      "canary-b7e1"
#define SALT        "0101010101010101010101010101010101010101010101010101010101010101"
#define CREATE      "/api/v1/workloads/create"
#define PLAN        "/api/v1/workloads/plan"
#define UPDATE      "/api/v1/workloads/update"
#define PEM         "-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n"
#define SECRET_FILE "\"secretFiles\":{\"key.pem\":{\"content\":\"aGVsbG8=\",\"salt\":\"" SALT "\"}}"

static const char web[] = "services: {web: {image: 'hello:1', environment: {A: '${A:-}'}}}";

/* A right body; rest, beginning with a comma, replaces members of its name. */
static json_t *body_with(const char *rest)
{
    json_t *body = json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:{s:s}}", "name",
                             "hello", "artifactsVersion", TEST_IMAGE, "dockerCompose", web,
                             "publicContainerName", "web", "publicContainerPort", 8080, "memory",
                             1024, "cpus", 2, "disk", 10, "gpus", 0, "envVars", "A", CANARY "-a");
    _cleanup_free_ char *text = xasprintf("{%s}", *rest ? rest + 1 : "");
    _cleanup_(json_decrefp) json_t *more = json_loads(text, 0, NULL);

    assert_non_null(more);
    json_object_update(body, more);
    return body;
}

static struct answer post(const struct fixture *f, const char *path, const json_t *body)
{
    _cleanup_free_ char *text = json_dumps(body, 0);

    return http_post(f, path, text);
}

static struct answer plan(const struct fixture *f, const char *rest)
{
    _cleanup_(json_decrefp) json_t *body = body_with(rest);

    return post(f, PLAN, body);
}

/* Creates "w-1". */
static struct answer create(const struct fixture *f, const char *rest)
{
    _cleanup_(json_decrefp) json_t *body = body_with(rest);

    json_object_set_new(body, "workloadId", json_string("w-1"));
    struct answer answer = post(f, CREATE, body);
    if (answer.status != 200)
        fail_msg("%s: %s", rest, buffer_text(&answer.body));
    return answer;
}

static const char *member(const struct answer *answer, const char *object, const char *name)
{
    return json_string_value(json_object_get(json_object_get(answer->json, object), name)) ?: "";
}

static bool is_true(const struct answer *answer, const char *object, const char *name)
{
    return json_is_true(json_object_get(json_object_get(answer->json, object), name));
}

static bool holds(const struct buffer *buffer, const char *text)
{
    return buffer->size && memmem(buffer->data, buffer->size, text, strlen(text));
}

/* What a body of a create may say. */
static const char *const variants[] = {
    "",
    ",\"name\":\"other\"",
    ",\"domain\":\"app.example.com\"",
    ",\"publicContainerPort\":1",
    ",\"cpus\":8,\"memory\":4096",
    ",\"envVars\":{\"A\":\"1\",\"B\":\"2\"}",
    ",\"files\":{\"b\":\"aGk=\",\"a\":\"\"}",
    "," SECRET_FILE,
    ",\"dockerCredentials\":[{\"server\":\"r.test\",\"username\":\"u\",\"password\":\"" CANARY
    "\"}]",
    ",\"dockerCompose\":\"services: {web: {image: 'a@sha256:"
    "0000000000000000000000000000000000000000000000000000000000000000'}, db: {image: b}}\"",
    ",\"heartbeat\":{\"measurementHashUrl\":\"https://example.com\"}",
};

/* The owner may pin the hash before anything runs. */
static void test_hash_is_that_of_the_create(_unused_ void **state)
{
    for (size_t i = 0; i < ELEMENTSOF(variants); i++) {
        _cleanup_(fixture_freep) struct fixture *f = fixture_new();
        _cleanup_answer_ struct answer planned = plan(f, variants[i]);
        _cleanup_answer_ struct answer created = create(f, variants[i]);
        uint8_t sha256[32];
        char hex[65];

        if (planned.status != 200)
            fail_msg("%s: %s", variants[i], buffer_text(&planned.body));
        assert_string_equal(member(&planned, "manifest", "hash"),
                            answer_text(&created, "manifestHash"));
        assert_false(is_true(&planned, "manifest", "provisional"));
        _cleanup_buffer_ struct buffer document = {0};
        assert_null(canonical_json(json_object_get(planned.json, "manifestDocument"), &document));
        manifest_hash(document.data, document.size, sha256);
        hex_encode(sha256, sizeof(sha256), hex);
        assert_string_equal(member(&planned, "manifest", "hash"), hex);
    }
}

/* Every variant as an update of every other. */
static void check_update(const char *before, const char *after)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_(json_decrefp) json_t *body = body_with(after);
    static const char *const sizes[] = {"cpus", "memory", "disk", "gpus", "heartbeat"};
    _cleanup_answer_ struct answer created = create(f, before);

    for (size_t i = 0; i < ELEMENTSOF(sizes); i++)
        json_object_del(body, sizes[i]);
    json_object_set_new(body, "workloadId", json_string("w-1"));
    json_object_set_new(body, "confirmDataLoss", json_true());
    _cleanup_answer_ struct answer planned = post(f, PLAN, body);
    _cleanup_answer_ struct answer updated = post(f, UPDATE, body);
    if (planned.status != 200 || updated.status != 200)
        fail_msg("%s -> %s: %s %s", before, after, buffer_text(&planned.body),
                 buffer_text(&updated.body));
    _cleanup_answer_ struct answer manifest = http_get(f, "/api/v1/workloads/w-1/manifest");
    uint8_t sha256[32];
    char hex[65];
    manifest_hash(manifest.body.data, manifest.body.size, sha256);
    hex_encode(sha256, sizeof(sha256), hex);
    assert_string_equal(member(&planned, "manifest", "hash"), hex);
    assert_string_equal(member(&planned, "manifest", "previousHash"),
                        answer_text(&created, "manifestHash"));
}

static void test_hash_is_that_of_the_update(_unused_ void **state)
{
    for (size_t i = 0; i < ELEMENTSOF(variants); i++)
        check_update(variants[i], variants[(i + 3) % ELEMENTSOF(variants)]);
}

/* Without the owner's salt each commitment is another one. */
static void test_hash_with_our_salt_is_provisional(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_answer_ struct answer answer =
        plan(f, ",\"secretFiles\":{\"key.pem\":{\"content\":\"aGVsbG8=\"}}");

    assert_int_equal(answer.status, 200);
    assert_true(is_true(&answer, "manifest", "provisional"));
}

static void test_findings_are_an_answer(_unused_ void **state)
{
    static const struct {
        const char *rest;
        const char *finding;
    } rows[] = {
        {",\"cpus\":0", "cpus"},
        {",\"name\":null", "name"},
        {",\"artifactsVersion\":\"9.9.9\"", "artifactsVersion"},
        {",\"dockerCompose\":\"services: {web: {image: a, privileged: true}}\"", "privileged"},
        {",\"surprise\":1", "surprise"},
        {",\"setEnvVars\":{}", "setEnvVars"},
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_answer_ struct answer answer = plan(f, rows[i].rest);
        assert_int_equal(answer.status, 200);
        assert_true(json_is_false(json_object_get(answer.json, "valid")));
        assert_true(json_is_false(json_object_get(answer.json, "admitted")));
        if (!has_finding(&answer, rows[i].finding))
            fail_msg("%s: %s", rows[i].rest, buffer_text(&answer.body));
        assert_null(json_object_get(answer.json, "manifest"));
    }
    assert_int_equal(f->commands, 0);
}

static void test_what_is_no_question_is_refused(_unused_ void **state)
{
    static const struct {
        const char *body;
        long status;
    } rows[] = {
        {"", 400},
        {"{", 400},
        {"[]", 400},
        {"{\"workloadId\":5}", 400},
        {"{\"workloadId\":\"none\"}", 404},
        {"{\"workloadId\":\"w-f\"}", 404},
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    put_workload(f, "w-f", "foreign", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_answer_ struct answer answer = http_post(f, PLAN, rows[i].body);
        assert_int_equal(answer.status, rows[i].status);
    }
    assert_int_equal(f->commands, 0);
}

/* "name hello>x; files.b null>[hash]; " of the list. */
static void describe(const json_t *changes, struct buffer *ret_text)
{
    const json_t *change;
    size_t i;

    json_array_foreach(changes, i, change)
    {
        const json_t *sides[] = {json_object_get(change, "from"), json_object_get(change, "to")};
        buffer_printf(ret_text, "%s ", json_string_value(json_object_get(change, "field")));
        for (size_t k = 0; k < 2; k++) {
            _cleanup_free_ char *text = json_dumps(sides[k], JSON_ENCODE_ANY);
            const bool is_hash = strlen(text) == 66;
            buffer_printf(ret_text, "%s%s", is_hash ? "[hash]" : text, k ? "; " : ">");
        }
    }
}

static void test_changes_name_what_differs(_unused_ void **state)
{
    static const struct {
        const char *fields;
        const char *changes;
    } rows[] = {
        {"", ""},
        {",\"name\":\"x\"", "name \"hello\">\"x\"; "},
        {"," SECRET_FILE, ""}, /* with the salt of before it is the same */
        {",\"publicContainerPort\":1", "publicContainerPort 8080>1; "},
        {",\"domain\":\"a.example.com\"", "domain \"w-1.w.coffer.test\">\"a.example.com\"; "},
        {",\"setEnvVars\":{\"A\":\"1\",\"B\":\"2\"}",
         "envVars.A \"secret\">\"new secret\"; envVars.B null>\"secret\"; "},
        {",\"unsetEnvVars\":[\"A\"]", "envVars.A \"secret\">null; "},
        {",\"files\":{\"b\":\"\"}", "files.b null>[hash]; "},
        {",\"files\":{\"f\":\"aGk=\"}", "files.f [hash]>[hash]; "},
        {",\"removeFiles\":[\"f\",\"key.pem\"]",
         "files.f [hash]>null; secretFiles.key.pem \"secret\">null; "},
        {",\"secretFiles\":{\"key.pem\":{\"content\":\"aGk=\"},\"n\":{\"content\":\"\"}}",
         "secretFiles.key.pem \"secret\">\"new secret\"; secretFiles.n null>\"secret\"; "},
        {",\"dockerCredentials\":[]", "dockerCredentials.r.test \"secret\">null; "},
        {",\"dockerCompose\":\"services: {web: {image: 'hello:2'}, db: {image: d}}\"",
         "dockerCompose [hash]>[hash]; services.web \"hello:1\">\"hello:2\"; "
         "services.db null>\"d\"; "},
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _unused_ _cleanup_answer_ struct answer created =
        create(f, ",\"files\":{\"f\":\"aGVsbG8=\"}," SECRET_FILE
                  ",\"dockerCredentials\":[{\"server\":\"r.test\",\"username\":\"u\","
                  "\"password\":\"p\"}]");

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *body = xasprintf("{\"workloadId\":\"w-1\"%s}", rows[i].fields);
        _cleanup_answer_ struct answer answer = http_post(f, PLAN, body);
        _cleanup_buffer_ struct buffer text = {0};

        describe(json_object_get(answer.json, "changes"), &text);
        assert_string_equal(text.size ? buffer_text(&text) : "", rows[i].changes);
        assert_int_equal(is_true(&answer, "manifest", "unchanged"), !*rows[i].changes);
        assert_int_equal(json_array_size(json_object_get(answer.json, "dataLoss")) > 0,
                         *rows[i].changes != '\0');
    }
}

/* Nothing is asked for, and yet it would be another manifest: said as well. */
static void test_changes_of_the_fleet_are_told(_unused_ void **state)
{
    static const char trust[] = "{\"acme\":{\"directory\":\"https://new.test/dir\",\"ca\":\"" PEM
                                "\"},\"registry_cas\":{\"docker.io\":\"" PEM "\"}}";
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _unused_ _cleanup_answer_ struct answer created = create(f, "");
    _cleanup_buffer_ struct buffer text = {0};

    assert_null(file_write_atomic(f->config.trust_file, trust, strlen(trust), 0600));
    _cleanup_answer_ struct answer answer = http_post(f, PLAN, "{\"workloadId\":\"w-1\"}");
    if (answer.status != 200)
        fail_msg("%s", buffer_text(&answer.body));
    describe(json_object_get(answer.json, "changes"), &text);
    assert_string_equal(buffer_text(&text), "fleet.acmeDirectory \"https://acme.coffer.test/dir\">"
                                            "\"https://new.test/dir\"; fleet.acmeCa null>[hash]; "
                                            "fleet.registryCas.docker.io null>[hash]; ");
    assert_false(is_true(&answer, "manifest", "unchanged"));
}

#define MEASUREMENT(vcpus, model, digest)                                                          \
    "{\"vcpus\":" vcpus ",\"cpu_model\":\"" model "\",\"guest_features\":33,\"digest\":\"" digest  \
    "\"}"

static void test_measurements_are_those_of_the_image(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    put_image(
        f, "0.2.0",
        "{\"version\":\"0.2.0\",\"measurements\":[" MEASUREMENT("1", "a", "01") "," MEASUREMENT(
            "2", "EPYC-v4", "02") "," MEASUREMENT("2", "b", "03") "]}");
    put_image(f, "0.3.0", "{\"measurements\":[" MEASUREMENT("2", "c", "04") "]}");
    _unused_ _cleanup_answer_ struct answer created = create(f, ",\"artifactsVersion\":\"0.2.0\"");
    _cleanup_answer_ struct answer answer =
        http_post(f, PLAN, "{\"workloadId\":\"w-1\",\"artifactsVersion\":\"0.3.0\"}");
    _cleanup_free_ char *text =
        json_dumps(json_object_get(answer.json, "measurements"), JSON_SORT_KEYS | JSON_COMPACT);
    assert_string_equal(
        text,
        "{\"expected\":[{\"cpuModel\":\"c\",\"guestFeatures\":\"0x21\","
        "\"measurement\":\"04\",\"vcpus\":2}],\"previous\":[{\"cpuModel\":\"EPYC-v4\","
        "\"guestFeatures\":\"0x21\",\"measurement\":\"02\",\"vcpus\":2},"
        "{\"cpuModel\":\"b\",\"guestFeatures\":\"0x21\",\"measurement\":\"03\",\"vcpus\":2}]}");
}

static void test_scheduler_is_asked_and_quoted(_unused_ void **state)
{
    Coffer__V1__PlanWorkloadReply reply = COFFER__V1__PLAN_WORKLOAD_REPLY__INIT;
    Coffer__V1__PlacementNote note = COFFER__V1__PLACEMENT_NOTE__INIT;
    Coffer__V1__PlacementNote *notes[] = {&note};
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_(arena_freep) struct arena *arena = arena_new();

    note.reason = "memory exhausted";
    note.hosts = 2;
    reply.refusal_code = "no_balance";
    reply.refusal = "too poor";
    reply.host_id = "host-9";
    reply.candidates = 1;
    reply.notes = notes;
    reply.n_notes = 1;
    reply.tier = "small";
    reply.usd_micros_per_minute = 250000;
    reply.account_usd_micros_per_minute = 1000000;
    f->plan = &reply;
    _unused_ _cleanup_answer_ struct answer me = http_get(f, "/api/v1/accounts/me"); /* is made */
    _unused_ _cleanup_answer_ struct answer paid = http_admin(
        f, "POST", "/api/v1/accounts/add-balance", "{\"accountId\":\"dev\",\"balance\":7.5}");
    _cleanup_answer_ struct answer answer = plan(f, ",\"domain\":\"app.example.com\"");
    _cleanup_answer_ struct answer platform = plan(f, "");
    assert_true(json_is_true(json_object_get(answer.json, "valid")));
    assert_true(json_is_false(json_object_get(answer.json, "admitted")));
    assert_string_equal(member(&answer, "refusal", "code"), "NOT_ENOUGH_BALANCE");
    assert_string_equal(member(&answer, "refusal", "message"), "too poor");
    assert_string_equal(member(&answer, "placement", "hostId"), "host-9");
    assert_non_null(strstr(buffer_text(&answer.body), "\"cost\":{\"usdCostPerMin\":0.25,"
                                                      "\"accountBurnRatePerMin\":1.0,"
                                                      "\"tier\":\"small\",\"minutesLeft\":7}"));
    assert_non_null(strstr(buffer_text(&answer.body),
                           "\"notes\":[{\"reason\":\"memory exhausted\",\"hosts\":2}]"));
    const Coffer__V1__PlanWorkloadRequest *sent =
        last_request(f, &coffer__v1__plan_workload_request__descriptor, arena);
    assert_string_equal(sent->domain, ""); /* the platform's, of the latter */
    assert_string_equal(sent->workload_id, "");
    assert_int_equal(sent->resources->memory_mib, 1024);
    assert_int_equal(sent->allowance->usd_micros_per_minute, (7500000 - 10000) / 5);
    assert_true(holds(&f->all_payloads, "app.example.com"));
}

/* An update that changes nothing is done without being asked for: no quota is in its way. */
static void test_what_changes_nothing_is_admitted(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    Coffer__V1__PlanWorkloadReply reply = COFFER__V1__PLAN_WORKLOAD_REPLY__INIT;
    _unused_ _cleanup_answer_ struct answer created = create(f, "");

    reply.refusal_code = (char *)"over_quota";
    reply.refusal = (char *)"too much";
    f->plan = &reply;
    _cleanup_answer_ struct answer same = http_post(f, PLAN, "{\"workloadId\":\"w-1\"}");
    _cleanup_answer_ struct answer update = http_post(f, UPDATE, "{\"workloadId\":\"w-1\"}");
    _cleanup_answer_ struct answer other =
        http_post(f, PLAN, "{\"workloadId\":\"w-1\",\"name\":\"x\"}");
    assert_int_equal(update.status, 200);
    assert_true(json_is_true(json_object_get(same.json, "admitted")));
    assert_null(json_object_get(same.json, "refusal"));
    assert_true(json_is_false(json_object_get(other.json, "admitted")));
    assert_string_equal(member(&other, "refusal", "code"), "QUOTA_EXCEEDED");
}

/* Neither the answer nor the bus gets what is secret, the trail no entry. */
static void test_nothing_happens(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_answer_ struct answer before = http_get(f, "/api/v1/audit");
    _cleanup_answer_ struct answer answer = plan(
        f, ",\"secretFiles\":{\"k\":{\"content\":\"" CANARY "\"}},"
           "\"dockerCredentials\":[{\"server\":\"r.test\",\"username\":\"u\",\"password\":\"" CANARY
           "\"}]");
    _cleanup_answer_ struct answer good =
        plan(f, ",\"dockerCredentials\":[{\"server\":\"r.test\",\"username\":\"u\","
                "\"password\":\"" CANARY "\"}]");
    _cleanup_answer_ struct answer list = http_get(f, "/api/v1/workloads/list");
    _cleanup_answer_ struct answer after = http_get(f, "/api/v1/audit");

    assert_true(json_is_false(json_object_get(answer.json, "valid")));
    assert_true(json_is_true(json_object_get(good.json, "valid")));
    assert_false(holds(&answer.body, CANARY) || holds(&good.body, CANARY));
    assert_false(holds(&f->all_payloads, CANARY));
    assert_string_equal(f->last_subject, "svc.scheduler.workload.plan");
    assert_int_equal(f->commands, 1);
    assert_int_equal(json_array_size(list.json), 0);
    assert_true(json_equal(before.json, after.json));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_is_that_of_the_create),
        cmocka_unit_test(test_hash_is_that_of_the_update),
        cmocka_unit_test(test_hash_with_our_salt_is_provisional),
        cmocka_unit_test(test_findings_are_an_answer),
        cmocka_unit_test(test_what_is_no_question_is_refused),
        cmocka_unit_test(test_changes_name_what_differs),
        cmocka_unit_test(test_changes_of_the_fleet_are_told),
        cmocka_unit_test(test_measurements_are_those_of_the_image),
        cmocka_unit_test(test_scheduler_is_asked_and_quoted),
        cmocka_unit_test(test_what_changes_nothing_is_admitted),
        cmocka_unit_test(test_nothing_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
