/* One contract for every backend of the bus: BACKEND says which this program runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "schemas/guest.pb-c.h"
#include "schemas/host.pb-c.h"
#include "schemas/workload.pb-c.h"
#include "shared/base/alloc.h"
#include "shared/base/buffer.h"
#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/bus/bus.h"
#include "tests/integration/nats_server.h"

enum { WAIT_MS = 10000, SEEN_MAX = 512 };

struct fixture {
    struct nats_server server;
    char *config;
    char url[64];
    struct bus *server_side; /* where handlers are */
    struct bus *client;
};

/* What handlers and consumers saw; waited for by condition, not by time. */
struct seen {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t count;
    char subjects[SEEN_MAX][80];
    uint64_t numbers[SEEN_MAX];
    uint32_t deliveries[SEEN_MAX];
    atomic_bool inside;
    atomic_bool overlapped;
    size_t nak_at; /* refuse this one once; 0: none */
    struct bus *bus;
    struct bus_signer *signer;
};

#define SEEN_INIT                                                                                  \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER                     \
    }

static void check(struct error *err)
{
    if (!err)
        return;
    fail_msg("%s (%s)", error_text(err), error_origin(err));
    abort(); /* not reached: cmocka does not declare that a failure never returns */
}

static void expect_code(struct error *err, enum error_code code)
{
    if (error_get_code(err) != code)
        fail_msg("expected %s, got %s: %s", error_code_name(code),
                 error_code_name(error_get_code(err)), error_text(err));
    error_free(err);
}

static bool is_nats(void)
{
    return strcmp(BACKEND, "nats") == 0;
}

static struct bus *connect_as(const struct fixture *fixture, const char *name)
{
    char inbox[64];
    struct bus *bus = NULL;

    snprintf(inbox, sizeof(inbox), "_INBOX.%s.w1", name); /* a prefix of several tokens */
    const struct bus_options options = {.url = fixture->url, .name = name, .inbox_prefix = inbox};
    check(bus_connect(&options, false, &bus));
    return bus;
}

static int setup(void **state)
{
    struct fixture *fixture = xnew(struct fixture);

    *state = fixture;
    if (!is_nats()) {
        fixture->server_side = bus_memory_new();
        fixture->client = bus_memory_attach(fixture->server_side);
    } else {
        check(nats_server_init(&fixture->server, 0));
        fixture->config = xasprintf("listen: 127.0.0.1:%d\nmax_payload: 1114112\n"
                                    "jetstream { store_dir: \"%s/store\" }\n",
                                    fixture->server.port, fixture->server.dir);
        check(nats_server_start(&fixture->server, fixture->config));
        snprintf(fixture->url, sizeof(fixture->url), "nats://127.0.0.1:%d", fixture->server.port);
        fixture->server_side = connect_as(fixture, "host-agent-h1");
        fixture->client = connect_as(fixture, "scheduler");
    }
    check(bus_ensure_streams(fixture->server_side));
    check(bus_ensure_streams(fixture->server_side)); /* again: nothing changes */
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    bus_free(fixture->client);
    bus_free(fixture->server_side);
    if (is_nats())
        nats_server_done(&fixture->server);
    free(fixture->config);
    free(fixture);
    return 0;
}

static void wait_for(struct seen *seen, size_t count)
{
    struct timespec deadline;
    int rc = 0;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += WAIT_MS / 1000;
    pthread_mutex_lock(&seen->lock);
    while (seen->count < count && rc == 0)
        rc = pthread_cond_timedwait(&seen->changed, &seen->lock, &deadline);
    size_t got = seen->count;
    pthread_mutex_unlock(&seen->lock);
    if (got < count)
        fail_msg("saw %zu of %zu", got, count);
}

static size_t note(struct seen *seen, const struct bus_message *message, uint64_t number)
{
    pthread_mutex_lock(&seen->lock);
    size_t n = seen->count;
    if (n < SEEN_MAX) {
        snprintf(seen->subjects[n], sizeof(seen->subjects[n]), "%s", message->subject);
        seen->numbers[n] = number;
        seen->deliveries[n] = message->deliveries;
        seen->count++;
    }
    pthread_cond_broadcast(&seen->changed);
    pthread_mutex_unlock(&seen->lock);
    return n + 1;
}

/* Notes whether two callbacks of one bus were ever inside at the same time. */
static void enter(struct seen *seen)
{
    const struct timespec moment = {.tv_nsec = 200000};

    if (atomic_exchange(&seen->inside, true))
        seen->overlapped = true;
    nanosleep(&moment, NULL);
    seen->inside = false;
}

