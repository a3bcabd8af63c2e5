/* `coffer report show`: every byte is shown once, under the name and meaning of its version. */
#include "cli/test_command.h"

#include <jansson.h>
#include <stdlib.h>

#include "cli/command.h"
#include "cli/report_fields.h"
#include "shared/attestation/tee.h"
#include "shared/base/encode.h"

static char dir[64];
static char *output_path, *report_path, *answer_path;
static uint8_t report[TEE_REPORT_SIZE];

static void put(size_t at, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        report[at + i] = (uint8_t)(value >> (8 * i));
}

/* A Milan report of version 3 with a value of its own in every field. */
static void make_report(void)
{
    memset(report, 0, sizeof(report));
    put(0x000, 3, 4);
    put(0x008, 0x1000000b011f, 8); /* ABI 1.31, SMT, DEBUG, an unknown bit */
    put(0x034, 1, 4);
    put(0x038, 0xdb18000000000004, 8);
    put(0x040, 0x25, 8);
    memset(report + 0x050, 0x11, 64);
    memset(report + 0x090, 0x22, 48);
    memset(report + 0x0c0, 0x33, 32);
    memset(report + 0x160, 0xff, 32);
    put(0x180, 0xdb18000000000004, 8);
    put(0x188, 0x19, 1);
    put(0x189, 0x01, 1);
    put(0x18a, 0x01, 1);
    memset(report + 0x1a0, 0x44, 64);
    put(0x1e8, 0x01371d, 3);
}

static void write_answer(const char *extra)
{
    _cleanup_free_ char *hex = hex_encode_new(report, sizeof(report));
    _cleanup_free_ char *text = xasprintf("\n {\"raw_report\":\"%s%s\"}", hex, extra);

    expect_ok(file_write_atomic(answer_path, text, strlen(text), 0600));
}

static void write_report(void)
{
    expect_ok(file_write_atomic(report_path, report, sizeof(report), 0600));
}

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/coffer-show-XXXXXX");
    assert_non_null(mkdtemp(dir));
    output_path = xasprintf("%s/out", dir);
    report_path = xasprintf("%s/report.bin", dir);
    answer_path = xasprintf("%s/answer.json", dir);
    make_report();
    write_report();
    write_answer("");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    _cleanup_free_ char *command = xasprintf("rm -r '%s'", dir);

    free(output_path);
    free(report_path);
    free(answer_path);
    assert_int_equal(system(command), 0);
    return 0;
}

static int show(const char *path, const char *option, const char *value, char **ret_output)
{
    const char *const arguments[] = {"show", path, option, value};

    return test_command(report_show_main, output_path, arguments, ELEMENTSOF(arguments),
                        ret_output);
}

static void every_byte_stands_in_one_field(void **state)
{
    (void)state;
    static const uint8_t versions[] = {2, 3, 4, 5, 6, 255};
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    static struct report_fields fields;

    for (size_t i = 0; i < ELEMENTSOF(versions); i++) {
        uint32_t at = 0;

        make_report();
        put(0, versions[i], 4);
        expect_ok(report_fields_read(report, sizeof(report), SNP_PRODUCT_UNKNOWN, arena, &fields));
        for (size_t k = 0; k < fields.n; k++) {
            assert_int_equal(fields.fields[k].offset, at);
            at += fields.fields[k].size;
        }
        assert_int_equal(at, TEE_REPORT_SIZE);
    }
    make_report();
}

static void every_changed_byte_is_seen(void **state)
{
    (void)state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    static struct report_fields before, after;

    expect_ok(report_fields_read(report, sizeof(report), SNP_PRODUCT_MILAN, arena, &before));
    for (size_t at = 4; at < sizeof(report); at++) {
        size_t changed = 0;

        report[at] ^= 0x80;
        expect_ok(report_fields_read(report, sizeof(report), SNP_PRODUCT_MILAN, arena, &after));
        report[at] ^= 0x80;
        for (size_t k = 0; k < after.n; k++)
            changed += strcmp(before.fields[k].value, after.fields[k].value) != 0;
        if (changed != 1)
            fail_msg("byte %zx changes %zu fields", at, changed);
    }
}

