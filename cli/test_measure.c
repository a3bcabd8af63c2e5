/* `coffer measure`: what it prints is what a sealed image lists, and what others published. */
#include "cli/test_command.h"

#include <jansson.h>
#include <stdlib.h>

#include "cli/command.h"
#include "cli/measure_options.h"
#include "shared/attestation/image.h"
#include "shared/attestation/test_firmware.h"

static char dir[64];
static char *output_path, *firmware_path, *image_path, *kernel_path, *initrd_path;
static const char *root_dir;
static json_t *manifest; /* of the published cases; NULL: not there */

static void write_file(const char *name, const void *data, size_t size, char **ret_path)
{
    char *path = xasprintf("%s/%s", dir, name);

    expect_ok(file_write_atomic(path, data, size, 0644));
    *ret_path = path;
}

static json_t *file_entry(const void *data, size_t size)
{
    uint8_t digest[32];

    sha256(data, size, digest);
    _cleanup_free_ char *text = hex_encode_new(digest, 32);
    return json_pack("{s:s, s:I}", "sha256", text, "size", (json_int_t)size);
}

static int set_up(void **state)
{
    (void)state;
    uint8_t firmware[4096];
    struct sign_key key;

    snprintf(dir, sizeof(dir), "/tmp/coffer-measure-XXXXXX");
    assert_non_null(mkdtemp(dir));
    output_path = xasprintf("%s/out", dir);
    test_firmware(firmware);
    write_file("OVMF.fd", firmware, sizeof(firmware), &firmware_path);
    write_file("vmlinuz", "kernel", 6, &kernel_path);
    write_file("initrd.img", "initrd", 6, &initrd_path);
    json_auto_t *root = json_pack(
        "{s:s, s:{s:o, s:o, s:o}, s:s, s:s, s:s, s:[s], s:i}", "version", "0.1.0", "files",
        "OVMF.fd", file_entry(firmware, sizeof(firmware)), "vmlinuz", file_entry("kernel", 6),
        "initrd.img", file_entry("initrd", 6), "verity_root_hash", "00ff", "cmdline", "quiet",
        "firmware", "OVMF.fd", "vcpu_models", "EPYC-Genoa", "guest_features", 1);
    _cleanup_free_ char *text = json_dumps(root, 0);
    write_file("image.json", text, strlen(text), &image_path);
    expect_ok(sign_key_generate(&key));
    expect_ok(image_seal(dir, &key, 4));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char *const paths[] = {output_path, firmware_path, image_path, kernel_path, initrd_path};
    _cleanup_free_ char *command = xasprintf("rm -r '%s'", dir);

    for (size_t i = 0; i < ELEMENTSOF(paths); i++)
        free(paths[i]);
    assert_int_equal(system(command), 0);
    return 0;
}

/* What the sealed image.json says, as the table that is printed. */
static char *sealed_table(void)
{
    json_auto_t *image = json_load_file(image_path, 0, NULL);
    _cleanup_buffer_ struct buffer text = {};
    const json_t *m;
    size_t i;

    assert_int_equal(json_array_size(json_object_get(image, "measurements")), 4);
    json_array_foreach(json_object_get(image, "measurements"), i, m)
        buffer_printf(&text, "%3d  %s\n", (int)json_integer_value(json_object_get(m, "vcpus")),
                      json_string_value(json_object_get(m, "digest")));
    return buffer_take_text(&text);
}

static char *measure(const char *const *arguments, size_t n, int code)
{
    char *output = NULL;
    int actual = test_command(measure_main, output_path, arguments, n, &output);

    if (actual != code)
        fail_msg("code %d, not %d: %s", actual, code, output);
    return output;
}
#define MEASURE(code, ...)                                                                         \
    measure((const char *const[]){"measure", __VA_ARGS__},                                         \
            ELEMENTSOF(((const char *const[]){"measure", __VA_ARGS__})), (code))

static void folder_and_description_give_the_sealed_values(void **state)
{
    (void)state;
    _cleanup_free_ char *sealed = sealed_table();
    _cleanup_free_ char *of_folder = MEASURE(0, dir, "--vcpus", "1-4");
    _cleanup_free_ char *of_file = MEASURE(0, image_path, "--vcpus", "1,2-3,4");
    _cleanup_free_ char *one = MEASURE(0, dir, "--vcpus", "2");
    _cleanup_free_ char *by_default = MEASURE(0, dir);

    assert_string_equal(of_folder, sealed);
    assert_string_equal(of_file, sealed);
    assert_int_equal(strlen(one), 97); /* bare, for scripts */
    assert_non_null(strstr(sealed, one));
    assert_string_equal(by_default, one);
}

