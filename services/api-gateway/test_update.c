/* Updates: what the request says over what is there; only new secrets go on, and nothing is lost
 * without a word. */
#include "services/api-gateway/test_fixture.h"

#include "shared/base/alloc.h"
#include "shared/store/keys.h"

#define CANARY "canary-83d2"
#define SALT   "0101010101010101010101010101010101010101010101010101010101010101"
#define UPDATE "/api/v1/workloads/update"

static const char compose[] = "services:\\n  web:\\n    image: hello:1\\n    environment:\\n"
                              "      A: ${A:-}\\n      B: ${B:-}\\n";

/* With two environment values, a plain and a secret file, and a registry. */
static void create(const struct fixture *f)
{
    _cleanup_free_ char *body = xasprintf(
        "{\"workloadId\":\"w-new\",\"name\":\"hello\",\"artifactsVersion\":\"" TEST_IMAGE "\","
        "\"dockerCompose\":\"%s\",\"publicContainerName\":\"web\",\"publicContainerPort\":8080,"
        "\"memory\":1024,\"cpus\":2,\"disk\":10,\"gpus\":0,"
        "\"envVars\":{\"A\":\"" CANARY "-a\",\"B\":\"" CANARY "-b\"},"
        "\"files\":{\"a.txt\":\"aGVsbG8=\"},"
        "\"secretFiles\":{\"key.pem\":{\"content\":\"aGVsbG8=\",\"salt\":\"" SALT "\"}},"
        "\"dockerCredentials\":[{\"server\":\"r.test\",\"username\":\"u\",\"password\":\"" CANARY
        "-p\"}]}",
        compose);
    _cleanup_answer_ struct answer answer = http_post(f, "/api/v1/workloads/create", body);

    if (answer.status != 200)
        fail_msg("%s", buffer_text(&answer.body));
}

static struct answer update(const struct fixture *f, const char *fields)
{
    _cleanup_free_ char *body = xasprintf("{\"workloadId\":\"w-new\"%s}", fields);

    return http_post(f, UPDATE, body);
}

static struct answer confirmed(const struct fixture *f, const char *fields)
{
    _cleanup_free_ char *all = xasprintf(",\"confirmDataLoss\":true%s", fields);

    return update(f, all);
}

static bool holds(const struct buffer *buffer, const char *text)
{
    return buffer->size && memmem(buffer->data, buffer->size, text, strlen(text));
}

static const Coffer__V1__UpdateWorkloadRequest *sent(const struct fixture *f, struct arena *arena)
{
    assert_string_equal(f->last_subject, "svc.scheduler.workload.update");
    return last_request(f, &coffer__v1__update_workload_request__descriptor, arena);
}

static void add_names(struct buffer *text, const char *what, const char *const *names, size_t n)
{
    buffer_printf(text, "%s", what);
    for (size_t i = 0; i < n; i++)
        buffer_printf(text, "%s%s", i ? "," : "", names[i]);
}

static void add_files(struct buffer *text, const char *what, const struct manifest_hash *files,
                      size_t n)
{
    buffer_printf(text, "%s", what);
    for (size_t i = 0; i < n; i++)
        buffer_printf(text, "%s%s", i ? "," : "", files[i].name);
}

/* "env A,B files a.txt secret key.pem registries r.test" of a manifest. */
static const char *names_of(const Coffer__V1__UpdateWorkloadRequest *request, struct arena *arena)
{
    _cleanup_buffer_ struct buffer text = {0};
    struct manifest *manifest;

    assert_null(manifest_parse(request->manifest.data, request->manifest.len, arena, &manifest));
    add_names(&text, "env ", manifest->env, manifest->n_env);
    add_files(&text, " files ", manifest->files, manifest->n_files);
    add_files(&text, " secret ", manifest->secret_files, manifest->n_secret_files);
    add_names(&text, " registries ", manifest->registries, manifest->n_registries);
    return arena_strdup(arena, buffer_text(&text));
}

