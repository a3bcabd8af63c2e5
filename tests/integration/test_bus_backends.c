/* One contract for every backend of the bus: messages, requests and their answers. */
#include "tests/integration/test_bus_kit.h"

#include "schemas/guest.pb-c.h"
#include "shared/base/alloc.h"
#include "shared/base/buffer.h"
#include "shared/base/clock.h"
#include "shared/base/log.h"

static void test_published_messages_arrive_in_order_and_typed(void **state)
{
    const struct bus_fixture *fixture = *state;
    struct seen seen = SEEN_INIT;
    struct bus_subscription *subscription = NULL;

    check(bus_subscribe(fixture->server_side, &heartbeat_row, "hb.host.*", &seen, &subscription));
    check(bus_drain(fixture->server_side, WAIT_MS));
    for (uint64_t i = 0; i < 100; i++)
        send_heartbeat(fixture->client, i % 2 ? "hb.host.h1" : "hb.host.h2", i);
    send_heartbeat(fixture->client, "hb.guest.h1", 1000); /* not subscribed */
    seen_wait(&seen, 100);
    bus_unsubscribe(subscription);
    for (uint64_t i = 0; i < 100; i++) {
        assert_int_equal(seen.numbers[i], i);
        assert_string_equal(seen.subjects[i], i % 2 ? "hb.host.h1" : "hb.host.h2");
    }
    send_heartbeat(fixture->client, "hb.host.h1", 7);
    check(bus_drain(fixture->client, WAIT_MS));
    check(bus_drain(fixture->server_side, WAIT_MS));
    assert_int_equal(seen.count, 100);
}

static void test_a_queue_group_shares_the_messages(void **state)
{
    const struct bus_fixture *fixture = *state;
    struct seen seen = SEEN_INIT;
    struct bus_subscription *first = NULL;
    struct bus_subscription *second = NULL;

    check(bus_subscribe(fixture->server_side, &queue_row, "hb.host.*", &seen, &first));
    check(bus_subscribe(fixture->client, &queue_row, "hb.host.*", &seen, &second));
    check(bus_drain(fixture->server_side, WAIT_MS));
    check(bus_drain(fixture->client, WAIT_MS));
    for (uint64_t i = 0; i < 50; i++)
        send_heartbeat(fixture->client, "hb.host.h1", i);
    seen_wait(&seen, 50);
    check(bus_drain(fixture->client, WAIT_MS));
    check(bus_drain(fixture->server_side, WAIT_MS));
    bus_unsubscribe(first);
    bus_unsubscribe(second);
    assert_int_equal(seen.count, 50);
}

static void test_a_request_is_answered_with_its_request_id(void **state)
{
    const struct bus_fixture *fixture = *state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct seen seen = SEEN_INIT;
    struct bus_subscription *subscription = NULL;
    Coffer__V1__WorkloadReply *reply = NULL;

    check(bus_subscribe(fixture->server_side, &workload_row, workload_row.subject, &seen,
                        &subscription));
    for (int i = 0; i < 20; i++) {
        check(call_workload(fixture->client, "w1", arena, &reply, NULL));
        assert_string_equal(reply->workload->workload_id, "w1");
        assert_string_equal(reply->workload->status_reason, "r-1");
    }
    bus_unsubscribe(subscription);
}

static void test_errors_keep_their_code_and_hide_internals(void **state)
{
    static const struct {
        const char *id;
        enum error_code code;
        const char *text;
        const char *reason;
    } cases[] = {
        {"missing", ERROR_NOT_FOUND, "no workload 'missing'  second line", "gone  long ago"},
        {"broken", ERROR_INTERNAL, "internal error", ""},
        {"busy", ERROR_UNAVAILABLE, "not the leader", ""},
    };
    const struct bus_fixture *fixture = *state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct seen seen = SEEN_INIT;
    struct bus_subscription *subscription = NULL;
    Coffer__V1__WorkloadReply *reply = NULL;

    check(bus_subscribe(fixture->server_side, &workload_row, workload_row.subject, &seen,
                        &subscription));
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        struct error *err = call_workload(fixture->client, cases[i].id, arena, &reply, NULL);
        assert_int_equal(error_get_code(err), cases[i].code);
        assert_string_equal(error_text(err), cases[i].text);
        assert_string_equal(error_reason(err), cases[i].reason);
        error_free(err);
    }
    bus_unsubscribe(subscription);
    assert_int_equal(seen.count, ELEMENTSOF(cases)); /* the peer's UNAVAILABLE is not retried */
}

