/* The release authority: to which boot it gives what it has, and when. */
#include "services/scheduler/reconcile.h"
#include "services/scheduler/test_kit_release.h"

/* As the guest does: the signature first, then the box. */
static void open_bundle(struct kit *kit, const struct kit_guest *guest,
                        const Coffer__V1__AttestReply *reply, Coffer__V1__Bundle **ret_bundle)
{
    _cleanup_buffer_ struct buffer bytes = {0};
    _cleanup_buffer_ struct buffer number = {0};
    _cleanup_buffer_ struct buffer plain = {0};
    uint8_t digest[SHA256_SIZE];
    void *bundle;

    sha256(reply->sealed_bundle.data, reply->sealed_bundle.len, digest);
    buffer_add_u64be(&number, guest->boot_number);
    buffer_add(&bytes, "coffer/bundle/v1\0", 17);
    buffer_add_lp(&bytes, guest->workload_id, strlen(guest->workload_id));
    buffer_add_lp(&bytes, number.data, number.size);
    buffer_add_lp(&bytes, reply->domain, strlen(reply->domain));
    buffer_add_lp(&bytes, guest->box.public, 32);
    buffer_add_lp(&bytes, guest->sign.public, 32);
    buffer_add_lp(&bytes, guest->nonce, 32);
    buffer_add_lp(&bytes, digest, 32);
    assert_int_equal(reply->signature.len, SIGN_SIZE);
    kit_ok(sign_verify(kit->scheduler->authority.sign.public, bytes.data, bytes.size,
                       reply->signature.data));
    kit_ok(seal_open(&guest->box,
                     arena_printf(kit->arena, "coffer/bundle/v1 %s", guest->workload_id),
                     reply->sealed_bundle.data, reply->sealed_bundle.len, &plain));
    kit_ok(
        bus_unpack(&coffer__v1__bundle__descriptor, plain.data, plain.size, kit->arena, &bundle));
    *ret_bundle = bundle;
}

static void assert_bundle(struct kit *kit, const struct kit_guest *guest,
                          const Coffer__V1__AttestReply *reply)
{
    Coffer__V1__Bundle *bundle;

    open_bundle(kit, guest, reply, &bundle);
    assert_int_equal(bundle->boot_number, guest->boot_number);
    assert_string_equal(bundle->domain, "w1." KIT_DOMAIN);
    assert_string_equal(bundle->acme_directory, "https://acme.test/dir");
    assert_string_equal(bundle->acme_eab_key_id, "kid");
    assert_string_equal(bundle->acme_eab_mac_key, "mac");
    assert_int_equal(bundle->secrets->n_environment, 1);
    assert_string_equal(bundle->secrets->environment[0]->value, "canary");
    assert_memory_equal(bundle->gateway_sign_public.data,
                        kit->scheduler->authority.gateway_sign_public, 32);
}

static void test_release(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    Coffer__V1__AttestReply *reply;
    kit_begin_boot(kit, &guest);
    assert_int_equal(guest.boot_number, 1);
    kit_ok(kit_attest(kit, &guest, kit_attest_request(kit, &guest), &reply));
    assert_bundle(kit, &guest, reply);
    const Coffer__V1__Workload *workload = kit_workload(kit, "w1");
    assert_memory_equal(workload->guest_sign_public.data, guest.sign.public, 32);
    assert_memory_equal(workload->measurement.data, kit->measurement, 48);
    assert_string_equal(workload->evidence_kind, "sev-snp (software, development)");
    kit_tick(kit);
    const Coffer__V1__WorkloadEvent *event = kit_last_event(kit, "w1", "stage");
    assert_string_equal(event->stage, "verified");
    assert_int_equal(event->measurement.len, 48);
    assert_int_equal(event->manifest_sha256.len, 32);
}

/* The answer got lost: the same question gets as good an answer, also much later and from the
 * next scheduler; nobody else gets one. */