static struct error *on_heartbeat(void *state, struct bus_call *call)
{
    const Coffer__V1__HostHeartbeat *heartbeat = call->in;

    enter(state);
    note(state, call->message, heartbeat->sequence);
    return NULL;
}

/* Answers by what the request asks for. */
static struct error *on_workload(void *state, struct bus_call *call)
{
    const Coffer__V1__WorkloadRequest *request = call->in;
    Coffer__V1__WorkloadReply *reply = call->out;
    struct seen *seen = state;

    enter(seen);
    note(seen, call->message, 0);
    if (strcmp(request->workload_id, "missing") == 0)
        return error_set_reason(
            error_new(ERROR_NOT_FOUND, "no workload '%s'\r\nsecond line", request->workload_id),
            "gone\r\nlong ago");
    if (strcmp(request->workload_id, "broken") == 0)
        return error_set_reason(error_new(ERROR_INTERNAL, "redis password is wrong"), "secret");
    if (strcmp(request->workload_id, "busy") == 0)
        return error_new(ERROR_UNAVAILABLE, "not the leader");
    call->reply_signer = seen->signer;
    reply->workload = arena_alloc(call->arena, sizeof(*reply->workload));
    coffer__v1__workload__init(reply->workload);
    reply->workload->workload_id = request->workload_id;
    reply->workload->status_reason =
        arena_strdup(call->arena, call->message->request_id ?: "no request id");
    return NULL;
}

static const struct bus_handler heartbeat_row = {
    "hb.host.*", &coffer__v1__host_heartbeat__descriptor, NULL, on_heartbeat, NULL};
static const struct bus_handler workload_row = {
    "svc.scheduler.workload.stop", &coffer__v1__workload_request__descriptor,
    &coffer__v1__workload_reply__descriptor, on_workload, NULL};
static const struct bus_handler queue_row = {"hb.host.*", &coffer__v1__host_heartbeat__descriptor,
                                             NULL, on_heartbeat, "group"};

static void send_heartbeat(struct bus *bus, const char *subject, uint64_t sequence)
{
    Coffer__V1__HostHeartbeat heartbeat = COFFER__V1__HOST_HEARTBEAT__INIT;

    heartbeat.sequence = sequence;
    check(bus_send(bus, subject, &heartbeat.base, NULL, NULL, 0));
}

/* Core subscriptions start some time after the call on a real bus: ask until they are heard. */
static struct error *call_workload(struct bus *bus, const char *id, struct arena *arena,
                                   Coffer__V1__WorkloadReply **ret_reply,
                                   struct bus_message *ret_message)
{
    Coffer__V1__WorkloadRequest request = COFFER__V1__WORKLOAD_REQUEST__INIT;
    void *out = NULL;

    request.workload_id = (char *)id;
    struct error *err = bus_call(bus, "svc.scheduler.workload.stop", &request.base,
                                 &coffer__v1__workload_reply__descriptor, "r-1", NULL, WAIT_MS,
                                 arena, &out, ret_message);
    if (!err)
        *ret_reply = out;
    return err;
}

static void test_published_messages_arrive_in_order_and_typed(void **state)
{
    const struct fixture *fixture = *state;
    struct seen seen = SEEN_INIT;
    struct bus_subscription *subscription = NULL;

    check(bus_subscribe(fixture->server_side, &heartbeat_row, "hb.host.*", &seen, &subscription));
    check(bus_drain(fixture->server_side, WAIT_MS));
    for (uint64_t i = 0; i < 100; i++)
        send_heartbeat(fixture->client, i % 2 ? "hb.host.h1" : "hb.host.h2", i);
    send_heartbeat(fixture->client, "hb.guest.h1", 1000); /* not subscribed */
    wait_for(&seen, 100);
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
    const struct fixture *fixture = *state;
    struct seen seen = SEEN_INIT;
    struct bus_subscription *first = NULL;
    struct bus_subscription *second = NULL;

    check(bus_subscribe(fixture->server_side, &queue_row, "hb.host.*", &seen, &first));
    check(bus_subscribe(fixture->client, &queue_row, "hb.host.*", &seen, &second));
    check(bus_drain(fixture->server_side, WAIT_MS));
    check(bus_drain(fixture->client, WAIT_MS));
    for (uint64_t i = 0; i < 50; i++)
        send_heartbeat(fixture->client, "hb.host.h1", i);
    wait_for(&seen, 50);
    check(bus_drain(fixture->client, WAIT_MS));
    check(bus_drain(fixture->server_side, WAIT_MS));
    bus_unsubscribe(first);
    bus_unsubscribe(second);
    assert_int_equal(seen.count, 50);
}

