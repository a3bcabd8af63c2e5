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

#define METADATA    1024
#define SECTION(i)  (METADATA + 16 + 12 * (i)) /* gpa, size, type */
#define FOOTER      (LAUNCH_PAGE_SIZE - 32)    /* where the table ends */
#define ENTRY_OF(i) (FOOTER - 18 - 22 * ((i) + 1))

/* One number of firmware that is good otherwise. */
static void what_firmware_must_not_say_is_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint32_t value;
        enum launch_vmm vmm;
    } rows[] = {
        {SECTION(0) + 4, 0x2001, 0},                 /* no whole pages */
        {SECTION(0) + 4, 0x80000000, 0},             /* too large */
        {SECTION(0) + 8, 9, 0},                      /* of no known type */
        {SECTION(0) + 8, 9, LAUNCH_VMM_EC2},         /* which launches in two rounds */
        {SECTION(2) + 4, 0x1001, LAUNCH_VMM_EC2},    /* the CPUID page, in the second */
        {SECTION(3) + 4, 0x2000, 0},                 /* two pages for one hash table */
        {SECTION(3), 0x811000, 0},                   /* another page than the table's */
        {ENTRY_OF(0), 0x810f80, 0},                  /* the table reaches over its page */
        {METADATA, 0x41534556, 0},                   /* not "ASEV" */
        {METADATA + 8, 2, 0},                        /* version 2 */
        {METADATA + 12, 0, 0},                       /* no sections */
        {METADATA + 12, LAUNCH_SECTIONS_MAX + 1, 0}, /* more than there may be */
        {ENTRY_OF(1), 0, 0},                         /* no reset vector */
        {ENTRY_OF(2), LAUNCH_PAGE_SIZE + 1, 0},      /* metadata before the firmware */
        {ENTRY_OF(2), 15, 0},                        /* cut in its header */
        {FOOTER - 16, 0, 0},                         /* the table's GUID */
        {FOOTER - 4, 0, 0},
    };
    uint8_t page[LAUNCH_PAGE_SIZE], digest[LAUNCH_DIGEST_SIZE];

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        test_firmware(page);
        struct launch_input input = input_of(page);
        input.vmm = rows[i].vmm;
        expect_ok(launch_measure(&input, digest));
        put_u32(page + rows[i].at, rows[i].value);
        struct error *err = launch_measure(&input, digest);
        if (!err)
            fail_msg("row %zu is accepted", i);
        expect_code(err, ERROR_INVALID_ARGUMENT);
    }
}

/* Metadata at the very end of the image, whose last section is not there any more. */
static void cut_metadata_is_refused(void **state)
{
    (void)state;
    uint8_t page[LAUNCH_PAGE_SIZE];
    struct launch_layout layout;

    test_firmware(page);
    memcpy(page + LAUNCH_PAGE_SIZE - 32, page + METADATA, 32); /* header and a section and a bit */
    put_u32(page + ENTRY_OF(2), 32);
    expect_code(launch_layout_parse(page, sizeof(page), &layout), ERROR_INVALID_ARGUMENT);
    put_u32(page + LAUNCH_PAGE_SIZE - 32 + 12, 1);
    expect_ok(launch_layout_parse(page, sizeof(page), &layout));
    assert_int_equal(layout.n_sections, 1);
    expect_code(launch_layout_parse(page, 100, &layout), ERROR_INVALID_ARGUMENT);
}

/* An entry that is bad is not made good by those before it. */
static void one_bad_footer_entry_is_enough(void **state)
{
    (void)state;
    static const char *const guids[] = {"666588dc4a989847a75e5585a7bf67cc",
                                        "1f3755723b3a044b927b1da6efa8d454",
                                        "de71f7007e1acb4f890e68c77e2fb44e"};
    static const uint32_t values[] = {LAUNCH_PAGE_SIZE - METADATA, 0x810c00, 0x80b004};
    uint8_t page[LAUNCH_PAGE_SIZE];
    struct launch_layout layout;

    test_firmware(page);
    uint8_t *at = page + FOOTER - 18;
    for (size_t i = 0; i < 3; i++)
        at = put_entry(at, guids[i], values[i]);
    expect_ok(launch_layout_parse(page, sizeof(page), &layout));
    put_u32(page + ENTRY_OF(0), LAUNCH_PAGE_SIZE + 1);
    expect_code(launch_layout_parse(page, sizeof(page), &layout), ERROR_INVALID_ARGUMENT);
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
    test_svsm(svsm, 0);
    input.svsm_size = input.svsm_vars_size = LAUNCH_PAGE_SIZE;
    expect_ok(launch_measure(&input, digest));
    input.firmware_size = LAUNCH_PAGE_SIZE - 1; /* what follows is good */
    expect_code(launch_measure(&input, digest), ERROR_INVALID_ARGUMENT);
    input.firmware_size = LAUNCH_PAGE_SIZE;
    input.svsm_size = LAUNCH_PAGE_SIZE - 1;
    expect_code(launch_measure(&input, digest), ERROR_INVALID_ARGUMENT);
}

/* Under an SVSM the firmware is bytes: its own sections are not launched. */
static void firmware_under_an_svsm_needs_no_metadata(void **state)
{
    (void)state;
    uint8_t page[LAUNCH_PAGE_SIZE] = {}, svsm[LAUNCH_PAGE_SIZE], digest[LAUNCH_DIGEST_SIZE];

    test_svsm(svsm, 0);
    struct launch_input input = input_of(page);
    without_kernel(&input);
    expect_code(launch_measure(&input, digest), ERROR_INVALID_ARGUMENT);
    input.vmm = LAUNCH_VMM_SVSM;
    input.svsm = svsm;
    input.svsm_size = LAUNCH_PAGE_SIZE;
    expect_ok(launch_measure(&input, digest));
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
        cmocka_unit_test(what_firmware_must_not_say_is_refused),
        cmocka_unit_test(cut_metadata_is_refused),
        cmocka_unit_test(one_bad_footer_entry_is_enough),
        cmocka_unit_test(vmms_are_found_by_name),
        cmocka_unit_test(svsm_is_measured),
        cmocka_unit_test(bad_svsms_are_refused),
        cmocka_unit_test(firmware_under_an_svsm_needs_no_metadata),
        cmocka_unit_test(images_in_the_wrong_place_are_refused),
    };

    return cmocka_run_group_tests_name("launch", tests, NULL, NULL);
}
