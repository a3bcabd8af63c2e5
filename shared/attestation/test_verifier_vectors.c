/*
 * Real reports of real processors. The files are not ours to ship: COFFER_VECTORS names their
 * folder (../shared/vectors); without it the test is skipped.
 */
#include "shared/attestation/test_attest.h"

#include <glob.h>
#include <jansson.h>
#include <sys/stat.h>
#include <time.h>

#include "shared/attestation/certificates.h"
#include "shared/attestation/report.h"
#include "shared/attestation/verifier.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"

#define VECTORS_MAX 64

struct vector {
    char *dir;
    json_t *manifest;
    struct buffer report;
    struct buffer ask, asvk, ark;
    int64_t at_ms;
};

static const char *root_dir;
static struct vector vectors[VECTORS_MAX];
static size_t n_vectors;
static struct trust_roots *roots;

static void read_file(struct buffer *ret, const char *fmt, ...) _printf_(2, 3);
static void read_file(struct buffer *ret, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    _cleanup_free_ char *path = xvasprintf(fmt, args);
    va_end(args);
    expect_ok(file_read(path, 1024 * 1024, ret));
}

static const char *text_of(const struct vector *v, const char *name)
{
    return json_string_value(json_object_get(v->manifest, name));
}

/* "2025-02-10 16:32:02+00:00": when the certificate was made; a second later it is valid. */
static int64_t parse_time(const char *text)
{
    struct tm tm = {};

    assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
    return ((int64_t)timegm(&tm) + 1) * 1000;
}

static void load_vector(struct vector *v, const char *path)
{
    v->dir = xstrndup(path, (size_t)(strrchr(path, '/') - path));
    v->manifest = json_load_file(path, 0, NULL);
    assert_non_null(v->manifest);
    read_file(&v->report, "%s/report.bin", v->dir);
    _cleanup_free_ char *product = xstrdup(text_of(v, "product"));
    for (char *c = product; *c; c++)
        *c |= 0x20;
    read_file(&v->ask, "%s/snp/_roots/%s_ask.der", root_dir, product);
    read_file(&v->asvk, "%s/snp/_roots/%s_asvk.der", root_dir, product);
    read_file(&v->ark, "%s/snp/_roots/%s_ark.der", root_dir, product);
    v->at_ms = parse_time(text_of(v, "verify_at_hint"));
}

static int load_all(void **state)
{
    (void)state;
    _cleanup_free_ char *pattern = xasprintf("%s/snp/[a-z]*/manifest.json", root_dir);
    glob_t found;

    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        load_vector(&vectors[n_vectors++], found.gl_pathv[i]);
    globfree(&found);
    expect_ok(trust_roots_amd(&roots));
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_vectors; i++) {
        free(vectors[i].dir);
        json_decref(vectors[i].manifest);
        buffer_done(&vectors[i].report);
        buffer_done(&vectors[i].ask);
        buffer_done(&vectors[i].asvk);
        buffer_done(&vectors[i].ark);
    }
    trust_roots_free(roots);
    return 0;
}

static bool is_vlek(const char *file)
{
    return strncmp(file, "vlek", 4) == 0;
}

/* The table a host would give: real hosts gave one for two vectors only. */
static void make_table(const struct vector *v, const char *file, const struct buffer *leaf,
                       struct buffer *ret_table)
{
    struct certificate_view view = {leaf->data, leaf->size};
    const struct buffer *ask = is_vlek(file) ? &v->asvk : &v->ask;
    struct certificate_table table = {
        .ask = {ask->data, ask->size},
        .ark = {v->ark.data, v->ark.size},
    };

    if (is_vlek(file))
        table.vlek = view;
    else
        table.vcek = view;
    certificate_table_write(&table, ret_table);
}

/* Everything but the fields that are policy is as strict as by default. */
static struct verify_policy lenient(const struct vector *v)
{
    return (struct verify_policy){
        .roots = roots,
        .report_data = v->report.data + 0x50,
        .any_host_data = true,
        .any_measurement = true,
        .any_chip_id = true,
        .vmpl = v->report.data[0x30],
        .at_ms = v->at_ms,
        .report_versions = 1u << 2 | 1u << 3 | 1u << 5,
        .accept_vlek = true,
        .any_csp_id = true,
        .any_tcb = true,
        .platform_info = {.allow = 1u << 5},
        .crl = POLICY_CRL_SOFT,
        .accept_provisional_firmware = true,
    };
}

static const struct verify_step *find_step(const struct verify_result *result, const char *id)
{
    for (size_t i = 0; i < result->n_steps; i++)
        if (strcmp(result->steps[i].id, id) == 0)
            return &result->steps[i];
    fail_msg("no step '%s'", id);
    return NULL;
}

