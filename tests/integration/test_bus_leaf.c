/* What works across the leafs' links: requests, streams, consumers, files, the largest message. */
#include "tests/integration/test_leaf_kit.h"

#include "schemas/boot.pb-c.h"
#include "schemas/guest.pb-c.h"
#include "schemas/host.pb-c.h"
#include "shared/base/alloc.h"
#include "shared/base/log.h"

static struct error *on_list(void *state, struct bus_call *call)
{
    (void)state;
    (void)call;
    return NULL;
}

static struct error *on_challenge(void *state, struct bus_call *call)
{
    Coffer__V1__ChallengeReply *reply = call->out;

    (void)state;
    reply->boot_number = 7;
    return NULL;
}

static struct error *on_containers(void *state, struct bus_call *call)
{
    (void)state;
    (void)call;
    return NULL;
}

static const struct bus_handler list_row = {"cmd.host.host-a.list", &coffer__v1__empty__descriptor,
                                            &coffer__v1__list_vms_reply__descriptor, on_list, NULL};
static const struct bus_handler challenge_row = {
    "boot.*.*.challenge", &coffer__v1__challenge_request__descriptor,
    &coffer__v1__challenge_reply__descriptor, on_challenge, NULL};
static const struct bus_handler containers_row = {
    "cmd.guest.host-a.w1.containers", &coffer__v1__guest_query__descriptor,
    &coffer__v1__containers_reply__descriptor, on_containers, NULL};

static void test_requests_work_both_ways_across_the_leaf(void **state)
{
    const struct leaf_fixture *fixture = *state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_(bus_freep) struct bus *scheduler =
        bus_as(fixture, fixture->hub.port, "nats/scheduler", "_INBOX.scheduler");
    _cleanup_(bus_freep) struct bus *gateway =
        bus_as(fixture, fixture->hub.port, "nats/api-gateway", "_INBOX.api-gateway");
    _cleanup_(bus_freep) struct bus *agent = bus_as(
        fixture, fixture->leafs[0].port, "hosts/host-a/host-agent", "_INBOX.host-agent-host-a");
    _cleanup_(bus_freep) struct bus *guest = guest_bus(fixture, 0, "w1");
    Coffer__V1__Empty empty = COFFER__V1__EMPTY__INIT;
    Coffer__V1__ChallengeRequest challenge = COFFER__V1__CHALLENGE_REQUEST__INIT;
    Coffer__V1__GuestQuery query = COFFER__V1__GUEST_QUERY__INIT;
    struct bus_subscription *subscriptions[3] = {0};
    void *out = NULL;

    check(bus_subscribe(agent, &list_row, list_row.subject, NULL, &subscriptions[0]));
    check(bus_subscribe(scheduler, &challenge_row, challenge_row.subject, NULL, &subscriptions[1]));
    check(bus_subscribe(guest, &containers_row, containers_row.subject, NULL, &subscriptions[2]));
    check(bus_call(scheduler, "cmd.host.host-a.list", &empty.base,
                   &coffer__v1__list_vms_reply__descriptor, NULL, NULL, WAIT_MS, arena, &out,
                   NULL));
    check(bus_call(guest, "boot.host-a.w1.challenge", &challenge.base,
                   &coffer__v1__challenge_reply__descriptor, NULL, NULL, WAIT_MS, arena, &out,
                   NULL));
    assert_int_equal(((Coffer__V1__ChallengeReply *)out)->boot_number, 7);
    check(bus_call(gateway, "cmd.guest.host-a.w1.containers", &query.base,
                   &coffer__v1__containers_reply__descriptor, NULL, NULL, WAIT_MS, arena, &out,
                   NULL));
    for (size_t i = 0; i < ELEMENTSOF(subscriptions); i++)
        bus_unsubscribe(subscriptions[i]);
}

