/* Claims of hosts and guests: which move a workload, and which are refused and counted. */
#include "services/scheduler/sources.h"
#include "services/scheduler/test_kit.h"

static void assert_counter(struct kit *kit, enum counter counter, uint64_t expected)
{
    assert_int_equal(scheduler_counter(kit->scheduler, counter), expected);
}

static void test_unsigned_after_release_is_forged(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    kit_run_workload(kit, "w1", &guest);
    assert_int_equal(kit_health(kit, &guest, false, false), BUS_TERM);
    assert_int_equal(kit_stage(kit, &guest, "pull", "pull_failed", false), BUS_TERM);
    assert_int_equal(kit_stage(kit, &guest, "config", "config_failed", false), BUS_TERM);
    assert_counter(kit, COUNTER_FORGED_CLAIM, 3);
    assert_int_equal(kit_status(kit, "w1"), STATUS_RUNNING);
}

static void test_wrong_key_is_forged(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    kit_run_workload(kit, "w1", &guest);
    kit->sign_wrong = true;
    assert_int_equal(kit_health(kit, &guest, false, true), BUS_TERM);
    kit->sign_wrong = false;
    assert_counter(kit, COUNTER_FORGED_CLAIM, 1);
    assert_int_equal(kit_status(kit, "w1"), STATUS_RUNNING);
    assert_int_equal(kit_health(kit, &guest, false, true), BUS_ACK);
    assert_int_equal(kit_status(kit, "w1"), STATUS_DEGRADED);
}

static void test_replayed_claim_does_nothing(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    kit_run_workload(kit, "w1", &guest);
    assert_int_equal(kit_health(kit, &guest, false, true), BUS_ACK);
    assert_int_equal(kit_health(kit, &guest, true, true), BUS_ACK);
    assert_int_equal(kit_status(kit, "w1"), STATUS_RUNNING);
    guest.counter -= 2;
    assert_int_equal(kit_health(kit, &guest, false, true), BUS_ACK);
    assert_counter(kit, COUNTER_STALE_CLAIM, 1);
    assert_int_equal(kit_status(kit, "w1"), STATUS_RUNNING);
    /* Also for the next scheduler: the counter is in the record. */
    kit_restart_scheduler(kit);
    guest.counter -= 1;
    assert_int_equal(kit_health(kit, &guest, false, true), BUS_ACK);
    assert_int_equal(kit_status(kit, "w1"), STATUS_RUNNING);
}

static void test_another_host_cannot_speak(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    kit_run_workload(kit, "w1", &guest);
    assert_int_equal(kit_vm_changed(kit, "h2", "w1", 1, COFFER__V1__VM_STATE__VM_FAILED), BUS_TERM);
    strcpy(guest.host_id, "h2");
    assert_int_equal(kit_health(kit, &guest, false, true), BUS_TERM);
    assert_int_equal(kit_stage(kit, &guest, "up", "up_failed", true), BUS_TERM);
    assert_counter(kit, COUNTER_FORGED_CLAIM, 3);
    assert_int_equal(kit_status(kit, "w1"), STATUS_RUNNING);
}

static void test_unsigned_before_release(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    kit_tick(kit);
    kit_create(kit, "w1");
    kit_tick(kit);
    kit_guest_init(kit, &guest, "w1");
    assert_int_equal(kit_stage(kit, &guest, "config", NULL, false), BUS_ACK);
    assert_int_equal(kit_stage(kit, &guest, "config", NULL, false), BUS_ACK);
    assert_int_equal(kit_workload(kit, "w1")->n_stages, 1);
    /* It cannot claim what only an attested guest can know. */
    assert_int_equal(kit_stage(kit, &guest, "up", NULL, false), BUS_TERM);
    assert_int_equal(kit_stage(kit, &guest, "running", NULL, false), BUS_TERM);
    assert_int_equal(kit_health(kit, &guest, true, false), BUS_TERM);
    assert_counter(kit, COUNTER_FORGED_CLAIM, 3);
    assert_int_equal(kit_status(kit, "w1"), STATUS_STARTING);
    clock_fake_advance(&kit->clock, 10);
    assert_int_equal(kit_stage(kit, &guest, "leaf", "leaf_failed", false), BUS_ACK);
    assert_int_equal(kit_status(kit, "w1"), STATUS_ERROR);
    assert_string_equal(kit_workload(kit, "w1")->status_code, "leaf_failed");
    assert_string_equal(kit_workload(kit, "w1")->status_reason, "the tool's own words");
}

static void test_failed_pull_is_an_error_with_its_words(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    kit_tick(kit);
    kit_create(kit, "w1");
    kit_tick(kit);
    kit_guest_init(kit, &guest, "w1");
    kit_release(kit, &guest);
    assert_int_equal(kit_stage(kit, &guest, "pull", "pull_failed", true), BUS_ACK);
    kit_tick(kit);
    const Coffer__V1__WorkloadEvent *event = kit_last_event(kit, "w1", "error");
    assert_string_equal(event->code, "pull_failed");
    assert_string_equal(event->message, "the tool's own words");
    assert_string_equal(event->source, "guest");
    /* The owner's to fix: no automatic restart, however long it takes. */
    clock_fake_advance(&kit->clock, 3600000);
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_ERROR);
    kit_ok(kit_wish(kit, "restart", "w1"));
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_STARTING);
}

