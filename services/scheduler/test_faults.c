/* Hosts that fall silent, VMs that die, commands that are refused. */
#include "services/scheduler/test_kit.h"

#include "services/scheduler/reconcile.h"

static void silence(struct kit *kit, int64_t ms)
{
    clock_fake_advance(&kit->clock, ms);
    kit_ok(reconcile_pass(kit->scheduler));
}

static void pass_time(struct kit *kit, int64_t ms)
{
    clock_fake_advance(&kit->clock, ms);
    kit_tick(kit);
}

static Coffer__V1__HostStatus host_status(struct kit *kit, const char *id)
{
    return kit_host_record(kit, id)->status;
}

static void test_suspect_and_lost_are_inclusive(void **state)
{
    struct kit *kit = *state;
    kit_tick(kit);
    silence(kit, 14999);
    assert_int_equal(host_status(kit, "h1"), COFFER__V1__HOST_STATUS__READY);
    silence(kit, 1);
    assert_int_equal(host_status(kit, "h1"), COFFER__V1__HOST_STATUS__SUSPECT);
    silence(kit, 44999);
    assert_int_equal(host_status(kit, "h1"), COFFER__V1__HOST_STATUS__SUSPECT);
    silence(kit, 1);
    assert_int_equal(host_status(kit, "h1"), COFFER__V1__HOST_STATUS__LOST);
    kit_tick(kit);
    assert_int_equal(host_status(kit, "h1"), COFFER__V1__HOST_STATUS__READY);
}

/* The scheduler was away itself: that is no silence of the hosts. */
static void test_own_absence_loses_no_host(void **state)
{
    struct kit *kit = *state;
    kit_tick(kit);
    clock_fake_advance(&kit->clock, 3600000);
    kit_restart_scheduler(kit);
    kit_ok(reconcile_pass(kit->scheduler));
    assert_int_equal(host_status(kit, "h1"), COFFER__V1__HOST_STATUS__READY);
    silence(kit, 60000);
    assert_int_equal(host_status(kit, "h1"), COFFER__V1__HOST_STATUS__LOST);
}

static void test_lost_host_comes_back_with_the_vm(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    kit_run_workload(kit, "w1", &guest);
    silence(kit, 60000);
    assert_int_equal(kit_status(kit, "w1"), STATUS_WAITING);
    assert_string_equal(kit_workload(kit, "w1")->status_code, "host_lost");
    /* The reservation stands, and nothing is started anywhere. */
    assert_string_equal(kit_workload(kit, "w1")->host_id, "h1");
    assert_int_equal(kit->hosts[1].starts, 0);
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_STARTING);
    assert_int_equal(kit_health(kit, &guest, true, true), BUS_ACK);
    assert_int_equal(kit_status(kit, "w1"), STATUS_RUNNING);
    assert_int_equal(kit->hosts[0].starts, 1);
}

/* A guest that boots while its host counts as lost is told to ask again. */
static void test_challenge_while_waiting(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    kit_tick(kit);
    kit_create(kit, "w1");
    kit_tick(kit);
    kit_guest_init(kit, &guest, "w1");
    silence(kit, 60000);
    assert_int_equal(kit_status(kit, "w1"), STATUS_WAITING);
    kit_code(kit_challenge(kit, &guest), ERROR_UNAVAILABLE);
    kit_tick(kit);
    kit_release(kit, &guest);
}

static void test_lost_host_comes_back_empty(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    kit_run_workload(kit, "w1", &guest);
    silence(kit, 60000);
    kit->hosts[0].n_vms = 0;
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_SCHEDULED);
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_STARTING);
    assert_int_equal(kit->hosts[0].vms[0].generation, 2);
}

