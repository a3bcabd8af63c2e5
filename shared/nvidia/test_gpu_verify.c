/* Evidence that is right but for one thing, and the step that must say so. */
#include "shared/nvidia/test_gpu.h"

#include <openssl/ocsp.h>

#include "shared/base/alloc.h"
#include "shared/nvidia/test_mint.h"

static struct mint mint;
static struct buffer driver_rim, vbios_rim;

static int setup(void **state)
{
    (void)state;
    mint_init(&mint);
    mint_driver_rim(&mint, &driver_rim);
    mint_vbios_rim(&mint, &vbios_rim);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buffer_done(&driver_rim);
    buffer_done(&vbios_rim);
    mint_done(&mint);
    return 0;
}

#define DEVICES 3

/* Devices, reference values and a policy, all of which fit together until a test changes them. */
struct scene {
    struct minted minted[DEVICES];
    struct buffer json[DEVICES];
    struct binding_bytes devices[DEVICES];
    uint8_t nonces[DEVICES][32];
    struct binding_bytes rims[4];
    struct gpu_policy policy;
    size_t n;
    struct verify_result result;
};

static void scene_init(struct scene *s, const struct mint_device *devices, size_t n)
{
    *s = (struct scene){.n = n};
    for (size_t i = 0; i < n; i++)
        mint_device(&mint, &devices[i], &s->minted[i]);
    s->rims[0] = (struct binding_bytes){driver_rim.data, driver_rim.size};
    s->rims[1] = (struct binding_bytes){vbios_rim.data, vbios_rim.size};
    s->policy = (struct gpu_policy){
        .roots = &mint.roots,
        .nonces = s->nonces,
        .rims = s->rims,
        .n_rims = 2,
        .n_gpus = n,
        .at_ms = MINT_NOW_MS,
        .accept_no_revocation = true,
    };
    for (size_t i = 0; i < n; i++)
        memcpy(s->nonces[i], devices[i].nonce, 32);
}

static void scene_of_one(struct scene *s, const struct mint_device *device)
{
    scene_init(s, device, 1);
}

static void scene_run(struct scene *s)
{
    for (size_t i = 0; i < s->n; i++) {
        buffer_done(&s->json[i]);
        gpu_evidence_write(&s->minted[i].evidence, &s->json[i]);
        s->devices[i] = (struct binding_bytes){s->json[i].data, s->json[i].size};
    }
    if (s->result.arena)
        verify_result_done(&s->result);
    verify_result_init(&s->result);
    expect_ok(verify_gpus(&s->policy, s->devices, s->n, &s->result));
    assert_int_equal(s->result.n_steps, GPU_STEPS);
}

static void scene_done(struct scene *s)
{
    for (size_t i = 0; i < s->n; i++) {
        minted_done(&s->minted[i]);
        buffer_done(&s->json[i]);
    }
    verify_result_done(&s->result);
}

static void good_evidence_passes(void **state)
{
    (void)state;
    const struct mint_device gpus[] = {mint_gpu(1), mint_gpu(2)};
    struct scene s;

    scene_init(&s, gpus, 2);
    scene_run(&s);
    EXPECT_PASS(&s.result);
    assert_true(s.result.development);
    scene_done(&s);
}

static void other_root_than_the_pinned_one_is_refused(void **state)
{
    (void)state;
    const struct mint_device gpu = mint_gpu(1);
    struct scene s;

    scene_of_one(&s, &gpu);
    s.policy.roots = NULL;
    scene_run(&s);
    expect_step(&s.result, "gpu_chain", VERDICT_FAIL);
    expect_step(&s.result, "gpu_driver", VERDICT_FAIL);
    expect_step(&s.result, "gpu_vbios", VERDICT_FAIL);
    assert_false(s.result.development);
    scene_done(&s);
}

struct byte_case {
    const char *id;
    size_t offset;
    bool sign; /* as a device would that says this */
};

