/* Certificate tables that are not, the folders that certificates come from, and what a result
 * shows. */
#include "shared/attestation/test_fleet.h"

#include <sys/stat.h>

#include "shared/attestation/certificates.h"
#include "shared/attestation/verifier.h"
#include "shared/base/file.h"

static struct test_fleet fleet;
static uint8_t report_data[64];

static int set_up(void **state)
{
    (void)state;
    test_fleet_init(&fleet);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_fleet_done(&fleet);
    return 0;
}

static void get_evidence(size_t host, const struct processor_guest *guest,
                         struct tee_evidence *ret_evidence)
{
    expect_ok(processor_report(fleet.processors[host], guest, report_data, ret_evidence));
}

static void put_u32le(struct buffer *buffer, size_t at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        buffer->data[at + (size_t)i] = (uint8_t)(value >> (8 * i));
}

static void bad_certificate_tables_are_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at; /* of a number in the first entry */
        uint32_t value;
    } cases[] = {
        {16, 0}, {16, 24 * 4 - 1}, {16, UINT32_MAX}, {16, 0x7fffffff},
        {20, 0}, {20, UINT32_MAX}, {20, 17 * 1024},  {20, 0x80000000u},
    };
    struct processor_guest guest = test_guest();
    struct tee_evidence evidence;
    struct certificate_table table;

    get_evidence(0, &guest, &evidence);
    struct buffer *bytes = &evidence.certificates;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_buffer_ struct buffer copy = {};

        buffer_add(&copy, bytes->data, bytes->size);
        put_u32le(&copy, cases[i].at, cases[i].value);
        expect_code(certificate_table_parse(copy.data, copy.size, &table), ERROR_INVALID_ARGUMENT);
    }
    for (size_t size = 1; size < bytes->size; size += 61)
        expect_code(certificate_table_parse(bytes->data, size, &table), ERROR_INVALID_ARGUMENT);
    memcpy(bytes->data + 24, bytes->data, 16); /* two entries of one kind */
    expect_code(certificate_table_parse(bytes->data, bytes->size, &table), ERROR_INVALID_ARGUMENT);
    tee_evidence_done(&evidence);

    _cleanup_buffer_ struct buffer endless = {};
    for (size_t i = 0; i < 40 * 24; i++)
        buffer_add_u8(&endless, 0x77);
    expect_code(certificate_table_parse(endless.data, endless.size, &table),
                ERROR_INVALID_ARGUMENT);
    expect_ok(certificate_table_parse(NULL, 0, &table));
    assert_null(table.vcek.data);
}

static const uint8_t vcek_guid[16] = {0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64,
                                      0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd};

/* A table of one certificate of so many bytes, and so many bytes behind it. */
static void one_entry(size_t size, size_t behind, struct buffer *ret)
{
    static const uint8_t zeros[24];

    *ret = (struct buffer){};
    buffer_add(ret, vcek_guid, sizeof(vcek_guid));
    buffer_add(ret, zeros, 8);
    buffer_add(ret, zeros, sizeof(zeros));
    put_u32le(ret, 16, 48);
    put_u32le(ret, 20, (uint32_t)size);
    for (size_t i = 0; i < size + behind; i++)
        buffer_add_u8(ret, 0x30);
}

static void sizes_have_limits_and_failures_leave_no_trace(void **state)
{
    (void)state;
    static const struct {
        size_t size, behind;
        bool good;
    } rows[] = {
        {CERTIFICATE_SIZE_MAX, 0, true},
        {CERTIFICATE_SIZE_MAX + 1, 0, false},
        {1, TEE_CERTIFICATES_MAX - 49, true},
        {1, TEE_CERTIFICATES_MAX - 48, false},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_buffer_ struct buffer bytes = {};
        struct certificate_table table = {.crl = {vcek_guid, 7}};

        one_entry(rows[i].size, rows[i].behind, &bytes);
        struct error *err = certificate_table_parse(bytes.data, bytes.size, &table);
        assert_int_equal(err == NULL, rows[i].good);
        assert_int_equal(table.vcek.size, rows[i].good ? rows[i].size : 0);
        assert_int_equal(table.crl.size, rows[i].good ? 0 : 7);
        error_free(err);
    }
}

static void only_what_is_there_is_written(void **state)
{
    (void)state;
    const struct certificate_table table = {.vcek = {vcek_guid, sizeof(vcek_guid)}};
    _cleanup_buffer_ struct buffer bytes = {};
    struct certificate_table again;

    certificate_table_write(&table, &bytes);
    assert_int_equal(bytes.size, 2 * 24 + sizeof(vcek_guid));
    expect_ok(certificate_table_parse(bytes.data, bytes.size, &again));
    assert_int_equal(again.vcek.size, sizeof(vcek_guid));
    assert_memory_equal(again.vcek.data, vcek_guid, sizeof(vcek_guid));
    assert_null(again.ask.data);
}

