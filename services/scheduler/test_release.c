/* The release authority: what a guest must show, and what it gets. */
#include <jansson.h>
#include <openssl/pem.h>
#include <unistd.h>

#include "services/scheduler/reconcile.h"
#include "services/scheduler/test_kit.h"
#include "shared/attestation/certificates.h"
#include "shared/attestation/dev_certificate.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"

static void begin(struct kit *kit, struct kit_guest *ret_guest)
{
    kit_tick(kit);
    kit_create(kit, "w1");
    kit_tick(kit);
    kit_guest_init(kit, ret_guest, "w1");
    kit_ok(kit_challenge(kit, ret_guest));
}

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
    begin(kit, &guest);
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
    begin(kit, &guest);
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
    begin(kit, &guest);
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
    begin(kit, &guest);
    clock_fake_advance(&kit->clock, 60000);
    kit_ok(kit_attest(kit, &guest, kit_attest_request(kit, &guest), &reply));
}

/* What is wrong with the evidence, and the code of the event that says so. */
struct bad_evidence {
    const char *code;
    void (*spoil)(struct kit *kit, struct kit_guest *guest, Coffer__V1__AttestRequest **request);
};

static void flip_signature(_unused_ struct kit *kit, _unused_ struct kit_guest *guest,
                           Coffer__V1__AttestRequest **request)
{
    (*request)->evidence->report.data[0x2a0] ^= 1;
}

static void other_measurement(struct kit *kit, struct kit_guest *guest,
                              Coffer__V1__AttestRequest **request)
{
    kit->measurement[0] ^= 1;
    *request = kit_attest_request(kit, guest);
    kit->measurement[0] ^= 1;
}

/* Another key than the one in the report: somebody between guest and scheduler. */
static void other_box_key(struct kit *kit, _unused_ struct kit_guest *guest,
                          Coffer__V1__AttestRequest **request)
{
    struct box_key mallory;

    kit_ok(box_key_generate(&mallory));
    (*request)->box_public = arena_bytes(kit->arena, mallory.public, 32);
    box_key_done(&mallory);
}

static void other_chip(struct kit *kit, struct kit_guest *guest,
                       Coffer__V1__AttestRequest **request)
{
    struct processor *own = kit->processors[0];

    kit->processors[0] = kit->processors[1];
    *request = kit_attest_request(kit, guest);
    kit->processors[0] = own;
}

static void no_certificates(_unused_ struct kit *kit, _unused_ struct kit_guest *guest,
                            Coffer__V1__AttestRequest **request)
{
    (*request)->evidence->certificates.len = 0;
}

static void no_crl(struct kit *kit, _unused_ struct kit_guest *guest,
                   Coffer__V1__AttestRequest **request)
{
    ProtobufCBinaryData *certificates = &(*request)->evidence->certificates;
    _cleanup_buffer_ struct buffer bytes = {0};
    struct certificate_table table;

    kit_ok(certificate_table_parse(certificates->data, certificates->len, &table));
    assert_non_null(table.crl.data);
    table.crl = (struct certificate_view){0};
    certificate_table_write(&table, &bytes);
    *certificates = arena_bytes(kit->arena, bytes.data, bytes.size);
}

/* Without saying "software" the development root does not count. */
static void pretends_hardware(_unused_ struct kit *kit, _unused_ struct kit_guest *guest,
                              Coffer__V1__AttestRequest **request)
{
    (*request)->evidence->provider = (char *)"configfs-tsm";
}

static void short_report(_unused_ struct kit *kit, _unused_ struct kit_guest *guest,
                         Coffer__V1__AttestRequest **request)
{
    (*request)->evidence->report.len--;
}

static void other_tee(_unused_ struct kit *kit, _unused_ struct kit_guest *guest,
                      Coffer__V1__AttestRequest **request)
{
    (*request)->evidence->tee = (char *)"tdx";
}

static void a_device(struct kit *kit, _unused_ struct kit_guest *guest,
                     Coffer__V1__AttestRequest **request)
{
    ProtobufCBinaryData *device = arena_alloc(kit->arena, sizeof(*device));

    *device = arena_bytes(kit->arena, "gpu", 3);
    (*request)->evidence->devices = device;
    (*request)->evidence->n_devices = 1;
}