static void text_explains_every_bit(void **state)
{
    (void)state;
    static const char *const expected[] = {
        "000   4  VERSION            3\n",
        "POLICY             0x1000000b011f\n",
        "7:0 ABI_MINOR                  31 ",
        "15:8 ABI_MAJOR                  1 ",
        "16 SMT                        1    may run where two threads share a core\n",
        "17 (reserved)                 1    always 1\n",
        "18 MIGRATE_MA                 0    1 would say: may be handed to a migration agent\n",
        "19 DEBUG                      1    the host may read and write its memory\n",
        "44 (reserved)                 1 ",
        "5 ALIAS_CHECK_COMPLETE       1 ",
        "4:2 SIGNING_KEY                0    VCEK: the key of one chip\n",
        "SNP                        24\n",
        "MICROCODE                  219\n",
        "no migration agent",
        "CURRENT_VERSION    1.55.29\n",
        "LAUNCH_MIT_VECTOR since version 5",
        "product  Milan\n",
        "Decoded, not verified",
    };
    _cleanup_free_ char *output = NULL, *of_answer = NULL;

    assert_int_equal(show(report_path, NULL, NULL, &output), 0);
    for (size_t i = 0; i < ELEMENTSOF(expected); i++)
        if (!strstr(output, expected[i]))
            fail_msg("no '%s' in:\n%s", expected[i], output);
    assert_int_equal(show(answer_path, NULL, NULL, &of_answer), 0);
    assert_string_equal(of_answer, output);
}

static void json_has_the_same_fields(void **state)
{
    (void)state;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    static struct report_fields fields;
    _cleanup_free_ char *output = NULL;

    expect_ok(report_fields_read(report, sizeof(report), SNP_PRODUCT_UNKNOWN, arena, &fields));
    assert_int_equal(show(report_path, "--json", NULL, &output), 0);
    json_auto_t *root = json_loads(output, 0, NULL);
    const json_t *list = json_object_get(root, "fields");
    assert_int_equal(json_array_size(list), fields.n);
    for (size_t i = 0; i < fields.n; i++) {
        const json_t *field = json_array_get(list, i);
        assert_string_equal(json_string_value(json_object_get(field, "value")),
                            fields.fields[i].value);
        assert_int_equal(json_array_size(json_object_get(field, "parts")),
                         fields.fields[i].n_parts);
    }
    assert_true(json_is_false(json_object_get(root, "verified")));
}

static void product_is_never_guessed(void **state)
{
    (void)state;
    _cleanup_free_ char *unknown = NULL, *told = NULL, *wrong = NULL;

    put(0, 2, 4);
    put(0x188, 0, 3);
    write_report();
    assert_int_equal(show(report_path, NULL, NULL, &unknown), 0);
    assert_non_null(strstr(unknown, "product  unknown\n"));
    assert_null(strstr(unknown, "MICROCODE"));
    assert_int_equal(show(report_path, "--product", "Turin", &told), 0);
    assert_non_null(strstr(told, "FMC                        4\n"));
    assert_int_equal(show(report_path, "--product", "Naples", &wrong), 2);
    make_report();
    write_report();
}

static void what_is_no_report_is_refused(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 793, 1183, 1185};
    _cleanup_free_ char *absent = NULL, *huge = NULL, *old = NULL, *hex = NULL, *none = NULL;
    uint8_t bytes[1185] = {3};

    for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
        _cleanup_free_ char *output = NULL;

        expect_ok(file_write_atomic(report_path, bytes, sizes[i], 0600));
        assert_int_equal(show(report_path, NULL, NULL, &output), 2);
        assert_string_equal(output, "");
    }
    put(0, 1, 4);
    write_report();
    assert_int_equal(show(report_path, NULL, NULL, &old), 2);
    make_report();
    write_answer("00");
    assert_int_equal(show(answer_path, NULL, NULL, &hex), 2);
    expect_ok(file_write_atomic(answer_path, "{}", 2, 0600));
    assert_int_equal(show(answer_path, NULL, NULL, &none), 2);
    assert_int_equal(show("/nonexistent", NULL, NULL, &absent), 1);
    assert_int_equal(show("/dev/zero", NULL, NULL, &huge), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_stands_in_one_field),
        cmocka_unit_test(every_changed_byte_is_seen),
        cmocka_unit_test(text_explains_every_bit),
        cmocka_unit_test(json_has_the_same_fields),
        cmocka_unit_test(product_is_never_guessed),
        cmocka_unit_test(what_is_no_report_is_refused),
    };

    return cmocka_run_group_tests_name("report_show", tests, set_up, tear_down);
}