static void test_durable_publishes_are_acknowledged_across_the_leaf(void **state)
{
    const struct leaf_fixture *fixture = *state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_(bus_freep) struct bus *scheduler =
        bus_as(fixture, fixture->hub.port, "nats/scheduler", "_INBOX.scheduler");
    _cleanup_(bus_freep) struct bus *agent = bus_as(
        fixture, fixture->leafs[0].port, "hosts/host-a/host-agent", "_INBOX.host-agent-host-a");
    _cleanup_(bus_freep) struct bus *guest = guest_bus(fixture, 0, "w1");
    const struct bus_message of_host = {.subject = "src.host.host-a.vm", .message_id = "h1"};
    const struct bus_message of_guest = {.subject = "src.guest.host-a.w1.stage",
                                         .message_id = "g1"};
    const struct bus_message forged = {.subject = "src.guest.host-a.w2.stage", .message_id = "f1"};
    struct bus_message message = {0};

    check(bus_ensure_streams(scheduler));
    check(bus_publish_durable(agent, &of_host, WAIT_MS));
    check(bus_publish_durable(guest, &of_guest, WAIT_MS));
    struct error *err = bus_publish_durable(guest, &forged, 500);
    assert_int_equal(error_get_code(err), ERROR_DEADLINE_EXCEEDED);
    error_free(err);
    check(bus_stream_next(scheduler, "SOURCES", "src.>", 1, WAIT_MS, arena, &message));
    assert_string_equal(message.subject, of_host.subject);
    check(bus_stream_next(scheduler, "SOURCES", "src.>", 2, WAIT_MS, arena, &message));
    assert_string_equal(message.subject, of_guest.subject);
    err = bus_stream_next(scheduler, "SOURCES", "src.>", 3, WAIT_MS, arena, &message);
    assert_int_equal(error_get_code(err), ERROR_NOT_FOUND);
    error_free(err);
}

static void test_a_host_reads_its_own_files_only(void **state)
{
    const struct leaf_fixture *fixture = *state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_(bus_freep) struct bus *scheduler =
        bus_as(fixture, fixture->hub.port, "nats/scheduler", "_INBOX.scheduler");
    _cleanup_(bus_freep) struct bus *agent = bus_as(
        fixture, fixture->leafs[0].port, "hosts/host-a/host-agent", "_INBOX.host-agent-host-a");
    ProtobufCBinaryData data = {0};

    check(bus_ensure_streams(scheduler));
    check(bus_object_put(scheduler, "files/host-a/w1", "mine", 4, WAIT_MS));
    check(bus_object_put(scheduler, "files/host-b/w2", "theirs", 6, WAIT_MS));
    check(bus_object_get(agent, "files/host-a/w1", 100, arena, &data, WAIT_MS));
    assert_int_equal(data.len, 4);
    struct error *err = bus_object_get(agent, "files/host-b/w2", 100, arena, &data, 500);
    assert_int_equal(error_get_code(err), ERROR_DEADLINE_EXCEEDED);
    error_free(err);
}

static void test_the_scheduler_consumes_and_the_gateway_reads_history(void **state)
{
    const struct leaf_fixture *fixture = *state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_(bus_freep) struct bus *scheduler =
        bus_as(fixture, fixture->hub.port, "nats/scheduler", "_INBOX.scheduler");
    _cleanup_(bus_freep) struct bus *gateway =
        bus_as(fixture, fixture->hub.port, "nats/api-gateway", "_INBOX.api-gateway");
    const struct bus_message event = {.subject = "evt.workload.w1.created", .message_id = "w1.1"};
    struct bus_message message = {0};

    check(bus_ensure_streams(scheduler));
    check(bus_publish_durable(scheduler, &event, WAIT_MS));
    check(bus_stream_next(gateway, "EVENTS", "evt.workload.w1.>", 1, WAIT_MS, arena, &message));
    assert_string_equal(message.subject, event.subject);
}

static void test_the_monitor_pulls_from_the_consumer_made_for_it(void **state)
{
    const struct leaf_fixture *fixture = *state;
    _cleanup_(bus_freep) struct bus *scheduler =
        bus_as(fixture, fixture->hub.port, "nats/scheduler", "_INBOX.scheduler");
    const struct bus_message event = {.subject = "evt.workload.w9.created", .message_id = "w9.1"};
    _cleanup_free_ char *creds = creds_of(fixture, "nats/monitor");
    natsConnection *monitor;
    natsSubscription *sub = NULL;
    natsMsg *msg = NULL;

    check(bus_ensure_streams(scheduler));
    check(bus_publish_durable(scheduler, &event, WAIT_MS));
    monitor = connect_creds(fixture->hub.port, creds);
    assert_non_null(monitor);
    assert_int_equal(natsConnection_SubscribeSync(&sub, monitor, "_INBOX.monitor.1"), NATS_OK);
    natsConnection_PublishRequestString(monitor, "$JS.API.CONSUMER.MSG.NEXT.EVENTS.monitor",
                                        "_INBOX.monitor.1", "1");
    assert_int_equal(natsSubscription_NextMsg(&msg, sub, WAIT_MS), NATS_OK);
    assert_int_equal(strncmp(natsMsg_GetSubject(msg), "evt.workload.", 13), 0);
    natsMsg_Destroy(msg);
    natsSubscription_Destroy(sub);
    natsConnection_Destroy(monitor);
}

