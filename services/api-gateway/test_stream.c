/* Server-sent events: history, then live; resumed exactly; one's own only. */
#include "services/api-gateway/test_fixture.h"

#include <pthread.h>

#include "schemas/guest.pb-c.h"
#include "shared/base/alloc.h"
#include "shared/store/keys.h"

enum { PATIENCE_S = 20 };

static size_t count(const struct buffer *seen, const char *text)
{
    size_t n = 0;

    for (const char *p = buffer_text(seen); (p = strstr(p, text)); p++)
        n++;
    return n;
}

static void test_history_comes_in_order_with_ids(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_buffer_ struct buffer seen = {0};

    (void)state;
    put_workload(f, "w-1", "dev", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    put_event(f, "w-1", "dev", 1, "created");
    put_event(f, "w-2", "other", 1, "created");
    put_event(f, "w-1", "dev", 2, "starting");
    put_event(f, "w-1", "dev", 3, "running");
    assert_true(
        http_stream_until(f, "/api/v1/workloads/w-1/events", NULL, "\"w-1.3\"", PATIENCE_S, &seen));
    assert_int_equal(count(&seen, "data: "), 3);
    const char *first = strstr(buffer_text(&seen), "id: 1\nevent: created\ndata: ");
    const char *third = strstr(buffer_text(&seen), "id: 4\nevent: running\ndata: ");
    assert_true(first && third && first < third);
    assert_null(strstr(buffer_text(&seen), "w-2"));
}

static void test_resumes_behind_the_last_event(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_buffer_ struct buffer seen = {0};

    (void)state;
    put_workload(f, "w-1", "dev", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    for (uint64_t i = 1; i <= 4; i++)
        put_event(f, "w-1", "dev", i, "stage");
    assert_true(
        http_stream_until(f, "/api/v1/workloads/w-1/events", "2", "\"w-1.4\"", PATIENCE_S, &seen));
    assert_int_equal(count(&seen, "data: "), 2);
    assert_non_null(strstr(buffer_text(&seen), "\"w-1.3\""));
}

static void test_bad_last_event_id(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    (void)state;
    put_workload(f, "w-1", "dev", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    _cleanup_answer_ struct answer answer =
        http_get(f, "/api/v1/workloads/w-1/events?lastEventId=1x");
    assert_int_equal(answer.status, 400);
    assert_int_equal(sse_hub_count(&f->gateway->streams), 0);
}

static void *publish_later(void *state)
{
    struct fixture *f = state;

    while (sse_hub_count(&f->gateway->streams) == 0)
        sched_yield();
    put_event(f, "w-9", "other", 1, "created");
    put_event(f, "w-1", "dev", 2, "running");
    return NULL;
}

static void test_live_events_of_the_own_account_only(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_buffer_ struct buffer seen = {0};
    pthread_t thread;

    (void)state;
    put_event(f, "w-1", "dev", 1, "created");
    assert_int_equal(pthread_create(&thread, NULL, publish_later, f), 0);
    assert_true(http_stream_until(f, "/api/v1/events", NULL, "\"w-1.2\"", PATIENCE_S, &seen));
    pthread_join(thread, NULL);
    assert_null(strstr(buffer_text(&seen), "w-9"));
    assert_int_equal(count(&seen, "data: "), 2);
}

static void test_events_list_is_oldest_first(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    (void)state;
    put_workload(f, "w-1", "dev", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    for (uint64_t i = 1; i <= 2; i++) {
        Coffer__V1__WorkloadEvent event = COFFER__V1__WORKLOAD_EVENT__INIT;
        uint8_t packed[256];
        event.workload_id = "w-1";
        event.sequence = i;
        event.kind = i == 1 ? "starting" : "error";
        event.message = "because";
        event.code = "pull_failed";
        size_t size = coffer__v1__workload_event__pack(&event, packed);
        assert_null(store_list_push(f->store, KEY_EVENTS_OF "w-1", packed, size, 10));
    }
    _cleanup_answer_ struct answer answer =
        http_post(f, "/api/v1/workload-events/list", "{\"workloadId\":\"w-1\"}");
    const json_t *events = json_object_get(answer.json, "events");
    const json_t *last = json_object_get(json_array_get(events, 1), "details");
    assert_int_equal(json_array_size(events), 2);
    assert_string_equal(json_string_value(json_object_get(last, "kind")), "error");
    assert_string_equal(json_string_value(json_object_get(last, "error")), "because");
    assert_string_equal(json_string_value(json_object_get(last, "code")), "pull_failed");
}

struct log_signer {
    struct bus_signer base;
    const struct sign_key *key;
    uint64_t counter;
};

static struct error *log_sign(struct bus_signer *base, const char *subject, const void *data,
                              size_t size, uint64_t *ret_counter, uint8_t ret_signature[64])
{
    struct log_signer *signer = (struct log_signer *)base;
    _cleanup_buffer_ struct buffer bytes = {0};

    *ret_counter = ++signer->counter;
    bus_signed_bytes(subject, *ret_counter, data, size, &bytes);
    return sign_bytes(signer->key, bytes.data, bytes.size, ret_signature);
}

static void put_log(const struct fixture *f, const struct sign_key *key, const char *source,
                    uint64_t boot_number, const char *text)
{
    struct log_signer signer = {.base = {log_sign}, .key = key};
    Coffer__V1__LogBatch batch = COFFER__V1__LOG_BATCH__INIT;
    Coffer__V1__LogLine line = COFFER__V1__LOG_LINE__INIT;
    Coffer__V1__LogLine *lines[] = {&line, &line};
    _cleanup_free_ char *subject = xasprintf("log.%s.w-1.%s", TEST_HOST, source);

    line.text = (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
    line.stream = "stdout";
    batch.source = (char *)source;
    batch.boot_number = boot_number;
    batch.lines = lines;
    batch.n_lines = 2;
    assert_null(bus_send(f->peer, subject, &batch.base, NULL, key ? &signer.base : NULL, 1000));
}

static void test_only_logs_of_the_attested_guest_are_shown(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_buffer_ struct buffer seen = {0};
    struct sign_key other;

    (void)state;
    assert_null(sign_key_generate(&other));
    put_workload(f, "w-1", "dev", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    put_log(f, &f->guest_key, "web", 1, "genuine");
    put_log(f, &other, "web", 1, "forged");
    put_log(f, &other, "web", 7, "of a boot that was not");
    put_log(f, NULL, "web", 1, "unsigned");
    put_log(f, &other, "web", 0, "of an earlier boot");
    put_log(f, &f->guest_key, "web", 1, "the end");
    assert_true(
        http_stream_until(f, "/api/v1/workloads/w-1/logs", NULL, "id: 6", PATIENCE_S, &seen));
    assert_int_equal(count(&seen, "\"genuine\""), 2);
    assert_null(strstr(buffer_text(&seen), "forged"));
    assert_null(strstr(buffer_text(&seen), "that was not"));
    assert_null(strstr(buffer_text(&seen), "unsigned"));
    assert_null(strstr(buffer_text(&seen), "earlier"));
    assert_int_equal(f->gateway->metrics.untrusted_logs, 3);
    assert_int_equal(count(&seen, "id: 1\n"), 1); /* with the last line of the batch */
}

static void test_earlier_boots_are_shown_marked_when_asked_for(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_buffer_ struct buffer seen = {0};

    (void)state;
    put_workload(f, "w-1", "dev", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    put_log(f, NULL, "web", 0, "of an earlier boot");
    put_log(f, &f->guest_key, "web", 1, "the end");
    assert_true(http_stream_until(f, "/api/v1/workloads/w-1/logs?unverified=true", NULL, "id: 2",
                                  PATIENCE_S, &seen));
    assert_non_null(strstr(buffer_text(&seen), "of an earlier boot"));
    assert_non_null(strstr(buffer_text(&seen), "\"verified\":false"));
}

static void test_logs_of_one_container(void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_buffer_ struct buffer seen = {0};

    (void)state;
    put_workload(f, "w-1", "dev", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    put_log(f, &f->guest_key, "db", 1, "of the database");
    put_log(f, &f->guest_key, "web", 1, "of the web");
    assert_true(http_stream_until(f, "/api/v1/workloads/w-1/logs?container=web", NULL, "id: 2",
                                  PATIENCE_S, &seen));
    assert_null(strstr(buffer_text(&seen), "of the database"));
    assert_int_equal(count(&seen, "of the web"), 2);
}

static void put_log_at(const struct fixture *f, int64_t at_ms, const char *text)
{
    struct log_signer signer = {.base = {log_sign}, .key = &f->guest_key};
    Coffer__V1__LogBatch batch = COFFER__V1__LOG_BATCH__INIT;
    Coffer__V1__LogLine line = COFFER__V1__LOG_LINE__INIT;
    Coffer__V1__LogLine *lines[] = {&line};

    line.text = (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
    line.at_ms = at_ms;
    batch.source = "web";
    batch.boot_number = 1;
    batch.lines = lines;
    batch.n_lines = 1;
    assert_null(
        bus_send(f->peer, "log." TEST_HOST ".w-1.web", &batch.base, NULL, &signer.base, 1000));
}

static void test_logs_since_a_time(void **state)
{
    static const char *const paths[] = {"?since=10m", "?since=600s", "?since=2023-11-14T22:03:20Z"};
    struct clock_fake clock;
    clock_fake_init(&clock, 1700000000000);
    _cleanup_(fixture_freep) struct fixture *f = fixture_new_with_clock(&clock.base);

    (void)state;
    put_workload(f, "w-1", "dev", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    put_log_at(f, 1700000000000 - 600001, "too old");
    put_log_at(f, 1700000000000 - 600000, "just in time");
    for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
        _cleanup_buffer_ struct buffer seen = {0};
        _cleanup_free_ char *path = xasprintf("/api/v1/workloads/w-1/logs%s", paths[i]);
        assert_true(http_stream_until(f, path, NULL, "just in time", PATIENCE_S, &seen));
        assert_null(strstr(buffer_text(&seen), "too old"));
    }
}

static void test_bad_since(void **state)
{
    static const char *const values[] = {
        "10",        "m", "10x", "-10m", "1.5h", "9999999s", "yesterday", "2023-02-30T00:00:00Z",
        "2023-01-01"};
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    (void)state;
    put_workload(f, "w-1", "dev", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    for (size_t i = 0; i < ELEMENTSOF(values); i++) {
        _cleanup_free_ char *path = xasprintf("/api/v1/workloads/w-1/logs?since=%s", values[i]);
        _cleanup_answer_ struct answer answer = http_get(f, path);
        if (answer.status != 400)
            fail_msg("%s: %ld", values[i], answer.status);
    }
    assert_int_equal(sse_hub_count(&f->gateway->streams), 0);
}

#define END "event: end\ndata: {}\n\n"

/* What was there when it was opened, exactly, and no silence to guess by. */
static void test_a_stream_until_now_ends(void **state)
{
    static const struct {
        const char *path;
        const char *last_id;
        const char *until;
        size_t entries;
    } rows[] = {
        {"/api/v1/workloads/w-1/events?until=now", NULL, "{\"sequence\":3}", 2},
        {"/api/v1/workloads/w-1/events?until=now", "1", "{\"sequence\":3}", 1},
        {"/api/v1/workloads/w-1/events?until=now", "3", "{\"sequence\":3}", 0},
        {"/api/v1/workloads/w-1/events?until=now", "999", "{\"sequence\":3}",
         2}, /* of another stream */
        {"/api/v1/events?until=now", NULL, "{\"sequence\":4}", 2},
        {"/api/v1/workloads/w-1/logs?until=now&since=10m", NULL, "{\"sequence\":2}", 0},
        {"/api/v1/workloads/w-1/logs?until=now", NULL, "{\"sequence\":2}", 2},
        {"/api/v1/workloads/w-1/logs?until=now&container=web", NULL, "{\"sequence\":2}", 2},
        {"/api/v1/workloads/w-1/logs?until=now&container=none", NULL, "{\"sequence\":2}", 0},
        {"/api/v1/workloads/w-3/events?until=now", NULL, "{\"sequence\":0}", 0},
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    (void)state;
    put_workload(f, "w-1", "dev", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    put_workload(f, "w-3", "dev", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    put_event(f, "w-1", "dev", 1, "created");
    put_event(f, "w-2", "other", 1, "created");
    put_event(f, "w-1", "dev", 2, "running");
    put_event(f, "w-2", "other", 2, "running");
    put_log(f, &f->guest_key, "web", 1, "a line");
    put_log(f, NULL, "web", 1, "unsigned");
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_buffer_ struct buffer seen = {0};
        _cleanup_free_ char *until = xasprintf("event: until\ndata: %s\n\n", rows[i].until);
        if (!http_stream_until(f, rows[i].path, rows[i].last_id, END, PATIENCE_S, &seen) ||
            !strstr(buffer_text(&seen), until) || count(&seen, "data: {\"") != rows[i].entries + 1)
            fail_msg("row %zu: %s", i, buffer_text(&seen));
        assert_string_equal(buffer_text(&seen) + seen.size - strlen(END), END);
    }
}

static void test_bad_until(void **state)
{
    static const char *const values[] = {"", "then", "1", "NOW"};
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(values); i++) {
        _cleanup_free_ char *path = xasprintf("/api/v1/events?until=%s", values[i]);
        _cleanup_answer_ struct answer answer = http_get(f, path);
        if (answer.status != 400)
            fail_msg("%s: %ld", values[i], answer.status);
    }
    assert_int_equal(sse_hub_count(&f->gateway->streams), 0);
}

static void *follow_until_the_end(void *state)
{
    _cleanup_buffer_ struct buffer seen = {0};

    (void)http_stream_until(state, "/api/v1/events", NULL, "never", PATIENCE_S, &seen);
    return NULL;
}

static void test_stopping_ends_streams(void **state)
{
    struct fixture *f = fixture_new();
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, follow_until_the_end, f), 0);
    while (sse_hub_count(&f->gateway->streams) == 0)
        sched_yield();
    sse_hub_stop(&f->gateway->streams);
    pthread_join(thread, NULL);
    fixture_free(f);
}

static void test_streams_of_one_account_are_limited(void **state)
{
    struct limits limits;

    (void)state;
    limits_init(&limits);
    for (int i = 0; i < 32; i++)
        assert_null(limits_enter(&limits, "a", LIMIT_STREAMS));
    _cleanup_(error_freep) struct error *err = limits_enter(&limits, "a", LIMIT_STREAMS);
    assert_int_equal(error_get_code(err), ERROR_RESOURCE_EXHAUSTED);
    assert_null(limits_enter(&limits, "b", LIMIT_STREAMS));
    limits_leave(&limits, "a", LIMIT_STREAMS);
    assert_null(limits_enter(&limits, "a", LIMIT_STREAMS));
    limits_leave(&limits, "b", LIMIT_STREAMS);
    limits_done(&limits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_history_comes_in_order_with_ids),
        cmocka_unit_test(test_resumes_behind_the_last_event),
        cmocka_unit_test(test_bad_last_event_id),
        cmocka_unit_test(test_live_events_of_the_own_account_only),
        cmocka_unit_test(test_events_list_is_oldest_first),
        cmocka_unit_test(test_only_logs_of_the_attested_guest_are_shown),
        cmocka_unit_test(test_earlier_boots_are_shown_marked_when_asked_for),
        cmocka_unit_test(test_logs_of_one_container),
        cmocka_unit_test(test_logs_since_a_time),
        cmocka_unit_test(test_bad_since),
        cmocka_unit_test(test_a_stream_until_now_ends),
        cmocka_unit_test(test_bad_until),
        cmocka_unit_test(test_stopping_ends_streams),
        cmocka_unit_test(test_streams_of_one_account_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