static void test_lost_reply_is_repaired(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    struct kit_guest other;
    Coffer__V1__AttestReply *reply;
    kit_begin_boot(kit, &guest);
    Coffer__V1__AttestRequest *request = kit_attest_request(kit, &guest);
    kit_ok(kit_attest(kit, &guest, request, &reply));
    kit_restart_scheduler(kit);
    clock_fake_advance(&kit->clock, 120000);
    kit_ok(kit_attest(kit, &guest, request, &reply));
    assert_bundle(kit, &guest, reply);
    other = guest;
    kit_ok(box_key_generate(&other.box));
    kit_code(kit_attest(kit, &other, kit_attest_request(kit, &other), &reply),
             ERROR_PERMISSION_DENIED);
    kit_tick(kit);
    assert_string_equal(kit_last_event(kit, "w1", "warning")->code, "nonce_used");
    assert_int_equal(scheduler_counter(kit->scheduler, COUNTER_REFUSED_RELEASE), 1);
    assert_string_equal(kit_events(kit, "w1"), "created scheduled starting stage:verified warning");
}

static void test_old_boots_and_nonces(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    struct kit_guest late;
    Coffer__V1__AttestReply *reply;
    kit_begin_boot(kit, &guest);
    late = guest;
    Coffer__V1__AttestRequest *old = kit_attest_request(kit, &late);
    kit_ok(kit_challenge(kit, &guest));
    assert_int_equal(guest.boot_number, 2);
    kit_code(kit_attest(kit, &late, old, &reply), ERROR_ABORTED);
    /* The right number with the nonce of before. */
    memcpy(late.nonce, old->nonce.data, 32);
    late.boot_number = 2;
    kit_code(kit_attest(kit, &late, kit_attest_request(kit, &late), &reply),
             ERROR_PERMISSION_DENIED);
    clock_fake_advance(&kit->clock, 60000);
    Coffer__V1__AttestRequest *request = kit_attest_request(kit, &guest);
    clock_fake_advance(&kit->clock, 1);
    kit_code(kit_attest(kit, &guest, request, &reply), ERROR_ABORTED);
    assert_int_equal(scheduler_counter(kit->scheduler, COUNTER_REFUSED_RELEASE), 3);
    assert_int_equal(kit_workload(kit, "w1")->guest_sign_public.len, 0);
    /* Refused attempts are told once per boot, and do not stop the boot. */
    kit_tick(kit);
    assert_string_equal(kit_events(kit, "w1"), "created scheduled starting warning");
    kit_release(kit, &guest);
}

static void test_nonce_lives_its_whole_minute(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    Coffer__V1__AttestReply *reply;
    kit_begin_boot(kit, &guest);
    clock_fake_advance(&kit->clock, 60000);
    kit_ok(kit_attest(kit, &guest, kit_attest_request(kit, &guest), &reply));
}

static void test_other_manifest(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    Coffer__V1__AttestReply *reply;
    kit_begin_boot(kit, &guest);
    /* The VM was launched with another HOST_DATA than the manifest on record. */
    Coffer__V1__AttestRequest *request = kit_attest_request(kit, &guest);
    Coffer__V1__Workload *workload;
    uint64_t version;
    struct change change;
    kit_ok(record_load(kit->scheduler, KEY_WORKLOAD, "w1", &coffer__v1__workload__descriptor,
                       kit->arena, &workload, &version));
    workload->manifest_sha256.data[0] ^= 1;
    change_init(&change, kit->scheduler, kit->arena);
    change_put(&change, KEY_WORKLOAD, "w1", version, &workload->base, 0);
    kit_ok(change_commit(&change));
    kit_code(kit_attest(kit, &guest, request, &reply), ERROR_PERMISSION_DENIED);
    /* Both the binding and HOST_DATA differ; the binding is checked first. */
    const char *code = kit_workload(kit, "w1")->status_code;
    assert_true(strcmp(code, "attest_report_data") == 0 || strcmp(code, "attest_host_data") == 0);
}

static void test_software_tee_refused(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    Coffer__V1__AttestReply *reply;
    kit_begin_boot(kit, &guest);
    trust_roots_free(kit->scheduler->development_roots);
    kit->scheduler->development_roots = NULL;
    kit_code(kit_attest(kit, &guest, kit_attest_request(kit, &guest), &reply),
             ERROR_PERMISSION_DENIED);
    assert_string_equal(kit_workload(kit, "w1")->status_code, "attest_software_tee");
}