/* "A=value key.pem r.test" of what is sealed; "" when nothing is. */
static const char *sealed_of(const struct fixture *f,
                             const Coffer__V1__UpdateWorkloadRequest *request, struct arena *arena)
{
    const Coffer__V1__Secrets *secrets = open_secrets(f, "w-new", request->sealed_secrets, arena);
    _cleanup_buffer_ struct buffer text = {0};

    for (size_t i = 0; secrets && i < secrets->n_environment; i++)
        buffer_printf(&text, "%s=%s ", secrets->environment[i]->name,
                      secrets->environment[i]->value);
    for (size_t i = 0; secrets && i < secrets->n_files; i++)
        buffer_printf(&text, "%s ", secrets->files[i]->path);
    for (size_t i = 0; secrets && i < secrets->n_registries; i++)
        buffer_printf(&text, "%s ", secrets->registries[i]->server);
    return arena_strdup(arena, buffer_text(&text));
}

/* Each over the same workload: what the manifest names then, and what is sealed anew. */
static void test_request_over_what_is_there(_unused_ void **state)
{
    static const struct {
        const char *fields;
        const char *names;
        const char *sealed;
    } rows[] = {
        {",\"name\":\"other\"", "env A,B files a.txt secret key.pem registries r.test", ""},
        {",\"publicContainerPort\":9", "env A,B files a.txt secret key.pem registries r.test", ""},
        {",\"setEnvVars\":{\"A\":\"1\"}", "env A,B files a.txt secret key.pem registries r.test",
         "A=1 "},
        {",\"setEnvVars\":{\"C\":\"1\"}", "env A,B,C files a.txt secret key.pem registries r.test",
         "C=1 "},
        {",\"unsetEnvVars\":[\"A\"]", "env B files a.txt secret key.pem registries r.test", ""},
        {",\"unsetEnvVars\":[\"A\"],\"setEnvVars\":{\"C\":\"1\"}",
         "env B,C files a.txt secret key.pem registries r.test", "C=1 "},
        {",\"envVars\":{\"C\":\"1\"}", "env C files a.txt secret key.pem registries r.test",
         "C=1 "},
        {",\"envVars\":{}", "env  files a.txt secret key.pem registries r.test", ""},
        {",\"envVars\":null,\"setEnvVars\":{\"A\":\"\"}",
         "env A,B files a.txt secret key.pem registries r.test", "A= "},
        {",\"files\":{\"b.txt\":\"aGk=\"}",
         "env A,B files a.txt,b.txt secret key.pem registries r.test", ""},
        {",\"removeFiles\":[\"a.txt\"]", "env A,B files  secret key.pem registries r.test", ""},
        {",\"removeFiles\":[\"key.pem\"]", "env A,B files a.txt secret  registries r.test", ""},
        {",\"removeFiles\":[\"a.txt\"],\"files\":{\"a.txt\":\"aGk=\"}",
         "env A,B files a.txt secret key.pem registries r.test", ""},
        {",\"secretFiles\":{\"b\":{\"content\":\"aGk=\"}}",
         "env A,B files a.txt secret b,key.pem registries r.test", "b "},
        {",\"secretFiles\":{\"key.pem\":{\"content\":\"aGk=\"}}",
         "env A,B files a.txt secret key.pem registries r.test", "key.pem "},
        /* from plain to secret, and back, which must be said twice */
        {",\"secretFiles\":{\"a.txt\":{\"content\":\"aGk=\"}}",
         "env A,B files  secret a.txt,key.pem registries r.test", "a.txt "},
        {",\"files\":{\"key.pem\":\"aGk=\"},\"removeFiles\":[\"key.pem\"]",
         "env A,B files a.txt,key.pem secret  registries r.test", ""},
        {",\"dockerCredentials\":[]", "env A,B files a.txt secret key.pem registries ", ""},
        {",\"dockerCredentials\":[{\"server\":\"s.test\",\"username\":\"u\",\"password\":\"p\"}]",
         "env A,B files a.txt secret key.pem registries s.test", "s.test "},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(fixture_freep) struct fixture *f = fixture_new();
        _cleanup_(arena_freep) struct arena *arena = arena_new();
        create(f);
        _cleanup_answer_ struct answer answer = confirmed(f, rows[i].fields);
        if (answer.status != 200)
            fail_msg("%s: %s", rows[i].fields, buffer_text(&answer.body));
        const Coffer__V1__UpdateWorkloadRequest *request = sent(f, arena);
        assert_string_equal(names_of(request, arena), rows[i].names);
        assert_string_equal(sealed_of(f, request, arena), rows[i].sealed);
        assert_string_equal(request->account_id, "dev");
    }
}