static void test_owner_moves_it_off_a_lost_host(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    kit_run_workload(kit, "w1", &guest);
    clock_fake_advance(&kit->clock, 60000);
    kit_heartbeat(kit, 1);
    kit_ok(reconcile_pass(kit->scheduler));
    kit_ok(kit_wish(kit, "restart", "w1"));
    assert_string_equal(kit_workload(kit, "w1")->host_id, "h2");
    assert_int_equal(kit_host_record(kit, "h1")->used->memory_mib, 0);
    kit_ok(reconcile_pass(kit->scheduler));
    assert_int_equal(kit->hosts[1].starts, 1);
    assert_string_equal(dns_memory_find(kit->dns, "w1." KIT_DOMAIN), "192.0.2.2");
    /* The lost host is back and still has the old VM: it is told to delete it. */
    kit_tick(kit);
    assert_int_equal(kit->hosts[0].n_vms, 0);
    assert_int_equal(kit->hosts[1].n_vms, 1);
    assert_int_equal(kit_status(kit, "w1"), STATUS_STARTING);
    assert_int_equal(kit_health(kit, &guest, true, true), BUS_TERM);
}

static void test_vm_gone_is_restarted_with_backoff(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    kit_run_workload(kit, "w1", &guest);
    kit->hosts[0].n_vms = 0;
    pass_time(kit, 14000);
    assert_int_equal(kit_status(kit, "w1"), STATUS_RUNNING);
    pass_time(kit, 1000);
    assert_int_equal(kit_status(kit, "w1"), STATUS_ERROR);
    assert_string_equal(kit_workload(kit, "w1")->status_code, "vm_gone");
    pass_time(kit, 9999);
    assert_int_equal(kit_status(kit, "w1"), STATUS_ERROR);
    pass_time(kit, 1);
    assert_int_equal(kit_status(kit, "w1"), STATUS_SCHEDULED);
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_STARTING);
    assert_int_equal(kit->hosts[0].vms[0].generation, 2);
    assert_non_null(kit_last_event(kit, "w1", "vmRestarted"));
}

static void fail_vm(struct kit *kit, uint64_t generation)
{
    assert_int_equal(kit_vm_changed(kit, "h1", "w1", generation, COFFER__V1__VM_STATE__VM_FAILED),
                     BUS_ACK);
    assert_int_equal(kit_status(kit, "w1"), STATUS_ERROR);
}

static void test_restarts_have_a_cap(void **state)
{
    struct kit *kit = *state;
    int64_t backoff_ms = 10000;
    kit_tick(kit);
    kit_create(kit, "w1");
    kit_tick(kit);
    for (uint64_t generation = 1; generation <= 3; generation++) {
        fail_vm(kit, generation);
        assert_int_equal(kit_workload(kit, "w1")->next_attempt_at_ms,
                         clock_wall_ms(&kit->clock.base) + backoff_ms);
        pass_time(kit, backoff_ms);
        kit_tick(kit);
        assert_int_equal(kit_status(kit, "w1"), STATUS_STARTING);
        backoff_ms *= 2;
    }
    fail_vm(kit, 4);
    assert_int_equal(kit_workload(kit, "w1")->next_attempt_at_ms, 0);
    pass_time(kit, 3600000);
    assert_int_equal(kit_status(kit, "w1"), STATUS_ERROR);
    assert_non_null(strstr(kit_workload(kit, "w1")->status_reason, "qemu said no\nKernel panic"));
    /* The owner may try again, and gets all attempts anew. */
    kit_ok(kit_wish(kit, "restart", "w1"));
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_STARTING);
    assert_int_equal(kit_workload(kit, "w1")->restarts, 0);
}

static void test_boot_deadline(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    kit_tick(kit);
    kit_create(kit, "w1");
    kit_tick(kit);
    kit_guest_init(kit, &guest, "w1");
    pass_time(kit, 599000);
    assert_int_equal(kit_stage(kit, &guest, "config", NULL, false), BUS_ACK);
    /* Each stage has the whole time for itself. */
    pass_time(kit, 599999);
    assert_int_equal(kit_status(kit, "w1"), STATUS_STARTING);
    pass_time(kit, 1);
    assert_int_equal(kit_status(kit, "w1"), STATUS_ERROR);
    assert_string_equal(kit_workload(kit, "w1")->status_code, "boot_timeout");
    assert_true(kit_workload(kit, "w1")->next_attempt_at_ms > 0);
}