static void test_wrong_place(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    Coffer__V1__AttestReply *reply;
    kit_begin_boot(kit, &guest);
    Coffer__V1__AttestRequest *request = kit_attest_request(kit, &guest);
    strcpy(guest.host_id, "h2");
    kit_code(kit_challenge(kit, &guest), ERROR_PERMISSION_DENIED);
    kit_code(kit_attest(kit, &guest, request, &reply), ERROR_PERMISSION_DENIED);
    strcpy(guest.workload_id, "w9");
    kit_code(kit_challenge(kit, &guest), ERROR_PERMISSION_DENIED);
    assert_int_equal(scheduler_counter(kit->scheduler, COUNTER_FORGED_CLAIM), 3);
    strcpy(guest.workload_id, "w1");
    strcpy(guest.host_id, "h1");
    guest.generation = 0;
    kit_code(kit_challenge(kit, &guest), ERROR_FAILED_PRECONDITION);
    assert_int_equal(kit_workload(kit, "w1")->boot_number, 1);
    request->nonce.len = 31;
    kit_code(kit_attest(kit, &guest, request, &reply), ERROR_INVALID_ARGUMENT);
}

/* A guest whose workload is stopped in the middle of its boot gets nothing any more. */
static void test_stopped_meanwhile(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    Coffer__V1__AttestReply *reply;
    kit_begin_boot(kit, &guest);
    Coffer__V1__AttestRequest *request = kit_attest_request(kit, &guest);
    kit_ok(kit_wish(kit, "stop", "w1"));
    kit_code(kit_attest(kit, &guest, request, &reply), ERROR_ABORTED);
    kit_code(kit_challenge(kit, &guest), ERROR_FAILED_PRECONDITION);
}

/* Good evidence of a boot that was refused once: no release, then or later. */
static void test_a_refused_boot_stays_refused(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    Coffer__V1__AttestReply *reply;
    struct store_record record;
    kit_begin_boot(kit, &guest);
    Coffer__V1__AttestRequest *good = kit_attest_request(kit, &guest);
    Coffer__V1__AttestRequest *bad = kit_attest_request(kit, &guest);
    kit_flip_signature(kit, &guest, &bad);
    kit_code(kit_attest(kit, &guest, bad, &reply), ERROR_PERMISSION_DENIED);
    kit_code(kit_attest(kit, &guest, good, &reply), ERROR_ABORTED);
    kit_restart_scheduler(kit);
    clock_fake_advance(&kit->clock, 3600000);
    kit_tick(kit);
    kit_code(kit_attest(kit, &guest, good, &reply), ERROR_ABORTED);
    kit_code(kit_challenge(kit, &guest), ERROR_FAILED_PRECONDITION);
    assert_int_equal(kit_status(kit, "w1"), STATUS_ERROR);
    assert_int_equal(kit_workload(kit, "w1")->guest_sign_public.len, 0);
    kit_ok(store_get(kit->store, KEY_BOOT "w1", kit->arena, &record));
    assert_int_equal(record.version, 0);
}

/* Whether the pass has noticed that the boot is over, or not yet. */
static void test_no_release_after_the_deadline(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    Coffer__V1__AttestReply *reply;
    kit_begin_boot(kit, &guest);
    clock_fake_advance(&kit->clock, (int64_t)kit->config.boot_deadline_ms - 1000);
    kit_ok(kit_challenge(kit, &guest));
    Coffer__V1__AttestRequest *request = kit_attest_request(kit, &guest);
    clock_fake_advance(&kit->clock, 1000);
    kit_code(kit_attest(kit, &guest, request, &reply), ERROR_FAILED_PRECONDITION);
    kit_tick(kit);
    assert_string_equal(kit_workload(kit, "w1")->status_code, "boot_timeout");
    kit_code(kit_attest(kit, &guest, request, &reply), ERROR_FAILED_PRECONDITION);
    assert_int_equal(kit_workload(kit, "w1")->guest_sign_public.len, 0);
    assert_int_equal(scheduler_counter(kit->scheduler, COUNTER_REFUSED_RELEASE), 2);
}