static void one_changed_byte_fails_one_step(void **state)
{
    (void)state;
    const size_t nonce = 4, first_value = 37 + 8 + 7;
    const struct mint_device gpu = mint_gpu(1);
    struct scene s;
    const struct byte_case cases[] = {
        {"gpu_nonce", nonce, true},
        {"gpu_measurements", first_value, true},
        {"gpu_measurements", first_value + 12 * 55, true},
        {"gpu_signature", 37 + 8 + 16 * 55, false}, /* the device's own nonce */
    };

    scene_of_one(&s, &gpu);
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        s.minted[0].evidence.exchange.data[cases[i].offset] ^= 0x80;
        if (cases[i].sign)
            mint_sign(&s.minted[0]);
        scene_run(&s);
        EXPECT_ONLY(&s.result, VERDICT_FAIL, cases[i].id);
        s.minted[0].evidence.exchange.data[cases[i].offset] ^= 0x80;
    }
    scene_done(&s);
}

/* A value that no RIM speaks of is not judged. */
static void measurement_without_reference_value_is_not_judged(void **state)
{
    (void)state;
    const struct mint_device gpu = mint_gpu(1);
    struct scene s;

    scene_of_one(&s, &gpu);
    s.minted[0].evidence.exchange.data[37 + 8 + 7 + 15 * 55] ^= 1;
    mint_sign(&s.minted[0]);
    scene_run(&s);
    EXPECT_PASS(&s.result);
    scene_done(&s);
}

/* One property of a device, and the only steps that mind. */
struct device_case {
    const char *name;
    const char *ids[5];
    enum verdict verdict;
    struct mint_device device;
};

static struct device_case with(const char *name, enum verdict verdict, const char *id)
{
    return (struct device_case){name, {id}, verdict, mint_gpu(1)};
}

static void run_device_case(const struct device_case *c)
{
    struct scene s;

    print_message("%s\n", c->name);
    scene_of_one(&s, &c->device);
    scene_run(&s);
    expect_only(&s.result, c->ids, c->verdict);
    scene_done(&s);
}

static void properties_of_a_device(void **state)
{
    (void)state;
    struct device_case c = with("expired attestation key", VERDICT_FAIL, "gpu_validity");

    c.device.expired = true;
    run_device_case(&c);
    c = with("no firmware id", VERDICT_UNKNOWN, "gpu_firmware");
    c.device.no_fwid = true;
    run_device_case(&c);
    c = with("Blackwell's form of the firmware id", VERDICT_PASS, NULL);
    c.device.tcb_info = true;
    run_device_case(&c);
    c = with("two fields tell different modes", VERDICT_FAIL, "gpu_mode");
    c.device.protected_pcie = SPDM_STATUS_ENABLED;
    run_device_case(&c);
    c = with("unknown mode", VERDICT_FAIL, "gpu_mode");
    c.device.mode = 3;
    run_device_case(&c);
    c = with("mode not told", VERDICT_PASS, NULL);
    c.device.mode = c.device.protected_pcie = -1;
    run_device_case(&c);
    c = with("protected PCIe without switches", VERDICT_FAIL, "gpu_topology");
    c.device.mode = 2;
    c.device.protected_pcie = SPDM_STATUS_ENABLED;
    run_device_case(&c);
    c = with("protected PCIe of an older driver", VERDICT_FAIL, "gpu_topology");
    c.device.mode = -1;
    c.device.protected_pcie = SPDM_STATUS_ENABLED;
    run_device_case(&c);
    c = with("driver without a RIM", VERDICT_UNKNOWN, "gpu_driver");
    c.ids[1] = "gpu_measurements";
    c.device.driver = "550.2";
    run_device_case(&c);
}

static void missing_driver_version_is_refused(void **state)
{
    (void)state;
    struct mint_device gpu = mint_gpu(1);
    struct scene s;

    gpu.driver = NULL;
    scene_of_one(&s, &gpu);
    scene_run(&s);
    expect_step(&s.result, "gpu_driver", VERDICT_FAIL);
    expect_step(&s.result, "gpu_measurements", VERDICT_UNKNOWN);
    scene_done(&s);
}