static void explicit_files_give_the_same(void **state)
{
    (void)state;
    _cleanup_free_ char *sealed = sealed_table();
    _cleanup_free_ char *explicit = MEASURE(
        0, "--ovmf", firmware_path, "--kernel", kernel_path, "--initrd", initrd_path, "--cmdline",
        "quiet", "--cpu", "EPYC-Genoa", "--guest-features", "0x1", "--vcpus", "1-4");

    assert_string_equal(explicit, sealed);
}

static void every_option_changes_the_measurement(void **state)
{
    (void)state;
    static const char *const options[][2] = {
        {"--cmdline", "quiet "},   {"--cpu", "EPYC-Milan"},  {"--guest-features", "0x21"},
        {"--vcpus", "3"},          {"--vmm", "ec2"},         {"--vmm", "gce"},
        {"--kernel", "/dev/null"}, {"--initrd", "/dev/null"}};
    _cleanup_free_ char *base = MEASURE(0, dir);

    for (size_t i = 0; i < ELEMENTSOF(options); i++) {
        _cleanup_free_ char *other = MEASURE(0, dir, options[i][0], options[i][1]);

        if (strcmp(other, base) == 0)
            fail_msg("%s is not measured", options[i][0]);
    }
}

static void json_lists_inputs_and_measurements(void **state)
{
    (void)state;
    _cleanup_free_ char *text = MEASURE(0, dir, "--vcpus", "1-4", "--json");
    json_auto_t *out = json_loads(text, 0, NULL);
    json_auto_t *image = json_load_file(image_path, 0, NULL);

    assert_true(
        json_equal(json_object_get(out, "measurements"), json_object_get(image, "measurements")));
    assert_string_equal(json_string_value(json_object_get(out, "cmdline")), "quiet");
    assert_string_equal(json_string_value(json_object_get(out, "vmm")), "qemu");
}

static void wrong_usage_is_said(void **state)
{
    (void)state;
    static const char *const cases[][8] = {
        {NULL},
        {"a", "b"},
        {"a", "--vcpus", "0"},
        {"a", "--vcpus", "513"},
        {"a", "--vcpus", ""},
        {"a", "--vcpus", "1,"},
        {"a", "--vcpus", "4-2"},
        {"a", "--vcpus", "1-512,1"},
        {"a", "--vcpus", "99999999999999999999"},
        {"a", "--vcpus", "-1"},
        {"a", "--vcpus", "1 "},
        {"a", "--guest-features", "x"},
        {"a", "--guest-features", "0"},
        {"--ovmf", "a", "--cmdline", "b"},
        {"--kernel", "a"},
        {"a", "--nonsense"},
        {"a", "--guest-features", "99999999999999999999"},
        {"a", "--id-key", "b"},
        {"--ovmf", "a", "--id-key", "b"},
        {"--id-key", "a", "--json"},
        {"a", "--vmm", "xen"},
        {"a", "--vmm", ""},
        {"a", "--svsm", "b"},
        {"a", "--vars-size", "0"},
        {"a", "--vmm", "svsm", "--svsm", "b", "--vars-size", "0"},
        {"--ovmf", "a", "--vmm", "svsm", "--svsm", "b"},
        {"--ovmf", "a", "--vmm", "svsm", "--vars-size", "0"},
        {"--ovmf", "a", "--vmm", "svsm", "--svsm", "b", "--vars-size=x"},
        {"--ovmf", "a", "--vmm", "svsm", "--svsm", "b", "--vars-size=16777217"},
        {"--ovmf=a", "--vmm=svsm", "--svsm=b", "--vars-size=0", "--guest-features=0x21"},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        const char *const *c = cases[i];
        _cleanup_free_ char *output = MEASURE(2, c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]);
        assert_string_equal(output, "");
    }
}

static void unusable_files_fail(void **state)
{
    (void)state;
    _cleanup_free_ char *absent = MEASURE(1, "/nonexistent");
    _cleanup_free_ char *no_firmware = MEASURE(2, "--ovmf", kernel_path); /* six bytes */
    _cleanup_free_ char *empty = MEASURE(2, "--ovmf", "/dev/null");
    _cleanup_free_ char *model = MEASURE(2, dir, "--cpu", "pentium");

    assert_string_equal(absent, "");
    assert_string_equal(no_firmware, "");
    assert_string_equal(empty, "");
    assert_string_equal(model, "");
}

/* The generator of P-384 (SEC 2), whose secret is 1; its digest by hash of the bytes written out.
 */
