/* Evidence that is right but for one thing, and the step that must say so. */
#include "shared/nvidia/test_gpu.h"

#include "shared/base/alloc.h"
#include "shared/nvidia/test_scene.h"

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

static const struct {
    int nvdec;
    size_t wrong; /* the index whose value is another one */
    enum verdict verdict;
} nvdec_cases[] = {
    {SPDM_STATUS_ENABLED, 14, VERDICT_PASS}, /* no RIM speaks of it */
    {SPDM_STATUS_ENABLED, 35, VERDICT_FAIL},
    {SPDM_STATUS_DISABLED, 35, VERDICT_PASS},
    {SPDM_STATUS_DISABLED, 34, VERDICT_FAIL}, /* this one is not the decoder's */
    {-1, 35, VERDICT_FAIL},                   /* off only when the device says so */
    {0, 35, VERDICT_FAIL},
};

static void the_video_decoder_is_not_judged_while_it_is_off(void **state)
{
    (void)state;
    const struct mint_rim in = {"GH100", "550.1", 34, 36, NULL, NULL, NULL};
    _cleanup_buffer_ struct buffer rim = {};

    mint_rim(&mint, &in, &rim);
    for (size_t i = 0; i < ELEMENTSOF(nvdec_cases); i++) {
        enum verdict verdict = nvdec_cases[i].verdict;
        struct mint_device gpu = mint_gpu(1);
        struct scene s;

        gpu.n_blocks = 36;
        gpu.nvdec = nvdec_cases[i].nvdec;
        scene_of_one(&s, &gpu);
        s.rims[0] = (struct binding_bytes){rim.data, rim.size};
        s.minted[0].evidence.exchange.data[37 + 8 + 7 + nvdec_cases[i].wrong * 55] ^= 1;
        mint_sign(&s.minted[0]);
        print_message("case %zu\n", i);
        scene_run(&s);
        EXPECT_ONLY(&s.result, verdict, verdict == VERDICT_FAIL ? "gpu_measurements" : NULL);
        scene_done(&s);
    }
}

