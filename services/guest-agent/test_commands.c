/* Commands: only the authority and its gateway, each once, none old; answers are signed. */
#include <assert.h>
#include <stdatomic.h>

#include "schemas/common.pb-c.h"
#include "schemas/guest.pb-c.h"
#include "services/guest-agent/engine_fake.h"
#include "services/guest-agent/handlers.h"
#include "services/guest-agent/test_support.h"
#include "shared/base/encode.h"

#define SUBJECT "cmd.guest." SUPPORT_HOST "." SUPPORT_WORKLOAD "."

enum { NOW_MS = 1000000 };

struct world {
    struct support_fleet fleet;
    struct clock_fake clock;
    struct engine_fake engine;
    struct identity identity;
    struct logs *logs;
    struct uplink *uplink;
    struct handlers handlers;
    struct bus *guest;
    struct bus *gateway;
    struct bus_subscription *subscriptions[GUEST_HANDLERS];
    atomic_uint stops;
};

static void on_stop(void *data)
{
    struct world *world = data;

    atomic_fetch_add(&world->stops, 1);
}

static int setup(void **state)
{
    struct world *world = xnew(struct world);

    support_fleet_init(&world->fleet);
    clock_fake_init(&world->clock, NOW_MS);
    engine_fake_init(&world->engine);
    support_check(identity_init(&world->identity));
    world->logs = logs_new(&world->clock.base);
    world->uplink = uplink_new(&world->clock.base, &world->identity, world->logs);
    const struct monitor_options monitor = {
        .clock = &world->clock.base,
        .engine = &world->engine.base,
        .uplink = world->uplink,
        .logs = world->logs,
        .proc = "/proc",
    };
    world->engine.containers[0] = (struct engine_container){.id = "c1",
                                                            .name = "app-web-1",
                                                            .service = "web",
                                                            .image = "hello:1",
                                                            .image_id = "sha256:1",
                                                            .state = "running",
                                                            .health = "",
                                                            .error = ""};
    world->engine.n_containers = 1;
    world->engine.log_lines[0] = "one";
    world->engine.log_lines[1] = "two";
    world->engine.n_log_lines = 2;
    world->handlers = (struct handlers){.identity = &world->identity,
                                        .monitor = monitor_new(&monitor),
                                        .logs = world->logs,
                                        .engine = &world->engine.base,
                                        .uplink = world->uplink,
                                        .stop = on_stop,
                                        .data = world};
    monitor_watch_project(world->handlers.monitor, SUPPORT_DOMAIN);
    monitor_tick(world->handlers.monitor);
    command_guard_init(&world->handlers.guard, &world->clock.base);
    command_guard_allow(&world->handlers.guard, world->fleet.authority.public);
    command_guard_allow(&world->handlers.guard, world->fleet.gateway.public);
    world->guest = bus_memory_new();
    world->gateway = bus_memory_attach(world->guest);
    support_check(handlers_subscribe(&world->handlers, world->guest, SUPPORT_HOST, SUPPORT_WORKLOAD,
                                     world->subscriptions));
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < GUEST_HANDLERS; i++)
        bus_unsubscribe(world->subscriptions[i]);
    bus_free(world->gateway);
    bus_free(world->guest);
    monitor_free(world->handlers.monitor);
    uplink_free(world->uplink);
    logs_free(world->logs);
    identity_done(&world->identity);
    engine_fake_done(&world->engine);
    free(world);
    return 0;
}

/* What one command looks like on the wire. */
struct command {
    const char *verb;
    const char *signed_verb;    /* what the signature covers; NULL: the verb */
    const struct sign_key *key; /* NULL: unsigned */
    uint64_t counter;
    uint64_t signed_counter; /* 0: the counter */
    int64_t issued_at_ms;
    bool spoil_payload;
    const char *signature; /* instead of a right one */
};