static void test_a_request_is_answered_with_its_request_id(void **state)
{
    const struct fixture *fixture = *state;
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
    const struct fixture *fixture = *state;
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
    const struct fixture *fixture = *state;
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
    note(state, call->message, 0);
    return NULL;
}

static void test_an_answer_goes_to_an_inbox_and_nowhere_else(void **state)
{
    static const struct bus_handler victim_row = {"evt.>", &coffer__v1__workload_reply__descriptor,
                                                  NULL, on_answer, NULL};
    const struct fixture *fixture = *state;
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
    wait_for(&seen, 1);
    check(bus_drain(fixture->server_side, WAIT_MS));
    check(bus_send(fixture->client, "evt.marker", &marker.base, NULL, NULL, 0));
    wait_for(&heard, 1);
    bus_unsubscribe(service);
    bus_unsubscribe(victim);
    assert_int_equal(heard.count, 1);
    assert_string_equal(heard.subjects[0], "evt.marker");
}

static void test_nobody_there_is_unavailable_within_the_deadline(void **state)
{
    const struct fixture *fixture = *state;
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
    const struct fixture *fixture;
    struct seen *seen;
    struct bus_subscription *subscription;
};

static void *subscribe_late(void *data)
{
    struct late_subscriber *late = data;
    const struct timespec pause = {.tv_nsec = 150000000};

    nanosleep(&pause, NULL);
    check(bus_subscribe(late->fixture->server_side, &workload_row, workload_row.subject, late->seen,
                        &late->subscription));
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

    assert_non_null(call->message->signature);
    assert_int_equal(strlen(call->message->signature), 88);
    note(seen, call->message, call->message->counter);
    return NULL;
}

static void test_signatures_and_counters_travel(void **state)
{
    static const struct bus_handler row = {
        "stat.guest.h1.w1", &coffer__v1__guest_sample__descriptor, NULL, on_signed, NULL};
    const struct fixture *fixture = *state;
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
    wait_for(&seen, 1);
    assert_int_equal(seen.numbers[0], 42);

    check(bus_subscribe(fixture->server_side, &workload_row, workload_row.subject, &seen,
                        &subscriptions[1]));
    check(call_workload(fixture->client, "w1", arena, &reply, &message));
    assert_int_equal(message.counter, 42);
    assert_non_null(message.signature);
    bus_unsubscribe(subscriptions[0]);
    bus_unsubscribe(subscriptions[1]);
}

static enum bus_ack on_source(void *state, const struct bus_message *message)
{
    struct seen *seen = state;

    enter(seen);
    size_t n = note(seen, message, message->stream_sequence);
    if (n == seen->nak_at) {
        seen->nak_at = 0;
        return BUS_NAK;
    }
    return n % 7 == 0 ? BUS_TERM : BUS_ACK;
}

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
    const struct fixture *fixture = *state;
    struct seen seen = SEEN_INIT;
    struct bus_subscription *subscription = NULL;

    publish_sources(fixture->client, 0, 20);
    check(bus_consume(fixture->server_side, "SOURCES", "scheduler", "src.>", on_source, &seen,
                      &subscription));
    wait_for(&seen, 20);
    publish_sources(fixture->client, 20, 20); /* live */
    wait_for(&seen, 40);
    check(bus_drain(fixture->server_side, WAIT_MS));
    bus_unsubscribe(subscription);
    publish_sources(fixture->client, 40, 20); /* while nobody consumes */
    check(bus_consume(fixture->server_side, "SOURCES", "scheduler", "src.>", on_source, &seen,
                      &subscription));
    wait_for(&seen, 60);
    bus_unsubscribe(subscription);
    assert_int_equal(seen.count, 60);
    for (size_t i = 1; i < 60; i++)
        assert_int_equal(seen.numbers[i], seen.numbers[i - 1] + 1);
}

static enum bus_ack on_event(void *state, const struct bus_message *message)
{
    note(state, message, message->stream_sequence);
    return BUS_ACK;
}

/* As copies of the gateway do: each event to one of them. */
static void test_copies_share_the_webhooks_consumer(void **state)
{
    const struct fixture *fixture = *state;
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
    wait_for(&seen, 30);
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
    const struct fixture *fixture = *state;
    struct seen seen = SEEN_INIT;
    struct bus_subscription *subscription = NULL;

    seen.nak_at = 3;
    publish_sources(fixture->client, 100, 6);
    check(bus_consume(fixture->server_side, "SOURCES", "again", "src.>", on_source, &seen,
                      &subscription));
    wait_for(&seen, 7);
    bus_unsubscribe(subscription);
    assert_int_equal(seen.numbers[3], seen.numbers[2]);
    assert_int_equal(seen.deliveries[2], 1);
    assert_true(seen.deliveries[3] >= 2);
    for (size_t i = 4; i < 7; i++)
        assert_int_equal(seen.numbers[i], seen.numbers[i - 1] + 1);
}