static void test_refused_launch(void **state)
{
    struct kit *kit = *state;
    kit_tick(kit);
    kit->hosts[0].refuse = ERROR_INVALID_ARGUMENT;
    kit_create(kit, "w1");
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_ERROR);
    assert_string_equal(kit_workload(kit, "w1")->status_code, "launch_refused");
    assert_non_null(strstr(kit_workload(kit, "w1")->status_reason, "no such machine type"));
    kit->hosts[0].refuse = ERROR_OK;
    pass_time(kit, 10000);
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_STARTING);
}

static void test_host_that_does_not_answer(void **state)
{
    struct kit *kit = *state;
    kit_tick(kit);
    kit->hosts[0].away = true;
    kit_create(kit, "w1");
    kit_create(kit, "w2");
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_SCHEDULED);
    assert_string_equal(kit_workload(kit, "w1")->status_code, "host_unreachable");
    /* One attempt per pass, not one per workload. */
    assert_int_equal(kit->hosts[0].start_calls, 1);
    kit->hosts[0].away = false;
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_STARTING);
    assert_int_equal(kit_status(kit, "w2"), STATUS_STARTING);
    assert_string_equal(kit_events(kit, "w1"), "created scheduled starting");
}

static void test_unknown_vm_is_deleted(void **state)
{
    struct kit *kit = *state;
    strcpy(kit->hosts[1].vms[0].workload_id, "stranger");
    kit->hosts[1].vms[0].generation = 7;
    kit->hosts[1].vms[0].state = COFFER__V1__VM_STATE__VM_RUNNING;
    kit->hosts[1].n_vms = 1;
    kit_tick(kit);
    assert_int_equal(kit->hosts[1].n_vms, 0);
}

static void test_delete_while_host_is_lost(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    kit_run_workload(kit, "w1", &guest);
    silence(kit, 60000);
    kit_ok(kit_wish(kit, "delete", "w1"));
    kit_ok(reconcile_pass(kit->scheduler));
    assert_int_equal(kit_status(kit, "w1"), STATUS_DELETED);
    assert_int_equal(kit->hosts[0].n_vms, 1);
    kit_tick(kit);
    assert_int_equal(kit->hosts[0].n_vms, 0);
}

static void test_vm_stopped_claim_ends_a_stop(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    kit_run_workload(kit, "w1", &guest);
    kit_ok(kit_wish(kit, "stop", "w1"));
    assert_int_equal(kit_vm_changed(kit, "h1", "w1", 1, COFFER__V1__VM_STATE__VM_STOPPED), BUS_ACK);
    assert_int_equal(kit_status(kit, "w1"), STATUS_STOPPED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_suspect_and_lost_are_inclusive),
        KIT_TEST(test_own_absence_loses_no_host),
        KIT_TEST(test_lost_host_comes_back_with_the_vm),
        KIT_TEST(test_challenge_while_waiting),
        KIT_TEST(test_lost_host_comes_back_empty),
        KIT_TEST(test_owner_moves_it_off_a_lost_host),
        KIT_TEST(test_vm_gone_is_restarted_with_backoff),
        KIT_TEST(test_restarts_have_a_cap),
        KIT_TEST(test_boot_deadline),
        KIT_TEST(test_refused_launch),
        KIT_TEST(test_host_that_does_not_answer),
        KIT_TEST(test_unknown_vm_is_deleted),
        KIT_TEST(test_delete_while_host_is_lost),
        KIT_TEST(test_vm_stopped_claim_ends_a_stop),
    };

    return cmocka_run_group_tests(tests, kit_group_setup, kit_group_teardown);
}