static void test_malformed_requests_never_reach_the_handler(void **state)
{
    static const struct {
        const char *data;
        const char *type;
    } cases[] = {
        {"\x0a\x7f", NULL},                             /* length beyond the end */
        {"\x0a\x02\xc3\x28", NULL},                     /* text that is not UTF-8 */
        {"\x0a\x01w", "coffer.v1.StartVmRequest"},      /* another type */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff", NULL}, /* no tag */
    };
    const struct bus_fixture *fixture = *state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct seen seen = SEEN_INIT;
    struct bus_subscription *subscription = NULL;

    check(bus_subscribe(fixture->server_side, &workload_row, workload_row.subject, &seen,
                        &subscription));
    check(bus_drain(fixture->server_side, WAIT_MS));
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        const struct bus_message message = {.subject = workload_row.subject,
                                            .data = cases[i].data,
                                            .size = strlen(cases[i].data),
                                            .type = cases[i].type};
        struct bus_message reply = {0};
        expect_code(bus_request(fixture->client, &message, WAIT_MS, arena, &reply),
                    ERROR_INVALID_ARGUMENT);
    }
    bus_unsubscribe(subscription);
    assert_int_equal(seen.count, 0);
}

static struct error *on_answer(void *state, struct bus_call *call)
{
    seen_note(state, call->message, 0);
    return NULL;
}

static void test_an_answer_goes_to_an_inbox_and_nowhere_else(void **state)
{
    static const struct bus_handler victim_row = {"evt.>", &coffer__v1__workload_reply__descriptor,
                                                  NULL, on_answer, NULL};
    const struct bus_fixture *fixture = *state;
    const Coffer__V1__WorkloadReply marker = COFFER__V1__WORKLOAD_REPLY__INIT;
    struct seen seen = SEEN_INIT;
    struct seen heard = SEEN_INIT;
    struct bus_subscription *service = NULL;
    struct bus_subscription *victim = NULL;
    struct bus_message message = {.subject = workload_row.subject, .reply_to = "evt.victim"};

    check(
        bus_subscribe(fixture->server_side, &workload_row, workload_row.subject, &seen, &service));
    check(bus_subscribe(fixture->server_side, &victim_row, "evt.>", &heard, &victim));
    check(bus_drain(fixture->server_side, WAIT_MS));
    check(bus_publish(fixture->client, &message));
    seen_wait(&seen, 1);
    check(bus_drain(fixture->server_side, WAIT_MS));
    check(bus_send(fixture->client, "evt.marker", &marker.base, NULL, NULL, 0));
    seen_wait(&heard, 1);
    bus_unsubscribe(service);
    bus_unsubscribe(victim);
    assert_int_equal(heard.count, 1);
    assert_string_equal(heard.subjects[0], "evt.marker");
}

static void test_nobody_there_is_unavailable_within_the_deadline(void **state)
{
    const struct bus_fixture *fixture = *state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    const struct bus_message message = {.subject = "svc.scheduler.workload.stop"};
    Coffer__V1__WorkloadRequest request = COFFER__V1__WORKLOAD_REQUEST__INIT;
    struct bus_message reply = {0};
    void *out = NULL;

    expect_code(bus_request(fixture->client, &message, WAIT_MS, arena, &reply), ERROR_UNAVAILABLE);
    int64_t before = clock_monotonic_ms(clock_system());
    expect_code(bus_call(fixture->client, "svc.scheduler.workload.stop", &request.base,
                         &coffer__v1__workload_reply__descriptor, NULL, NULL, 300, arena, &out,
                         NULL),
                ERROR_UNAVAILABLE);
    assert_true(clock_monotonic_ms(clock_system()) - before < WAIT_MS);
}

struct late_subscriber {
    const struct bus_fixture *fixture;
    struct seen *seen;
    struct bus_subscription *subscription;
};

static void *subscribe_late(void *data)
{
    struct late_subscriber *late = data;
    const struct timespec pause = {.tv_nsec = 150000000};

    nanosleep(&pause, NULL);
    expect_no_error(bus_subscribe(late->fixture->server_side, &workload_row, workload_row.subject,
                                  late->seen, &late->subscription));
    return NULL;
}

static void test_a_call_waits_for_a_service_that_comes_later(void **state)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct seen seen = SEEN_INIT;
    struct late_subscriber late = {.fixture = *state, .seen = &seen};
    Coffer__V1__WorkloadReply *reply = NULL;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, subscribe_late, &late), 0);
    check(call_workload(late.fixture->client, "w1", arena, &reply, NULL));
    pthread_join(thread, NULL);
    assert_no_findings();
    bus_unsubscribe(late.subscription);
}

/* A signer whose signature shows what it was given. */
static struct error *fake_sign(struct bus_signer *signer, const char *subject, const void *data,
                               size_t size, uint64_t *ret_counter, uint8_t ret_signature[64])
{
    _cleanup_buffer_ struct buffer bytes = {0};

    (void)signer;
    *ret_counter = 42;
    bus_signed_bytes(subject, *ret_counter, data, size, &bytes);
    memset(ret_signature, 0, 64);
    for (size_t i = 0; i < bytes.size; i++)
        ret_signature[i % 64] ^= bytes.data[i];
    return NULL;
}

static struct error *on_signed(void *state, struct bus_call *call)
{
    struct seen *seen = state;

    expect_that(call->message->signature && strlen(call->message->signature) == 88);
    seen_note(seen, call->message, call->message->counter);
    return NULL;
}