static void id_key_gives_its_digest(void **state)
{
    (void)state;
    static const char pem[] = "-----BEGIN PUBLIC KEY-----\n"
                              "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEqofKIr6LBTeOscce8yCtdG4dO2KLp5uY\n"
                              "WfdB4IJUKjhVAvJdv1UpbDpUXjhydgq3NhfeSpYmLG9dnpi/kpLcKfj0Hb0omhR8\n"
                              "6doxE7XwuMAKYLHOHX6BnXpDHXyQ6g5f\n"
                              "-----END PUBLIC KEY-----\n";
    _cleanup_free_ char *path = NULL;

    write_file("id.pem", pem, strlen(pem), &path);
    _cleanup_free_ char *digest = MEASURE(0, "--id-key", path);
    _cleanup_free_ char *no_key = MEASURE(2, "--id-key", kernel_path);
    _cleanup_free_ char *absent = MEASURE(1, "--id-key", "/nonexistent");

    assert_string_equal(digest, "01ce77b697886b46c6e363a9d02bbee2506e4b21ca4b3085f35f20e4cf66ac78"
                                "0e01e38aad53f973cbcea56e59a7b382\n");
    assert_string_equal(no_key, "");
    assert_string_equal(absent, "");
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

/* "--name=value"; NULL without a value. */
static char *option(const char *name, const char *value)
{
    return value ? xasprintf("--%s=%s", name, value) : NULL;
}

static char *number(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return value ? xasprintf("%d", (int)json_integer_value(value)) : NULL;
}

static char *fixture(const json_t *c, const char *name)
{
    return text_of(c, name)
               ? xasprintf("%s/snp/_launch_digest/fixtures/%s", root_dir, text_of(c, name))
               : NULL;
}

/* Kernel and initrd are empty files in all published cases; an SVSM's features are always 0x1. */
static void check_published(const json_t *c)
{
    const char *expected = text_of(c, "expected"), *svsm = text_of(c, "svsm");
    const char *kernel = text_of(c, "kernel") ? "--kernel=/dev/null" : NULL;
    const char *vmm_text = svsm ? "svsm" : text_of(c, "vmm"); /* "ec2-legacy (rdx=0)" */
    _cleanup_free_ char *ovmf_path = fixture(c, "ovmf"), *svsm_path = fixture(c, "svsm");
    _cleanup_free_ char *vcpus = number(c, "vcpus"), *vars_size = number(c, "ovmf_vars_size");
    _cleanup_free_ char *features = svsm ? NULL : number(c, "guest_features");
    _cleanup_free_ char *vmm = xasprintf("%.*s", (int)strcspn(vmm_text, " "), vmm_text);
    const char *const values[][2] = {
        {"ovmf", ovmf_path},
        {"svsm", svsm_path},
        {"vars-size", vars_size},
        {"vmm", vmm},
        {"vcpus", vcpus},
        {"guest-features", features},
        {"cpu", text_of(c, "vcpu_type")},
        {"cmdline", kernel ? text_of(c, "append") : NULL},
    };
    char *options[ELEMENTSOF(values)];

    for (size_t i = 0; i < ELEMENTSOF(values); i++)
        options[i] = option(values[i][0], values[i][1]);
    _cleanup_free_ char *actual =
        MEASURE(expected ? 0 : 2, options[0], options[1], options[2], options[3], options[4],
                options[5], options[6], options[7], kernel);
    _cleanup_free_ char *line = xasprintf("%s\n", expected ? expected : "");

    assert_string_equal(actual, expected ? line : "");
    for (size_t i = 0; i < ELEMENTSOF(values); i++)
        free(options[i]);
}

static void published_measurements_are_printed(void **state)
{
    (void)state;
    const json_t *c;
    size_t i, n = 0;

    if (!manifest) {
        print_message("skipped: no launch vectors at '%s' (set COFFER_VECTORS)\n", root_dir);
        skip();
    }
    json_array_foreach(json_object_get(manifest, "cases"), i, c)
    {
        if (strncmp(text_of(c, "mode"), "SEV_SNP", 7) != 0 || !text_of(c, "ovmf"))
            continue; /* no firmware: given as numbers only */
        check_published(c);
        n++;
    }
    assert_int_equal(n, 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folder_and_description_give_the_sealed_values),
        cmocka_unit_test(explicit_files_give_the_same),
        cmocka_unit_test(every_option_changes_the_measurement),
        cmocka_unit_test(json_lists_inputs_and_measurements),
        cmocka_unit_test(wrong_usage_is_said),
        cmocka_unit_test(unusable_files_fail),
        cmocka_unit_test(id_key_gives_its_digest),
        cmocka_unit_test(published_measurements_are_printed),
    };

    root_dir = getenv("COFFER_VECTORS") ? getenv("COFFER_VECTORS") : "../shared/vectors";
    _cleanup_free_ char *path = xasprintf("%s/snp/_launch_digest/manifest.json", root_dir);
    manifest = json_load_file(path, 0, NULL);
    int failed = cmocka_run_group_tests_name("measure", tests, set_up, tear_down);
    json_decref(manifest);
    return failed;
}