static void test_what_is_not_said_stays(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_(arena_freep) struct arena *arena = arena_new();

    create(f);
    _cleanup_answer_ struct answer answer = confirmed(f, ",\"name\":\"other\",\"reason\":\"why\"");
    const Coffer__V1__UpdateWorkloadRequest *request = sent(f, arena);
    assert_string_equal(request->name, "other");
    assert_string_equal(request->reason, "why");
    assert_string_equal(request->image_version, TEST_IMAGE);
    assert_string_equal(request->domain, "w-new.w.coffer.test");
    assert_int_equal(request->n_files, 1);
    assert_string_equal(request->files[0]->path, "a.txt");
    assert_memory_equal(request->files[0]->content.data, "hello", 5);
    assert_true(request->compose.len > 20);
    assert_memory_equal(request->compose.data, "services:\n", 10);
    assert_string_equal(answer_text(&answer, "workloadId"), "w-new");
    assert_int_equal(json_array_size(json_object_get(answer.json, "envVarNames")), 2);
}

static void test_domain_comes_and_goes(_unused_ void **state)
{
    static const struct {
        const char *fields;
        const char *domain;
        bool custom;
    } rows[] = {
        {",\"domain\":\"app.example.com\"", "app.example.com", true},
        {",\"name\":\"n2\"", "app.example.com", true},
        {",\"domain\":null", "w-new.w.coffer.test", false},
        {",\"domain\":\"b.example.com\"", "b.example.com", true},
        {",\"domain\":\"\"", "w-new.w.coffer.test", false},
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_(arena_freep) struct arena *arena = arena_new();

    create(f);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_answer_ struct answer answer = confirmed(f, rows[i].fields);
        assert_int_equal(answer.status, 200);
        const Coffer__V1__UpdateWorkloadRequest *request = sent(f, arena);
        assert_string_equal(request->domain, rows[i].domain);
        const bool named =
            memmem(request->manifest.data, request->manifest.len, "\"domains\":[]", 12) == NULL;
        assert_int_equal(named, rows[i].custom);
    }
}

static void test_losing_data_is_to_be_confirmed(_unused_ void **state)
{
    static const char *const fields[] = {",\"name\":\"x\"",
                                         ",\"name\":\"x\",\"confirmDataLoss\":false",
                                         ",\"secretFiles\":{\"key.pem\":{\"content\":\"aGk=\","
                                         "\"salt\":\"" SALT "\"}}",
                                         ",\"secretFiles\":{\"key.pem\":{\"content\":\"aGVsbG8="
                                         "\"}}",
                                         ",\"setEnvVars\":{\"A\":\"" CANARY "-a\"}"};
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    create(f);
    for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
        _cleanup_answer_ struct answer answer = update(f, fields[i]);
        assert_int_equal(answer.status, 412);
        assert_string_equal(answer_text(&answer, "kind"), "DATA_LOSS_NOT_CONFIRMED");
        assert_true(has_finding(&answer, "volumes") && has_finding(&answer, "vm"));
        assert_false(holds(&answer.body, CANARY));
    }
    assert_int_equal(f->commands, 1);
}

static void test_what_is_stopped_has_nothing_to_lose(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    create(f);
    put_workload(f, "w-new", "dev", COFFER__V1__WORKLOAD_STATUS__STOPPED);
    _cleanup_answer_ struct answer answer = update(f, ",\"publicContainerPort\":81");
    assert_int_equal(answer.status, 200);
    assert_int_equal(f->commands, 2);
}

static void test_nothing_new_is_no_boot(_unused_ void **state)
{
    static const char *const fields[] = {"",
                                         ",\"name\":\"hello\"",
                                         ",\"files\":{\"a.txt\":\"aGVsbG8=\"}",
                                         ",\"secretFiles\":{\"key.pem\":{\"content\":\"aGVsbG8="
                                         "\",\"salt\":\"" SALT "\"}}",
                                         ",\"domain\":null",
                                         ",\"publicContainerPort\":8080",
                                         ",\"artifactsVersion\":\"" TEST_IMAGE
                                         "\",\"confirmDataLoss\":true"};
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    create(f);
    for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
        _cleanup_answer_ struct answer answer = update(f, fields[i]);
        if (answer.status != 200)
            fail_msg("%s: %s", fields[i], buffer_text(&answer.body));
        assert_string_equal(answer_text(&answer, "name"), "hello");
    }
    assert_int_equal(f->commands, 1);
}

