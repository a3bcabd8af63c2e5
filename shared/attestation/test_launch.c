/* Launch measurements against published ones (COFFER_VECTORS, see test_verifier_vectors.c). */
#include "shared/attestation/test_attest.h"

#include <jansson.h>
#include <sys/stat.h>

#include "shared/attestation/launch_layout.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"
#include "shared/seal/seal.h"

static const char *root_dir;
static json_t *manifest;

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static uint64_t number_of(const json_t *object, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(object, name));
}

static void read_fixture(const char *name, struct buffer *ret)
{
    _cleanup_free_ char *path = xasprintf("%s/snp/_launch_digest/fixtures/%s", root_dir, name);

    expect_ok(file_read(path, 16 * 1024 * 1024, ret));
}

static void expect_digest(const uint8_t digest[LAUNCH_DIGEST_SIZE], const char *expected)
{
    _cleanup_free_ char *actual = hex_encode_new(digest, LAUNCH_DIGEST_SIZE);

    assert_string_equal(actual, expected);
}

/* Direct boot of a kernel and an initrd with this hash. */
static struct launch_input input_of(const struct buffer *firmware, const uint8_t hash[32],
                                    uint32_t vcpus)
{
    return (struct launch_input){
        .firmware = firmware->data,
        .firmware_size = firmware->size,
        .kernel_sha256 = hash,
        .initrd_sha256 = hash,
        .cmdline = "a",
        .vcpus = vcpus,
        .cpu_model = "EPYC-v4",
        .guest_features = 0x1,
    };
}

/* "ec2-legacy (rdx=0)": the name is the first word. */
static enum launch_vmm vmm_of(const json_t *c)
{
    const char *text = text_of(c, "vmm");
    _cleanup_free_ char *name = xasprintf("%.*s", (int)strcspn(text, " "), text);
    enum launch_vmm vmm = LAUNCH_VMM_SVSM;

    if (strcmp(text_of(c, "mode"), "SEV_SNP") == 0 && !launch_vmm_find(name, &vmm))
        fail_msg("VMM '%s' is not known", text);
    return vmm;
}

/* Kernel and initrd are empty files in all cases. */
static struct launch_input input_of_case(const json_t *c, const uint8_t empty[32])
{
    bool kernel = text_of(c, "kernel") != NULL;

    return (struct launch_input){
        .kernel_sha256 = kernel ? empty : NULL,
        .initrd_sha256 = kernel ? empty : NULL,
        .cmdline = kernel ? text_of(c, "append") : NULL,
        .vcpus = (uint32_t)number_of(c, "vcpus"),
        .cpu_model = text_of(c, "vcpu_type"),
        .guest_features = number_of(c, "guest_features"),
        .vmm = vmm_of(c),
        .svsm_vars_size = number_of(c, "ovmf_vars_size"),
    };
}

static uint32_t hex_of(const json_t *object, const char *name)
{
    return (uint32_t)strtoul(text_of(object, name), NULL, 16);
}

/* A case without its firmware: what others noted of it. */
static void read_layout(const char *name, struct launch_layout *ret_layout,
                        uint8_t ret_digest[LAUNCH_DIGEST_SIZE])
{
    _cleanup_free_ char *path = xasprintf("%s/snp/_launch_digest/fixtures/%s", root_dir, name);
    json_auto_t *in = json_load_file(path, 0, NULL);
    json_t *item;
    size_t i;

    assert_non_null(in);
    *ret_layout = (struct launch_layout){.reset_eip = hex_of(in, "ResetEIP")};
    json_array_foreach(json_object_get(in, "MetadataItems"), i, item)
    {
        assert_true(i < LAUNCH_SECTIONS_MAX);
        ret_layout->sections[ret_layout->n_sections++] = (struct launch_section){
            hex_of(item, "GPA"),
            hex_of(item, "Size"),
            (uint32_t)number_of(item, "SectionTypeInt"),
        };
    }
    expect_ok(hex_decode(text_of(in, "OVMFHash"), ret_digest, LAUNCH_DIGEST_SIZE));
}

static struct error *measure_case(const json_t *c, uint8_t ret_digest[LAUNCH_DIGEST_SIZE])
{
    _cleanup_buffer_ struct buffer firmware = {}, svsm = {};
    struct launch_layout layout;
    uint8_t empty[32];

    sha256("", 0, empty);
    struct launch_input input = input_of_case(c, empty);
    if (text_of(c, "inputs")) {
        read_layout(text_of(c, "inputs"), &layout, ret_digest);
        return launch_measure_rest(&layout, &input, ret_digest);
    }
    read_fixture(text_of(c, "ovmf"), &firmware);
    if (text_of(c, "svsm"))
        read_fixture(text_of(c, "svsm"), &svsm);
    input.firmware = firmware.data;
    input.firmware_size = firmware.size;
    input.svsm = svsm.data;
    input.svsm_size = svsm.size;
    return launch_measure(&input, ret_digest);
}

static void check_case(const json_t *c)
{
    uint8_t digest[LAUNCH_DIGEST_SIZE];
    const char *expected = text_of(c, "expected");
    struct error *err = measure_case(c, digest);

    if (expected) {
        expect_ok(err);
        expect_digest(digest, expected);
    } else {
        expect_code(err, ERROR_INVALID_ARGUMENT);
    }
    print_message("vector %s: %s, as its manifest says\n", text_of(c, "name"),
                  expected ? "equal" : "refused");
}