static void test_signatures_and_counters_travel(void **state)
{
    static const struct bus_handler row = {
        "stat.guest.h1.w1", &coffer__v1__guest_sample__descriptor, NULL, on_signed, NULL};
    const struct bus_fixture *fixture = *state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct bus_signer signer = {fake_sign};
    struct seen seen = SEEN_INIT;
    struct bus_subscription *subscriptions[2] = {0};
    Coffer__V1__GuestSample sample = COFFER__V1__GUEST_SAMPLE__INIT;
    Coffer__V1__WorkloadReply *reply = NULL;
    struct bus_message message = {0};

    seen.signer = &signer;
    check(bus_subscribe(fixture->server_side, &row, row.subject, &seen, &subscriptions[0]));
    check(bus_drain(fixture->server_side, WAIT_MS));
    check(bus_send(fixture->client, "stat.guest.h1.w1", &sample.base, NULL, &signer, 0));
    seen_wait(&seen, 1);
    assert_no_findings();
    assert_int_equal(seen.numbers[0], 42);

    check(bus_subscribe(fixture->server_side, &workload_row, workload_row.subject, &seen,
                        &subscriptions[1]));
    check(call_workload(fixture->client, "w1", arena, &reply, &message));
    assert_int_equal(message.counter, 42);
    assert_non_null(message.signature);
    bus_unsubscribe(subscriptions[0]);
    bus_unsubscribe(subscriptions[1]);
}

static void test_messages_that_cannot_be_are_refused(void **state)
{
    static const char *const subjects[] = {"",     "a b",  "evt.*", "evt.>",
                                           ".evt", "evt.", "a..b",  "a\r\nPUB x"};
    const struct bus_fixture *fixture = *state;
    _cleanup_free_ char *large = xcalloc(1, BUS_PAYLOAD_MAX + 1);
    struct bus_message message = {
        .subject = "hb.host.h1", .data = large, .size = BUS_PAYLOAD_MAX + 1};

    expect_code(bus_publish(fixture->client, &message), ERROR_RESOURCE_EXHAUSTED);
    message.size = BUS_PAYLOAD_MAX;
    check(bus_publish(fixture->client, &message));
    check(bus_drain(fixture->client, WAIT_MS));
    message.size = 1;
    for (size_t i = 0; i < ELEMENTSOF(subjects); i++) {
        message.subject = subjects[i];
        expect_code(bus_publish(fixture->client, &message), ERROR_INVALID_ARGUMENT);
    }
    assert_true(bus_is_connected(fixture->client));
}

/* Calls work again once the server is back; until then they fail in time. */
static void test_a_restarted_server_is_found_again(void **state)
{
    struct bus_fixture *fixture = *state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct seen seen = SEEN_INIT;
    struct seen sources = SEEN_INIT;
    struct bus_subscription *handler = NULL;
    struct bus_subscription *consumer = NULL;
    Coffer__V1__WorkloadReply *reply = NULL;
    const struct bus_message message = {.subject = "src.host.h1.vm", .message_id = "restart"};

    check(
        bus_subscribe(fixture->server_side, &workload_row, workload_row.subject, &seen, &handler));
    check(bus_consume(fixture->server_side, "SOURCES", "restart", "src.>", on_source, &sources,
                      &consumer));
    check(call_workload(fixture->client, "w1", arena, &reply, NULL));
    nats_server_stop(&fixture->server);
    while (bus_is_connected(fixture->client))
        ;
    expect_code(bus_publish_durable(fixture->client, &message, 1000), ERROR_UNAVAILABLE);
    check(nats_server_start(&fixture->server, fixture->config));
    check(call_workload(fixture->client, "w1", arena, &reply, NULL));
    size_t before = sources.count;
    check(bus_publish_durable(fixture->client, &message, WAIT_MS));
    seen_wait(&sources, before + 1);
    bus_unsubscribe(consumer);
    bus_unsubscribe(handler);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_messages_arrive_in_order_and_typed),
        cmocka_unit_test(test_a_queue_group_shares_the_messages),
        cmocka_unit_test(test_a_request_is_answered_with_its_request_id),
        cmocka_unit_test(test_errors_keep_their_code_and_hide_internals),
        cmocka_unit_test(test_malformed_requests_never_reach_the_handler),
        cmocka_unit_test(test_an_answer_goes_to_an_inbox_and_nowhere_else),
        cmocka_unit_test(test_nobody_there_is_unavailable_within_the_deadline),
        cmocka_unit_test(test_a_call_waits_for_a_service_that_comes_later),
        cmocka_unit_test(test_signatures_and_counters_travel),
        cmocka_unit_test(test_messages_that_cannot_be_are_refused),
    };
    const struct CMUnitTest server_tests[] = {
        cmocka_unit_test(test_a_restarted_server_is_found_again),
    };

    if (is_nats() && !nats_server_is_available(2, 9)) {
        printf("no nats-server 2.9 or later in PATH: skipped\n");
        return 77;
    }
    log_init("test", LOG_LEVEL_DEBUG);
    int failed = cmocka_run_group_tests(tests, bus_setup, bus_teardown);
    return is_nats() ? failed + cmocka_run_group_tests(server_tests, bus_setup, bus_teardown)
                     : failed;
}