/* RIMs are of a chip: those of another one with the same version do not count. */
static void rims_of_another_chip_do_not_count(void **state)
{
    (void)state;
    struct mint_device gpu = mint_gpu(1);
    struct scene s;

    gpu.chip_name = "GB100 A01 GSP BROM";
    scene_of_one(&s, &gpu);
    scene_run(&s);
    EXPECT_ONLY(&s.result, VERDICT_UNKNOWN, "gpu_driver", "gpu_vbios", "gpu_rim_validity",
                "gpu_measurements");
    scene_done(&s);
}

static void two_rims_for_one_measurement_are_a_conflict(void **state)
{
    (void)state;
    const struct mint_rim in = {"GH100", "550.1", 6, 13, NULL, NULL, NULL};
    const struct mint_device gpu = mint_gpu(1);
    _cleanup_buffer_ struct buffer rim = {};
    struct scene s;

    mint_rim(&mint, &in, &rim);
    scene_of_one(&s, &gpu);
    s.rims[0] = (struct binding_bytes){rim.data, rim.size};
    scene_run(&s);
    EXPECT_ONLY(&s.result, VERDICT_FAIL, "gpu_measurements");
    scene_done(&s);
}

/* A forged RIM does no harm where a good one of the same version is at hand. */
static void good_rim_goes_before_a_forged_one(void **state)
{
    (void)state;
    const struct mint_device gpu = mint_gpu(1);
    _cleanup_buffer_ struct buffer forged = {};
    struct scene s;

    buffer_add(&forged, driver_rim.data, driver_rim.size);
    memcpy(strstr((char *)forged.data, "active=\"False\""), "active=\"True\" ", 14);
    scene_of_one(&s, &gpu);
    s.rims[2] = s.rims[0];
    s.rims[0] = (struct binding_bytes){forged.data, forged.size};
    s.rims[3] = (struct binding_bytes){"no rim", 6};
    s.policy.n_rims = 4;
    scene_run(&s);
    EXPECT_PASS(&s.result);
    s.policy.n_rims = 2;
    scene_run(&s);
    expect_step(&s.result, "gpu_driver", VERDICT_FAIL);
    expect_step(&s.result, "gpu_measurements", VERDICT_UNKNOWN);
    scene_done(&s);
}

static void expired_rim_signer_is_refused_unless_asked_for(void **state)
{
    (void)state;
    const struct mint_device gpu = mint_gpu(1);
    _cleanup_buffer_ struct buffer rim = {};
    struct mint_party signer = {};
    struct scene s;

    mint_certificate(&(struct mint_certificate){.name = "Test RIM Signer", .expired = true},
                     &mint.rim_ca, &signer);
    mint_rim(&mint, &(struct mint_rim){"GH100", "550.1", 7, 13, NULL, NULL, &signer}, &rim);
    scene_of_one(&s, &gpu);
    s.rims[0] = (struct binding_bytes){rim.data, rim.size};
    scene_run(&s);
    EXPECT_ONLY(&s.result, VERDICT_FAIL, "gpu_rim_validity");
    s.policy.accept_expired_rims = true;
    scene_run(&s);
    EXPECT_PASS(&s.result);
    scene_done(&s);
    mint_party_done(&signer);
}

static void repeated_missing_and_swapped_devices_are_refused(void **state)
{
    (void)state;
    const struct mint_device gpus[] = {mint_gpu(1), mint_gpu(2)};
    struct scene s;

    scene_init(&s, gpus, 2);
    scene_run(&s);
    s.devices[1] = s.devices[0];
    verify_result_done(&s.result);
    verify_result_init(&s.result);
    expect_ok(verify_gpus(&s.policy, s.devices, 2, &s.result));
    EXPECT_ONLY(&s.result, VERDICT_FAIL, "gpu_distinct");

    s.policy.n_gpus = 3;
    scene_run(&s);
    EXPECT_ONLY(&s.result, VERDICT_FAIL, "gpu_count");
    s.policy.n_gpus = 2;

    struct buffer chain = s.minted[0].evidence.certificate;
    s.minted[0].evidence.certificate = s.minted[1].evidence.certificate;
    s.minted[1].evidence.certificate = chain;
    scene_run(&s);
    EXPECT_ONLY(&s.result, VERDICT_FAIL, "gpu_signature");
    scene_done(&s);
}

