/* One contract for every backend of the bus: calls that are kept and answered later. */
#include "tests/integration/test_bus_kit.h"

#include "shared/base/log.h"

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
        expect_that(bus_call_later(kept, answer_kept, keeper));
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
            expect_that(error_get_code(err) == ERROR_NOT_FOUND);
            error_free(err);
            continue;
        }
        if (!expect_no_error(err))
            break;
        expect_that(strcmp(reply->workload->workload_id, caller->id) == 0);
        expect_that(strcmp(reply->workload->status_reason, "r-1 on svc.scheduler.workload.stop") ==
                    0);
    }
    return NULL;
}

static void test_kept_calls_are_answered_later_and_together(void **state)
{
    static const char *const ids[KEPT_CALLERS] = {"w1", "w2", "missing", "w4",
                                                  "w5", "w6", "w7",      "w8"};
    const struct bus_fixture *fixture = *state;
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
    assert_no_findings();
    bus_unsubscribe(subscription);
    assert_int_equal(keeper.n, 0);
    assert_true(keeper.batches > 0);
    assert_true(keeper.largest <= KEPT_CALLERS);
}

/* Without a bus, and without anybody who waits, there is nothing to keep. */
static void test_a_call_that_nobody_waits_for_is_not_kept(void **state)
{
    const struct bus_fixture *fixture = *state;
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
    assert_no_findings();
    assert_int_equal(keeper.n, 0);
    assert_int_equal(keeper.largest, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept_calls_are_answered_later_and_together),
        cmocka_unit_test(test_a_call_that_nobody_waits_for_is_not_kept),
    };

    if (is_nats() && !nats_server_is_available(2, 9)) {
        printf("no nats-server 2.9 or later in PATH: skipped\n");
        return 77;
    }
    log_init("test", LOG_LEVEL_DEBUG);
    return cmocka_run_group_tests(tests, bus_setup, bus_teardown);
}