static void test_each_bad_field_is_named_and_nothing_is_sent(_unused_ void **state)
{
    static const struct {
        const char *fields;
        const char *where;
    } rows[] = {
        {",\"name\":\"\"", "name"},
        {",\"name\":5", "name"},
        {",\"dockerCompose\":\"\"", "dockerCompose"},
        {",\"dockerCompose\":\"services: {web: {image: a, privileged: true}}\"", "privileged"},
        {",\"dockerCompose\":\"services: {other: {image: a}}\"", "public-service"},
        {",\"publicContainerName\":\"other\"", "public-service"},
        {",\"publicContainerName\":\"\"", "publicContainerName"},
        {",\"publicContainerPort\":0", "publicContainerPort"},
        {",\"artifactsVersion\":\"\"", "artifactsVersion"},
        {",\"domain\":\"localhost\"", "domain"},
        {",\"domain\":5", "domain"},
        {",\"envVars\":{\"A\":\"1\"},\"setEnvVars\":{\"A\":\"1\"}", "envVars"},
        {",\"envVars\":{\"A\":\"1\"},\"unsetEnvVars\":[\"A\"]", "envVars"},
        {",\"setEnvVars\":[]", "setEnvVars"},
        {",\"setEnvVars\":{\"A\":5}", "setEnvVars.A"},
        {",\"setEnvVars\":{\"LD_PRELOAD\":\"x\"}", "setEnvVars.LD_PRELOAD"},
        {",\"unsetEnvVars\":{}", "unsetEnvVars"},
        {",\"unsetEnvVars\":[5]", "unsetEnvVars[0]"},
        {",\"unsetEnvVars\":[\"C\"]", "unsetEnvVars.C"},
        {",\"unsetEnvVars\":[\"A\"],\"setEnvVars\":{\"A\":\"1\"}", "unsetEnvVars.A"},
        {",\"files\":{\"key.pem\":\"aGk=\"}", "files.key.pem"},
        {",\"files\":{\"b\":\"aGk=\"},\"secretFiles\":{\"b\":{\"content\":\"aGk=\"}}",
         "secretFiles.b"},
        {",\"files\":{\"../b\":\"aGk=\"}", "files.../b"},
        {",\"files\":{\"b\":\"no\"}", "files.b"},
        {",\"secretFiles\":{\"b\":{\"content\":\"aGk=\",\"salt\":\"1\"}}", "secretFiles.b"},
        {",\"removeFiles\":{}", "removeFiles"},
        {",\"removeFiles\":[5]", "removeFiles[0]"},
        {",\"removeFiles\":[\"none\"]", "removeFiles.none"},
        {",\"dockerCredentials\":[{}]", "dockerCredentials[0].password"},
        {",\"confirmDataLoss\":\"yes\"", "confirmDataLoss"},
        {",\"reason\":5", "reason"},
        {",\"memory\":2048", "memory"},
        {",\"nmae\":\"x\"", "nmae"},
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    create(f);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_answer_ struct answer answer = update(f, rows[i].fields);
        if (answer.status != 400 || !has_finding(&answer, rows[i].where))
            fail_msg("%s: %ld %s", rows[i].fields, answer.status, buffer_text(&answer.body));
    }
    assert_int_equal(f->commands, 1);
}

