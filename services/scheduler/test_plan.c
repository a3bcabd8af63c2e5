/* Plans: what a create or an update would do, without a change of anything. */
#include "services/scheduler/reconcile.h"
#include "services/scheduler/test_kit_update.h"
#include "services/scheduler/test_store.h"

/* Every plan is made on a store that counts: nothing may be written. */
static Coffer__V1__PlanWorkloadReply *plan(struct kit *kit,
                                           const Coffer__V1__PlanWorkloadRequest *request)
{
    struct test_store store;
    Coffer__V1__PlanWorkloadReply *reply;

    test_store_init(&store, kit->store);
    kit->scheduler->store = &store.base;
    struct error *err = kit_call(kit, "svc.scheduler.workload.plan", &request->base, &reply);
    kit->scheduler->store = kit->store;
    kit_ok(err);
    assert_int_equal(store.commits, 0);
    assert_int_equal(reply->admitted, reply->refusal_code[0] == '\0');
    assert_int_equal(reply->refusal[0] == '\0', reply->refusal_code[0] == '\0');
    return reply;
}

static void test_plan_of_a_create(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__PlanWorkloadRequest request = kit_plan_request(kit);
    const Coffer__V1__PlanWorkloadReply *reply = plan(kit, &request);
    assert_string_equal(reply->refusal_code, "no_host");
    kit_tick(kit);
    kit_add_tier(kit, 100);
    kit_create(kit, "w1");
    reply = plan(kit, &request);
    assert_true(reply->admitted);
    assert_string_equal(reply->host_id, "h1");
    assert_int_equal(reply->candidates, 2);
    assert_int_equal(reply->n_notes, 0);
    assert_string_equal(reply->tier, "small");
    assert_int_equal(reply->usd_micros_per_minute, 100);
    assert_int_equal(reply->account_usd_micros_per_minute, 200);
    /* The create then does as it was said. */
    assert_string_equal(kit_create(kit, "w2")->host_id, reply->host_id);
}

static void test_plan_counts_what_is_in_the_way(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__PlanWorkloadRequest request = kit_plan_request(kit);
    kit_tick(kit);
    request.resources->memory_mib = 4097;
    const Coffer__V1__PlanWorkloadReply *reply = plan(kit, &request);
    assert_string_equal(reply->refusal_code, "no_host");
    assert_int_equal(reply->candidates, 0);
    assert_int_equal(reply->n_notes, 1);
    assert_int_equal(reply->notes[0]->hosts, 2);
    assert_string_equal(reply->notes[0]->reason,
                        "memory exhausted (needs 4097 MiB, most free 4096 MiB)");
    assert_non_null(strstr(reply->refusal, reply->notes[0]->reason));
    /* One of them fits; why the other does not is said as well. */
    request.resources->memory_mib = 2048;
    kit->hosts[0].total.memory_mib = 1024;
    kit_tick(kit);
    reply = plan(kit, &request);
    assert_true(reply->admitted);
    assert_string_equal(reply->host_id, "h2");
    assert_int_equal(reply->candidates, 1);
    assert_int_equal(reply->notes[0]->hosts, 1);
    request.resources->gpus = 1;
    reply = plan(kit, &request);
    assert_int_equal(reply->n_notes, 2);
    assert_non_null(strstr(reply->notes[1]->reason, "gpus exhausted"));
}

static void test_plan_refusals(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__Allowance allowance = COFFER__V1__ALLOWANCE__INIT;
    Coffer__V1__PlanWorkloadRequest request;
    kit_tick(kit);
    kit_add_tier(kit, 100);
    kit_create(kit, "w1");
    request = kit_plan_request(kit);
    request.image_version = (char *)"9.9";
    assert_string_equal(plan(kit, &request)->refusal_code, "no_image");
    request = kit_plan_request(kit);
    request.resources->cpus = 1;
    assert_string_equal(plan(kit, &request)->refusal_code, "no_tier");
    request = kit_plan_request(kit);
    request.domain = (char *)"w1." KIT_DOMAIN;
    assert_string_equal(plan(kit, &request)->refusal_code, "domain_taken");
    request = kit_plan_request(kit);
    request.allowance = &allowance;
    allowance.limits_cost = true;
    allowance.usd_micros_per_minute = 199;
    assert_string_equal(plan(kit, &request)->refusal_code, "no_balance");
    allowance.workloads = 1;
    assert_string_equal(plan(kit, &request)->refusal_code, "over_quota");
    allowance.workloads = 2;
    allowance.usd_micros_per_minute = 200;
    assert_true(plan(kit, &request)->admitted);
    /* What is no request at all is an error. */
    request.resources = NULL;
    kit_code(kit_call(kit, "svc.scheduler.workload.plan", &request.base, NULL),
             ERROR_INVALID_ARGUMENT);
    request = kit_plan_request(kit);
    request.domain = (char *)"no host";
    kit_code(kit_call(kit, "svc.scheduler.workload.plan", &request.base, NULL),
             ERROR_INVALID_ARGUMENT);
    request = kit_plan_request(kit);
    request.image_version = (char *)"../x";
    kit_code(kit_call(kit, "svc.scheduler.workload.plan", &request.base, NULL),
             ERROR_INVALID_ARGUMENT);
}

