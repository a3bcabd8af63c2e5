/* The guest's GPUs: found, asked, judged, and usable only when all of that went well. */
#include "services/guest-agent/test_machine.h"

#include <sys/stat.h>
#include <unistd.h>

#include "shared/attestation/binding.h"

enum { GPUS = 2 };

static struct test_guest_gpus minted;
static struct fake_nvml honest;
static struct machine machine;
static struct gpus *gpus;
static const uint8_t nonce[32] = {1}, key_hash[32] = {2};

static int group_setup(void **state)
{
    (void)state;
    test_guest_gpus_init(&minted, FAKE_NVML, GPUS + 1);
    minted.fake->count = GPUS;
    honest = *minted.fake;
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    test_guest_gpus_done(&minted);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    *minted.fake = honest;
    machine_init(&machine, &minted, GPUS);
    support_check(gpus_new(&machine.options, &gpus));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gpus_free(TAKE_PTR(gpus));
    machine_done(&machine);
    assert_int_equal(minted.fake->started, 0);
    return 0;
}

static void use_mode(const char *mode)
{
    gpus_free(TAKE_PTR(gpus));
    machine.options.mode = mode;
    support_check(gpus_new(&machine.options, &gpus));
}

/* As a boot does; how many have evidence. */
static struct error *collect(size_t *ret_n)
{
    _cleanup_(gpu_evidence_list_done) struct gpu_evidence_list list = {};

    struct error *err = gpus_open(gpus);
    if (!err)
        err = gpus_collect(gpus, nonce, key_hash, MINT_NOW_MS, &list);
    *ret_n = list.n;
    return err;
}

static void expect_none(void)
{
    size_t n = 1;

    support_check(collect(&n));
    assert_int_equal(n, 0);
    support_check(gpus_allow(gpus));
    gpus_nodes(gpus, &n);
    assert_int_equal(n, 0);
    assert_int_equal(minted.fake->started, 0);
    assert_int_equal(minted.fake->ready, 0);
}

/* Neither evidence nor use. */
static void expect_refused(enum error_code code, const char *words)
{
    size_t n = 1;

    struct error *err = collect(&n);
    if (error_get_code(err) != code || !strstr(error_text(err), words))
        fail_msg("not %s with '%s': %s", error_code_name(code), words, error_text(err));
    error_free(err);
    assert_int_equal(n, 0);
    support_check(gpus_allow(gpus)); /* of nothing */
    gpus_nodes(gpus, &n);
    assert_int_equal(n, 0);
    assert_int_equal(minted.fake->ready, 0);
}

static void test_evidence_comes_first_and_use_after(void **state)
{
    static const char *const expected[] = {"nvidia0", "nvidia1", "nvidiactl"};
    size_t n = 0;

    (void)state;
    support_check(collect(&n));
    assert_int_equal(n, GPUS);
    assert_int_equal(minted.fake->ready, 0);
    gpus_nodes(gpus, &n);
    assert_int_equal(n, 0);
    support_check(gpus_allow(gpus));
    assert_int_equal(minted.fake->ready, 1);
    const char *const *nodes = gpus_nodes(gpus, &n);
    assert_int_equal(n, ELEMENTSOF(expected));
    for (size_t i = 0; i < ELEMENTSOF(expected); i++) {
        assert_memory_equal(nodes[i], machine.dev, strlen(machine.dev));
        assert_string_equal(nodes[i] + strlen(machine.dev) + 1, expected[i]);
    }
}

/* One of them is the third display device. */
static void test_what_is_on_the_bus_counts(void **state)
{
    static const struct {
        const char *vendor, *class;
        bool counts;
    } rows[] = {
        {VENDOR, CLASS, true},
        {VENDOR, "0x030000\n", true},
        {VENDOR, "0x030000", true},
        {VENDOR, "0x068000\n", false}, /* a bridge: NVSwitch */
        {VENDOR, "0x040300\n", false}, /* the sound of a graphics card */
        {"0x1234\n", CLASS, false},    /* QEMU's */
        {"0x1af4\n", "0x020000\n", false},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        size_t n = 0;

        machine_put_pci(&machine, "0000:09:00.0", rows[i].vendor, rows[i].class);
        if (rows[i].counts)
            expect_refused(ERROR_PERMISSION_DENIED, "'gpu_count'"); /* NVML shows two */
        else
            support_check(collect(&n));
        teardown(state);
        setup(state);
    }
}

static void test_without_gpus_there_is_nothing_to_do(void **state)
{
    static const char *const gone[] = {"sys/bus/pci/devices", "sys"}; /* a kernel without PCI */

    (void)state;
    machine_take_away(&machine, "sys/bus/pci/devices/0000:01:00.0");
    machine_take_away(&machine, "sys/bus/pci/devices/0000:02:00.0");
    expect_none();
    for (size_t i = 0; i < ELEMENTSOF(gone); i++) {
        machine_take_away(&machine, gone[i]);
        expect_none();
    }
}