static void test_refusals_have_kinds(_unused_ void **state)
{
    static const struct {
        enum error_code code;
        const char *reason;
        long status;
        const char *kind;
        bool of_update; /* and not of a restart, which changes neither image nor domain */
    } rows[] = {
        {ERROR_NOT_FOUND, "no_image", 400, "ARTIFACT_VERSION_DOES_NOT_EXIST", true},
        {ERROR_ALREADY_EXISTS, "domain_taken", 400, "DOMAIN_EXISTS", true},
        {ERROR_FAILED_PRECONDITION, "over_quota", 412, "QUOTA_EXCEEDED", false},
        {ERROR_FAILED_PRECONDITION, "no_balance", 412, "NOT_ENOUGH_BALANCE", false},
        {ERROR_RESOURCE_EXHAUSTED, "no_host", 503, "NOT_ENOUGH_RESOURCES", false},
        {ERROR_ABORTED, NULL, 409, "CONFLICT", false},
        {ERROR_FAILED_PRECONDITION, NULL, 412, "FAILED_PRECONDITION", false},
        {ERROR_NOT_FOUND, NULL, 404, "NOT_FOUND", false},
        {ERROR_UNAVAILABLE, NULL, 503, "UNAVAILABLE", false},
    };
    static const char *const paths[] = {UPDATE, "/api/v1/workloads/restart"};
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    create(f);
    f->answer_text = "told";
    for (size_t i = 0; i < ELEMENTSOF(rows) * ELEMENTSOF(paths); i++) {
        const size_t row = i / ELEMENTSOF(paths);
        const bool restart = i % ELEMENTSOF(paths);
        if (restart && rows[row].of_update)
            continue;
        f->answer_code = rows[row].code;
        f->answer_reason = rows[row].reason;
        _cleanup_answer_ struct answer answer = http_post(
            f, paths[i % ELEMENTSOF(paths)],
            restart ? "{\"workloadId\":\"w-new\"}"
                    : "{\"workloadId\":\"w-new\",\"name\":\"x\",\"confirmDataLoss\":true}");
        assert_int_equal(answer.status, rows[row].status);
        assert_string_equal(answer_text(&answer, "kind"), rows[row].kind);
    }
    _cleanup_answer_ struct answer missing = update(f, ",\"artifactsVersion\":\"9.9.9\"");
    assert_int_equal(missing.status, 400);
    assert_string_equal(answer_text(&missing, "kind"), "ARTIFACT_VERSION_DOES_NOT_EXIST");
}

static void put_at(const struct fixture *f, uint64_t generation, uint64_t sequence)
{
    Coffer__V1__Workload workload = COFFER__V1__WORKLOAD__INIT;

    workload.workload_id = "w-new";
    workload.account_id = "dev";
    workload.name = "hello";
    workload.status = COFFER__V1__WORKLOAD_STATUS__RUNNING;
    workload.generation = generation;
    workload.event_sequence = sequence;
    put_message(f, KEY_WORKLOAD "w-new", &workload.base);
}

static void test_if_match_is_compared_and_passed_on(_unused_ void **state)
{
    static const struct {
        const char *header;
        long status;
        bool passed_on;
    } rows[] = {
        {"If-Match: \"7-41-00000000\"", 200, true},
        {"If-Match: \"1-1-00000000\", \"7-41-12345678\"", 200, true},
        {"If-Match: *", 200, true},
        {"If-Match: \"7-4-00000000\"", 412, false},
        {"If-Match: \"7-412-00000000\"", 412, false},
        {"If-Match: \"6-41-00000000\"", 412, false},
        {"If-Match: W/\"7-41-00000000\"", 412, false},
        {"If-Match: 7-41-00000000", 412, false},
        {"If-Match: \"7-41-", 412, false},
        {"If-Match: ,", 412, false},
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_(arena_freep) struct arena *arena = arena_new();

    create(f);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        put_at(f, 7, 41);
        const unsigned before = f->commands;
        _cleanup_answer_ struct answer answer =
            http_call_header(f, "POST", UPDATE, rows[i].header,
                             "{\"workloadId\":\"w-new\",\"name\":\"x\",\"confirmDataLoss\":true}");
        if (answer.status != rows[i].status)
            fail_msg("%s: %ld %s", rows[i].header, answer.status, buffer_text(&answer.body));
        assert_int_equal(f->commands - before, answer.status == 200);
        if (answer.status != 200) {
            assert_string_equal(answer_text(&answer, "kind"), "PRECONDITION_FAILED");
            continue;
        }
        const Coffer__V1__Expectation *expectation = sent(f, arena)->if_match;
        assert_int_equal(expectation != NULL, rows[i].passed_on);
        assert_true(!expectation ||
                    (expectation->generation == 7 && expectation->event_sequence == 41));
    }
}

/* Records of the workload as they were at some time. */
struct snapshot {
    struct buffer workload;
    struct buffer input;
};

static struct snapshot later; /* what another update makes of it in the meantime */