static void expect_step(const struct verify_result *result, const char *id, enum verdict verdict)
{
    const struct verify_step *step = find_step(result, id);

    if (step->verdict != verdict)
        fail_msg("step '%s': verdict %d, not %d: expected '%s', actual '%s'", id, step->verdict,
                 verdict, step->expected, step->actual);
}

static void expect_pass(const struct verify_result *result, const char *name)
{
    const struct verify_step *problem = verify_result_first_problem(result);

    if (problem)
        fail_msg("%s: %s: expected '%s', actual '%s'", name, problem->id, problem->expected,
                 problem->actual);
    assert_false(result->development);
}

static void appraise(const struct verify_policy *policy, const struct buffer *report,
                     const struct buffer *table, struct verify_result *ret_result)
{
    verify_result_init(ret_result);
    expect_ok(verify_snp(policy, report->data, report->size, table->data, table->size, ret_result));
}

static bool has_finding(const struct vector *v, const char *text)
{
    size_t i;
    json_t *finding;

    json_array_foreach(json_object_get(v->manifest, "strict_policy_findings"), i, finding)
    {
        if (strstr(json_string_value(finding), text))
            return true;
    }
    return false;
}

/* The default policy finds exactly what the vector's own list says. */
static void check_strict(const struct vector *v, const struct buffer *table, bool vlek)
{
    struct verify_policy policy = lenient(v);
    struct verify_result result;

    policy.report_versions = 0;
    policy.accept_vlek = false;
    policy.accept_provisional_firmware = false;
    appraise(&policy, &v->report, table, &result);
    expect_step(&result, "version", has_finding(v, "version 2") ? VERDICT_FAIL : VERDICT_PASS);
    expect_step(&result, "provisional",
                has_finding(v, "provisional") ? VERDICT_FAIL : VERDICT_PASS);
    expect_step(&result, "debug", has_finding(v, "DEBUG") ? VERDICT_FAIL : VERDICT_PASS);
    expect_step(&result, "signing_key", vlek ? VERDICT_FAIL : VERDICT_PASS);
    verify_result_done(&result);
}

static size_t check_vector(const struct vector *v)
{
    size_t i;
    json_t *certificate;

    json_array_foreach(json_object_get(v->manifest, "certificates"), i, certificate)
    {
        const char *file = json_string_value(json_object_get(certificate, "file"));
        _cleanup_buffer_ struct buffer leaf = {}, table = {};
        struct verify_policy policy = lenient(v);
        struct verify_result result;

        /* several certificates of one key: each from its own day */
        policy.at_ms = parse_time(json_string_value(json_object_get(certificate, "not_before")));
        read_file(&leaf, "%s/%s", v->dir, file);
        make_table(v, file, &leaf, &table);
        appraise(&policy, &v->report, &table, &result);
        if (has_finding(v, "DEBUG")) {
            assert_string_equal(verify_result_first_problem(&result)->id, "debug");
            expect_step(&result, "signature", VERDICT_PASS);
            expect_step(&result, "chain", VERDICT_PASS);
        } else {
            expect_pass(&result, v->dir);
        }
        verify_result_done(&result);
        check_strict(v, &table, is_vlek(file));
    }
    return i;
}

static void every_real_report_verifies(void **state)
{
    (void)state;
    size_t n = 0;

    for (size_t i = 0; i < n_vectors; i++)
        n += check_vector(&vectors[i]);
    print_message("%zu reports verified with %zu certificates\n", n_vectors, n);
    assert_true(n_vectors >= 26);
}

static void decoded_fields_equal_the_manifests(void **state)
{
    (void)state;
    static const char *const names[] = {"report_data", "measurement",  "host_data",
                                        "chip_id",     "report_id_ma", "id_key_digest"};

    for (size_t i = 0; i < n_vectors; i++) {
        const struct vector *v = &vectors[i];
        json_t *decoded = json_object_get(v->manifest, "decoded");
        json_auto_t *actual = NULL;

        expect_ok(snp_report_to_json(v->report.data, v->report.size, &actual));
        for (size_t k = 0; k < ELEMENTSOF(names); k++)
            assert_string_equal(json_string_value(json_object_get(actual, names[k])),
                                json_string_value(json_object_get(decoded, names[k])));
        json_t *tcb = json_object_get(actual, "reported_tcb");
        json_t *expected = json_object_get(decoded, "reported_tcb");
        assert_int_equal(json_integer_value(json_object_get(tcb, "snp")),
                         json_integer_value(json_object_get(expected, "snp")));
        assert_int_equal(json_integer_value(json_object_get(tcb, "bootloader")),
                         json_integer_value(json_object_get(expected, "bl")));
        assert_int_equal(json_integer_value(json_object_get(tcb, "microcode")),
                         json_integer_value(json_object_get(expected, "ucode")));
        assert_int_equal(json_integer_value(json_object_get(actual, "version")),
                         json_integer_value(json_object_get(v->manifest, "report_version")));
    }
}

