/* What an account may have. */
#include "services/scheduler/test_kit_update.h"

static struct error *create_within(struct kit *kit, const char *id,
                                   Coffer__V1__Allowance *allowance)
{
    Coffer__V1__CreateWorkloadRequest *request = kit_create_request(kit, id);

    request->allowance = allowance;
    return kit_call(kit, "svc.scheduler.workload.create", &request->base, NULL);
}

static void refused(struct error *err, const char *reason)
{
    assert_string_equal(error_reason(err), reason);
    kit_code(err, ERROR_FAILED_PRECONDITION);
}

static void test_allowance_table(void **state)
{
    static const struct {
        const char *name;
        Coffer__V1__Allowance allowance; /* what is 0 does not limit */
        const char *reason;              /* of the second workload; "": it may be */
    } rows[] = {
        {"nothing", {.usd_micros_per_minute = 1}, ""},
        {"cost", {.usd_micros_per_minute = 199, .limits_cost = 1}, "no_balance"},
        {"cost, exactly", {.usd_micros_per_minute = 200, .limits_cost = 1}, ""},
        {"no money", {.limits_cost = 1}, "no_balance"},
        {"workloads", {.workloads = 1}, "over_quota"},
        {"workloads, exactly", {.workloads = 2}, ""},
        {"cpus", {.cpus = 3}, "over_quota"},
        {"cpus, exactly", {.cpus = 4}, ""},
        {"memory", {.memory_mib = 2047}, "over_quota"},
        {"memory, exactly", {.memory_mib = 2048}, ""},
        {"disk", {.disk_gib = 19}, "over_quota"},
        {"disk, exactly", {.disk_gib = 20}, ""},
        {"gpus", {.gpus = 1}, ""},
        {"quota before money", {.workloads = 1, .limits_cost = 1}, "over_quota"},
    };
    struct kit *kit = *state;
    kit_tick(kit);
    kit_add_tier(kit, 100);
    kit_create(kit, "w1");
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Coffer__V1__Allowance allowance = COFFER__V1__ALLOWANCE__INIT;
        const ProtobufCMessage base = allowance.base;
        const char *id = arena_printf(kit->arena, "x%zu", i);
        allowance = rows[i].allowance;
        allowance.base = base;
        struct error *err = create_within(kit, id, &allowance);
        if (strcmp(error_reason(err), rows[i].reason) != 0 || (err && !rows[i].reason[0]))
            fail_msg("%s: %s", rows[i].name, error_text(err));
        error_free(err);
        if (rows[i].reason[0])
            continue;
        kit_ok(kit_wish(kit, "delete", id));
        kit_tick(kit);
        assert_int_equal(kit_status(kit, id), STATUS_DELETED);
    }
}

static void test_allowance_of_what_runs_again(void **state)
{
    struct kit *kit = *state;
    struct kit_app app = kit_same_app;
    Coffer__V1__Allowance one = COFFER__V1__ALLOWANCE__INIT;
    one.workloads = 1;
    kit_tick(kit);
    kit_create(kit, "w1");
    /* It is not counted twice. */
    kit_ok(kit_wish_if(kit, "restart", NULL, &one));
    kit_ok(create_within(kit, "w1", &one));
    app.compose = "1\n";
    Coffer__V1__UpdateWorkloadRequest *request = kit_update_request(kit, &app);
    request->allowance = &one;
    kit_ok(kit_update_with(kit, request));
    kit_ok(kit_wish_if(kit, "stop", NULL, NULL));
    clock_fake_advance(&kit->clock, 5000);
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_STOPPED);
    kit_ok(create_within(kit, "w2", &one));
    /* Now the other one is all it may have. */
    refused(kit_wish_if(kit, "start", NULL, &one), "over_quota");
    refused(kit_wish_if(kit, "restart", NULL, &one), "over_quota");
    /* What stays stopped, and what ends, is free. */
    app.compose = "2\n";
    request = kit_update_request(kit, &app);
    request->allowance = &one;
    kit_ok(kit_update_with(kit, request));
    kit_ok(kit_wish_if(kit, "stop", NULL, &one));
    kit_ok(kit_wish_if(kit, "delete", NULL, &one));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_allowance_table),
        KIT_TEST(test_allowance_of_what_runs_again),
    };

    return cmocka_run_group_tests(tests, kit_group_setup, kit_group_teardown);
}
