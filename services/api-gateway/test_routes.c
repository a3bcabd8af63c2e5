/* Paths, methods, keys, accounts, and reading. */
#include "services/api-gateway/test_fixture.h"

#include "shared/base/alloc.h"
#include "shared/store/keys.h"

static void test_health_needs_no_key(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_answer_ struct answer answer = http_call(f, "GET", "/health", NULL, NULL);

    (void)state;
    assert_int_equal(answer.status, 200);
    assert_string_equal(buffer_text(&answer.body), "OK");
}

static void test_every_account_route_refuses_without_a_valid_key(void **state)
{
    static const char *const keys[] = {NULL, "", "wrong", "wrong-key-wrong-key-wrong-key",
                                       TEST_KEY "x"};
    static const struct {
        const char *method;
        const char *path;
    } routes[] = {
        {"POST", "/api/v1/workloads/create"},
        {"GET", "/api/v1/workloads/list"},
        {"GET", "/api/v1/workloads/w-1"},
        {"POST", "/api/v1/workloads/delete"},
        {"GET", "/api/v1/events"},
        {"GET", "/api/v1/workloads/w-1/logs"},
        {"GET", "/api/v1/workloads/w-1/manifest"},
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    (void)state;
    put_workload(f, TEST_WORKLOAD, "dev", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    for (size_t i = 0; i < ELEMENTSOF(routes); i++)
        for (size_t k = 0; k < ELEMENTSOF(keys); k++) {
            _cleanup_answer_ struct answer answer =
                http_call(f, routes[i].method, routes[i].path, keys[k],
                          *routes[i].method == 'P' ? "{}" : NULL);
            assert_int_equal(answer.status, 401);
            assert_string_equal(answer_text(&answer, "kind"), "UNAUTHORIZED");
            assert_int_not_equal(*answer_text(&answer, "ts"), 0);
        }
    assert_int_equal(f->commands, 0);
}

static void test_key_is_stored_as_its_hash_only(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_answer_ struct answer answer = http_get(f, "/api/v1/workloads/list");
    uint8_t digest[32];
    char hex[65];
    struct store_record record;

    (void)state;
    assert_int_equal(answer.status, 200);
    sha256(TEST_KEY, strlen(TEST_KEY), digest);
    hex_encode(digest, 32, hex);
    assert_null(store_get(f->store, arena_printf(arena, "%s%s", KEY_API_KEY, hex), arena, &record));
    assert_true(record.version > 0);
    assert_null(memmem(record.value.data, record.value.len, TEST_KEY, strlen(TEST_KEY)));
    assert_null(store_get(f->store, KEY_API_KEY TEST_KEY, arena, &record));
    assert_int_equal(record.version, 0);
}

static void test_a_key_that_was_switched_off_is_refused(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    static const char off[] = "{\"account\":\"dev\",\"active\":false}";
    const struct store_write write = {.key = KEY_ACCOUNT "dev",
                                      .expected_version = UINT64_MAX,
                                      .value = {sizeof(off) - 1, (uint8_t *)off}};
    const struct store_change change = {.writes = &write, .n_writes = 1};
    _cleanup_answer_ struct answer before = http_get(f, "/api/v1/workloads/list");

    (void)state;
    assert_int_equal(before.status, 200);
    assert_null(store_commit(f->store, &change));
    _cleanup_answer_ struct answer after = http_get(f, "/api/v1/workloads/list");
    assert_int_equal(after.status, 401);
}

static void test_unknown_paths_and_methods(void **state)
{
    static const struct {
        const char *method;
        const char *path;
        long status;
    } rows[] = {
        {"GET", "/", 404},
        {"GET", "/api/v1/nothing", 404},
        {"GET", "/api/v1/workloads/w-1/nothing", 404},
        {"GET", "/api/v1/workloads/", 404},
        {"GET", "/api/v1/workloads/a/b/c", 404},
        {"POST", "/health", 405},
        {"DELETE", "/api/v1/workloads/list", 405},
        {"GET", "/api/v1/images/nothing", 404},
        {"GET", "/api/v1/images/..%2f..%2fetc%2fpasswd", 404},
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_answer_ struct answer answer =
            http_call(f, rows[i].method, rows[i].path, TEST_KEY, NULL);
        if (answer.status != rows[i].status)
            fail_msg("%s %s: %ld", rows[i].method, rows[i].path, answer.status);
        assert_int_not_equal(*answer_text(&answer, "kind"), 0);
    }
}

static void test_foreign_workloads_do_not_exist(void **state)
{
    static const char *const verbs[] = {"delete", "start", "stop", "restart", "logs", "stats"};
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    (void)state;
    put_workload(f, "theirs", "other", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
        _cleanup_free_ char *path = xasprintf("/api/v1/workloads/%s", verbs[i]);
        _cleanup_answer_ struct answer answer = http_post(f, path, "{\"workloadId\":\"theirs\"}");
        assert_int_equal(answer.status, 404);
        _cleanup_answer_ struct answer missing = http_post(f, path, "{\"workloadId\":\"nobodys\"}");
        assert_int_equal(missing.status, 404);
        assert_string_equal(answer_text(&answer, "error"), answer_text(&missing, "error"));
    }
    static const char *const paths[] = {"", "/manifest", "/events", "/logs"};
    for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
        _cleanup_free_ char *path = xasprintf("/api/v1/workloads/theirs%s", paths[i]);
        _cleanup_answer_ struct answer answer = http_get(f, path);
        assert_int_equal(answer.status, 404);
    }
    _cleanup_answer_ struct answer list = http_get(f, "/api/v1/workloads/list");
    assert_int_equal(json_array_size(list.json), 0);
    assert_int_equal(f->commands, 0);
}

static void test_list_and_get(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    (void)state;
    put_workload(f, "w-1", "dev", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    put_workload(f, "w-2", "dev", COFFER__V1__WORKLOAD_STATUS__AWAITING_CERT);
    put_workload(f, "w-3", "dev", COFFER__V1__WORKLOAD_STATUS__DELETED);
    _cleanup_answer_ struct answer list = http_get(f, "/api/v1/workloads/list");
    assert_int_equal(json_array_size(list.json), 2);
    _cleanup_answer_ struct answer got = http_get(f, "/api/v1/workloads/w-2");
    assert_int_equal(got.status, 200);
    assert_string_equal(answer_text(&got, "workloadId"), "w-2");
    assert_string_equal(answer_text(&got, "status"), "awaitingCert");
    assert_string_equal(answer_text(&got, "hostId"), TEST_HOST);
    assert_string_equal(answer_text(&got, "ingressAddress"), "192.0.2.7");
    assert_string_equal(answer_text(&got, "createdAt"), "2023-11-14T22:13:20.123Z");
    assert_non_null(strstr(buffer_text(&got.headers), "Cache-Control: no-store"));
}

static void test_verbs_reach_the_scheduler_with_the_account(void **state)
{
    static const char *const verbs[] = {"delete", "start", "stop"};
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    (void)state;
    put_workload(f, "w-1", "dev", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
        _cleanup_free_ char *path = xasprintf("/api/v1/workloads/%s", verbs[i]);
        _cleanup_free_ char *subject = xasprintf("svc.scheduler.workload.%s", verbs[i]);
        _cleanup_answer_ struct answer answer = http_post(f, path, "{\"workloadId\":\"w-1\"}");
        assert_int_equal(answer.status, 200);
        assert_string_equal(answer_text(&answer, "status"), "stopping");
        assert_string_equal(f->last_subject, subject);
        assert_non_null(memmem(f->last_payload.data, f->last_payload.size, "dev", 3));
    }
}

static void test_bad_bodies(void **state)
{
    static const char *const bodies[] = {"",
                                         "{",
                                         "[]",
                                         "null",
                                         "{\"workloadId\":1}",
                                         "{}",
                                         "{\"workloadId\":\"a\",\"workloadId\":\"b\"}",
                                         "\xff"};
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(bodies); i++) {
        _cleanup_answer_ struct answer answer = http_post(f, "/api/v1/workloads/stop", bodies[i]);
        assert_int_equal(answer.status, 400);
    }
    assert_int_equal(f->commands, 0);
}

static void test_a_body_that_is_too_large(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_free_ char *body = xcalloc(1, 200 * 1024);

    (void)state;
    memset(body, ' ', 200 * 1024 - 1);
    _cleanup_answer_ struct answer answer = http_post(f, "/api/v1/workloads/stop", body);
    assert_int_equal(answer.status, 413);
    assert_string_equal(answer_text(&answer, "kind"), "PAYLOAD_TOO_LARGE");
}

static void test_errors_of_the_scheduler_become_status_and_kind(void **state)
{
    static const struct {
        enum error_code code;
        long status;
        const char *kind;
        const char *text; /* what the caller sees */
    } rows[] = {
        {ERROR_NOT_FOUND, 404, "NOT_FOUND", "told"},
        {ERROR_FAILED_PRECONDITION, 412, "FAILED_PRECONDITION", "told"},
        {ERROR_ABORTED, 409, "CONFLICT", "somebody else changed this"},
        {ERROR_UNAVAILABLE, 503, "UNAVAILABLE", "the scheduler does not answer"},
        {ERROR_DEADLINE_EXCEEDED, 504, "DEADLINE_EXCEEDED", "the scheduler does not answer"},
        {ERROR_RESOURCE_EXHAUSTED, 503, "UNAVAILABLE", "too much for the fleet"},
        {ERROR_INVALID_ARGUMENT, 400, "INVALID_PAYLOAD", "told"},
        {ERROR_INTERNAL, 500, "INTERNAL", "internal error"},
        {ERROR_DATA_LOSS, 500, "INTERNAL", "internal error"}, /* nobody lied: it is ours */
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    (void)state;
    put_workload(f, "w-1", "dev", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    f->answer_text = "told";
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        f->answer_code = rows[i].code;
        _cleanup_answer_ struct answer answer =
            http_post(f, "/api/v1/workloads/start", "{\"workloadId\":\"w-1\"}");
        assert_int_equal(answer.status, rows[i].status);
        assert_string_equal(answer_text(&answer, "kind"), rows[i].kind);
        assert_non_null(strstr(answer_text(&answer, "error"), rows[i].text));
    }
}

static void test_fleet_facts(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_answer_ struct answer fleet = http_call(f, "GET", "/api/v1/fleet", NULL, NULL);
    _cleanup_answer_ struct answer image =
        http_call(f, "GET", "/api/v1/images/" TEST_IMAGE, NULL, NULL);

    (void)state;
    assert_int_equal(fleet.status, 200);
    assert_string_equal(answer_text(&fleet, "workloadDomain"), "w.coffer.test");
    const json_t *images = json_object_get(fleet.json, "images");
    assert_int_equal(json_array_size(images), 1);
    assert_string_equal(json_string_value(json_array_get(images, 0)), TEST_IMAGE);
    const json_t *acme = json_object_get(fleet.json, "acme");
    assert_string_equal(json_string_value(json_object_get(acme, "directory")),
                        "https://acme.coffer.test/dir");
    assert_int_equal(image.status, 200);
    assert_string_equal(buffer_text(&image.body), "{\"version\":\"" TEST_IMAGE "\"}");
}

static void test_second_port_has_metrics_and_readiness(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_free_ char *base =
        xasprintf("http://127.0.0.1:%u", http_server_port(f->gateway->metrics_http));
    _cleanup_free_ char *ready = xasprintf("%s/readyz", base);
    _cleanup_free_ char *metrics = xasprintf("%s/metrics", base);
    index_add(f, KEY_LEAVING_NAMES, "w1.w.coffer.test");
    _unused_ _cleanup_answer_ struct answer list = http_get(f, "/api/v1/workloads/list");
    _cleanup_answer_ struct answer is_ready = http_call(f, "GET", ready, NULL, NULL);
    _cleanup_answer_ struct answer text = http_call(f, "GET", metrics, NULL, NULL);
    _cleanup_answer_ struct answer outside = http_get(f, "/metrics");

    (void)state;
    assert_int_equal(is_ready.status, 200);
    assert_non_null(strstr(buffer_text(&text.body),
                           "coffer_gateway_requests_total{route=\"/api/v1/workloads/list\","
                           "class=\"2xx\"} 1"));
    assert_non_null(strstr(buffer_text(&text.body), "coffer_gateway_bus_up 1"));
    assert_non_null(strstr(buffer_text(&text.body), "coffer_gateway_names_leaving 1"));
    assert_int_equal(outside.status, 404);
}

static void test_json_text_replaces_what_is_not_utf8(void **state)
{
    static const struct {
        const char *in;
        size_t size;
        const char *out;
    } rows[] = {
        {"a\xc3\xa9", 3, "a\xc3\xa9"},
        {"\xff", 1, "\xef\xbf\xbd"},
        {"a\0b", 3,
         "a\xef\xbf\xbd"
         "b"},
        {"\xc0\x80", 2, "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xe2\x82", 2, "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf0\x9f\x98\x80\xe2\x82", 6, "\xf0\x9f\x98\x80\xef\xbf\xbd\xef\xbf\xbd"},
        {"", 0, ""},
        {NULL, 0, ""},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(json_decrefp) json_t *json = json_text(rows[i].in, rows[i].size);
        assert_string_equal(json_string_value(json), rows[i].out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_health_needs_no_key),
        cmocka_unit_test(test_every_account_route_refuses_without_a_valid_key),
        cmocka_unit_test(test_key_is_stored_as_its_hash_only),
        cmocka_unit_test(test_a_key_that_was_switched_off_is_refused),
        cmocka_unit_test(test_unknown_paths_and_methods),
        cmocka_unit_test(test_foreign_workloads_do_not_exist),
        cmocka_unit_test(test_list_and_get),
        cmocka_unit_test(test_verbs_reach_the_scheduler_with_the_account),
        cmocka_unit_test(test_bad_bodies),
        cmocka_unit_test(test_a_body_that_is_too_large),
        cmocka_unit_test(test_errors_of_the_scheduler_become_status_and_kind),
        cmocka_unit_test(test_fleet_facts),
        cmocka_unit_test(test_second_port_has_metrics_and_readiness),
        cmocka_unit_test(test_json_text_replaces_what_is_not_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