static void published_digests_are_computed(void **state)
{
    (void)state;
    json_t *cases = json_object_get(manifest, "cases"), *c;
    size_t i, n = 0, others = 0;

    json_array_foreach(cases, i, c)
    {
        const char *mode = text_of(c, "mode");

        if (strcmp(mode, "SEV") == 0 || strcmp(mode, "SEV_ES") == 0) {
            print_message("vector %s: not computed, it is %s and not SNP\n", text_of(c, "name"),
                          mode);
            others++;
            continue;
        }
        check_case(c);
        n++;
    }
    print_message("%zu of %zu cases are SEV-SNP, all as their manifest says\n", n,
                  json_array_size(cases));
    assert_int_equal(n, 17);
    assert_int_equal(others, 7);
}

/* Inputs of a real guest, whose processor reported this measurement. */
static void real_guest_is_computed(void **state)
{
    (void)state;
    _cleanup_free_ char *path =
        xasprintf("%s/snp/milan-v3-qemu-direct-boot-dstack/launch_inputs.json", root_dir);
    json_auto_t *in = json_load_file(path, 0, NULL);
    struct launch_layout layout = {
        .hash_table_gpa = (uint32_t)number_of(in, "sev_hashes_table_gpa"),
        .reset_eip = (uint32_t)number_of(in, "sev_es_reset_eip"),
    };
    uint8_t kernel[32], initrd[32], digest[LAUNCH_DIGEST_SIZE];
    json_t *section;
    size_t i;

    assert_non_null(in);
    json_array_foreach(json_object_get(in, "ovmf_sections"), i, section)
    {
        layout.sections[layout.n_sections++] = (struct launch_section){
            (uint32_t)number_of(section, "gpa"),
            (uint32_t)number_of(section, "size"),
            (uint32_t)number_of(section, "section_type"),
        };
    }
    expect_ok(hex_decode(text_of(in, "ovmf_hash"), digest, sizeof(digest)));
    expect_ok(hex_decode(text_of(in, "kernel_hash"), kernel, sizeof(kernel)));
    expect_ok(hex_decode(text_of(in, "initrd_hash"), initrd, sizeof(initrd)));
    struct launch_input input = {
        .kernel_sha256 = kernel,
        .initrd_sha256 = initrd,
        .cmdline = text_of(in, "base_cmdline"),
        .vcpus = (uint32_t)number_of(in, "vcpus"),
        .cpu_model = text_of(in, "vcpu_type"),
        .guest_features = number_of(in, "guest_features"),
    };
    expect_ok(launch_measure_rest(&layout, &input, digest));
    expect_digest(digest, "7f51e17f72a04d5422cb2c00998166536019a217376f3aa45a630e59c805a599"
                          "847ff250dbffcd07e1ba639771d6f05d");
}

static void every_input_changes_the_digest(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer firmware = {};
    uint8_t hash[2][32] = {{1}, {2}}, base[LAUNCH_DIGEST_SIZE], digest[LAUNCH_DIGEST_SIZE];

    read_fixture("ovmf_AmdSev_suffix.bin", &firmware);
    const struct launch_input input = input_of(&firmware, hash[0], 2);
    struct launch_input changed[6];
    for (size_t i = 0; i < ELEMENTSOF(changed); i++)
        changed[i] = input;
    changed[0].kernel_sha256 = hash[1];
    changed[1].initrd_sha256 = hash[1];
    changed[2].cmdline = "a ";
    changed[3].vcpus = 3;
    changed[4].cpu_model = "EPYC-Genoa";
    changed[5].guest_features = 0x21;
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
    _cleanup_buffer_ struct buffer firmware = {};
    uint8_t hash[32] = {1}, digest[LAUNCH_DIGEST_SIZE];

    read_fixture("ovmf_OvmfX64_suffix.bin", &firmware);
    struct launch_input input = input_of(&firmware, hash, 1);
    expect_code(launch_measure(&input, digest), ERROR_INVALID_ARGUMENT);
    input.kernel_sha256 = input.initrd_sha256 = NULL;
    input.cmdline = NULL;
    expect_ok(launch_measure(&input, digest));
}

static void bad_inputs_are_refused(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer firmware = {};
    uint8_t hash[32] = {0}, digest[LAUNCH_DIGEST_SIZE];

    read_fixture("ovmf_AmdSev_suffix.bin", &firmware);
    const struct launch_input input = input_of(&firmware, hash, 2);
    struct launch_input cases[8];
    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        cases[i] = input;
    cases[0].cpu_model = "pentium";
    cases[1].vcpus = 0;
    cases[2].vcpus = 513;
    cases[3].initrd_sha256 = NULL;
    cases[4].cmdline = NULL;
    cases[5].firmware_size = 4095;
    cases[6].firmware_size = 0;
    cases[7].kernel_sha256 = NULL;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        expect_code(launch_measure(&cases[i], digest), ERROR_INVALID_ARGUMENT);
    for (size_t at = firmware.size - 600; at < firmware.size - 32; at++) {
        firmware.data[at] ^= 0xff; /* never crashes; mostly refused */
        error_free(launch_measure(&input, digest));
        firmware.data[at] ^= 0xff;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_digests_are_computed),
        cmocka_unit_test(real_guest_is_computed),
        cmocka_unit_test(every_input_changes_the_digest),
        cmocka_unit_test(bug_13_a_kernel_that_is_not_measured_is_refused),
        cmocka_unit_test(bad_inputs_are_refused),
    };

    root_dir = getenv("COFFER_VECTORS") ? getenv("COFFER_VECTORS") : "../shared/vectors";
    _cleanup_free_ char *path = xasprintf("%s/snp/_launch_digest/manifest.json", root_dir);
    manifest = json_load_file(path, 0, NULL);
    if (!manifest) {
        printf("skipped: no launch vectors at '%s' (set COFFER_VECTORS)\n", root_dir);
        return 77;
    }
    int failed = cmocka_run_group_tests_name("launch", tests, NULL, NULL);
    json_decref(manifest);
    return failed;
}