static void test_bad_evidence(void **state)
{
    struct kit *kit = *state;
    static const struct bad_evidence rows[] = {
        {"attest_signature", flip_signature},  {"attest_measurement", other_measurement},
        {"attest_report_data", other_box_key}, {"attest_chip", other_chip},
        {"attest_chain", no_certificates},     {"attest_chain", pretends_hardware},
        {"attest_format", short_report},       {"attest_format", other_tee},
        {"attest_devices", a_device},          {"attest_revocation", no_crl},
    };
    struct kit_guest guest;
    Coffer__V1__AttestReply *reply;
    begin(kit, &guest);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Coffer__V1__AttestRequest *request = kit_attest_request(kit, &guest);
        rows[i].spoil(kit, &guest, &request);
        struct error *err = kit_attest(kit, &guest, request, &reply);
        if (error_get_code(err) != ERROR_PERMISSION_DENIED ||
            !strstr(error_text(err), rows[i].code))
            fail_msg("row %zu, %s: %s", i, rows[i].code, error_text(err));
        error_free(err);
        const Coffer__V1__Workload *workload = kit_workload(kit, "w1");
        assert_int_equal(workload->status, STATUS_ERROR);
        assert_string_equal(workload->status_code, rows[i].code);
        assert_int_equal(workload->guest_sign_public.len, 0);
        assert_int_equal(workload->next_attempt_at_ms, 0);
        /* An error is final for the boot; the owner's restart makes another one. */
        kit_code(kit_challenge(kit, &guest), ERROR_FAILED_PRECONDITION);
        kit_ok(kit_wish(kit, "restart", "w1"));
        kit_tick(kit);
        guest.generation++;
        kit_ok(kit_challenge(kit, &guest));
    }
    kit_ok(kit_attest(kit, &guest, kit_attest_request(kit, &guest), &reply));
    kit_tick(kit);
    assert_string_equal(kit_last_event(kit, "w1", "error")->code, "attest_revocation");
}

/* A platform may be told to go on without a revocation list; nobody else does. */
static void test_a_crl_is_required_unless_said_otherwise(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    Coffer__V1__AttestReply *reply;

    begin(kit, &guest);
    Coffer__V1__AttestRequest *request = kit_attest_request(kit, &guest);
    no_crl(kit, &guest, &request);
    kit->config.require_crl = false;
    kit_ok(kit_attest(kit, &guest, request, &reply));
}

