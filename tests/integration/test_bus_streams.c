/* One contract for every backend of the bus: streams, their consumers, and objects. */
#include "tests/integration/test_bus_kit.h"

#include "shared/base/alloc.h"
#include "shared/base/log.h"

static void publish_sources(struct bus *bus, int from, int count)
{
    for (int i = from; i < from + count; i++) {
        char id[32];
        snprintf(id, sizeof(id), "m-%d", i);
        const struct bus_message message = {
            .subject = "src.host.h1.vm", .data = "x", .size = 1, .message_id = id};
        check(bus_publish_durable(bus, &message, WAIT_MS));
        check(bus_publish_durable(bus, &message, WAIT_MS)); /* a repeat changes nothing */
    }
}

static void test_a_durable_consumer_sees_all_once_in_order_across_restarts(void **state)
{
    const struct bus_fixture *fixture = *state;
    struct seen seen = SEEN_INIT;
    struct bus_subscription *subscription = NULL;

    publish_sources(fixture->client, 0, 20);
    check(bus_consume(fixture->server_side, "SOURCES", "scheduler", "src.>", on_source, &seen,
                      &subscription));
    seen_wait(&seen, 20);
    publish_sources(fixture->client, 20, 20); /* live */
    seen_wait(&seen, 40);
    check(bus_drain(fixture->server_side, WAIT_MS));
    bus_unsubscribe(subscription);
    publish_sources(fixture->client, 40, 20); /* while nobody consumes */
    check(bus_consume(fixture->server_side, "SOURCES", "scheduler", "src.>", on_source, &seen,
                      &subscription));
    seen_wait(&seen, 60);
    bus_unsubscribe(subscription);
    assert_int_equal(seen.count, 60);
    for (size_t i = 1; i < 60; i++)
        assert_int_equal(seen.numbers[i], seen.numbers[i - 1] + 1);
}

static enum bus_ack on_event(void *state, const struct bus_message *message)
{
    seen_note(state, message, message->stream_sequence);
    return BUS_ACK;
}

/* As copies of the gateway do: each event to one of them. */
static void test_copies_share_the_webhooks_consumer(void **state)
{
    const struct bus_fixture *fixture = *state;
    struct seen seen = SEEN_INIT; /* of both */
    struct bus_subscription *one = NULL;
    struct bus_subscription *other = NULL;

    check(bus_consume(fixture->server_side, "EVENTS", BUS_WEBHOOKS_CONSUMER, BUS_WEBHOOKS_FILTER,
                      on_event, &seen, &one));
    check(bus_consume(fixture->client, "EVENTS", BUS_WEBHOOKS_CONSUMER, BUS_WEBHOOKS_FILTER,
                      on_event, &seen, &other));
    for (int i = 0; i < 30; i++) {
        char id[32];
        snprintf(id, sizeof(id), "w-shared.%d", i);
        const struct bus_message host = {.subject = "evt.host.shared.lost"};
        const struct bus_message event = {.subject = "evt.workload.w-shared.running",
                                          .message_id = id};
        check(bus_publish_durable(fixture->client, &host, WAIT_MS));
        check(bus_publish_durable(fixture->client, &event, WAIT_MS));
    }
    seen_wait(&seen, 30);
    bus_unsubscribe(one);
    bus_unsubscribe(other);
    assert_int_equal(seen.count, 30);
    for (size_t i = 0; i < 30; i++) {
        assert_string_equal(seen.subjects[i], "evt.workload.w-shared.running");
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(seen.numbers[i], seen.numbers[k]);
    }
}

static void test_a_refused_message_comes_again_before_the_next(void **state)
{
    const struct bus_fixture *fixture = *state;
    struct seen seen = SEEN_INIT;
    struct bus_subscription *subscription = NULL;

    seen.nak_at = 3;
    publish_sources(fixture->client, 100, 6);
    check(bus_consume(fixture->server_side, "SOURCES", "again", "src.>", on_source, &seen,
                      &subscription));
    seen_wait(&seen, 7);
    bus_unsubscribe(subscription);
    assert_int_equal(seen.numbers[3], seen.numbers[2]);
    assert_int_equal(seen.deliveries[2], 1);
    assert_true(seen.deliveries[3] >= 2);
    for (size_t i = 4; i < 7; i++)
        assert_int_equal(seen.numbers[i], seen.numbers[i - 1] + 1);
}