static void test_handlers_and_consumers_never_overlap(void **state)
{
    const struct fixture *fixture = *state;
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
    wait_for(&seen, 100);
    bus_unsubscribe(consumer);
    bus_unsubscribe(handler);
    assert_false(seen.overlapped);
}

enum { KEPT_CALLERS = 8 };

/* Keeps every call; all that has arrived is answered together. */
struct keeper {
    struct bus_call *kept[KEPT_CALLERS];
    size_t n;
    size_t batches;
    size_t largest;
};

static void answer_kept(void *data)
{
    struct keeper *keeper = data;

    keeper->batches++;
    keeper->largest = keeper->n > keeper->largest ? keeper->n : keeper->largest;
    for (size_t i = 0; i < keeper->n; i++) {
        struct bus_call *call = keeper->kept[i];
        const Coffer__V1__WorkloadRequest *request = call->in;
        Coffer__V1__WorkloadReply *reply = call->out;
        struct error *err = NULL;
        if (strcmp(request->workload_id, "missing") == 0)
            err = error_new(ERROR_NOT_FOUND, "not there");
        reply->workload = arena_alloc(call->arena, sizeof(*reply->workload));
        coffer__v1__workload__init(reply->workload);
        reply->workload->workload_id = request->workload_id;
        reply->workload->status_reason = arena_printf(
            call->arena, "%s on %s", call->message->request_id ?: "none", call->message->subject);
        bus_call_answer(call, err);
    }
    keeper->n = 0;
}

static struct error *keep_workload(void *state, struct bus_call *call)
{
    struct keeper *keeper = state;
    struct bus_call *kept = bus_call_keep(call);

    if (!kept)
        return error_new(ERROR_UNIMPLEMENTED, "cannot be kept");
    keeper->kept[keeper->n++] = kept;
    if (keeper->n == 1)
        assert_true(bus_call_later(kept, answer_kept, keeper));
    return NULL;
}

static const struct bus_handler keep_row = {
    "svc.scheduler.workload.stop", &coffer__v1__workload_request__descriptor,
    &coffer__v1__workload_reply__descriptor, keep_workload, NULL};

struct keep_caller {
    pthread_t thread;
    struct bus *bus;
    const char *id;
};

static void *keep_caller_main(void *data)
{
    struct keep_caller *caller = data;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    Coffer__V1__WorkloadReply *reply = NULL;

    for (int i = 0; i < 50; i++) {
        struct error *err = call_workload(caller->bus, caller->id, arena, &reply, NULL);
        if (strcmp(caller->id, "missing") == 0) {
            expect_code(err, ERROR_NOT_FOUND);
            continue;
        }
        check(err);
        assert_string_equal(reply->workload->workload_id, caller->id);
        assert_string_equal(reply->workload->status_reason, "r-1 on svc.scheduler.workload.stop");
    }
    return NULL;
}

static void test_kept_calls_are_answered_later_and_together(void **state)
{
    static const char *const ids[KEPT_CALLERS] = {"w1", "w2", "missing", "w4",
                                                  "w5", "w6", "w7",      "w8"};
    const struct fixture *fixture = *state;
    struct keep_caller callers[KEPT_CALLERS];
    struct bus_subscription *subscription = NULL;
    struct keeper keeper = {0};

    check(bus_subscribe(fixture->server_side, &keep_row, keep_row.subject, &keeper, &subscription));
    for (size_t i = 0; i < KEPT_CALLERS; i++) {
        callers[i] = (struct keep_caller){.bus = fixture->client, .id = ids[i]};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, keep_caller_main, &callers[i]),
                         0);
    }
    for (size_t i = 0; i < KEPT_CALLERS; i++)
        pthread_join(callers[i].thread, NULL);
    bus_unsubscribe(subscription);
    assert_int_equal(keeper.n, 0);
    assert_true(keeper.batches > 0);
    assert_true(keeper.largest <= KEPT_CALLERS);
}