static void test_mode_is_the_images(void **state)
{
    size_t n = 0;

    (void)state;
    use_mode("none");
    expect_none();
    use_mode("nvml");
    support_check(collect(&n));
    assert_int_equal(n, GPUS);
    machine_take_away(&machine, "sys");
    use_mode("nvml"); /* whatever the bus says */
    support_check(collect(&n));
    assert_int_equal(n, GPUS);
    machine.options.library = "/nonexistent/libnvidia-ml.so.1";
    use_mode("nvml");
    expect_refused(ERROR_NOT_FOUND, "nvml");
}

static void test_unknown_modes_are_refused(void **state)
{
    static const char *const bad[] = {"", "Auto", "on", "nvml ", "amd"};

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        struct gpus_options options = machine.options;
        struct gpus *none = NULL;

        options.mode = bad[i];
        support_refused(gpus_new(&options, &none), ERROR_INVALID_ARGUMENT);
        assert_null(none);
    }
}

static void no_library(void)
{
    machine.options.library = "/nonexistent/libnvidia-ml.so.1";
    use_mode("auto");
}

static void driver_does_not_start(void)
{
    minted.fake->init = 9;
}

static void confidential_computing_is_off(void)
{
    minted.fake->state.cc_feature = 0;
}

static void developer_tools_are_on(void)
{
    minted.fake->state.devtools_mode = 1;
}

static void gpu_does_not_answer(void)
{
    minted.fake->report = 15;
}

static void gpu_has_no_certificate(void)
{
    minted.fake->certificate = 15;
}

static void one_is_missing(void)
{
    minted.fake->count = GPUS - 1;
}

static void all_are_missing(void)
{
    minted.fake->count = 0;
}

static void one_too_many(void)
{
    minted.fake->count = GPUS + 1;
}

static void not_nvidias(void)
{
    machine.options.roots = NULL;
    use_mode("auto");
}

/* Each GPU's report by the key of the other one. */
static void show_others_certificate(void *data, unsigned int index,
                                    struct nvml_certificate *certificate)
{
    honest.certificate_of(data, !index, certificate);
}

static void foreign_signature(void)
{
    minted.fake->certificate_of = show_others_certificate;
}

static void answer_as_the_first(void *data, unsigned int index, struct nvml_report *report)
{
    (void)index;
    honest.report_of(data, 0, report);
}

static void show_firsts_certificate(void *data, unsigned int index,
                                    struct nvml_certificate *certificate)
{
    (void)index;
    honest.certificate_of(data, 0, certificate);
}

static void one_answers_for_both(void)
{
    minted.fake->report_of = answer_as_the_first;
    minted.fake->certificate_of = show_firsts_certificate;
}

/* The image knows other values of this driver than the GPUs measured. */
static void wrong_measurement(void)
{
    const struct mint_rim wrong = {"GH100", "550.1", 7, 13, "h:Hash1=\"47", "h:Hash1=\"48", NULL};
    _cleanup_buffer_ struct buffer rim = {0};

    mint_rim(&minted.mint, &wrong, &rim);
    test_guest_gpus_put_rims(&minted, machine.rims);
    machine_put(&machine, "rims/driver.xml", buffer_text(&rim));
}

static void rubbish_in_the_image(void)
{
    machine_put(&machine, "rims/driver.xml", "rubbish");
}

static void unreadable_bus(void)
{
    machine_take_away(&machine, "sys/bus/pci/devices/0000:01:00.0/vendor");
}

static void bus_that_is_no_folder(void)
{
    machine_take_away(&machine, "sys/bus/pci/devices");
    machine_put(&machine, "sys/bus/pci/devices", "");
}