static struct error *send_packed(struct world *world, const struct command *command, uint8_t *data,
                                 size_t size, struct arena *arena, struct bus_message *ret_reply)
{
    _cleanup_buffer_ struct buffer bytes = {0};
    _cleanup_free_ char *subject = xasprintf(SUBJECT "%s", command->verb);
    _cleanup_free_ char *signed_subject =
        xasprintf(SUBJECT "%s", command->signed_verb ? command->signed_verb : command->verb);
    _cleanup_free_ char *text = NULL;
    uint8_t signature[64];
    struct bus_message message = {
        .subject = subject, .data = data, .size = size, .counter = command->counter};

    assert(world);
    if (command->key) {
        bus_signed_bytes(signed_subject,
                         command->signed_counter ? command->signed_counter : command->counter, data,
                         size, &bytes);
        support_check(sign_bytes(command->key, bytes.data, bytes.size, signature));
        text = base64_encode_new(signature, sizeof(signature));
        message.signature = command->signature ? command->signature : text;
    }
    if (command->spoil_payload)
        data[size - 1] ^= 1;
    return bus_request(world->gateway, &message, 2000, arena, ret_reply);
}

static struct error *send(struct world *world, const struct command *command, struct arena *arena,
                          struct bus_message *ret_reply)
{
    Coffer__V1__GuestQuery query = COFFER__V1__GUEST_QUERY__INIT;
    uint8_t data[64];

    query.issued_at_ms = command->issued_at_ms;
    size_t size = coffer__v1__guest_query__pack(&query, data);
    return send_packed(world, command, data, size, arena, ret_reply);
}

static void test_commands_that_are_not_right_are_refused_and_counted(void **state)
{
    struct world *world = *state;
    const struct sign_key *gateway = &world->fleet.gateway;
    const struct command rows[] = {
        {.verb = "stop", .issued_at_ms = NOW_MS, .counter = 1},
        {.verb = "stop", .key = &world->fleet.stranger, .issued_at_ms = NOW_MS, .counter = 1},
        {.verb = "stop", .key = gateway, .issued_at_ms = NOW_MS, .counter = 0},
        {.verb = "stop",
         .key = gateway,
         .issued_at_ms = NOW_MS,
         .counter = 1,
         .spoil_payload = true},
        {.verb = "stop", .key = gateway, .issued_at_ms = NOW_MS, .counter = 2, .signed_counter = 1},
        {.verb = "stop",
         .key = gateway,
         .issued_at_ms = NOW_MS,
         .counter = 1,
         .signed_verb = "stats"},
        {.verb = "stop",
         .key = gateway,
         .issued_at_ms = NOW_MS,
         .counter = 1,
         .signature = "not base64"},
        {.verb = "stop", .key = gateway, .issued_at_ms = NOW_MS, .counter = 1, .signature = "AAAA"},
        {.verb = "stop", .key = gateway, .issued_at_ms = NOW_MS - 60001, .counter = 1},
        {.verb = "stop", .key = gateway, .issued_at_ms = NOW_MS + 60001, .counter = 1},
        {.verb = "stop", .key = gateway, .issued_at_ms = 0, .counter = 1},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(arena_freep) struct arena *arena = arena_new();
        struct bus_message reply;
        struct error *err = send(world, &rows[i], arena, &reply);
        if (error_get_code(err) != ERROR_PERMISSION_DENIED)
            fail_msg("row %zu: %s", i, error_text(err));
        error_free(err);
        assert_int_equal(world->handlers.guard.refused, i + 1);
    }
    assert_int_equal(world->stops, 0);
}

static void test_a_command_works_once_for_each_key(void **state)
{
    struct world *world = *state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct bus_message reply;
    struct command command = {
        .verb = "stop", .key = &world->fleet.gateway, .counter = 5, .issued_at_ms = NOW_MS};

    support_check(send(world, &command, arena, &reply));
    support_refused(send(world, &command, arena, &reply), ERROR_PERMISSION_DENIED);
    command.counter = 4;
    support_refused(send(world, &command, arena, &reply), ERROR_PERMISSION_DENIED);
    command.counter = 6;
    support_check(send(world, &command, arena, &reply));
    command.key = &world->fleet.authority; /* has a counter of its own */
    command.counter = 1;
    support_check(send(world, &command, arena, &reply));
    assert_int_equal(world->stops, 3);
}

