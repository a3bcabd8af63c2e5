/* Updates: what the request says over what is there; only new secrets go on, and nothing is lost
 * without a word. */
#include "services/api-gateway/test_update_kit.h"

#include "shared/base/alloc.h"

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
        hello_create(f);
        _cleanup_answer_ struct answer answer = hello_update_confirmed(f, rows[i].fields);
        if (answer.status != 200)
            fail_msg("%s: %s", rows[i].fields, buffer_text(&answer.body));
        const Coffer__V1__UpdateWorkloadRequest *request = sent_update(f, arena);
        assert_string_equal(update_names(request, arena), rows[i].names);
        assert_string_equal(update_sealed(f, request, arena), rows[i].sealed);
        assert_string_equal(request->account_id, "dev");
    }
}

static void test_what_is_not_said_stays(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_(arena_freep) struct arena *arena = arena_new();

    hello_create(f);
    _cleanup_answer_ struct answer answer =
        hello_update_confirmed(f, ",\"name\":\"other\",\"reason\":\"why\"");
    const Coffer__V1__UpdateWorkloadRequest *request = sent_update(f, arena);
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

    hello_create(f);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_answer_ struct answer answer = hello_update_confirmed(f, rows[i].fields);
        assert_int_equal(answer.status, 200);
        const Coffer__V1__UpdateWorkloadRequest *request = sent_update(f, arena);
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
                                         ",\"setEnvVars\":{\"A\":\"" CANARY "-a\"}"};
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    hello_create(f);
    for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
        _cleanup_answer_ struct answer answer = hello_update(f, fields[i]);
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

    hello_create(f);
    put_workload(f, "w-new", "dev", COFFER__V1__WORKLOAD_STATUS__STOPPED);
    _cleanup_answer_ struct answer answer = hello_update(f, ",\"publicContainerPort\":81");
    assert_int_equal(answer.status, 200);
    assert_int_equal(f->commands, 2);
}

static void test_nothing_new_is_no_boot(_unused_ void **state)
{
    static const char *const fields[] = {"",
                                         ",\"name\":\"hello\"",
                                         ",\"files\":{\"a.txt\":\"aGVsbG8=\"}",
                                         ",\"domain\":null",
                                         ",\"publicContainerPort\":8080",
                                         ",\"artifactsVersion\":\"" TEST_IMAGE
                                         "\",\"confirmDataLoss\":true"};
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    hello_create(f);
    for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
        _cleanup_answer_ struct answer answer = hello_update(f, fields[i]);
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

    hello_create(f);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_answer_ struct answer answer = hello_update(f, rows[i].fields);
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

    hello_create(f);
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
    _cleanup_answer_ struct answer missing = hello_update(f, ",\"artifactsVersion\":\"9.9.9\"");
    assert_int_equal(missing.status, 400);
    assert_string_equal(answer_text(&missing, "kind"), "ARTIFACT_VERSION_DOES_NOT_EXIST");
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

    hello_create(f);
    _unused_ _cleanup_answer_ struct answer changed = hello_update_confirmed(
        f, ",\"unsetEnvVars\":[\"A\"],\"setEnvVars\":{\"Z\":\"" CANARY "-z\"}");
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

    hello_create(f);
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
        cmocka_unit_test(test_what_is_not_ours_is_not_there),
        cmocka_unit_test(test_names_of_the_environment),
        cmocka_unit_test(test_limits_are_of_all_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
