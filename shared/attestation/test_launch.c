/* Launch measurements of a firmware of our own making: what changes them, and what is refused. */
#include "shared/attestation/test_firmware.h"

#include <string.h>

#include "shared/base/cleanup.h"

static const uint8_t hash[2][32] = {{1}, {2}};

/* Direct boot of a kernel and an initrd of the first hash. */
static struct launch_input input_of(const uint8_t *page)
{
    return (struct launch_input){
        .firmware = page,
        .firmware_size = LAUNCH_PAGE_SIZE,
        .kernel_sha256 = hash[0],
        .initrd_sha256 = hash[0],
        .cmdline = "a",
        .vcpus = 2,
        .cpu_model = "EPYC-v4",
        .guest_features = 0x1,
    };
}

static void without_kernel(struct launch_input *input)
{
    input->kernel_sha256 = input->initrd_sha256 = NULL;
    input->cmdline = NULL;
}

/* The test firmware with another entry in place of its hash table's. */
static void test_svsm(uint8_t page[LAUNCH_PAGE_SIZE], uint32_t entry)
{
    test_firmware(page);
    put_entry(page + LAUNCH_PAGE_SIZE - 32 - 18, "12a689a797054b4ca49fcbb1fe9d1ddd", entry);
}

static void every_input_changes_the_digest(void **state)
{
    (void)state;
    uint8_t page[LAUNCH_PAGE_SIZE], base[LAUNCH_DIGEST_SIZE], digest[LAUNCH_DIGEST_SIZE];

    test_firmware(page);
    const struct launch_input input = input_of(page);
    struct launch_input changed[9];
    for (size_t i = 0; i < ELEMENTSOF(changed); i++)
        changed[i] = input;
    changed[0].kernel_sha256 = hash[1];
    changed[1].initrd_sha256 = hash[1];
    changed[2].cmdline = "a ";
    changed[3].vcpus = 3;
    changed[4].cpu_model = "EPYC-Genoa";
    changed[5].guest_features = 0x21;
    changed[6].vmm = LAUNCH_VMM_EC2;
    changed[7].vmm = LAUNCH_VMM_EC2_LEGACY;
    changed[8].vmm = LAUNCH_VMM_GCE;
    expect_ok(launch_measure(&input, base));
    for (size_t i = 0; i < ELEMENTSOF(changed); i++) {
        expect_ok(launch_measure(&changed[i], digest));
        assert_memory_not_equal(digest, base, sizeof(base));
    }
}

/* Firmware that does not measure kernel and command line gives a measurement that says nothing. */
static void bug_13_a_kernel_that_is_not_measured_is_refused(void **state)
{
    (void)state;
    uint8_t page[LAUNCH_PAGE_SIZE], digest[LAUNCH_DIGEST_SIZE];

    test_firmware(page);
    put_u32(page + LAUNCH_PAGE_SIZE - 32 - 18 - 22, 0); /* address of the hash table */
    struct launch_input input = input_of(page);
    expect_code(launch_measure(&input, digest), ERROR_INVALID_ARGUMENT);
    without_kernel(&input);
    expect_ok(launch_measure(&input, digest));
    test_firmware(page);
    put_u32(page + 1024 + 24 + 12 * 3, LAUNCH_SECTION_MEMORY); /* was that of the hash table */
    input = input_of(page);
    expect_code(launch_measure(&input, digest), ERROR_INVALID_ARGUMENT);
    without_kernel(&input);
    expect_ok(launch_measure(&input, digest));
}

static void bad_inputs_are_refused(void **state)
{
    (void)state;
    uint8_t page[LAUNCH_PAGE_SIZE], digest[LAUNCH_DIGEST_SIZE];

    test_firmware(page);
    const struct launch_input input = input_of(page);
    struct launch_input cases[10];
    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        cases[i] = input;
    cases[0].cpu_model = "pentium";
    cases[1].cpu_model = NULL;
    cases[2].vcpus = 0;
    cases[3].vcpus = 513;
    cases[4].initrd_sha256 = NULL;
    cases[5].cmdline = NULL;
    cases[6].firmware_size = 4095;
    cases[7].firmware_size = 0;
    cases[8].kernel_sha256 = NULL;
    cases[9].vmm = LAUNCH_VMM_SVSM; /* there is none */
    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        expect_code(launch_measure(&cases[i], digest), ERROR_INVALID_ARGUMENT);
}

/* Every byte of metadata and footer: refused, or another launch, but never a crash. */
static void damaged_firmware_is_survived(void **state)
{
    (void)state;
    uint8_t page[LAUNCH_PAGE_SIZE], base[LAUNCH_DIGEST_SIZE], digest[LAUNCH_DIGEST_SIZE];
    size_t refused = 0;

    test_firmware(page);
    const struct launch_input input = input_of(page);
    expect_ok(launch_measure(&input, base));
    for (size_t at = 1024; at < sizeof(page); at++) {
        if (at == 1024 + 16 + 12 * 4)
            at = sizeof(page) - 32 - 18 - 3 * 22;
        page[at] ^= 0xff;
        struct error *err = launch_measure(&input, digest);
        if (err)
            refused++;
        else
            assert_memory_not_equal(digest, base, sizeof(base));
        error_free(err);
        page[at] ^= 0xff;
    }
    assert_true(refused > 0);
}