static void test_handlers_and_consumers_never_overlap(void **state)
{
    const struct bus_fixture *fixture = *state;
    struct seen seen = SEEN_INIT;
    struct bus_subscription *handler = NULL;
    struct bus_subscription *consumer = NULL;

    check(bus_subscribe(fixture->server_side, &heartbeat_row, "hb.host.*", &seen, &handler));
    check(bus_consume(fixture->server_side, "SOURCES", "overlap", "src.>", on_source, &seen,
                      &consumer));
    check(bus_drain(fixture->server_side, WAIT_MS));
    for (int i = 0; i < 50; i++) {
        send_heartbeat(fixture->client, "hb.host.h1", 0);
        publish_sources(fixture->client, 200 + i, 1);
    }
    seen_wait(&seen, 100);
    bus_unsubscribe(consumer);
    bus_unsubscribe(handler);
    assert_false(seen.overlapped);
}

static void test_many_are_published_in_order_and_once(void **state)
{
    enum { MANY = 100 };
    const struct bus_fixture *fixture = *state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct bus_message messages[MANY + 1] = {0};
    struct bus_message read = {0};
    size_t done = 0;

    for (size_t i = 0; i < MANY + 1; i++)
        messages[i] = (struct bus_message){.subject = "evt.workload.many.created",
                                           .message_id = arena_printf(arena, "many.%zu", i),
                                           .data = arena_printf(arena, "%03zu", i),
                                           .size = 3};
    messages[MANY].subject = "nowhere.at.all";
    check(bus_publish_durable_many(fixture->client, messages, 0, WAIT_MS, &done));
    assert_int_equal(done, 0);
    check(bus_publish_durable_many(fixture->client, messages, MANY / 2, WAIT_MS, &done));
    assert_int_equal(done, MANY / 2);
    /* The first half again: no second time. The last one has no stream. */
    expect_code(bus_publish_durable_many(fixture->client, messages, MANY + 1, WAIT_MS, &done),
                ERROR_UNAVAILABLE);
    assert_int_equal(done, MANY);
    for (size_t i = 0; i < MANY; i++) {
        check(bus_stream_next(fixture->client, "EVENTS", "evt.workload.many.>",
                              read.stream_sequence + 1, WAIT_MS, arena, &read));
        assert_memory_equal(read.data, messages[i].data, 3);
    }
    expect_code(bus_stream_next(fixture->client, "EVENTS", "evt.workload.many.>",
                                read.stream_sequence + 1, WAIT_MS, arena, &read),
                ERROR_NOT_FOUND);
    messages[1].subject = "no subject";
    expect_code(bus_publish_durable_many(fixture->client, messages, 3, WAIT_MS, &done),
                ERROR_INVALID_ARGUMENT);
    assert_int_equal(done, 1);
}

static void test_publishing_where_no_stream_is_fails(void **state)
{
    const struct bus_fixture *fixture = *state;
    const struct bus_message message = {.subject = "nowhere.at.all", .message_id = "1"};
    struct bus_subscription *subscription = NULL;
    struct seen seen = SEEN_INIT;

    expect_code(bus_publish_durable(fixture->client, &message, WAIT_MS), ERROR_UNAVAILABLE);
    expect_code(
        bus_consume(fixture->client, "NOSUCH", "x", "src.>", on_source, &seen, &subscription),
        ERROR_UNAVAILABLE);
}