static void test_failed_certificate_only_warns(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    kit_tick(kit);
    kit_create(kit, "w1");
    kit_tick(kit);
    kit_guest_init(kit, &guest, "w1");
    kit_release(kit, &guest);
    assert_int_equal(kit_stage(kit, &guest, "up", NULL, true), BUS_ACK);
    assert_int_equal(kit_status(kit, "w1"), STATUS_AWAITING_CERT);
    assert_int_equal(kit_stage(kit, &guest, "certificate", "acme_failed", true), BUS_ACK);
    assert_int_equal(kit_status(kit, "w1"), STATUS_AWAITING_CERT);
    kit_tick(kit);
    assert_string_equal(kit_last_event(kit, "w1", "warning")->code, "acme_failed");
    clock_fake_advance(&kit->clock, 1);
    assert_int_equal(kit_stage(kit, &guest, "certificate", NULL, true), BUS_ACK);
    assert_int_equal(kit_status(kit, "w1"), STATUS_RUNNING);
}

/* A certificate that does not come is a warning of its own, not the end: it may come later. */
static void test_late_certificate(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    kit_tick(kit);
    kit_create(kit, "w1");
    kit_tick(kit);
    kit_guest_init(kit, &guest, "w1");
    kit_release(kit, &guest);
    kit_stage(kit, &guest, "up", NULL, true);
    clock_fake_advance(&kit->clock, 600000);
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_DEGRADED);
    assert_string_equal(kit_workload(kit, "w1")->status_code, "certificate_timeout");
    clock_fake_advance(&kit->clock, 600000);
    kit_tick(kit);
    assert_int_equal(kit_stage(kit, &guest, "certificate", NULL, true), BUS_ACK);
    assert_int_equal(kit_status(kit, "w1"), STATUS_DEGRADED);
    assert_int_equal(kit_health(kit, &guest, true, true), BUS_ACK);
    assert_int_equal(kit_status(kit, "w1"), STATUS_RUNNING);
}

/* The scheduler refused, the guest says that it was refused: one error, no complaint. */
static void test_words_after_the_end(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    Coffer__V1__AttestReply *reply;
    kit_tick(kit);
    kit_create(kit, "w1");
    kit_tick(kit);
    kit_guest_init(kit, &guest, "w1");
    kit_ok(kit_challenge(kit, &guest));
    Coffer__V1__AttestRequest *request = kit_attest_request(kit, &guest);
    request->evidence->report.data[0x90] ^= 1;
    kit_code(kit_attest(kit, &guest, request, &reply), ERROR_PERMISSION_DENIED);
    assert_int_equal(kit_stage(kit, &guest, "attest", "attest_refused", true), BUS_ACK);
    assert_counter(kit, COUNTER_ILLEGAL_EVENT, 0);
    kit_tick(kit);
    assert_string_equal(kit_events(kit, "w1"), "created scheduled starting error");
}

static void test_degraded_names_containers(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    kit_run_workload(kit, "w1", &guest);
    kit_health(kit, &guest, false, true);
    const Coffer__V1__Workload *workload = kit_workload(kit, "w1");
    assert_int_equal(workload->status, STATUS_DEGRADED);
    assert_string_equal(workload->status_code, "containers_down");
    assert_int_equal(workload->n_containers_down, 1);
    assert_string_equal(workload->containers_down[0], "cvm-web-1");
    kit_tick(kit);
    assert_string_equal(kit_last_event(kit, "w1", "degraded")->message, "cvm-web-1 is restarting");
    kit_health(kit, &guest, true, true);
    workload = kit_workload(kit, "w1");
    assert_int_equal(workload->status, STATUS_RUNNING);
    assert_int_equal(workload->n_containers_down, 0);
    assert_string_equal(workload->status_code, "");
}

static void test_older_generation_and_boot(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    struct kit_guest again;
    kit_run_workload(kit, "w1", &guest);
    again = guest;
    kit_release(kit, &again);
    assert_int_equal(again.boot_number, 2);
    assert_int_equal(kit_health(kit, &guest, false, true), BUS_ACK);
    assert_int_equal(kit_stage(kit, &guest, "up", NULL, true), BUS_ACK);
    assert_counter(kit, COUNTER_STALE_CLAIM, 2);
    assert_int_equal(kit_status(kit, "w1"), STATUS_STARTING);
    kit_ok(kit_wish(kit, "restart", "w1"));
    assert_int_equal(kit_stage(kit, &again, "up", NULL, true), BUS_ACK);
    assert_int_equal(kit_vm_changed(kit, "h1", "w1", 1, COFFER__V1__VM_STATE__VM_STOPPED), BUS_ACK);
    assert_counter(kit, COUNTER_STALE_CLAIM, 4);
    assert_int_equal(kit_status(kit, "w1"), STATUS_SCHEDULED);
}