static void take_record(const struct fixture *f, const char *key, struct buffer *ret_value)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct store_record record;

    assert_null(store_get(f->store, key, arena, &record));
    buffer_add(ret_value, record.value.data, record.value.len);
}

static void put_record(const struct fixture *f, const char *key, const struct buffer *value)
{
    const struct store_write write = {
        .key = key,
        .expected_version = UINT64_MAX,
        .value = {.data = value->data, .len = value->size},
    };
    const struct store_change change = {.writes = &write, .n_writes = 1};

    assert_null(store_commit(f->store, &change));
}

static void snapshot_take(const struct fixture *f, struct snapshot *ret_snapshot)
{
    take_record(f, KEY_WORKLOAD "w-new", &ret_snapshot->workload);
    take_record(f, KEY_WORKLOAD_INPUT "w-new", &ret_snapshot->input);
}

static void snapshot_put(const struct fixture *f, const struct snapshot *snapshot)
{
    put_record(f, KEY_WORKLOAD "w-new", &snapshot->workload);
    put_record(f, KEY_WORKLOAD_INPUT "w-new", &snapshot->input);
}

static void snapshot_done(struct snapshot *snapshot)
{
    buffer_done(&snapshot->workload);
    buffer_done(&snapshot->input);
}

static void come_between(struct fixture *f)
{
    snapshot_put(f, &later);
}

/* Each sets one value: whoever comes second must keep that of the first. */
static void test_of_two_updates_none_is_lost(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_(snapshot_done) struct snapshot before = {0};

    create(f);
    snapshot_take(f, &before);
    _unused_ _cleanup_answer_ struct answer other = confirmed(f, ",\"setEnvVars\":{\"C\":\"1\"}");
    snapshot_take(f, &later);
    snapshot_put(f, &before);
    f->meanwhile = come_between;
    f->commands = 0;
    _cleanup_answer_ struct answer answer = confirmed(f, ",\"setEnvVars\":{\"D\":\"1\"}");
    snapshot_done(&later);
    assert_int_equal(answer.status, 200);
    assert_int_equal(f->commands, 2);
    const Coffer__V1__UpdateWorkloadRequest *request = sent(f, arena);
    assert_string_equal(names_of(request, arena),
                        "env A,B,C,D files a.txt secret key.pem registries r.test");
    assert_string_equal(sealed_of(f, request, arena), "D=1 ");
}

/* Who asked to be told is told; who did not, only when it never ends. */
static void test_changed_meanwhile(_unused_ void **state)
{
    static const struct {
        const char *header;
        long status;
        const char *kind;
        unsigned tries;
    } rows[] = {
        {"If-Match: \"1-0-00000000\"", 412, "PRECONDITION_FAILED", 1},
        {"If-Match: *", 409, "CONFLICT", 30},
        {"X-Nothing: 1", 409, "CONFLICT", 30},
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    create(f);
    f->answer_code = ERROR_ABORTED;
    f->answer_reason = "if_match";
    f->answer_text = "changed meanwhile";
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        f->commands = 0;
        _cleanup_answer_ struct answer answer =
            http_call_header(f, "POST", UPDATE, rows[i].header,
                             "{\"workloadId\":\"w-new\",\"name\":\"x\",\"confirmDataLoss\":true}");
        assert_int_equal(answer.status, rows[i].status);
        assert_string_equal(answer_text(&answer, "kind"), rows[i].kind);
        assert_int_equal(f->commands, rows[i].tries);
    }
}

/* The scheduler is told which request it is, so that it does a repeat no second time: the answer of
 * the first was lost, and the VM that it made has data by now. */
static void test_a_repeat_is_known_as_one(_unused_ void **state)
{
    static const char secret[] = "{\"workloadId\":\"w-new\",\"setEnvVars\":{\"A\":\"1\"},"
                                 "\"confirmDataLoss\":true}";
    static const struct {
        const char *key;
        const char *body;
        bool same; /* as the first */
    } rows[] = {
        {"Idempotency-Key: k", secret, true},
        {"Idempotency-Key: k", secret, true},
        {"Idempotency-Key: other", secret, false},
        {"Idempotency-Key: k", "{\"workloadId\":\"w-new\",\"name\":\"x\",\"confirmDataLoss\":true}",
         false},
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    const char *first = NULL;

    create(f);
    f->answer_code = ERROR_UNAVAILABLE; /* nothing is kept, and the key is free again */
    f->answer_text = "no answer";
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_answer_ struct answer answer =
            http_call_header(f, "POST", UPDATE, rows[i].key, rows[i].body);
        assert_int_equal(answer.status, 503);
        const char *id = sent(f, arena)->request_id;
        first = first ?: id;
        assert_int_equal(strlen(id), 64);
        assert_int_equal(strcmp(id, first) == 0, rows[i].same);
    }
    _cleanup_answer_ struct answer without = http_post(f, UPDATE, secret);
    assert_int_equal(without.status, 503);
    assert_string_equal(sent(f, arena)->request_id, "");
}