static void load_leaf(const struct vector *v, struct buffer *ret_leaf, const char **ret_file)
{
    json_t *certificate = json_array_get(json_object_get(v->manifest, "certificates"), 0);

    *ret_file = json_string_value(json_object_get(certificate, "file"));
    read_file(ret_leaf, "%s/%s", v->dir, *ret_file);
}

/* Every certificate under every report: only a pair with one key may pass. */
static void no_pair_passes_on_a_key_that_is_not_its_own(void **state)
{
    (void)state;
    struct buffer leaves[VECTORS_MAX] = {};
    const char *files[VECTORS_MAX];
    size_t passed = 0, signed_by = 0;

    for (size_t i = 0; i < n_vectors; i++)
        load_leaf(&vectors[i], &leaves[i], &files[i]);
    for (size_t i = 0; i < n_vectors; i++) {
        for (size_t k = 0; k < n_vectors; k++) {
            _cleanup_buffer_ struct buffer table = {};
            struct verify_policy policy = lenient(&vectors[i]);
            struct verify_result result;

            policy.at_ms = vectors[k].at_ms;
            make_table(&vectors[k], files[k], &leaves[k], &table);
            appraise(&policy, &vectors[i].report, &table, &result);
            bool pass = true;
            for (size_t s = 0; s < result.n_steps; s++)
                if (strcmp(result.steps[s].id, "debug") != 0)
                    pass &= result.steps[s].verdict == VERDICT_PASS;
            bool by = find_step(&result, "signature")->verdict == VERDICT_PASS;
            assert_int_equal(pass, by);
            passed += pass;
            signed_by += by;
            if (i == k)
                assert_true(pass);
            verify_result_done(&result);
        }
    }
    print_message("%zu pairs of report and certificate, %zu verify\n", n_vectors * n_vectors,
                  passed);
    for (size_t i = 0; i < n_vectors; i++)
        buffer_done(&leaves[i]);
}

static const struct vector *find_vector(const char *name)
{
    for (size_t i = 0; i < n_vectors; i++)
        if (strcmp(text_of(&vectors[i], "name"), name) == 0)
            return &vectors[i];
    fail_msg("no vector '%s'", name);
    return NULL;
}

/* What real hosts gave beside the report. */
static void real_certificate_tables_are_read(void **state)
{
    (void)state;
    const struct vector *gcp = find_vector("milan-v5-gcp");
    const struct vector *aws = find_vector("milan-v5-vlek-aws");
    _cleanup_buffer_ struct buffer gcp_table = {}, aws_table = {};
    struct verify_policy policy = lenient(gcp);
    struct verify_result result;

    read_file(&gcp_table, "%s/cert_table.bin", gcp->dir);
    appraise(&policy, &gcp->report, &gcp_table, &result);
    expect_pass(&result, "milan-v5-gcp");
    verify_result_done(&result);

    policy = lenient(aws);
    read_file(&aws_table, "%s/cert_table.bin", aws->dir);
    appraise(&policy, &aws->report, &aws_table, &result);
    expect_step(&result, "chain", VERDICT_UNKNOWN); /* a VLEK alone */
    expect_step(&result, "signature", VERDICT_PASS);
    assert_int_equal(verify_result_verdict(&result), VERDICT_UNKNOWN);
    verify_result_done(&result);
}

static void expired_vlek_fails_on_time_only(void **state)
{
    (void)state;
    const struct vector *aws = find_vector("milan-v5-vlek-aws");
    _cleanup_buffer_ struct buffer leaf = {}, table = {};
    struct verify_policy policy = lenient(aws);
    struct verify_result result;
    const char *file;

    load_leaf(aws, &leaf, &file);
    make_table(aws, file, &leaf, &table);
    policy.at_ms += INT64_C(366) * 24 * 3600 * 1000;
    appraise(&policy, &aws->report, &table, &result);
    assert_string_equal(verify_result_first_problem(&result)->id, "validity");
    expect_step(&result, "chain", VERDICT_PASS);
    verify_result_done(&result);
}

static void check_flips(const struct vector *v, size_t step)
{
    _cleanup_buffer_ struct buffer leaf = {}, table = {}, report = {};
    struct verify_policy policy = lenient(v);
    uint8_t report_data[64];
    const char *file;

    load_leaf(v, &leaf, &file);
    make_table(v, file, &leaf, &table);
    buffer_add(&report, v->report.data, v->report.size);
    for (size_t i = 0; i < report.size; i += step) {
        struct verify_result result;

        report.data[i] ^= 0x01;
        /* what the relying party expects is what is forged: the signature must hold alone */
        memcpy(report_data, report.data + 0x50, 64);
        policy.report_data = report_data;
        policy.vmpl = report.data[0x30];
        appraise(&policy, &report, &table, &result);
        assert_int_equal(verify_result_verdict(&result), VERDICT_FAIL);
        if (i < REPORT_SIGNED_SIZE && find_step(&result, "signature")->verdict == VERDICT_PASS)
            fail_msg("byte %zu is not signed", i);
        if (i >= REPORT_SIGNED_SIZE + 2 * REPORT_SCALAR_SIZE)
            expect_step(&result, "format", VERDICT_FAIL);
        report.data[i] ^= 0x01;
        verify_result_done(&result);
    }
}