static void test_malformed(void **state)
{
    struct kit *kit = *state;
    static const struct {
        const char *subject;
        const char *type;
        const char *data;
    } rows[] = {
        {"src.host.h1.vm", NULL, "\xff\xff\xff"},
        {"src.host.h1.vm", NULL, ""},
        {"src.host.h1.vm", "coffer.v1.GuestStage", ""},
        {"src.host.h1.unknown", NULL, ""},
        {"src.guest.h1.w1.unknown", NULL, ""},
        {"src.guest.h1.w1.stage", NULL, "\x08"},
        {"src.other", NULL, ""},
    };
    kit_tick(kit);
    kit_create(kit, "w1");
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const struct bus_message message = {.subject = rows[i].subject,
                                            .type = rows[i].type,
                                            .data = rows[i].data,
                                            .size = strlen(rows[i].data)};
        if (source_consume(kit->scheduler, &message) != BUS_TERM)
            fail_msg("row %zu was taken", i);
    }
    assert_counter(kit, COUNTER_MALFORMED_CLAIM, ELEMENTSOF(rows));
    assert_int_equal(kit_status(kit, "w1"), STATUS_SCHEDULED);
}

/* While the store is away a claim is not lost: it comes again. */
static struct store_ops away_ops;

static struct error *away_get(_unused_ struct store *store, _unused_ const char *key,
                              _unused_ struct arena *arena, _unused_ struct store_record *record)
{
    return error_new(ERROR_UNAVAILABLE, "away");
}

static void test_store_away(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    const struct store_ops *ops = kit->store->ops;
    kit_run_workload(kit, "w1", &guest);
    away_ops = *ops;
    away_ops.get = away_get;
    kit->store->ops = &away_ops;
    assert_int_equal(kit_health(kit, &guest, false, true), BUS_NAK);
    kit->store->ops = ops;
    assert_int_equal(kit_health(kit, &guest, false, true), BUS_ACK);
    assert_int_equal(kit_status(kit, "w1"), STATUS_DEGRADED);
}

static void test_heartbeats_that_are_refused(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__HostHeartbeat heartbeat = COFFER__V1__HOST_HEARTBEAT__INIT;
    heartbeat.host_id = (char *)"h1";
    heartbeat.total = &kit->hosts[0].total;
    kit_code(kit_call(kit, "hb.host.h2", &heartbeat.base, NULL), ERROR_PERMISSION_DENIED);
    assert_counter(kit, COUNTER_FORGED_CLAIM, 1);
    heartbeat.host_id = (char *)"h9";
    kit_code(kit_call(kit, "hb.host.h9", &heartbeat.base, NULL), ERROR_PERMISSION_DENIED);
    assert_counter(kit, COUNTER_UNKNOWN_HOST, 1);
    heartbeat.host_id = (char *)"h1";
    heartbeat.public_address = (char *)"not an address";
    kit_code(kit_call(kit, "hb.host.h1", &heartbeat.base, NULL), ERROR_INVALID_ARGUMENT);
    heartbeat.public_address = (char *)"";
    heartbeat.total = NULL;
    kit_code(kit_call(kit, "hb.host.h1", &heartbeat.base, NULL), ERROR_INVALID_ARGUMENT);
    assert_null(kit_host_record(kit, "h1"));
}

static void test_software_tee_must_be_allowed(void **state)
{
    struct kit *kit = *state;
    kit->config.allow_software_tee = false;
    kit_heartbeat(kit, 0);
    assert_int_equal(kit_host_record(kit, "h1")->status, COFFER__V1__HOST_STATUS__JOINING);
    Coffer__V1__CreateWorkloadRequest *request = kit_create_request(kit, "w1");
    kit_code(kit_call(kit, "svc.scheduler.workload.create", &request->base, NULL),
             ERROR_RESOURCE_EXHAUSTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_unsigned_after_release_is_forged),
        KIT_TEST(test_wrong_key_is_forged),
        KIT_TEST(test_replayed_claim_does_nothing),
        KIT_TEST(test_another_host_cannot_speak),
        KIT_TEST(test_unsigned_before_release),
        KIT_TEST(test_failed_pull_is_an_error_with_its_words),
        KIT_TEST(test_failed_certificate_only_warns),
        KIT_TEST(test_late_certificate),
        KIT_TEST(test_words_after_the_end),
        KIT_TEST(test_degraded_names_containers),
        KIT_TEST(test_older_generation_and_boot),
        KIT_TEST(test_malformed),
        KIT_TEST(test_store_away),
        KIT_TEST(test_heartbeats_that_are_refused),
        KIT_TEST(test_software_tee_must_be_allowed),
    };

    return cmocka_run_group_tests(tests, kit_group_setup, kit_group_teardown);
}