static void gpus_in_different_modes_are_refused(void **state)
{
    (void)state;
    struct mint_device gpus[] = {mint_gpu(1), mint_gpu(2)};
    struct scene s;

    gpus[1].mode = 1;
    scene_init(&s, gpus, 2);
    scene_run(&s);
    EXPECT_ONLY(&s.result, VERDICT_FAIL, "gpu_mode");
    scene_done(&s);
}

static void unreadable_evidence_is_refused_and_nothing_is_skipped(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "{}",
        "[]",
        "{\"evidence\":\"AA==\"}",
        "{\"evidence\":\"AA==\",\"certificate\":\"AA==\"}",
        "{\"evidence\":\"AA==\",\"evidence\":\"AA==\",\"certificate\":\"\"}",
        "{\"evidence\":\"%\",\"certificate\":\"\"}",
        "{\"evidence\":1,\"certificate\":2}"};
    const struct gpu_policy policy = {.any_number = true, .at_ms = MINT_NOW_MS};

    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        const struct binding_bytes device = {texts[i], strlen(texts[i])};
        struct verify_result result;

        verify_result_init(&result);
        expect_ok(verify_gpus(&policy, &device, 1, &result));
        assert_int_equal(result.n_steps, GPU_STEPS);
        expect_step(&result, "gpu_format", VERDICT_FAIL);
        expect_step(&result, "gpu_signature", VERDICT_UNKNOWN);
        verify_result_done(&result);
    }
}

static void no_device_is_not_a_pass(void **state)
{
    (void)state;
    const struct gpu_policy policy = {.any_number = true, .at_ms = MINT_NOW_MS};
    struct verify_result result;

    verify_result_init(&result);
    expect_ok(verify_gpus(&policy, NULL, 0, &result));
    expect_step(&result, "gpu_count", VERDICT_FAIL);
    for (size_t i = 1; i < result.n_steps; i++)
        assert_int_equal(result.steps[i].verdict, VERDICT_UNKNOWN);
    verify_result_done(&result);
}

static void too_many_devices_or_steps_are_misuse(void **state)
{
    (void)state;
    struct binding_bytes devices[GPU_DEVICES_MAX + 1] = {};
    const struct gpu_policy policy = {.any_number = true};
    struct verify_result result;

    verify_result_init(&result);
    expect_error(verify_gpus(&policy, devices, GPU_DEVICES_MAX + 1, &result),
                 ERROR_INVALID_ARGUMENT);
    result.n_steps = VERIFY_STEPS_MAX - GPU_STEPS + 1;
    expect_error(verify_gpus(&policy, devices, 1, &result), ERROR_INVALID_ARGUMENT);
    result.n_steps = 0;
    verify_result_done(&result);
}

/* Two GPUs and a switch, each linked to all of the other kind. */
static void protected_pcie(struct mint_device devices[3])
{
    devices[0] = mint_gpu(1);
    devices[1] = mint_gpu(2);
    devices[2] = mint_gpu(3);
    devices[2].is_switch = true;
    devices[2].chip_name = "LS_10 A01 FSP BROM";
    devices[2].driver = NULL;
    devices[2].mode = devices[2].protected_pcie = devices[2].nvdec = -1;
    for (size_t i = 0; i < 2; i++) {
        devices[i].mode = 2;
        devices[i].protected_pcie = SPDM_STATUS_ENABLED;
        devices[i].n_links = 2;
        for (size_t k = 0; k < 8; k++)
            devices[i].links[k] = devices[2].pdi[7 - k];
        memcpy(devices[2].links + 8 * i, devices[i].pdi, 8);
    }
}