static void test_other_manifest(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    Coffer__V1__AttestReply *reply;
    begin(kit, &guest);
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
    begin(kit, &guest);
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
    begin(kit, &guest);
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
    begin(kit, &guest);
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
    begin(kit, &guest);
    Coffer__V1__AttestRequest *good = kit_attest_request(kit, &guest);
    Coffer__V1__AttestRequest *bad = kit_attest_request(kit, &guest);
    flip_signature(kit, &guest, &bad);
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
    begin(kit, &guest);
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
    begin(kit, &guest);
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
    begin(kit, &guest);
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

/* Another fleet.json while the scheduler runs. Takes the hosts. */
static void write_hosts(struct kit *kit, json_t *hosts)
{
    _cleanup_free_ char *path = xasprintf("%s/fleet.json", kit->config.fleet_dir);
    json_t *root = json_load_file(path, 0, NULL);

    assert_non_null(root);
    json_object_set_new(root, "hosts", hosts);
    _cleanup_free_ char *text = json_dumps(root, 0);
    kit_ok(file_write_atomic(path, text, strlen(text), 0644));
    json_decref(root);
}

static json_t *read_hosts(struct kit *kit)
{
    _cleanup_free_ char *path = xasprintf("%s/fleet.json", kit->config.fleet_dir);
    json_t *root = json_load_file(path, 0, NULL);
    json_t *hosts = json_deep_copy(json_object_get(root, "hosts"));

    json_decref(root);
    assert_int_equal(json_array_size(hosts), 2);
    return hosts;
}

static void test_a_host_that_was_taken_out_gets_nothing(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    Coffer__V1__AttestReply *reply;
    json_t *hosts = read_hosts(kit);
    begin(kit, &guest);
    Coffer__V1__AttestRequest *request = kit_attest_request(kit, &guest);
    write_hosts(kit, json_array());
    struct error *err = kit_attest(kit, &guest, request, &reply);
    write_hosts(kit, hosts); /* the folder is that of all tests */
    kit_code(err, ERROR_PERMISSION_DENIED);
    assert_string_equal(kit_workload(kit, "w1")->status_code, "attest_chip");
    assert_int_equal(kit_workload(kit, "w1")->guest_sign_public.len, 0);
}

static void test_a_host_with_another_chip_is_judged_by_it(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    Coffer__V1__AttestReply *reply;
    json_t *hosts = read_hosts(kit);
    json_t *swapped = json_deep_copy(hosts);
    json_object_set(json_array_get(swapped, 0), "id",
                    json_object_get(json_array_get(hosts, 1), "id"));
    json_object_set(json_array_get(swapped, 1), "id",
                    json_object_get(json_array_get(hosts, 0), "id"));
    begin(kit, &guest);
    Coffer__V1__AttestRequest *old_chip = kit_attest_request(kit, &guest);
    Coffer__V1__AttestRequest *new_chip = old_chip;
    other_chip(kit, &guest, &new_chip);
    write_hosts(kit, swapped);
    struct error *err = kit_attest(kit, &guest, new_chip, &reply);
    struct error *err_old = kit_attest(kit, &guest, old_chip, &reply);
    write_hosts(kit, hosts);
    kit_ok(err);
    kit_code(err_old, ERROR_PERMISSION_DENIED);
}

/* What was known stays, whatever stands in the file meanwhile. */
static void test_a_broken_fleet_json_changes_nothing(void **state)
{
    struct kit *kit = *state;
    static const char *const texts[] = {
        "", "{", "{}", "[]", "{\"hosts\": {}}", "{\"hosts\": [{\"id\": \"h1\"}]}"};
    _cleanup_free_ char *path = xasprintf("%s/fleet.json", kit->config.fleet_dir);
    struct authority *authority = &kit->scheduler->authority;
    _cleanup_buffer_ struct buffer good = {0};
    uint8_t chip_id[CHIP_ID_SIZE];
    bool found = true;
    kit_ok(file_read(path, 1 << 20, &good));
    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        kit_ok(file_write_atomic(path, texts[i], strlen(texts[i]), 0644));
        found = found && authority_find_chip(authority, "h1", chip_id);
    }
    assert_int_equal(unlink(path), 0);
    found = found && authority_find_chip(authority, "h1", chip_id);
    kit_ok(file_write_atomic(path, good.data, good.size, 0644));
    assert_true(found);
    assert_memory_equal(chip_id, processor_chip_id(kit->processors[0]), CHIP_ID_SIZE);
    assert_false(authority_find_chip(authority, "h9", chip_id));
}

static void read_pem(struct kit *kit, const char *name, X509 **certificate, EVP_PKEY **key)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", kit->config.trust_root_dir, name);
    _cleanup_fclose_ FILE *file = fopen(path, "re");

    assert_non_null(file);
    if (certificate)
        *certificate = PEM_read_X509(file, NULL, NULL, NULL);
    else
        *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
}

/* The request with another revocation list: by the root's key, or by the intermediate's, which has
 * no say. */
static void put_crl(struct kit *kit, Coffer__V1__AttestRequest *request, const char *signer,
                    uint64_t number, bool revoked)
{
    ProtobufCBinaryData *certificates = &request->evidence->certificates;
    _cleanup_buffer_ struct buffer bytes = {0};
    struct certificate_table table;
    X509 *ark, *ask;
    EVP_PKEY *key;
    X509_CRL *crl;
    uint8_t *der = NULL;

    read_pem(kit, "ark.pem", &ark, NULL);
    read_pem(kit, "ask.pem", &ask, NULL);
    read_pem(kit, signer, NULL, &key);
    kit_ok(dev_certificate_crl(ark, key, number, revoked ? ask : NULL, &crl));
    kit_ok(certificate_table_parse(certificates->data, certificates->len, &table));
    int size = i2d_X509_CRL(crl, &der);
    table.crl = (struct certificate_view){der, (size_t)size};
    certificate_table_write(&table, &bytes);
    *certificates = arena_bytes(kit->arena, bytes.data, bytes.size);
    OPENSSL_free(der);
    X509_CRL_free(crl);
    EVP_PKEY_free(key);
    X509_free(ask);
    X509_free(ark);
}

static void boot_again(struct kit *kit, struct kit_guest *guest)
{
    kit_ok(kit_wish(kit, "restart", "w1"));
    kit_tick(kit);
    guest->generation++;
    kit_ok(kit_challenge(kit, guest));
}

