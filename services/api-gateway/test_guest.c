/* Questions to guests are signed, and only answers of the attested key count. */
#include "services/api-gateway/test_fake_guest.h"

#include "schemas/guest.pb-c.h"
#include "services/api-gateway/guest_call.h"
#include "shared/base/alloc.h"

#define ASK "{\"workloadId\":\"" TEST_WORKLOAD "\"}"

static void test_stats(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    struct guest guest;

    (void)state;
    guest_start(f, &guest, "dev");
    _cleanup_answer_ struct answer answer = http_post(f, "/api/v1/workloads/stats", ASK);
    assert_int_equal(answer.status, 200);
    assert_true(guest.question_was_signed);
    const json_t *memory = json_object_get(answer.json, "memory");
    assert_int_equal(json_integer_value(json_object_get(memory, "total")), 4096);
    assert_non_null(strstr(buffer_text(&answer.body), "\"usage\":12.5"));
    _unused_ _cleanup_answer_ struct answer again = http_post(f, "/api/v1/workloads/stats", ASK);
    assert_true(guest.question_was_signed); /* and its counter is higher */
}

static void test_containers(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    struct guest guest;

    (void)state;
    guest_start(f, &guest, "dev");
    _cleanup_answer_ struct answer answer = http_post(f, "/api/v1/workload-containers/list", ASK);
    assert_int_equal(answer.status, 200);
    const json_t *first = json_array_get(answer.json, 0);
    assert_string_equal(json_string_value(json_array_get(json_object_get(first, "names"), 0)),
                        "cvm-web-1");
    assert_string_equal(json_string_value(json_object_get(first, "state")), "running");
}

static void test_logs_and_their_options(void **state)
{
    static const struct {
        const char *path;
        const char *body;
        const char *asked; /* NULL: refused */
    } rows[] = {
        {"workloads/logs", ASK, "guest-agent//0/1000"},
        {"workloads/logs",
         "{\"workloadId\":\"w-1\",\"source\":\"cvm-agent\",\"tail\":true,\"maxLines\":5}",
         "guest-agent//1/5"},
        {"workloads/logs", "{\"workloadId\":\"w-1\",\"source\":\"/etc/passwd\"}", NULL},
        {"workloads/logs", "{\"workloadId\":\"w-1\",\"maxLines\":1001}", NULL},
        {"workloads/logs", "{\"workloadId\":\"w-1\",\"tail\":\"yes\"}", NULL},
        {"workload-containers/logs",
         "{\"workloadId\":\"w-1\",\"container\":\"web\",\"stream\":\"stderr\"}",
         "web/stderr/0/1000"},
        {"workload-containers/logs", ASK, NULL},
        {"workload-containers/logs",
         "{\"workloadId\":\"w-1\",\"container\":\"web\",\"stream\":\"both\"}", NULL},
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    struct guest guest;

    (void)state;
    guest_start(f, &guest, "dev");
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *path = xasprintf("/api/v1/%s", rows[i].path);
        _cleanup_answer_ struct answer answer = http_post(f, path, rows[i].body);
        assert_int_equal(answer.status, rows[i].asked ? 200 : 400);
        if (rows[i].asked)
            assert_string_equal(guest.source, rows[i].asked);
    }
}

static void test_log_lines_that_are_not_utf8_are_shown_nevertheless(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    struct guest guest;

    (void)state;
    guest_start(f, &guest, "dev");
    _cleanup_answer_ struct answer answer = http_post(f, "/api/v1/workloads/logs", ASK);
    const json_t *lines = json_object_get(answer.json, "lines");
    assert_string_equal(json_string_value(json_array_get(lines, 0)),
                        "a\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd");
}

static void test_an_answer_of_another_key_is_refused_and_counted(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    struct sign_key other;
    struct guest guest;

    (void)state;
    guest_start(f, &guest, "dev");
    assert_null(sign_key_generate(&other));
    guest.key = &other;
    _cleanup_answer_ struct answer forged = http_post(f, "/api/v1/workloads/stats", ASK);
    assert_int_equal(forged.status, 502);
    assert_string_equal(answer_text(&forged, "kind"), "UNTRUSTED_ANSWER");
    assert_null(json_object_get(forged.json, "memory"));
    guest.key = NULL;
    _cleanup_answer_ struct answer bare = http_post(f, "/api/v1/workloads/stats", ASK);
    assert_int_equal(bare.status, 502);
    assert_int_equal(f->gateway->metrics.untrusted_answers, 2);
}

static void test_a_question_out_of_order_is_asked_again(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    struct guest guest;

    (void)state;
    guest_start(f, &guest, "dev");
    guest.refuse = 2;
    _cleanup_answer_ struct answer answer = http_post(f, "/api/v1/workloads/stats", ASK);
    assert_int_equal(answer.status, 200);
    assert_int_equal(guest.asked, 3);
    guest.refuse = 100;
    _cleanup_answer_ struct answer never = http_post(f, "/api/v1/workloads/stats", ASK);
    assert_int_equal(never.status, 503);
}

static void test_a_guest_that_is_not_attested_is_not_asked(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    struct guest guest;

    (void)state;
    guest_start(f, &guest, "dev");
    _cleanup_(json_decrefp) json_t *body =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i}", "workloadId", TEST_WORKLOAD,
                  "name", "x", "artifactsVersion", TEST_IMAGE, "dockerCompose",
                  "services: {web: {image: a}}", "publicContainerName", "web",
                  "publicContainerPort", 80, "memory", 1024, "cpus", 1, "disk", 10);
    _cleanup_free_ char *text = json_dumps(body, 0);
    _cleanup_answer_ struct answer created = http_post(f, "/api/v1/workloads/create", text);
    assert_int_equal(created.status, 200); /* its record has no guest key */
    _cleanup_answer_ struct answer answer = http_post(f, "/api/v1/workloads/stats", ASK);
    assert_int_equal(answer.status, 412);
    assert_int_equal(guest.asked, 0);
}

static void test_counters_rise_though_the_clock_stands(void **state)
{
    struct clock_fake clock;
    struct guest_signer signer = {.clock = &clock.base, .lock = PTHREAD_MUTEX_INITIALIZER};
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_free_ char *path = xasprintf("%s/gateway/sign.key", f->dir);
    uint8_t signature[64];
    uint64_t last = 0;

    (void)state;
    clock_fake_init(&clock, 1700000000000);
    assert_null(guest_signer_init(&signer, path, &clock.base));
    for (int i = 0; i < 5; i++) {
        uint64_t counter;
        assert_null(signer.base.sign(&signer.base, "a", "b", 1, &counter, signature));
        assert_true(counter > last && counter >= 1700000000000000);
        last = counter;
        clock_fake_advance(&clock, i == 2 ? -5000 : 0);
    }
    guest_signer_done(&signer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stats),
        cmocka_unit_test(test_containers),
        cmocka_unit_test(test_logs_and_their_options),
        cmocka_unit_test(test_log_lines_that_are_not_utf8_are_shown_nevertheless),
        cmocka_unit_test(test_an_answer_of_another_key_is_refused_and_counted),
        cmocka_unit_test(test_a_question_out_of_order_is_asked_again),
        cmocka_unit_test(test_a_guest_that_is_not_attested_is_not_asked),
        cmocka_unit_test(test_counters_rise_though_the_clock_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