static void run_topology(const struct mint_device devices[3], enum verdict verdict)
{
    const struct mint_rim in = {"LS10", "96.10.55.00.01", 0, 16, NULL, NULL, NULL};
    _cleanup_buffer_ struct buffer rim = {};
    struct scene s;

    mint_rim(&mint, &in, &rim);
    scene_init(&s, devices, 3);
    s.policy.n_gpus = 2;
    s.rims[2] = (struct binding_bytes){rim.data, rim.size};
    s.policy.n_rims = 3;
    scene_run(&s);
    EXPECT_ONLY(&s.result, verdict, verdict == VERDICT_PASS ? NULL : "gpu_topology");
    scene_done(&s);
}

static void links_must_stay_between_the_devices(void **state)
{
    (void)state;
    struct mint_device d[3];

    protected_pcie(d);
    run_topology(d, VERDICT_PASS);
    d[0].links[8] = 0x77; /* a second switch, which is not there */
    run_topology(d, VERDICT_FAIL);
    protected_pcie(d);
    memset(d[1].links, 0, 16); /* a GPU without a link */
    run_topology(d, VERDICT_FAIL);
    protected_pcie(d);
    d[1].n_links = 0; /* a GPU that does not say */
    run_topology(d, VERDICT_FAIL);
    protected_pcie(d);
    d[2].links[16] = 1; /* the switch has a third GPU */
    run_topology(d, VERDICT_FAIL);
    protected_pcie(d);
    memset(d[2].links + 8, 0xff, 8); /* the switch does not know the second GPU */
    run_topology(d, VERDICT_FAIL);
    protected_pcie(d);
    d[0].mode = d[1].mode = 1; /* switches in a mode without them */
    d[0].protected_pcie = d[1].protected_pcie = SPDM_STATUS_DISABLED;
    run_topology(d, VERDICT_FAIL);
}

/* An OCSP response for each certificate that needs one, all good unless told otherwise. */
struct ocsp_set {
    struct buffer der[8];
    struct binding_bytes bytes[8];
    size_t n;
};

static void ocsp_add(struct ocsp_set *set, const struct mint_ocsp *in)
{
    struct buffer *der = &set->der[set->n];

    mint_ocsp(in, der);
    set->bytes[set->n++] = (struct binding_bytes){der->data, der->size};
}

static void ocsp_fill(struct ocsp_set *set, const struct minted *device)
{
    const struct mint_party *pairs[][2] = {
        {&device->firmware, &mint.provisioner}, {&mint.provisioner, &mint.identity},
        {&mint.identity, &mint.device_root},    {&mint.rim_ca, &mint.rim_root},
        {&mint.rim_signer, &mint.rim_ca},
    };

    *set = (struct ocsp_set){};
    for (size_t i = 0; i < ELEMENTSOF(pairs); i++)
        ocsp_add(set,
                 &(struct mint_ocsp){pairs[i][0], pairs[i][1], pairs[i][1], V_OCSP_CERTSTATUS_GOOD,
                                     MINT_NOW_MS - 9000, MINT_NOW_MS + 9000});
}

static void ocsp_done(struct ocsp_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        buffer_done(&set->der[i]);
}

static void run_ocsp(struct scene *s, struct ocsp_set *set, enum verdict verdict)
{
    s->policy.ocsp = set->bytes;
    s->policy.n_ocsp = set->n;
    scene_run(s);
    EXPECT_ONLY(&s->result, verdict, verdict == VERDICT_PASS ? NULL : "gpu_revocation");
}

static void replace_first(struct ocsp_set *set, struct mint_ocsp in)
{
    buffer_done(&set->der[0]);
    mint_ocsp(&in, &set->der[0]);
    set->bytes[0] = (struct binding_bytes){set->der[0].data, set->der[0].size};
}