static void check_signed(struct world *world, const struct bus_message *reply)
{
    _cleanup_buffer_ struct buffer bytes = {0};
    _cleanup_free_ uint8_t *signature = NULL;
    size_t size;

    assert_non_null(reply->signature);
    support_check(base64_decode_new(reply->signature, 64, &signature, &size));
    bus_signed_bytes(reply->subject, reply->counter, reply->data, reply->size, &bytes);
    support_check(sign_verify(world->identity.sign.public, bytes.data, bytes.size, signature));
}

static void test_answers_are_signed_by_the_guest(void **state)
{
    struct world *world = *state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct bus_message reply;
    struct command command = {
        .verb = "containers", .key = &world->fleet.gateway, .counter = 1, .issued_at_ms = NOW_MS};
    void *out;

    support_check(send(world, &command, arena, &reply));
    check_signed(world, &reply);
    support_check(
        bus_unpack(&coffer__v1__containers_reply__descriptor, reply.data, reply.size, arena, &out));
    const Coffer__V1__ContainersReply *containers = out;
    assert_int_equal(containers->n_containers, 1);
    assert_string_equal(containers->containers[0]->service, "web");

    command.verb = "stats";
    command.counter = 2;
    support_check(send(world, &command, arena, &reply));
    check_signed(world, &reply);
    support_check(
        bus_unpack(&coffer__v1__guest_sample__descriptor, reply.data, reply.size, arena, &out));
    const Coffer__V1__GuestSample *sample = out;
    assert_true(sample->memory_total_bytes > 0);
    assert_true(sample->n_cpus > 0);
}

static struct error *ask_logs(struct world *world, const char *source, uint64_t counter,
                              struct arena *arena, const Coffer__V1__LogsReply **ret_reply)
{
    Coffer__V1__LogsRequest request = COFFER__V1__LOGS_REQUEST__INIT;
    const struct command command = {
        .verb = "logs", .key = &world->fleet.gateway, .counter = counter};
    struct bus_message reply;
    uint8_t data[256];
    void *out;

    request.issued_at_ms = NOW_MS;
    request.source = (char *)source;
    request.tail = true;
    request.max_lines = 10;
    size_t size = coffer__v1__logs_request__pack(&request, data);
    struct error *err = send_packed(world, &command, data, size, arena, &reply);
    if (!err)
        err = bus_unpack(&coffer__v1__logs_reply__descriptor, reply.data, reply.size, arena, &out);
    if (!err)
        *ret_reply = out;
    return err;
}

static void test_logs_of_a_container_and_of_ourselves(void **state)
{
    struct world *world = *state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    const Coffer__V1__LogsReply *reply = NULL;

    support_check(ask_logs(world, "app-web-1", 1, arena, &reply));
    assert_int_equal(reply->n_lines, 2);
    assert_memory_equal(reply->lines[0]->text.data, "one", 3);
    assert_string_equal(reply->lines[1]->stream, "stderr");
    support_check(ask_logs(world, "web", 2, arena, &reply));
    assert_int_equal(reply->n_lines, 2);
    support_refused(ask_logs(world, "nobody", 3, arena, &reply), ERROR_NOT_FOUND);
    logs_add(world->logs, LOGS_OWN, NOW_MS, true, "hello", 5);
    support_check(ask_logs(world, LOGS_OWN, 4, arena, &reply));
    assert_int_equal(reply->n_lines, 1);
    assert_memory_equal(reply->lines[0]->text.data, "hello", 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_commands_that_are_not_right_are_refused_and_counted),
        TEST(test_a_command_works_once_for_each_key),
        TEST(test_answers_are_signed_by_the_guest),
        TEST(test_logs_of_a_container_and_of_ourselves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