/* Without a bus, and without anybody who waits, there is nothing to keep. */
static void test_a_call_that_nobody_waits_for_is_not_kept(void **state)
{
    const struct fixture *fixture = *state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct bus_subscription *subscription = NULL;
    Coffer__V1__WorkloadReply *reply = NULL;
    Coffer__V1__WorkloadRequest request = COFFER__V1__WORKLOAD_REQUEST__INIT;
    struct keeper keeper = {0};
    ProtobufCBinaryData packed;

    expect_code(
        bus_dispatch(&keep_row, &keeper, &(struct bus_message){.subject = "x"}, arena, &packed),
        ERROR_UNIMPLEMENTED);
    check(bus_subscribe(fixture->server_side, &keep_row, keep_row.subject, &keeper, &subscription));
    check(call_workload(fixture->client, "w1", arena, &reply, NULL));
    check(bus_send(fixture->client, keep_row.subject, &request.base, NULL, NULL, 0));
    check(call_workload(fixture->client, "w2", arena, &reply, NULL));
    bus_unsubscribe(subscription);
    assert_int_equal(keeper.n, 0);
    assert_int_equal(keeper.largest, 1);
}

static void test_many_are_published_in_order_and_once(void **state)
{
    enum { MANY = 100 };
    const struct fixture *fixture = *state;
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
    const struct fixture *fixture = *state;
    const struct bus_message message = {.subject = "nowhere.at.all", .message_id = "1"};
    struct bus_subscription *subscription = NULL;
    struct seen seen = SEEN_INIT;

    expect_code(bus_publish_durable(fixture->client, &message, WAIT_MS), ERROR_UNAVAILABLE);
    expect_code(
        bus_consume(fixture->client, "NOSUCH", "x", "src.>", on_source, &seen, &subscription),
        ERROR_UNAVAILABLE);
}

static void test_messages_that_cannot_be_are_refused(void **state)
{
    static const char *const subjects[] = {"",     "a b",  "evt.*", "evt.>",
                                           ".evt", "evt.", "a..b",  "a\r\nPUB x"};
    const struct fixture *fixture = *state;
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

static void test_a_stream_is_read_from_any_place(void **state)
{
    static const char *const subjects[] = {"evt.workload.w1.created", "evt.workload.w2.created",
                                           "evt.workload.w1.running"};
    const struct fixture *fixture = *state;
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
    uint64_t last = 0;
    check(bus_stream_last(fixture->client, "EVENTS", "evt.workload.w1.*", WAIT_MS, &last));
    assert_int_equal(last, first + 2);
    check(bus_stream_last(fixture->client, "EVENTS", "evt.workload.w2.*", WAIT_MS, &last));
    assert_int_equal(last, first + 1);
    check(bus_stream_last(fixture->client, "EVENTS", "evt.workload.*.*", WAIT_MS, &last));
    assert_int_equal(last, first + 2);
    expect_code(bus_stream_last(fixture->client, "EVENTS", "evt.workload.w0.*", WAIT_MS, &last),
                ERROR_NOT_FOUND);
    assert_int_equal(last, first + 2);
}

static void test_objects_of_every_size_come_back_whole(void **state)
{
    static const size_t sizes[] = {0, 1, 512 * 1024, 512 * 1024 + 1, 3 * 1024 * 1024};
    static const char *const bad_names[] = {"",        "files/",    "/files",
                                            "files/*", "files/a.b", "files//a"};
    const struct fixture *fixture = *state;
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

/* Calls work again once the server is back; until then they fail in time. */
static void test_a_restarted_server_is_found_again(void **state)
{
    struct fixture *fixture = *state;
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
    wait_for(&sources, before + 1);
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
        cmocka_unit_test(test_a_durable_consumer_sees_all_once_in_order_across_restarts),
        cmocka_unit_test(test_copies_share_the_webhooks_consumer),
        cmocka_unit_test(test_a_refused_message_comes_again_before_the_next),
        cmocka_unit_test(test_handlers_and_consumers_never_overlap),
        cmocka_unit_test(test_kept_calls_are_answered_later_and_together),
        cmocka_unit_test(test_a_call_that_nobody_waits_for_is_not_kept),
        cmocka_unit_test(test_many_are_published_in_order_and_once),
        cmocka_unit_test(test_publishing_where_no_stream_is_fails),
        cmocka_unit_test(test_messages_that_cannot_be_are_refused),
        cmocka_unit_test(test_a_stream_is_read_from_any_place),
        cmocka_unit_test(test_objects_of_every_size_come_back_whole),
    };
    const struct CMUnitTest server_tests[] = {
        cmocka_unit_test(test_a_restarted_server_is_found_again),
    };

    if (is_nats() && !nats_server_is_available(2, 9)) {
        printf("no nats-server 2.9 or later in PATH: skipped\n");
        return 77;
    }
    log_init("test", LOG_LEVEL_DEBUG);
    int failed = cmocka_run_group_tests(tests, setup, teardown);
    return is_nats() ? failed + cmocka_run_group_tests(server_tests, setup, teardown) : failed;
}