#define NEWER ((uint64_t)INT32_MAX * 4) /* than the folder's own list */

/* Once a list has named the intermediate, an older one that does not is of no help any more, also
 * with the next scheduler; without a list at all it never was. */
static void test_an_older_revocation_list_does_not_help(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    Coffer__V1__AttestReply *reply;
    begin(kit, &guest);
    Coffer__V1__AttestRequest *request = kit_attest_request(kit, &guest);
    put_crl(kit, request, "ark.key", NEWER, true);
    kit_code(kit_attest(kit, &guest, request, &reply), ERROR_PERMISSION_DENIED);
    assert_string_equal(kit_workload(kit, "w1")->status_code, "attest_revocation");
    kit_restart_scheduler(kit);
    boot_again(kit, &guest);
    kit_code(kit_attest(kit, &guest, kit_attest_request(kit, &guest), &reply),
             ERROR_PERMISSION_DENIED);
    assert_string_equal(kit_workload(kit, "w1")->status_code, "attest_revocation");
    assert_non_null(strstr(kit_workload(kit, "w1")->status_reason, "seen before"));
    kit->config.require_crl = false;
    boot_again(kit, &guest);
    request = kit_attest_request(kit, &guest);
    no_crl(kit, &guest, &request);
    kit_code(kit_attest(kit, &guest, request, &reply), ERROR_PERMISSION_DENIED);
    assert_string_equal(kit_workload(kit, "w1")->status_code, "attest_revocation");
}

/* Hosts fetch at different times: an older list that is in date will do, but does not count back.
 */
static void test_hosts_with_lists_of_different_age(void **state)
{
    struct kit *kit = *state;
    static const struct {
        uint64_t number;
        bool none; /* the evidence has no list, whatever is remembered */
        enum error_code code;
    } rows[] = {
        {NEWER + 1, false, ERROR_OK}, {NEWER, false, ERROR_OK},
        {NEWER + 2, false, ERROR_OK}, {NEWER, true, ERROR_PERMISSION_DENIED},
        {NEWER, false, ERROR_OK},
    };
    struct kit_guest guest;
    Coffer__V1__AttestReply *reply;
    begin(kit, &guest);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Coffer__V1__AttestRequest *request = kit_attest_request(kit, &guest);
        put_crl(kit, request, "ark.key", rows[i].number, false);
        if (rows[i].none)
            no_crl(kit, &guest, &request);
        kit_code(kit_attest(kit, &guest, request, &reply), rows[i].code);
        boot_again(kit, &guest);
    }
}

/* Nobody but the root is remembered: else any guest could have all others refused. */
static void test_a_forged_revocation_list_is_not_remembered(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    Coffer__V1__AttestReply *reply;
    begin(kit, &guest);
    Coffer__V1__AttestRequest *request = kit_attest_request(kit, &guest);
    put_crl(kit, request, "ask.key", NEWER, true);
    kit_code(kit_attest(kit, &guest, request, &reply), ERROR_PERMISSION_DENIED);
    boot_again(kit, &guest);
    kit_ok(kit_attest(kit, &guest, kit_attest_request(kit, &guest), &reply));
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
    begin(kit, &guest);
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
        KIT_TEST(test_bad_evidence),
        KIT_TEST(test_a_crl_is_required_unless_said_otherwise),
        KIT_TEST(test_other_manifest),
        KIT_TEST(test_software_tee_refused),
        KIT_TEST(test_wrong_place),
        KIT_TEST(test_stopped_meanwhile),
        KIT_TEST(test_a_refused_boot_stays_refused),
        KIT_TEST(test_no_release_after_the_deadline),
        KIT_TEST(test_no_release_while_waiting),
        KIT_TEST(test_lost_reply_is_repaired_while_the_boot_lives),
        KIT_TEST(test_a_host_that_was_taken_out_gets_nothing),
        KIT_TEST(test_a_host_with_another_chip_is_judged_by_it),
        KIT_TEST(test_a_broken_fleet_json_changes_nothing),
        KIT_TEST(test_an_older_revocation_list_does_not_help),
        KIT_TEST(test_hosts_with_lists_of_different_age),
        KIT_TEST(test_a_forged_revocation_list_is_not_remembered),
        KIT_TEST(test_canary_is_nowhere_in_the_clear),
    };

    return cmocka_run_group_tests(tests, kit_group_setup, kit_group_teardown);
}