static void test_what_is_not_ours_is_not_there(_unused_ void **state)
{
    static const char *const bodies[] = {"{\"workloadId\":\"none\",\"name\":\"x\"}",
                                         "{\"workloadId\":\"w-f\",\"name\":\"x\"}",
                                         "{\"workloadId\":\"../w\",\"name\":\"x\"}"};
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    put_workload(f, "w-f", "foreign", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    for (size_t i = 0; i < ELEMENTSOF(bodies); i++) {
        _cleanup_answer_ struct answer answer = http_post(f, UPDATE, bodies[i]);
        assert_int_equal(answer.status, 404);
        assert_string_equal(answer_text(&answer, "error"), "no such workload");
    }
    _cleanup_answer_ struct answer unnamed = http_post(f, UPDATE, "{\"name\":\"x\"}");
    assert_int_equal(unnamed.status, 400);
    _cleanup_answer_ struct answer names = http_get(f, "/api/v1/workloads/w-f/env");
    assert_int_equal(names.status, 404);
    assert_int_equal(f->commands, 0);
}

static void test_names_of_the_environment(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    create(f);
    _unused_ _cleanup_answer_ struct answer changed =
        confirmed(f, ",\"unsetEnvVars\":[\"A\"],\"setEnvVars\":{\"Z\":\"" CANARY "-z\"}");
    _cleanup_answer_ struct answer answer = http_get(f, "/api/v1/workloads/w-new/env");
    assert_int_equal(answer.status, 200);
    assert_string_equal(buffer_text(&answer.body), "{\"names\":[\"B\",\"Z\"]}");
    assert_false(holds(&f->all_payloads, CANARY));
}

/* What stays counts as well: one file more than there may be, half of them there already. */
static void test_limits_are_of_all_files(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_(json_decrefp) json_t *body =
        json_pack("{s:s, s:b, s:{}}", "workloadId", "w-new", "confirmDataLoss", 1, "files");

    create(f);
    for (int i = 0; i < MANIFEST_FILES_MAX; i++) {
        _cleanup_free_ char *path = xasprintf("f%d", i);
        json_object_set_new(json_object_get(body, "files"), path, json_string(""));
    }
    _cleanup_free_ char *text = json_dumps(body, 0);
    _cleanup_answer_ struct answer over = http_post(f, UPDATE, text);
    assert_int_equal(over.status, 400);
    assert_true(has_finding(&over, "files"));
    json_object_del(json_object_get(body, "files"), "f0");
    _cleanup_free_ char *less = json_dumps(body, 0);
    _cleanup_answer_ struct answer fits = http_post(f, UPDATE, less);
    assert_int_equal(fits.status, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_over_what_is_there),
        cmocka_unit_test(test_what_is_not_said_stays),
        cmocka_unit_test(test_domain_comes_and_goes),
        cmocka_unit_test(test_losing_data_is_to_be_confirmed),
        cmocka_unit_test(test_what_is_stopped_has_nothing_to_lose),
        cmocka_unit_test(test_nothing_new_is_no_boot),
        cmocka_unit_test(test_each_bad_field_is_named_and_nothing_is_sent),
        cmocka_unit_test(test_refusals_have_kinds),
        cmocka_unit_test(test_if_match_is_compared_and_passed_on),
        cmocka_unit_test(test_of_two_updates_none_is_lost),
        cmocka_unit_test(test_changed_meanwhile),
        cmocka_unit_test(test_a_repeat_is_known_as_one),
        cmocka_unit_test(test_what_is_not_ours_is_not_there),
        cmocka_unit_test(test_names_of_the_environment),
        cmocka_unit_test(test_limits_are_of_all_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