static void test_what_is_not_right_is_not_used(void **state)
{
    static const struct {
        void (*spoil)(void);
        enum error_code code;
        const char *words;
    } rows[] = {
        {no_library, ERROR_NOT_FOUND, "nvml"},
        {driver_does_not_start, ERROR_FAILED_PRECONDITION, "start: error 9"},
        {confidential_computing_is_off, ERROR_FAILED_PRECONDITION, "computing is off"},
        {developer_tools_are_on, ERROR_FAILED_PRECONDITION, "developer tools"},
        {gpu_does_not_answer, ERROR_INTERNAL, "gpu 0: nvml: report"},
        {gpu_has_no_certificate, ERROR_INTERNAL, "gpu 0: nvml: certificate"},
        {one_is_missing, ERROR_PERMISSION_DENIED, "'gpu_count' failed: expected 2, found 1"},
        {all_are_missing, ERROR_FAILED_PRECONDITION, "0 GPUs"},
        {one_too_many, ERROR_PERMISSION_DENIED, "'gpu_count' failed: expected 2, found 3"},
        {not_nvidias, ERROR_PERMISSION_DENIED, "'gpu_chain'"},
        {foreign_signature, ERROR_PERMISSION_DENIED, "'gpu_signature'"},
        {one_answers_for_both, ERROR_PERMISSION_DENIED, "'gpu_distinct'"},
        {wrong_measurement, ERROR_PERMISSION_DENIED, "'gpu_measurements'"},
        {rubbish_in_the_image, ERROR_INVALID_ARGUMENT, "driver.xml"},
        {unreadable_bus, ERROR_NOT_FOUND, "vendor"},
        {bus_that_is_no_folder, ERROR_INTERNAL, "sys/bus/pci/devices"},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        rows[i].spoil();
        expect_refused(rows[i].code, rows[i].words);
        teardown(state);
        setup(state);
    }
}

/* Reference values, if the image has them, only add what can be told. */
static void test_what_cannot_be_told_is_left_to_the_authority(void **state)
{
    const struct mint_certificate old = {.name = "Test RIM Signer of old", .expired = true};
    struct mint_rim driver = {"GH100", "550.1", 7, 13, NULL, NULL, NULL};
    struct mint_party signer = {0};
    _cleanup_buffer_ struct buffer rim = {0};
    size_t n = 0;

    (void)state;
    support_check(collect(&n)); /* no folder */
    support_check(dir_make(machine.rims, 0700));
    support_check(collect(&n)); /* nothing in it */
    test_guest_gpus_put_rims(&minted, machine.rims);
    support_check(collect(&n)); /* no OCSP responses */
    mint_certificate(&old, &minted.mint.rim_ca, &signer);
    driver.signer = &signer;
    mint_rim(&minted.mint, &driver, &rim);
    machine_put(&machine, "rims/driver.xml", buffer_text(&rim));
    support_check(collect(&n)); /* an image that is older than its signer's certificate */
    mint_party_done(&signer);
    assert_int_equal(n, GPUS);
}

/* The driver may turn up later than we do. */
static void test_the_driver_may_be_late(void **state)
{
    size_t n = 0;

    (void)state;
    minted.fake->init = 9;
    support_refused(gpus_open(gpus), ERROR_FAILED_PRECONDITION);
    minted.fake->init = 0;
    support_check(collect(&n));
    assert_int_equal(n, GPUS);
}

static void no_control_node(void)
{
    machine_take_away(&machine, "dev/nvidiactl");
}

static void no_node_of_one(void)
{
    machine_take_away(&machine, "dev/nvidia1");
}

static void node_of_another_one(void)
{
    machine_put(&machine, "dev/nvidia2", "");
}

static void no_dev(void)
{
    machine_take_away(&machine, "dev");
}

static void driver_says_no(void)
{
    minted.fake->set_ready = 3;
}

static void uvm_and_others(void)
{
    machine_put(&machine, "dev/nvidia-uvm", "");
    machine_put(&machine, "dev/nvidia-modeset", "");
    machine_put(&machine, "dev/nvidiactl2", "");
    machine_put(&machine, "dev/nvidia1x", "");
    machine_put(&machine, "dev/xnvidia0", "");
}

static void test_use_needs_a_node_for_each(void **state)
{
    static const struct {
        void (*spoil)(void);
        enum error_code code;
        size_t nodes;
    } rows[] = {
        {no_control_node, ERROR_FAILED_PRECONDITION, 0},
        {no_node_of_one, ERROR_FAILED_PRECONDITION, 0},
        {node_of_another_one, ERROR_FAILED_PRECONDITION, 0},
        {no_dev, ERROR_NOT_FOUND, 0},
        {driver_says_no, ERROR_INTERNAL, 0},
        {uvm_and_others, ERROR_OK, 4},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        size_t n = 0;

        rows[i].spoil();
        support_check(collect(&n));
        support_refused(gpus_allow(gpus), rows[i].code);
        gpus_nodes(gpus, &n);
        assert_int_equal(n, rows[i].nodes);
        teardown(state);
        setup(state);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_evidence_comes_first_and_use_after),
        TEST(test_what_is_on_the_bus_counts),
        TEST(test_without_gpus_there_is_nothing_to_do),
        TEST(test_mode_is_the_images),
        TEST(test_unknown_modes_are_refused),
        TEST(test_what_is_not_right_is_not_used),
        TEST(test_what_cannot_be_told_is_left_to_the_authority),
        TEST(test_the_driver_may_be_late),
        TEST(test_use_needs_a_node_for_each),
    };

    return cmocka_run_group_tests_name("gpus of a guest", tests, group_setup, group_teardown);
}