/* The host is lost: whoever speaks from there now gets nothing, and may ask again afterwards. */
static void test_no_release_while_waiting(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    Coffer__V1__AttestReply *reply;
    kit->config.lost_after_ms = 20000; /* before the nonce is too old anyway */
    kit_begin_boot(kit, &guest);
    const size_t other = guest.host_id[1] == '1';
    clock_fake_advance(&kit->clock, (int64_t)kit->config.lost_after_ms + 1000);
    kit_heartbeat(kit, other);
    kit_ok(reconcile_pass(kit->scheduler));
    assert_int_equal(kit_status(kit, "w1"), STATUS_WAITING);
    kit_code(kit_attest(kit, &guest, kit_attest_request(kit, &guest), &reply), ERROR_UNAVAILABLE);
    assert_int_equal(kit_workload(kit, "w1")->guest_sign_public.len, 0);
    kit_tick(kit);
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_STARTING);
    kit_release(kit, &guest);
}

/* The answer of a boot that has come further is repaired too, and of one that failed is not. */
static void test_lost_reply_is_repaired_while_the_boot_lives(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    Coffer__V1__AttestReply *reply;
    kit_begin_boot(kit, &guest);
    Coffer__V1__AttestRequest *request = kit_attest_request(kit, &guest);
    kit_ok(kit_attest(kit, &guest, request, &reply));
    assert_int_equal(kit_stage(kit, &guest, "up", NULL, true), BUS_ACK);
    assert_int_equal(kit_status(kit, "w1"), STATUS_AWAITING_CERT);
    kit_ok(kit_attest(kit, &guest, request, &reply));
    assert_int_equal(kit_stage(kit, &guest, "certificate", NULL, true), BUS_ACK);
    assert_int_equal(kit_status(kit, "w1"), STATUS_RUNNING);
    kit_ok(kit_attest(kit, &guest, request, &reply));
    assert_int_equal(kit_health(kit, &guest, false, true), BUS_ACK);
    assert_int_equal(kit_status(kit, "w1"), STATUS_DEGRADED);
    kit_ok(kit_attest(kit, &guest, request, &reply));
    assert_bundle(kit, &guest, reply);
    assert_int_equal(
        kit_vm_changed(kit, guest.host_id, "w1", guest.generation, COFFER__V1__VM_STATE__VM_FAILED),
        BUS_ACK);
    assert_int_equal(kit_status(kit, "w1"), STATUS_ERROR);
    kit_code(kit_attest(kit, &guest, request, &reply), ERROR_FAILED_PRECONDITION);
}

/* Nothing that the scheduler keeps or says holds a secret in the clear. */
static bool contains(const void *data, size_t size, const char *text)
{
    return size && memmem(data, size, text, strlen(text));
}

static void test_canary_is_nowhere_in_the_clear(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    Coffer__V1__AttestReply *reply;
    static const char *const keys[] = {KEY_WORKLOAD "w1", KEY_WORKLOAD_INPUT "w1", KEY_BOOT "w1"};
    kit_begin_boot(kit, &guest);
    kit_ok(kit_attest(kit, &guest, kit_attest_request(kit, &guest), &reply));
    assert_false(contains(reply->sealed_bundle.data, reply->sealed_bundle.len, "canary"));
    for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
        struct store_record record;
        kit_ok(store_get(kit->store, keys[i], kit->arena, &record));
        assert_true(record.value.len > 0);
        assert_false(contains(record.value.data, record.value.len, "canary"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_release),
        KIT_TEST(test_lost_reply_is_repaired),
        KIT_TEST(test_old_boots_and_nonces),
        KIT_TEST(test_nonce_lives_its_whole_minute),
        KIT_TEST(test_other_manifest),
        KIT_TEST(test_software_tee_refused),
        KIT_TEST(test_wrong_place),
        KIT_TEST(test_stopped_meanwhile),
        KIT_TEST(test_a_refused_boot_stays_refused),
        KIT_TEST(test_no_release_after_the_deadline),
        KIT_TEST(test_no_release_while_waiting),
        KIT_TEST(test_lost_reply_is_repaired_while_the_boot_lives),
        KIT_TEST(test_canary_is_nowhere_in_the_clear),
    };

    return cmocka_run_group_tests(tests, kit_group_setup, kit_group_teardown);
}
