/* Launch measurements against published ones, and the values on the way to them (COFFER_VECTORS,
 * see test_verifier_vectors.c). */
#include "shared/attestation/test_attest.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <sys/stat.h>

#include "shared/attestation/launch_layout.h"
#include "shared/attestation/report.h"
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
    _cleanup_free_ char *report_path =
        xasprintf("%s/snp/milan-v3-qemu-direct-boot-dstack/report.bin", root_dir);
    _cleanup_buffer_ struct buffer bytes = {};
    uint8_t kernel[32], initrd[32], digest[LAUNCH_DIGEST_SIZE];
    struct report report;
    json_t *section;
    size_t i;

    expect_ok(file_read(report_path, 4096, &bytes));
    expect_ok(report_parse(bytes.data, bytes.size, &report));
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
    _cleanup_free_ char *reported = hex_encode_new(report.measurement, sizeof(report.measurement));
    expect_digest(digest, reported);
}

static const json_t *case_of(const char *name)
{
    const json_t *c;
    size_t i;

    json_array_foreach(json_object_get(manifest, "cases"), i,
                       c) if (strcmp(text_of(c, "name"), name) == 0) return c;
    fail_msg("no case '%s'", name);
    return NULL;
}

/* Rows of 16 bytes that are not zero, as [offset, bytes]. */
static void expect_page(const uint8_t page[LAUNCH_PAGE_SIZE], const json_t *rows,
                        const char *sha384_of_page)
{
    uint8_t expected[LAUNCH_PAGE_SIZE] = {}, digest[LAUNCH_DIGEST_SIZE];
    const json_t *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        size_t at = strtoul(json_string_value(json_array_get(row, 0)), NULL, 16);

        assert_true(at <= LAUNCH_PAGE_SIZE - 16);
        expect_ok(hex_decode(json_string_value(json_array_get(row, 1)), expected + at, 16));
    }
    assert_true(i > 0);
    assert_memory_equal(page, expected, sizeof(expected));
    assert_int_equal(EVP_Digest(page, LAUNCH_PAGE_SIZE, digest, NULL, EVP_sha384(), NULL), 1);
    expect_digest(digest, sha384_of_page);
}

static void expect_layout(const struct launch_layout *layout, const json_t *steps)
{
    const json_t *section;
    size_t i;

    assert_int_equal(layout->hash_table_gpa, hex_of(steps, "hash_table_gpa"));
    assert_int_equal(layout->reset_eip, hex_of(steps, "reset_eip"));
    assert_int_equal(layout->n_sections, json_array_size(json_object_get(steps, "sections")));
    json_array_foreach(json_object_get(steps, "sections"), i, section)
    {
        assert_int_equal(layout->sections[i].gpa, hex_of(section, "gpa"));
        assert_int_equal(layout->sections[i].size, hex_of(section, "size"));
        assert_int_equal(layout->sections[i].type, number_of(section, "type"));
    }
}

static void expect_step(const json_t *steps, size_t i, const uint8_t digest[LAUNCH_DIGEST_SIZE])
{
    const json_t *step = json_array_get(json_object_get(steps, "steps"), i);

    expect_digest(digest, json_string_value(json_array_get(step, 1)));
    print_message("vector step %s: equal\n", json_string_value(json_array_get(step, 0)));
}

/* Images, each section, all: the digests in between. */
static void expect_steps(const json_t *steps, const struct launch_input *input,
                         const struct launch_layout *layout, uint8_t digest[LAUNCH_DIGEST_SIZE])
{
    uint8_t whole[LAUNCH_DIGEST_SIZE];
    size_t n = layout->n_sections;

    assert_int_equal(json_array_size(json_object_get(steps, "steps")), n + 2);
    expect_step(steps, 0, digest);
    for (size_t i = 0; i < n; i++) {
        struct launch_layout one = *layout;

        one.sections[0] = layout->sections[i];
        one.n_sections = 1;
        expect_ok(launch_measure_sections(&one, input, digest));
        expect_step(steps, i + 1, digest);
    }
    expect_ok(launch_measure(input, whole));
    expect_step(steps, n + 1, whole);
}

static void published_intermediate_values_are_computed(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer firmware = {};
    const json_t *steps = json_object_get(manifest, "intermediate_values");
    const json_t *c = case_of(text_of(steps, "case"));
    uint8_t table[LAUNCH_HASH_TABLE_SIZE], expected[LAUNCH_HASH_TABLE_SIZE];
    uint8_t empty[32], digest[LAUNCH_DIGEST_SIZE], page[LAUNCH_PAGE_SIZE];
    struct launch_layout layout;

    sha256("", 0, empty);
    read_fixture(text_of(c, "ovmf"), &firmware);
    struct launch_input input = input_of_case(c, empty);
    input.firmware = firmware.data;
    input.firmware_size = firmware.size;
    expect_ok(launch_measure_images(&input, &layout, digest));
    expect_layout(&layout, steps);
    expect_ok(hex_decode(text_of(steps, "hash_table_hex"), expected, sizeof(expected)));
    launch_hash_table(&input, table);
    assert_memory_equal(table, expected, sizeof(table));
    expect_steps(steps, &input, &layout, digest);
    expect_ok(launch_vmsa(&input, &layout, true, page));
    expect_page(page, json_object_get(steps, "vmsa_bsp_nonzero_rows"),
                text_of(steps, "vmsa_bsp_sha384"));
    expect_ok(launch_vmsa(&input, &layout, false, page));
    expect_page(page, json_object_get(steps, "vmsa_ap_nonzero_rows"),
                text_of(steps, "vmsa_ap_sha384"));
}

/* The part that all cases of one firmware share. */
static void published_seeds_are_computed(void **state)
{
    (void)state;
    const json_t *c;
    size_t i, n = 0;

    json_array_foreach(json_object_get(manifest, "cases"), i, c)
    {
        _cleanup_buffer_ struct buffer firmware = {};
        uint8_t digest[LAUNCH_DIGEST_SIZE];

        if (!text_of(c, "ovmf_hash_seed"))
            continue;
        read_fixture(text_of(c, "ovmf"), &firmware);
        launch_measure_firmware(firmware.data, firmware.size, digest);
        expect_digest(digest, text_of(c, "ovmf_hash_seed"));
        expect_digest(digest, text_of(manifest, "ovmf_hash_AmdSev"));
        n++;
    }
    assert_int_equal(n, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_digests_are_computed),
        cmocka_unit_test(published_seeds_are_computed),
        cmocka_unit_test(published_intermediate_values_are_computed),
        cmocka_unit_test(real_guest_is_computed),
    };

    root_dir = getenv("COFFER_VECTORS") ? getenv("COFFER_VECTORS") : "../shared/vectors";
    _cleanup_free_ char *path = xasprintf("%s/snp/_launch_digest/manifest.json", root_dir);
    manifest = json_load_file(path, 0, NULL);
    if (!manifest) {
        printf("skipped: no launch vectors at '%s' (set COFFER_VECTORS)\n", root_dir);
        return 77;
    }
    int failed = cmocka_run_group_tests_name("launch_vectors", tests, NULL, NULL);
    json_decref(manifest);
    return failed;
}