static void vmms_are_found_by_name(void **state)
{
    (void)state;
    static const char *const names[] = {"qemu", "ec2", "ec2-legacy", "gce", "svsm"};
    enum launch_vmm vmm;

    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        assert_true(launch_vmm_find(names[i], &vmm));
        assert_int_equal(vmm, i);
        assert_string_equal(launch_vmm_name(vmm), names[i]);
    }
    assert_false(launch_vmm_find("QEMU", &vmm));
    assert_false(launch_vmm_find("", &vmm));
}

/* What is measured of an SVSM is where it lies and starts; features are its own. */
static void svsm_is_measured(void **state)
{
    (void)state;
    uint8_t page[LAUNCH_PAGE_SIZE], svsm[2][LAUNCH_PAGE_SIZE];
    uint8_t base[LAUNCH_DIGEST_SIZE], digest[LAUNCH_DIGEST_SIZE];

    test_firmware(page);
    test_svsm(svsm[0], 0);
    test_svsm(svsm[1], 0x10);
    struct launch_input input = input_of(page);
    without_kernel(&input);
    input.vmm = LAUNCH_VMM_SVSM;
    input.svsm = svsm[0];
    input.svsm_size = LAUNCH_PAGE_SIZE;
    expect_ok(launch_measure(&input, base));
    input.guest_features = 0x21;
    expect_ok(launch_measure(&input, digest));
    assert_memory_equal(digest, base, sizeof(base));
    input.svsm_vars_size = LAUNCH_PAGE_SIZE;
    expect_ok(launch_measure(&input, digest));
    assert_memory_not_equal(digest, base, sizeof(base));
    input.svsm_vars_size = 0;
    input.svsm = svsm[1];
    expect_ok(launch_measure(&input, digest));
    assert_memory_not_equal(digest, base, sizeof(base));
}

static const struct svsm_case {
    size_t svsm_size;
    size_t vars_size;
    uint32_t entry;
} bad_svsms[] = {
    {0, 0, 0},
    {LAUNCH_PAGE_SIZE - 1, 0, 0},
    {16 * 1024 * 1024 + LAUNCH_PAGE_SIZE, 0, 0},
    {LAUNCH_PAGE_SIZE, 1, 0},
    {LAUNCH_PAGE_SIZE, 16 * 1024 * 1024 + LAUNCH_PAGE_SIZE, 0},
    {LAUNCH_PAGE_SIZE, SIZE_MAX - LAUNCH_PAGE_SIZE + 1, 0},
    {LAUNCH_PAGE_SIZE, 0, LAUNCH_PAGE_SIZE}, /* starts behind its end */
    {LAUNCH_PAGE_SIZE, 0, UINT32_MAX},
};

static void bad_svsms_are_refused(void **state)
{
    (void)state;
    uint8_t page[LAUNCH_PAGE_SIZE], svsm[LAUNCH_PAGE_SIZE], digest[LAUNCH_DIGEST_SIZE];

    test_firmware(page);
    struct launch_input input = input_of(page);
    input.vmm = LAUNCH_VMM_SVSM;
    input.svsm = svsm;
    input.svsm_size = LAUNCH_PAGE_SIZE;
    test_svsm(svsm, 0); /* measures no kernel */
    expect_code(launch_measure(&input, digest), ERROR_INVALID_ARGUMENT);
    without_kernel(&input);
    expect_ok(launch_measure(&input, digest));
    for (size_t i = 0; i < ELEMENTSOF(bad_svsms); i++) {
        test_svsm(svsm, bad_svsms[i].entry);
        input.svsm_size = bad_svsms[i].svsm_size;
        input.svsm_vars_size = bad_svsms[i].vars_size;
        expect_code(launch_measure(&input, digest), ERROR_INVALID_ARGUMENT);
    }
}

/* An SVSM is not firmware, and firmware is not an SVSM. */
static void images_in_the_wrong_place_are_refused(void **state)
{
    (void)state;
    uint8_t page[LAUNCH_PAGE_SIZE], svsm[LAUNCH_PAGE_SIZE], digest[LAUNCH_DIGEST_SIZE];

    test_firmware(page);
    test_svsm(svsm, 0);
    struct launch_input as_firmware = input_of(svsm);
    without_kernel(&as_firmware);
    expect_code(launch_measure(&as_firmware, digest), ERROR_INVALID_ARGUMENT);
    struct launch_input as_svsm = input_of(page);
    without_kernel(&as_svsm);
    as_svsm.vmm = LAUNCH_VMM_SVSM;
    as_svsm.svsm = page;
    as_svsm.svsm_size = LAUNCH_PAGE_SIZE;
    expect_code(launch_measure(&as_svsm, digest), ERROR_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_input_changes_the_digest),
        cmocka_unit_test(bug_13_a_kernel_that_is_not_measured_is_refused),
        cmocka_unit_test(bad_inputs_are_refused),
        cmocka_unit_test(damaged_firmware_is_survived),
        cmocka_unit_test(vmms_are_found_by_name),
        cmocka_unit_test(svsm_is_measured),
        cmocka_unit_test(bad_svsms_are_refused),
        cmocka_unit_test(images_in_the_wrong_place_are_refused),
    };

    return cmocka_run_group_tests_name("launch", tests, NULL, NULL);
}