struct latest {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char subject[80];
};

static enum bus_ack on_event(void *state, const struct bus_message *message)
{
    struct latest *latest = state;

    pthread_mutex_lock(&latest->lock);
    snprintf(latest->subject, sizeof(latest->subject), "%s", message->subject);
    pthread_cond_signal(&latest->changed);
    pthread_mutex_unlock(&latest->lock);
    return BUS_ACK;
}

static void test_the_gateway_consumes_what_was_made_for_it(void **state)
{
    const struct leaf_fixture *fixture = *state;
    _cleanup_(bus_freep) struct bus *scheduler =
        bus_as(fixture, fixture->hub.port, "nats/scheduler", "_INBOX.scheduler");
    _cleanup_(bus_freep) struct bus *gateway =
        bus_as(fixture, fixture->hub.port, "nats/api-gateway", "_INBOX.api-gateway");
    const struct bus_message host = {.subject = "evt.host.h1.joined", .message_id = "h1.1"};
    const struct bus_message event = {.subject = "evt.workload.w7.running", .message_id = "w7.1"};
    struct latest latest = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, ""};
    struct bus_subscription *subscription = NULL;
    struct timespec deadline;
    int rc = 0;

    check(bus_ensure_streams(scheduler));
    check(bus_consume(gateway, "EVENTS", BUS_WEBHOOKS_CONSUMER, BUS_WEBHOOKS_FILTER, on_event,
                      &latest, &subscription));
    check(bus_publish_durable(scheduler, &host, WAIT_MS));
    check(bus_publish_durable(scheduler, &event, WAIT_MS));
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += WAIT_MS / 1000;
    pthread_mutex_lock(&latest.lock);
    while (strcmp(latest.subject, event.subject) != 0 && rc == 0) /* earlier ones first */
        rc = pthread_cond_timedwait(&latest.changed, &latest.lock, &deadline);
    pthread_mutex_unlock(&latest.lock);
    bus_unsubscribe(subscription);
    assert_string_equal(latest.subject, event.subject);
}

static void test_a_guests_largest_message_does_not_close_the_link(void **state)
{
    const struct leaf_fixture *fixture = *state;
    _cleanup_free_ char *creds = mint_file(fixture, "host-a", "w5");
    _cleanup_free_ char *large = xcalloc(1, 1024 * 1024 + 64 * 1024);
    natsConnection *raw = connect_creds(fixture->leafs[0].port, creds);
    natsConnection *observer;
    natsSubscription *sub = NULL;
    natsMsg *msg = NULL;
    _cleanup_free_ char *ops = creds_of(fixture, "nats/ops");

    assert_non_null(raw);
    observer = connect_creds(fixture->hub.port, ops);
    assert_non_null(observer);
    assert_int_equal(natsConnection_SubscribeSync(&sub, observer, "log.host-a.w5.*"), NATS_OK);
    natsConnection_Flush(observer);
    for (int n = 0; n < 100 && !msg; n++) {
        natsConnection_Publish(raw, "log.host-a.w5.web", large, 1024 * 1024 + 64 * 1024);
        natsSubscription_NextMsg(&msg, sub, 100);
    }
    assert_non_null(msg);
    assert_int_equal(natsMsg_GetDataLength(msg), 1024 * 1024 + 64 * 1024);
    natsMsg_Destroy(msg);
    natsSubscription_Destroy(sub);
    natsConnection_Destroy(observer);
    natsConnection_Destroy(raw);
    _cleanup_free_ char *log = nats_server_log(&fixture->hub);
    assert_null(strstr(log, "maximum payload"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_work_both_ways_across_the_leaf),
        cmocka_unit_test(test_durable_publishes_are_acknowledged_across_the_leaf),
        cmocka_unit_test(test_a_host_reads_its_own_files_only),
        cmocka_unit_test(test_the_scheduler_consumes_and_the_gateway_reads_history),
        cmocka_unit_test(test_the_monitor_pulls_from_the_consumer_made_for_it),
        cmocka_unit_test(test_the_gateway_consumes_what_was_made_for_it),
        cmocka_unit_test(test_a_guests_largest_message_does_not_close_the_link),
    };

    if (!nats_server_is_available(2, 10)) {
        printf("no nats-server 2.10 or later in PATH or $NATS_SERVER: skipped\n");
        return 77;
    }
    log_init("test", LOG_LEVEL_WARNING);
    return cmocka_run_group_tests(tests, leaf_setup, leaf_teardown);
}
