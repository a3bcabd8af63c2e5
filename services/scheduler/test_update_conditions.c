/* What an update and other wishes are conditional on, and that a repeat is done once. */
#include "services/scheduler/test_kit_update.h"
#include "services/scheduler/test_store.h"

static void heartbeats(void *data)
{
    kit_heartbeat(data, 0);
    kit_heartbeat(data, 1);
}

static void raise_events(void *data)
{
    struct kit *kit = data;

    assert_int_equal(kit_vm_changed(kit, "h1", "w1", 1, COFFER__V1__VM_STATE__VM_FAILED), BUS_ACK);
}

static void test_conflicts_are_tried_again_and_expectations_are_not(void **state)
{
    struct kit *kit = *state;
    struct kit_app app = kit_same_app;
    struct test_store store;
    test_store_init(&store, kit->store);
    kit_tick(kit);
    kit_create(kit, "w1");
    kit_tick(kit);
    kit->scheduler->store = &store.base;
    app.compose = "1\n";
    store.aborts = 3;
    kit_ok(kit_update(kit, &app));
    assert_int_equal(store.commits, 4);
    assert_int_equal(kit_workload(kit, "w1")->generation, 2);
    store.aborts = 100;
    app.compose = "2\n";
    kit_code(kit_update(kit, &app), ERROR_UNAVAILABLE);
    store.aborts = 0;
    /* A real conflict in between: the update is decided anew on what is then. */
    kit_tick(kit);
    store.before_commit = heartbeats;
    store.data = kit;
    kit_ok(kit_update(kit, &app));
    /* The answer was lost: the same again is a no-op. */
    app.compose = "3\n";
    store.lose_answer = true;
    kit_code(kit_update(kit, &app), ERROR_UNAVAILABLE);
    kit_ok(kit_update(kit, &app));
    assert_int_equal(kit_workload(kit, "w1")->generation, 4);
    kit->scheduler->store = kit->store;
}

/* Somebody changes the record between the caller's look at it and the commit. */
static void test_expectation_is_judged_on_the_record_that_is_changed(void **state)
{
    struct kit *kit = *state;
    struct kit_app app = kit_same_app;
    struct test_store store;
    test_store_init(&store, kit->store);
    kit_tick(kit);
    kit_create(kit, "w1");
    kit_tick(kit);
    Coffer__V1__Expectation expectation = kit_expected(kit);
    app.compose = "1\n";
    Coffer__V1__UpdateWorkloadRequest *request = kit_update_request(kit, &app);
    request->if_match = &expectation;
    kit->scheduler->store = &store.base;
    store.before_commit = raise_events;
    store.data = kit;
    struct error *err = kit_update_with(kit, request);
    assert_string_equal(error_reason(err), "if_match");
    kit_code(err, ERROR_ABORTED);
    assert_int_equal(kit_workload(kit, "w1")->generation, 1);
    expectation = kit_expected(kit);
    kit_ok(kit_update_with(kit, request));
    kit->scheduler->store = kit->store;
}

/* A repeat of one whose answer was lost names the same request: a second new VM would lose the
 * data of the first. Another request with the same content is another one. */
static void test_the_same_request_is_done_once(void **state)
{
    struct kit *kit = *state;
    struct kit_app app = kit_same_app;
    kit_tick(kit);
    kit_create(kit, "w1");
    app.values[0] = "new value";
    Coffer__V1__UpdateWorkloadRequest *request = kit_update_request(kit, &app);
    Coffer__V1__Expectation before = kit_expected(kit);
    request->request_id = (char *)"first";
    request->if_match = &before;
    kit_ok(kit_update_with(kit, request));
    assert_int_equal(kit_workload(kit, "w1")->generation, 2);
    kit_ok(kit_update_with(kit, request)); /* also with what is no longer so */
    request->if_match = NULL;
    kit_ok(kit_update_with(kit, request));
    assert_int_equal(kit_workload(kit, "w1")->generation, 2);
    request->account_id = (char *)"another";
    kit_code(kit_update_with(kit, request), ERROR_NOT_FOUND);
    request->account_id = (char *)"";
    request->request_id = (char *)"second";
    kit_ok(kit_update_with(kit, request));
    request->request_id = (char *)""; /* without one it is never a repeat */
    kit_ok(kit_update_with(kit, request));
    kit_ok(kit_update_with(kit, request));
    assert_int_equal(kit_workload(kit, "w1")->generation, 5);
}

static void test_the_same_restart_is_done_once(void **state)
{
    Coffer__V1__RestartWorkloadRequest restart = COFFER__V1__RESTART_WORKLOAD_REQUEST__INIT;
    struct kit *kit = *state;
    kit_tick(kit);
    kit_create(kit, "w1");
    Coffer__V1__Expectation before = kit_expected(kit);
    restart.workload_id = (char *)"w1";
    restart.request_id = (char *)"first";
    restart.if_match = &before;
    for (int i = 0; i < 3; i++)
        kit_ok(kit_call(kit, "svc.scheduler.workload.restart", &restart.base, NULL));
    assert_int_equal(kit_workload(kit, "w1")->generation, 2);
    restart.request_id = (char *)"second";
    kit_code(kit_call(kit, "svc.scheduler.workload.restart", &restart.base, NULL), ERROR_ABORTED);
    restart.if_match = NULL;
    kit_ok(kit_call(kit, "svc.scheduler.workload.restart", &restart.base, NULL));
    assert_int_equal(kit_workload(kit, "w1")->generation, 3);
}

static void test_expectations_of_every_verb(void **state)
{
    static const char *const verbs[] = {"restart", "stop", "start", "delete"};
    struct kit *kit = *state;
    kit_tick(kit);
    kit_create(kit, "w1");
    for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
        Coffer__V1__Expectation expectation = kit_expected(kit);
        expectation.event_sequence--;
        struct error *err = kit_wish_if(kit, verbs[i], &expectation, NULL);
        assert_string_equal(error_reason(err), "if_match");
        kit_code(err, ERROR_ABORTED);
        expectation = kit_expected(kit);
        kit_ok(kit_wish_if(kit, verbs[i], &expectation, NULL));
        /* Also where there would be nothing to do. */
        if (strcmp(verbs[i], "restart") != 0)
            kit_code(kit_wish_if(kit, verbs[i], &expectation, NULL), ERROR_ABORTED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_the_same_request_is_done_once),
        KIT_TEST(test_the_same_restart_is_done_once),
        KIT_TEST(test_conflicts_are_tried_again_and_expectations_are_not),
        KIT_TEST(test_expectation_is_judged_on_the_record_that_is_changed),
        KIT_TEST(test_expectations_of_every_verb),
    };

    return cmocka_run_group_tests(tests, kit_group_setup, kit_group_teardown);
}