/* A switch has no decoder, whatever it says. */
static void every_measurement_of_a_switch_is_judged(void **state)
{
    (void)state;
    const struct mint_rim in = {"LS10", "96.10.55.00.01", 34, 36, NULL, NULL, NULL};
    struct mint_device device = mint_gpu(1);
    _cleanup_buffer_ struct buffer rim = {};
    struct scene s;

    mint_rim(&mint, &in, &rim);
    device.is_switch = true;
    device.chip_name = "LS_10 A01 FSP BROM";
    device.nvdec = SPDM_STATUS_DISABLED;
    device.n_blocks = 36;
    scene_of_one(&s, &device);
    s.rims[0] = (struct binding_bytes){rim.data, rim.size};
    scene_run(&s);
    expect_step(&s.result, "gpu_measurements", VERDICT_PASS);
    s.minted[0].evidence.exchange.data[37 + 8 + 7 + 35 * 55] ^= 1;
    mint_sign(&s.minted[0]);
    scene_run(&s);
    expect_step(&s.result, "gpu_measurements", VERDICT_FAIL);
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
    c = with("another firmware id", VERDICT_FAIL, "gpu_firmware");
    c.device.wrong_fwid = true;
    run_device_case(&c);
    c = with("a longer firmware id", VERDICT_FAIL, "gpu_firmware");
    c.device.long_fwid = true;
    run_device_case(&c);
    c = with("a certificate without a firmware id", VERDICT_FAIL, "gpu_firmware");
    c.device.no_certified_fwid = true;
    run_device_case(&c);
    c = with("a mode field that is left out", VERDICT_FAIL, "gpu_mode");
    c.device.mode = -2;
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
    c = with("a value that goes on behind the right one", VERDICT_FAIL, "gpu_measurements");
    c.device.long_value = true;
    run_device_case(&c);
    c = with("mode not told", VERDICT_PASS, NULL);
    c.device.mode = c.device.protected_pcie = -1;
    run_device_case(&c);
    c = with("protected PCIe without switches", VERDICT_FAIL, "gpu_topology");
    c.device.mode = 2;
    c.device.protected_pcie = SPDM_STATUS_ENABLED;
    run_device_case(&c);
    c = with("protected PCIe that one field tells", VERDICT_FAIL, "gpu_topology");
    c.device.mode = 2;
    c.device.protected_pcie = -1;
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

static void what_is_not_asked_for_cannot_be_told(void **state)
{
    (void)state;
    struct mint_device gpu = mint_gpu(1);
    struct scene s;

    scene_of_one(&s, &gpu);
    s.policy.nonces = NULL;
    scene_run(&s);
    EXPECT_ONLY(&s.result, VERDICT_UNKNOWN, "gpu_nonce");
    s.policy.nonces = s.nonces;
    s.policy.accept_no_revocation = false;
    scene_run(&s);
    EXPECT_ONLY(&s.result, VERDICT_UNKNOWN, "gpu_revocation");
    scene_done(&s);

    gpu.wrong_fwid = true; /* that is not the same as none */
    scene_of_one(&s, &gpu);
    s.policy.accept_no_fwid = true;
    scene_run(&s);
    EXPECT_ONLY(&s.result, VERDICT_FAIL, "gpu_firmware");
    scene_done(&s);

    gpu.no_fwid = true;
    scene_of_one(&s, &gpu);
    s.policy.accept_no_fwid = true;
    scene_run(&s);
    EXPECT_PASS(&s.result);
    s.policy.n_gpus = 0; /* not even one, unless any number will do */
    scene_run(&s);
    EXPECT_ONLY(&s.result, VERDICT_FAIL, "gpu_count");
    s.policy.any_number = true;
    scene_run(&s);
    EXPECT_PASS(&s.result);
    scene_done(&s);
}

/* Of good, "cannot tell" (no firmware id) and bad (another one), the worst is the step's. */
static const struct {
    bool no_fwid[2], wrong_fwid[2];
    enum verdict verdict;
    const char *actual;
} pairs[] = {
    {{false, true},
     {false, false},
     VERDICT_UNKNOWN,
     "device 1: the device does not name its firmware"},
    {{true, false},
     {false, false},
     VERDICT_UNKNOWN,
     "device 0: the device does not name its firmware"},
    {{true, false}, {false, true}, VERDICT_FAIL, NULL},
    {{false, true}, {true, false}, VERDICT_FAIL, NULL},
    {{true, true},
     {false, false},
     VERDICT_UNKNOWN,
     "device 0: the device does not name its firmware; "
     "device 1: the device does not name its firmware"},
};

static void the_worst_device_decides_and_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(pairs); i++) {
        struct mint_device gpus[] = {mint_gpu(1), mint_gpu(2)};
        struct scene s;

        for (size_t k = 0; k < 2; k++) {
            gpus[k].no_fwid = pairs[i].no_fwid[k];
            gpus[k].wrong_fwid = pairs[i].wrong_fwid[k];
        }
        scene_init(&s, gpus, 2);
        scene_run(&s);
        EXPECT_ONLY(&s.result, pairs[i].verdict, "gpu_firmware");
        if (pairs[i].actual)
            assert_string_equal(find_step(&s.result, "gpu_firmware")->actual, pairs[i].actual);
        scene_done(&s);
    }
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

static void bug_10_two_rims_for_one_measurement_are_a_conflict(void **state)
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

/* Runs with the RIM files at these places of all, in this order. */
static void run_with_rims(struct scene *s, const struct buffer *const *all, const size_t *order,
                          size_t n)
{
    for (size_t i = 0; i < n; i++)
        s->rims[i] = (struct binding_bytes){all[order[i]]->data, all[order[i]]->size};
    s->policy.n_rims = n;
    scene_run(s);
}

static const struct rims_case {
    size_t n, order[4];
    const char *id, *code; /* NULL: passes */
} rims_cases[] = {
    /* 0: driver, 1: VBIOS, 2: another driver, 3: another VBIOS, 4: driver, signed anew */
    {3, {0, 2, 1}, "gpu_driver", "gpu_driver_ambiguous"},
    {3, {2, 0, 1}, "gpu_driver", "gpu_driver_ambiguous"},
    {3, {0, 1, 3}, "gpu_vbios", "gpu_vbios_ambiguous"},
    {3, {0, 3, 1}, "gpu_vbios", "gpu_vbios_ambiguous"},
    {4, {0, 0, 2, 1}, "gpu_driver", "gpu_driver_ambiguous"},
    {4, {0, 1, 2, 0}, "gpu_driver", "gpu_driver_ambiguous"},
    {3, {0, 4, 1}, "gpu_driver", "gpu_driver_ambiguous"}, /* whose dates would count? */
    {4, {0, 1, 0, 1}, NULL, NULL},
    /* a forged one is none */
    {3, {5, 0, 1}, NULL, NULL},
    {3, {0, 5, 1}, NULL, NULL},
    {4, {0, 5, 0, 1}, NULL, NULL},
};