static void test_a_stream_is_read_from_any_place(void **state)
{
    static const char *const subjects[] = {"evt.workload.w1.created", "evt.workload.w2.created",
                                           "evt.workload.w1.running"};
    const struct bus_fixture *fixture = *state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct bus_message message = {0};

    for (size_t i = 0; i < ELEMENTSOF(subjects); i++) {
        const struct bus_message event = {.subject = subjects[i],
                                          .message_id = subjects[i],
                                          .data = subjects[i],
                                          .size = strlen(subjects[i]),
                                          .type = "coffer.v1.WorkloadEvent"};
        check(bus_publish_durable(fixture->client, &event, WAIT_MS));
    }
    check(bus_stream_next(fixture->client, "EVENTS", "evt.workload.w1.>", 0, WAIT_MS, arena,
                          &message));
    assert_string_equal(message.subject, subjects[0]);
    assert_string_equal(message.type, "coffer.v1.WorkloadEvent");
    assert_memory_equal(message.data, subjects[0], message.size);
    uint64_t first = message.stream_sequence;
    check(bus_stream_next(fixture->client, "EVENTS", ">", 1, WAIT_MS, arena, &message));
    assert_true(message.stream_sequence > 0 && message.stream_sequence <= first);
    check(bus_stream_next(fixture->client, "EVENTS", "evt.workload.w1.>", first + 1, WAIT_MS, arena,
                          &message));
    assert_string_equal(message.subject, subjects[2]);
    assert_int_equal(message.stream_sequence, first + 2);
    expect_code(bus_stream_next(fixture->client, "EVENTS", "evt.workload.w1.>", first + 3, WAIT_MS,
                                arena, &message),
                ERROR_NOT_FOUND);
}

static void test_objects_of_every_size_come_back_whole(void **state)
{
    static const size_t sizes[] = {0, 1, 512 * 1024, 512 * 1024 + 1, 3 * 1024 * 1024};
    static const char *const bad_names[] = {"",        "files/",    "/files",
                                            "files/*", "files/a.b", "files//a"};
    const struct bus_fixture *fixture = *state;
    _cleanup_free_ uint8_t *content = xcalloc(1, 3 * 1024 * 1024);
    ProtobufCBinaryData data = {0};

    for (size_t i = 0; i < 3 * 1024 * 1024; i++)
        content[i] = (uint8_t)(i * 2654435761U >> 13);
    for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
        _cleanup_(arena_freep) struct arena *arena = arena_new();
        check(bus_object_put(fixture->client, "files/h1/w1", content, sizes[i], WAIT_MS));
        check(bus_object_get(fixture->server_side, "files/h1/w1", 3 * 1024 * 1024, arena, &data,
                             WAIT_MS));
        assert_int_equal(data.len, sizes[i]);
        if (data.len)
            assert_memory_equal(data.data, content, data.len);
    }
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    expect_code(bus_object_get(fixture->client, "files/h1/w1", 1000, arena, &data, WAIT_MS),
                ERROR_RESOURCE_EXHAUSTED);
    expect_code(bus_object_get(fixture->client, "files/h1/w2", 1000, arena, &data, WAIT_MS),
                ERROR_NOT_FOUND);
    expect_code(
        bus_object_put(fixture->client, "files/h1/w1", content, 16 * 1024 * 1024 + 1, WAIT_MS),
        ERROR_RESOURCE_EXHAUSTED);
    for (size_t i = 0; i < ELEMENTSOF(bad_names); i++)
        expect_code(bus_object_put(fixture->client, bad_names[i], content, 1, WAIT_MS),
                    ERROR_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_durable_consumer_sees_all_once_in_order_across_restarts),
        cmocka_unit_test(test_copies_share_the_webhooks_consumer),
        cmocka_unit_test(test_a_refused_message_comes_again_before_the_next),
        cmocka_unit_test(test_handlers_and_consumers_never_overlap),
        cmocka_unit_test(test_many_are_published_in_order_and_once),
        cmocka_unit_test(test_publishing_where_no_stream_is_fails),
        cmocka_unit_test(test_a_stream_is_read_from_any_place),
        cmocka_unit_test(test_objects_of_every_size_come_back_whole),
    };

    if (is_nats() && !nats_server_is_available(2, 9)) {
        printf("no nats-server 2.9 or later in PATH: skipped\n");
        return 77;
    }
    log_init("test", LOG_LEVEL_DEBUG);
    return cmocka_run_group_tests(tests, bus_setup, bus_teardown);
}