static void every_flipped_byte_is_refused(void **state)
{
    (void)state;
    check_flips(find_vector("milan-v5-gcp"), 1);
    check_flips(find_vector("genoa-v5-oak"), 7);
    check_flips(find_vector("turin-v5-alibaba"), 7);
}

static void chain_of_another_product_or_kind_is_refused(void **state)
{
    (void)state;
    const struct vector *milan = find_vector("milan-v5-gcp"), *genoa = find_vector("genoa-v5-oak");
    _cleanup_buffer_ struct buffer leaf = {};
    const char *file;

    load_leaf(milan, &leaf, &file);
    const struct {
        const struct buffer *ask, *ark;
    } cases[] = {
        {&genoa->ask, &genoa->ark},  {&milan->ask, &genoa->ark}, {&genoa->ask, &milan->ark},
        {&milan->asvk, &milan->ark}, {&milan->ark, &milan->ark}, {&leaf, &milan->ark},
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_buffer_ struct buffer table_bytes = {};
        struct certificate_table table = {
            .vcek = {leaf.data, leaf.size},
            .ask = {cases[i].ask->data, cases[i].ask->size},
            .ark = {cases[i].ark->data, cases[i].ark->size},
        };
        struct verify_policy policy = lenient(milan);
        struct verify_result result;

        certificate_table_write(&table, &table_bytes);
        appraise(&policy, &milan->report, &table_bytes, &result);
        expect_step(&result, "chain", VERDICT_FAIL);
        verify_result_done(&result);
    }
}

static void check_negative(const char *name, const char *step, const struct vector *like)
{
    _cleanup_buffer_ struct buffer report = {}, leaf = {}, table = {};
    struct verify_policy policy = lenient(like);
    struct verify_result result;

    read_file(&report, "%s/snp/_negative/%s/report.bin", root_dir, name);
    _cleanup_free_ char *path = xasprintf("%s/snp/_negative/%s/vcek.der", root_dir, name);
    if (access(path, F_OK) == 0)
        read_file(&leaf, "%s", path);
    else /* the recipe says: with the certificate of another product */
        read_file(&leaf, "%s/snp/genoa-v5-oak/vcek.der", root_dir);
    make_table(like, "vcek.der", &leaf, &table);
    policy.report_data = NULL;
    appraise(&policy, &report, &table, &result);
    expect_step(&result, step, VERDICT_FAIL);
    assert_int_equal(verify_result_verdict(&result), VERDICT_FAIL);
    verify_result_done(&result);
}

static void stored_negatives_fail_at_their_step(void **state)
{
    (void)state;
    const struct vector *milan = find_vector("milan-v5-gcp");

    check_negative("report-truncated", "format", milan);
    check_negative("report-trailing-byte-and-bitflip", "format", milan);
    check_negative("vcek-not-issued-by-ask-legacy", "chain", milan);
    check_negative("vcek-not-issued-by-ask-new", "chain", milan);
    check_negative("vcek-of-other-chip-azure", "extensions", milan);
    check_negative("vcek-of-other-chip-azure", "signature", milan);
    check_negative("vcek-of-other-product-genoa", "extensions", find_vector("genoa-v5-oak"));
    check_negative("vcek-of-other-product-genoa", "signature", find_vector("genoa-v5-oak"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_real_report_verifies),
        cmocka_unit_test(decoded_fields_equal_the_manifests),
        cmocka_unit_test(no_pair_passes_on_a_key_that_is_not_its_own),
        cmocka_unit_test(real_certificate_tables_are_read),
        cmocka_unit_test(expired_vlek_fails_on_time_only),
        cmocka_unit_test(every_flipped_byte_is_refused),
        cmocka_unit_test(chain_of_another_product_or_kind_is_refused),
        cmocka_unit_test(stored_negatives_fail_at_their_step),
    };
    struct stat st;

    root_dir = getenv("COFFER_VECTORS") ? getenv("COFFER_VECTORS") : "../shared/vectors";
    _cleanup_free_ char *snp = xasprintf("%s/snp", root_dir);
    if (stat(snp, &st) < 0) {
        printf("skipped: no attestation vectors at '%s' (set COFFER_VECTORS)\n", root_dir);
        return 77;
    }
    return cmocka_run_group_tests_name("verifier vectors", tests, load_all, free_all);
}