static void two_rims_of_one_version_that_differ_are_refused(void **state)
{
    (void)state;
    const struct mint_rim other_driver = {"GH100", "550.1", 7, 12, NULL, NULL, NULL};
    const struct mint_rim other_vbios = {"GH100", "96.00.5E.00.01", 1, 7, NULL, NULL, NULL};
    const struct mint_device gpu = mint_gpu(1);
    struct buffer more[4] = {};
    const struct buffer *all[] = {&driver_rim, &vbios_rim, &more[0], &more[1], &more[2], &more[3]};
    struct scene s;

    mint_rim(&mint, &other_driver, &more[0]);
    mint_rim(&mint, &other_vbios, &more[1]);
    mint_driver_rim(&mint, &more[2]);
    buffer_add(&more[3], driver_rim.data, driver_rim.size);
    memcpy(strstr((char *)more[3].data, "active=\"False\""), "active=\"True\" ", 14);
    scene_of_one(&s, &gpu);
    for (size_t i = 0; i < ELEMENTSOF(rims_cases); i++) {
        const struct rims_case *c = &rims_cases[i];

        print_message("case %zu\n", i);
        run_with_rims(&s, all, c->order, c->n);
        if (!c->id) {
            EXPECT_PASS(&s.result);
            continue;
        }
        EXPECT_ONLY(&s.result, VERDICT_UNKNOWN, c->id, "gpu_measurements");
        assert_string_equal(find_step(&s.result, c->id)->code, c->code);
    }
    scene_done(&s);
    for (size_t i = 0; i < ELEMENTSOF(more); i++)
        buffer_done(&more[i]);
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
        for (size_t k = 2; k < GPU_STEPS; k++)
            expect_step(&result, result.steps[k].id, VERDICT_UNKNOWN);
        verify_result_done(&result);
    }
}

static void other_names_than_the_two_are_refused(void **state)
{
    (void)state;
    static const char text[] = "{\"evidence\":\"AA==\",\"certificate\":\"AA==\",\"more\":1}";
    static const char two[] = "{\"evidence\":\"AA==\",\"certificate\":\"AA==\"}";
    struct gpu_evidence evidence;

    expect_error(gpu_evidence_parse(text, strlen(text), &evidence), ERROR_INVALID_ARGUMENT);
    expect_ok(gpu_evidence_parse(two, strlen(two), &evidence));
    gpu_evidence_done(&evidence);
}

static void bug_10_no_device_is_not_a_pass(void **state)
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
        cmocka_unit_test(the_video_decoder_is_not_judged_while_it_is_off),
        cmocka_unit_test(every_measurement_of_a_switch_is_judged),
        cmocka_unit_test(properties_of_a_device),
        cmocka_unit_test(what_is_not_asked_for_cannot_be_told),
        cmocka_unit_test(the_worst_device_decides_and_is_named),
        cmocka_unit_test(missing_driver_version_is_refused),
        cmocka_unit_test(rims_of_another_chip_do_not_count),
        cmocka_unit_test(bug_10_two_rims_for_one_measurement_are_a_conflict),
        cmocka_unit_test(good_rim_goes_before_a_forged_one),
        cmocka_unit_test(two_rims_of_one_version_that_differ_are_refused),
        cmocka_unit_test(expired_rim_signer_is_refused_unless_asked_for),
        cmocka_unit_test(unreadable_evidence_is_refused_and_nothing_is_skipped),
        cmocka_unit_test(other_names_than_the_two_are_refused),
        cmocka_unit_test(bug_10_no_device_is_not_a_pass),
        cmocka_unit_test(too_many_devices_or_steps_are_misuse),
        cmocka_unit_test(nonce_of_another_index_is_another_nonce),
    };

    return cmocka_run_group_tests_name("gpu verify", tests, scene_setup, scene_teardown);
}
