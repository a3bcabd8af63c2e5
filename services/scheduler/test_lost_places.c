/* Where a workload goes when its host is lost: an owner's wish prefers another one, whatever the
 * workload's status was when that happened. */
#include "services/scheduler/reconcile.h"
#include "services/scheduler/test_kit.h"

/* h1 says no more: time goes by until it is lost. */
static void lose_h1(struct kit *kit)
{
    kit->hosts[0].away = true;
    for (int i = 0; i < 8; i++) {
        clock_fake_advance(&kit->clock, 10000);
        kit_heartbeat(kit, 1);
        kit_ok(reconcile_pass(kit->scheduler));
    }
    assert_int_equal(kit_host_record(kit, "h1")->status, COFFER__V1__HOST_STATUS__LOST);
}

/* A guest that cannot boot, and no more attempts. */
static void fail_for_good(struct kit *kit)
{
    kit->config.restart_max = 0;
    kit->hosts[0].refuse = ERROR_INVALID_ARGUMENT;
    kit_create(kit, "w1");
    kit_tick(kit);
    kit->hosts[0].refuse = ERROR_OK;
    assert_int_equal(kit_status(kit, "w1"), STATUS_ERROR);
    assert_string_equal(kit_workload(kit, "w1")->host_id, "h1");
}

static void stop(struct kit *kit)
{
    kit_create(kit, "w1");
    kit_tick(kit);
    kit_ok(kit_wish(kit, "stop", "w1"));
    clock_fake_advance(&kit->clock, 6000);
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_STOPPED);
}

static struct error *update(struct kit *kit)
{
    const Coffer__V1__CreateWorkloadRequest *create = kit_create_request(kit, "w1");
    Coffer__V1__UpdateWorkloadRequest request = COFFER__V1__UPDATE_WORKLOAD_REQUEST__INIT;

    request.workload_id = create->workload_id;
    request.account_id = create->account_id;
    request.name = (char *)"another name";
    request.manifest = create->manifest;
    request.compose = create->compose;
    request.files = create->files;
    request.n_files = create->n_files;
    request.image_version = create->image_version;
    request.domain = create->domain;
    return kit_call(kit, "svc.scheduler.workload.update", &request.base, NULL);
}

static void expect_moved(struct kit *kit, bool runs)
{
    assert_string_equal(kit_workload(kit, "w1")->host_id, "h2");
    assert_int_equal(kit_host_record(kit, "h1")->used->cpus, 0);
    assert_int_equal(kit_host_record(kit, "h2")->used->cpus, 2);
    kit_heartbeat(kit, 1);
    kit_ok(reconcile_pass(kit->scheduler));
    assert_int_equal(kit_status(kit, "w1"), runs ? STATUS_STARTING : STATUS_STOPPED);
    assert_int_equal(kit->hosts[1].starts, runs);
}

static void test_a_failed_one_is_restarted_elsewhere(void **state)
{
    kit_tick(*state);
    fail_for_good(*state);
    lose_h1(*state);
    kit_ok(kit_wish(*state, "restart", "w1"));
    expect_moved(*state, true);
}

static void test_a_failed_one_is_started_elsewhere(void **state)
{
    kit_tick(*state);
    fail_for_good(*state);
    lose_h1(*state);
    kit_ok(kit_wish(*state, "start", "w1"));
    expect_moved(*state, true);
}

static void test_a_failed_one_is_updated_elsewhere(void **state)
{
    kit_tick(*state);
    fail_for_good(*state);
    lose_h1(*state);
    kit_ok(update(*state));
    expect_moved(*state, true);
}

static void test_a_stopped_one_is_started_elsewhere(void **state)
{
    kit_tick(*state);
    stop(*state);
    lose_h1(*state);
    kit_ok(kit_wish(*state, "start", "w1"));
    expect_moved(*state, true);
}

static void test_a_stopped_one_is_updated_elsewhere(void **state)
{
    kit_tick(*state);
    stop(*state);
    lose_h1(*state);
    kit_ok(update(*state));
    expect_moved(*state, false);
}

static void test_a_plan_says_so(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__PlanWorkloadRequest request = COFFER__V1__PLAN_WORKLOAD_REQUEST__INIT;
    Coffer__V1__PlanWorkloadReply *reply;

    kit_tick(kit);
    fail_for_good(kit);
    request.workload_id = (char *)"w1";
    request.account_id = (char *)"acme";
    request.image_version = (char *)KIT_IMAGE;
    kit_ok(kit_call(kit, "svc.scheduler.workload.plan", &request.base, &reply));
    assert_string_equal(reply->host_id, "h1");
    lose_h1(kit);
    kit_ok(kit_call(kit, "svc.scheduler.workload.plan", &request.base, &reply));
    assert_string_equal(reply->host_id, "h2");
}

/* Without a loss the place is kept, also where another host has more room. */
static void test_the_place_is_kept_otherwise(void **state)
{
    struct kit *kit = *state;

    kit_tick(kit);
    fail_for_good(kit);
    kit_ok(kit_wish(kit, "restart", "w1"));
    assert_string_equal(kit_workload(kit, "w1")->host_id, "h1");
    kit_ok(update(kit));
    assert_string_equal(kit_workload(kit, "w1")->host_id, "h1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_a_failed_one_is_restarted_elsewhere),
        KIT_TEST(test_a_failed_one_is_started_elsewhere),
        KIT_TEST(test_a_failed_one_is_updated_elsewhere),
        KIT_TEST(test_a_stopped_one_is_started_elsewhere),
        KIT_TEST(test_a_stopped_one_is_updated_elsewhere),
        KIT_TEST(test_a_plan_says_so),
        KIT_TEST(test_the_place_is_kept_otherwise),
    };

    return cmocka_run_group_tests(tests, kit_group_setup, kit_group_teardown);
}