static void revocation_is_told_as_far_as_responses_go(void **state)
{
    (void)state;
    const struct mint_device gpu = mint_gpu(1);
    struct ocsp_set set;
    struct scene s;

    scene_of_one(&s, &gpu);
    s.policy.accept_no_revocation = false;
    ocsp_fill(&set, &s.minted[0]);
    struct mint_ocsp first = {&s.minted[0].firmware,  &mint.provisioner,  &mint.provisioner,
                              V_OCSP_CERTSTATUS_GOOD, MINT_NOW_MS - 9000, MINT_NOW_MS + 9000};
    run_ocsp(&s, &set, VERDICT_PASS);

    struct mint_ocsp changed = first;
    changed.status = V_OCSP_CERTSTATUS_REVOKED;
    replace_first(&set, changed);
    run_ocsp(&s, &set, VERDICT_FAIL);
    s.policy.accept_no_revocation = true; /* forgives what is missing, not what is known */
    run_ocsp(&s, &set, VERDICT_FAIL);
    s.policy.accept_no_revocation = false;
    changed.status = V_OCSP_CERTSTATUS_UNKNOWN;
    replace_first(&set, changed);
    run_ocsp(&s, &set, VERDICT_UNKNOWN);

    changed = first;
    changed.until_ms = MINT_NOW_MS - 5000; /* of yesterday */
    replace_first(&set, changed);
    run_ocsp(&s, &set, VERDICT_UNKNOWN);
    changed = first;
    changed.from_ms = MINT_NOW_MS + 5000; /* of tomorrow */
    replace_first(&set, changed);
    run_ocsp(&s, &set, VERDICT_UNKNOWN);
    changed = first;
    changed.responder = &mint.rim_root; /* by one who has no say */
    replace_first(&set, changed);
    run_ocsp(&s, &set, VERDICT_UNKNOWN);
    set.bytes[0].size--;
    run_ocsp(&s, &set, VERDICT_UNKNOWN);
    set.n = 0;
    run_ocsp(&s, &set, VERDICT_UNKNOWN);
    set.n = 5;
    ocsp_done(&set);
    scene_done(&s);
}

static void nonce_of_another_index_is_another_nonce(void **state)
{
    (void)state;
    const uint8_t root[32] = {1}, key[32] = {2};
    uint8_t a[32], b[32];

    gpu_nonce(root, key, 0, a);
    gpu_nonce(root, key, 1, b);
    assert_memory_not_equal(a, b, 32);
    gpu_nonce(key, root, 0, b);
    assert_memory_not_equal(a, b, 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_evidence_passes),
        cmocka_unit_test(other_root_than_the_pinned_one_is_refused),
        cmocka_unit_test(one_changed_byte_fails_one_step),
        cmocka_unit_test(measurement_without_reference_value_is_not_judged),
        cmocka_unit_test(properties_of_a_device),
        cmocka_unit_test(missing_driver_version_is_refused),
        cmocka_unit_test(rims_of_another_chip_do_not_count),
        cmocka_unit_test(two_rims_for_one_measurement_are_a_conflict),
        cmocka_unit_test(good_rim_goes_before_a_forged_one),
        cmocka_unit_test(expired_rim_signer_is_refused_unless_asked_for),
        cmocka_unit_test(repeated_missing_and_swapped_devices_are_refused),
        cmocka_unit_test(gpus_in_different_modes_are_refused),
        cmocka_unit_test(unreadable_evidence_is_refused_and_nothing_is_skipped),
        cmocka_unit_test(no_device_is_not_a_pass),
        cmocka_unit_test(too_many_devices_or_steps_are_misuse),
        cmocka_unit_test(links_must_stay_between_the_devices),
        cmocka_unit_test(revocation_is_told_as_far_as_responses_go),
        cmocka_unit_test(nonce_of_another_index_is_another_nonce),
    };

    return cmocka_run_group_tests_name("gpu verify", tests, setup, teardown);
}