static void texts_from_evidence_cannot_steer_a_terminal(void **state)
{
    (void)state;
    struct verify_result result;

    verify_result_init(&result);
    verify_step_add(&result, "x", VERDICT_PASS, "\x1b[2J", "a\nb\xff", "");
    assert_string_equal(result.steps[0].expected, "?[2J");
    assert_string_equal(result.steps[0].actual, "a?b?");
    verify_result_done(&result);
}

/* A step that is told without a code has the catalogue's first of its verdict. */
static void a_step_without_a_code_gets_the_first(void **state)
{
    (void)state;
    static const struct {
        const char *step, *code;
        enum verdict verdict;
    } rows[] = {
        {"chain", "chain_table", VERDICT_FAIL},
        {"chain", "chain_no_vek", VERDICT_UNKNOWN},
        {"chain", "", VERDICT_PASS},
        {"signature", "signature_wrong", VERDICT_FAIL},
        {"signature", "signature_no_certificate", VERDICT_UNKNOWN},
        {"manifest", "manifest_differs", VERDICT_FAIL},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        struct verify_result result;

        verify_result_init(&result);
        verify_step_add(&result, rows[i].step, rows[i].verdict, "", "", "");
        assert_string_equal(result.steps[0].code, rows[i].code);
        verify_result_done(&result);
    }
}

static void no_steps_are_no_verdict(void **state)
{
    (void)state;
    struct verify_result result;

    verify_result_init(&result);
    assert_int_equal(verify_result_verdict(&result), VERDICT_UNKNOWN);
    verify_result_done(&result);
}

/* What exists is kept: a second init gives the same chip and the same root. */
static void dev_init_keeps_what_exists(void **state)
{
    (void)state;
    _cleanup_free_ char *host = xasprintf("%s/host-0", fleet.dir);
    _cleanup_free_ char *ark = xasprintf("%s/ark.der", fleet.root);
    _cleanup_free_ char *vcek = xasprintf("%s/vcek.der", host);
    _cleanup_free_ char *key = xasprintf("%s/vcek.key", host);
    _cleanup_buffer_ struct buffer before = {}, after = {};
    struct stat st;

    expect_ok(file_read(ark, 16384, &before));
    expect_ok(file_read(vcek, 16384, &before));
    expect_ok(tee_dev_init_root(fleet.root));
    expect_ok(tee_dev_init_host(fleet.root, host));
    expect_ok(file_read(ark, 16384, &after));
    expect_ok(file_read(vcek, 16384, &after));
    assert_int_equal(before.size, after.size);
    assert_memory_equal(before.data, after.data, after.size);
    assert_int_equal(stat(key, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void missing_trust_root_is_named(void **state)
{
    (void)state;
    struct trust_roots *none = NULL;

    struct error *err = trust_roots_load("/nonexistent", &none);
    assert_int_equal(error_get_code(err), ERROR_NOT_FOUND);
    assert_non_null(strstr(error_text(err), "/nonexistent"));
    error_free(err);
}

static void report_as_json_has_the_fields_of_the_existing_system(void **state)
{
    (void)state;
    static const char *const names[] = {
        "version",           "guest_svn",          "policy",
        "family_id",         "image_id",           "vmpl",
        "sig_algo",          "current_tcb",        "plat_info",
        "key_info",          "report_data",        "measurement",
        "host_data",         "id_key_digest",      "report_id",
        "author_key_digest", "report_id_ma",       "reported_tcb",
        "cpuid_fam_id",      "cpuid_mod_id",       "cpuid_step",
        "chip_id",           "committed_tcb",      "current",
        "committed",         "launch_tcb",         "signature",
        "launch_mit_vector", "current_mit_vector",
    };
    struct processor_guest guest = test_guest();
    struct tee_evidence evidence;
    json_auto_t *json = NULL;

    get_evidence(0, &guest, &evidence);
    expect_ok(snp_report_to_json(evidence.report, TEE_REPORT_SIZE, &json));
    for (size_t i = 0; i < ELEMENTSOF(names); i++)
        assert_non_null(json_object_get(json, names[i]));
    assert_int_equal(json_object_size(json), ELEMENTSOF(names));
    assert_int_equal(json_integer_value(json_object_get(json, "policy")), 0x30000);
    assert_true(json_is_null(json_object_get(json_object_get(json, "current_tcb"), "fmc")));
    tee_evidence_done(&evidence);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_certificate_tables_are_refused),
        cmocka_unit_test(sizes_have_limits_and_failures_leave_no_trace),
        cmocka_unit_test(only_what_is_there_is_written),
        cmocka_unit_test(texts_from_evidence_cannot_steer_a_terminal),
        cmocka_unit_test(a_step_without_a_code_gets_the_first),
        cmocka_unit_test(no_steps_are_no_verdict),
        cmocka_unit_test(dev_init_keeps_what_exists),
        cmocka_unit_test(missing_trust_root_is_named),
        cmocka_unit_test(report_as_json_has_the_fields_of_the_existing_system),
    };

    return cmocka_run_group_tests_name("certificates", tests, set_up, tear_down);
}