static void test_plan_of_an_update(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__Allowance allowance = COFFER__V1__ALLOWANCE__INIT;
    Coffer__V1__PlanWorkloadRequest request = kit_plan_request(kit);
    kit_tick(kit);
    kit_add_tier(kit, 100);
    kit_create(kit, "w1");
    kit_create(kit, "w2");
    request.workload_id = (char *)"w1";
    request.resources = NULL;
    request.domain = (char *)"w1." KIT_DOMAIN;
    request.allowance = &allowance;
    allowance.workloads = 2;
    const Coffer__V1__PlanWorkloadReply *reply = plan(kit, &request);
    assert_true(reply->admitted);
    assert_string_equal(reply->host_id, "h1");
    assert_string_equal(reply->tier, "small");
    assert_int_equal(reply->usd_micros_per_minute, 100);
    assert_int_equal(reply->account_usd_micros_per_minute, 200);
    request.domain = (char *)"w2." KIT_DOMAIN;
    assert_string_equal(plan(kit, &request)->refusal_code, "domain_taken");
    request.account_id = (char *)"mallory";
    kit_code(kit_call(kit, "svc.scheduler.workload.plan", &request.base, NULL), ERROR_NOT_FOUND);
    request.account_id = (char *)"acme";
    kit_ok(kit_wish(kit, "delete", "w1"));
    kit_code(kit_call(kit, "svc.scheduler.workload.plan", &request.base, NULL),
             ERROR_FAILED_PRECONDITION);
}

/* As the update itself: what it gives up is free for it. */
static void test_plan_counts_its_own_place_as_free(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__PlanWorkloadRequest request = kit_plan_request(kit);
    struct kit_app app = kit_same_app;
    kit->hosts[1].total.memory_mib = 128;
    kit_tick(kit);
    Coffer__V1__CreateWorkloadRequest *create = kit_create_request(kit, "w1");
    create->resources->memory_mib = 4096;
    kit_ok(kit_call(kit, "svc.scheduler.workload.create", &create->base, NULL));
    kit_tick(kit);
    clock_fake_advance(&kit->clock, 60000);
    kit_ok(reconcile_pass(kit->scheduler));
    kit_heartbeat(kit, 0);
    assert_int_equal(kit_status(kit, "w1"), STATUS_WAITING);
    request.workload_id = (char *)"w1";
    request.resources = NULL;
    request.domain = (char *)"w1." KIT_DOMAIN;
    const Coffer__V1__PlanWorkloadReply *reply = plan(kit, &request);
    assert_string_equal(reply->refusal_code, "");
    assert_string_equal(reply->host_id, "h1");
    app.compose = "services: {}\n";
    kit_ok(kit_update(kit, &app));
}

static struct error *no_domains(struct store *store, const char *key, struct arena *arena,
                                struct store_record *ret_record)
{
    if (strncmp(key, KEY_DOMAIN, strlen(KEY_DOMAIN)) == 0)
        return error_new(ERROR_UNAVAILABLE, "the store is away");
    return ((struct test_store *)store)
        ->inner->ops->get(((struct test_store *)store)->inner, key, arena, ret_record);
}

/* What nobody could find out is no reason to refuse a create. */
static void test_no_plan_while_the_store_is_away(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__PlanWorkloadRequest request = kit_plan_request(kit);
    struct test_store store;
    kit_tick(kit);
    test_store_init(&store, kit->store);
    struct store_ops ops = *store.base.ops;
    ops.get = no_domains;
    store.base.ops = &ops;
    kit->scheduler->store = &store.base;
    request.domain = (char *)"w1." KIT_DOMAIN;
    struct error *err = kit_call(kit, "svc.scheduler.workload.plan", &request.base, NULL);
    kit->scheduler->store = kit->store;
    assert_string_equal(error_reason(err), STORE_AWAY);
    kit_code(err, ERROR_UNAVAILABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_plan_of_a_create),  KIT_TEST(test_plan_counts_what_is_in_the_way),
        KIT_TEST(test_plan_refusals),     KIT_TEST(test_no_plan_while_the_store_is_away),
        KIT_TEST(test_plan_of_an_update), KIT_TEST(test_plan_counts_its_own_place_as_free),
    };

    return cmocka_run_group_tests(tests, kit_group_setup, kit_group_teardown);
}
