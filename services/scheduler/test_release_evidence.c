/* The release authority: what a guest must show, and of which host. */
#include <jansson.h>
#include <unistd.h>

#include "services/scheduler/test_kit_release.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"

/* What is wrong with the evidence, and the code of the event that says so. */
struct bad_evidence {
    const char *code;
    void (*spoil)(struct kit *kit, struct kit_guest *guest, Coffer__V1__AttestRequest **request);
};

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

static void no_certificates(_unused_ struct kit *kit, _unused_ struct kit_guest *guest,
                            Coffer__V1__AttestRequest **request)
{
    (*request)->evidence->certificates.len = 0;
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
        {"attest_signature", kit_flip_signature},
        {"attest_measurement", other_measurement},
        {"attest_report_data", other_box_key},
        {"attest_chip", kit_take_other_chip},
        {"attest_chain", no_certificates},
        {"attest_chain", pretends_hardware},
        {"attest_format", short_report},
        {"attest_format", other_tee},
        {"attest_devices", a_device},
        {"attest_revocation", kit_drop_crl},
    };
    struct kit_guest guest;
    Coffer__V1__AttestReply *reply;
    kit_begin_boot(kit, &guest);
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
    kit_begin_boot(kit, &guest);
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
    kit_begin_boot(kit, &guest);
    Coffer__V1__AttestRequest *old_chip = kit_attest_request(kit, &guest);
    Coffer__V1__AttestRequest *new_chip = old_chip;
    kit_take_other_chip(kit, &guest, &new_chip);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_bad_evidence),
        KIT_TEST(test_a_host_that_was_taken_out_gets_nothing),
        KIT_TEST(test_a_host_with_another_chip_is_judged_by_it),
        KIT_TEST(test_a_broken_fleet_json_changes_nothing),
    };

    return cmocka_run_group_tests(tests, kit_group_setup, kit_group_teardown);
}
