/* Real reports of real processors, one line each: all are as their manifests say. */
#include "shared/attestation/test_vectors.h"

#include <openssl/pem.h>
#include <stdlib.h>

#include "shared/attestation/report.h"
#include "shared/attestation/roots.h"
#include "shared/base/alloc.h"

static const struct vectors *vectors;

static const char *const no_codes[] = {NULL};

/* The strict default finds exactly what the manifest lists. Beyond it: a key that names no chip is
 * refused, and levels are judged, which the lists do not do (for old reports only). */
static void check_strict(const struct vector *v, const struct leaf *leaf,
                         const struct buffer *table)
{
    const char *codes[8] = {};
    struct verify_policy policy = vector_policy(v, leaf);
    size_t n = 0;

    policy.report_versions = 0;
    policy.accept_provisional_firmware = false;
    policy.guest_policy.allow = policy.platform_info.allow = 0;
    policy.accept_vlek = vector_is_vlek(leaf);
    policy.any_tcb = true; /* judged below: no manifest does */
    if (vector_has_finding(v, "version 2"))
        codes[n++] = "version_not_accepted";
    if (vector_has_finding(v, "provisional"))
        codes[n++] = "provisional_firmware";
    if (vector_has_finding(v, "DEBUG"))
        codes[n++] = "debug_on";
    if (vector_has_finding(v, "ALIAS"))
        codes[n++] = "platform_info_required";
    assert_int_equal(n, json_array_size(json_object_get(v->manifest, "strict_policy_findings")));
    vector_expect(&policy, &v->report, table, v->name, codes);
    print_message("vector %s, %s: verifies; strict policy: %zu findings, as its manifest says\n",
                  v->name, leaf->file, n);
    policy.accept_vlek = false;
    if (vector_is_vlek(leaf))
        codes[n++] = "signing_key_vlek";
    vector_expect(&policy, &v->report, table, v->name, codes);
}

static void every_real_report_verifies(void **state)
{
    (void)state;
    for (size_t i = 0; i < vectors->n; i++) {
        const struct vector *v = &vectors->list[i];

        assert_true(json_is_true(json_object_get(v->manifest, "valid")));
        for (size_t k = 0; k < v->n_leaves; k++) {
            const struct verify_policy policy = vector_policy(v, &v->leaves[k]);
            _cleanup_buffer_ struct buffer table = {};

            vector_table(v, &v->leaves[k], &table);
            vector_expect(&policy, &v->report, &table, v->name, no_codes);
            check_strict(v, &v->leaves[k], &table);
        }
    }
    assert_true(vectors->n >= 26);
}

/* Manifests do not judge levels: those of 2023 and before, and one host of 2026 whose microcode and
 * SNP firmware are older than AMD-SB-3019 asks for, are below the built-in minimum. */
static bool is_below_the_minimum(const struct vector *v)
{
    return vector_has_finding(v, "version 2") ||
           strcmp(v->name, "milan-v3-qemu-direct-boot-dstack") == 0;
}

static void old_levels_are_below_the_minimum(void **state)
{
    (void)state;
    static const char *const codes[] = {"tcb_minimum_below", NULL};
    size_t n = 0;

    for (size_t i = 0; i < vectors->n; i++) {
        const struct vector *v = &vectors->list[i];
        struct verify_policy policy = vector_policy(v, &v->leaves[0]);
        _cleanup_buffer_ struct buffer table = {};
        bool below = is_below_the_minimum(v);

        vector_table(v, &v->leaves[0], &table);
        policy.any_tcb = false;
        vector_expect(&policy, &v->report, &table, v->name, below ? codes : no_codes);
        n += below;
    }
    assert_true(n >= 7);
}

static void check_hex(const struct vector *v, json_t *actual, const char *name)
{
    json_t *decoded = json_object_get(v->manifest, "decoded");

    assert_string_equal(json_string_value(json_object_get(actual, name)),
                        json_string_value(json_object_get(decoded, name)));
}

static void check_level(const struct vector *v, json_t *actual, const char *name)
{
    static const char *const parts[][2] = {
        {"fmc", "fmc"}, {"bootloader", "bl"},   {"tee", "tee"},
        {"snp", "snp"}, {"microcode", "ucode"},
    };
    json_t *level = json_object_get(actual, name);
    json_t *expected = json_object_get(json_object_get(v->manifest, "decoded"), name);

    /* a version 2 report does not say its product: its levels have no layout of their own */
    for (size_t i = 0; i < ELEMENTSOF(parts); i++)
        assert_int_equal(json_integer_value(json_object_get(level, parts[i][0])),
                         json_integer_value(json_object_get(expected, parts[i][1])));
}

static void decoded_fields_equal_the_manifests(void **state)
{
    (void)state;
    static const char *const hex[] = {
        "family_id",     "image_id",          "report_data", "measurement",  "host_data",
        "id_key_digest", "author_key_digest", "report_id",   "report_id_ma", "chip_id",
    };
    static const char *const levels[] = {"current_tcb", "reported_tcb", "committed_tcb",
                                         "launch_tcb"};

    for (size_t i = 0; i < vectors->n; i++) {
        const struct vector *v = &vectors->list[i];
        json_t *decoded = json_object_get(v->manifest, "decoded");
        json_auto_t *actual = NULL;

        expect_ok(snp_report_to_json(v->report.data, v->report.size, &actual));
        for (size_t k = 0; k < ELEMENTSOF(hex); k++)
            check_hex(v, actual, hex[k]);
        for (size_t k = 0; k < ELEMENTSOF(levels); k++)
            check_level(v, actual, levels[k]);
        assert_int_equal(json_integer_value(json_object_get(actual, "version")),
                         json_integer_value(json_object_get(decoded, "version")));
        assert_int_equal(json_integer_value(json_object_get(actual, "policy")),
                         strtoll(json_string_value(json_object_get(decoded, "policy")), NULL, 16));
    }
}

/* What real hosts gave beside the report; a VLEK alone needs the rest of its chain. */
static void real_certificate_tables_are_read(void **state)
{
    (void)state;
    static const char *const alone[] = {"chain_no_ask", "validity_no_certificates",
                                        "revocation_no_chain", NULL};
    const struct vector *gcp = vectors_get("milan-v5-gcp");
    const struct vector *aws = vectors_get("milan-v5-vlek-aws");
    const struct verify_collateral collateral = {.certificates = vectors->collateral,
                                                 .n_certificates = VECTORS_OF_ROOTS};
    _cleanup_buffer_ struct buffer gcp_table = {}, aws_table = {};
    struct verify_policy policy = vector_policy(gcp, &gcp->leaves[0]);

    policy.at_ms = gcp->at_ms;
    vectors_read(&gcp_table, "%s/cert_table.bin", gcp->dir);
    vector_expect(&policy, &gcp->report, &gcp_table, gcp->name, no_codes);
    policy = vector_policy(aws, &aws->leaves[0]);
    vectors_read(&aws_table, "%s/cert_table.bin", aws->dir);
    vector_expect(&policy, &aws->report, &aws_table, aws->name, alone);
    policy.collateral = &collateral;
    vector_expect(&policy, &aws->report, &aws_table, aws->name, no_codes);
}

/* Only the report: every certificate from the collateral, among those of other machines. */
static void certificates_may_all_be_collateral(void **state)
{
    (void)state;
    const struct buffer nothing = {};

    for (size_t i = 0; i < vectors->n; i++) {
        const struct vector *v = &vectors->list[i];
        const struct vector *other = &vectors->list[(i + 1) % vectors->n];
        struct certificate_view views[VECTORS_OF_ROOTS + 2] = {
            {other->leaves[0].der.data, other->leaves[0].der.size},
            {v->leaves[0].der.data, v->leaves[0].der.size},
        };
        struct verify_policy policy = vector_policy(v, &v->leaves[0]);

        memcpy(views + 2, vectors->collateral, sizeof(vectors->collateral));
        const struct verify_collateral collateral = {.certificates = views,
                                                     .n_certificates = ELEMENTSOF(views)};
        policy.collateral = &collateral;
        vector_expect(&policy, &v->report, &nothing, v->name, no_codes);
    }
}

/* Hosts keep the certificate of before a firmware update. */
static void a_stale_certificate_gives_way_to_the_right_one(void **state)
{
    (void)state;
    const struct vector *v = vectors_get("genoa-v5-oak"), *old = vectors_get("genoa-v3-veraison");
    const struct certificate_view right = {v->leaves[0].der.data, v->leaves[0].der.size};
    const struct verify_collateral collateral = {.certificates = &right, .n_certificates = 1};
    _cleanup_buffer_ struct buffer table = {};
    struct verify_policy policy = vector_policy(v, &v->leaves[0]);
    struct verify_result result;

    vector_table(old, &old->leaves[0], &table);
    vector_appraise(&policy, &v->report, &table, &result);
    assert_string_equal(vector_step(&result, "extensions")->code, "extensions_tcb");
    verify_result_done(&result);
    policy.collateral = &collateral;
    vector_expect(&policy, &v->report, &table, v->name, no_codes);
}

static void expired_vlek_fails_on_time_only(void **state)
{
    (void)state;
    static const char *const codes[] = {"validity_out_of_date", NULL};
    const struct vector *aws = vectors_get("milan-v5-vlek-aws");
    _cleanup_buffer_ struct buffer table = {};
    struct verify_policy policy = vector_policy(aws, &aws->leaves[0]);

    vector_table(aws, &aws->leaves[0], &table);
    policy.at_ms += INT64_C(366) * 24 * 3600 * 1000;
    vector_expect(&policy, &aws->report, &table, aws->name, codes);
    policy.at_ms = aws->leaves[0].at_ms - 2000;
    vector_expect(&policy, &aws->report, &table, aws->name, codes);
}

static void a_cloud_is_accepted_by_name(void **state)
{
    (void)state;
    static const char *const right[] = {"CN=cc-us-east-2.amazonaws.com"};
    static const char *const wrong[] = {"CN=cc-us-east-2.amazonaws.co"};
    static const char *const not_listed[] = {"signing_key_csp_id", NULL};
    static const char *const not_given[] = {"signing_key_csp_id_not_given", NULL};
    const struct vector *aws = vectors_get("milan-v5-vlek-aws");
    _cleanup_buffer_ struct buffer table = {};
    struct verify_policy policy = vector_policy(aws, &aws->leaves[0]);

    vector_table(aws, &aws->leaves[0], &table);
    policy.any_csp_id = false;
    vector_expect(&policy, &aws->report, &table, aws->name, not_given);
    policy.csp_ids = wrong;
    policy.n_csp_ids = 1;
    vector_expect(&policy, &aws->report, &table, aws->name, not_listed);
    policy.csp_ids = right;
    vector_expect(&policy, &aws->report, &table, aws->name, no_codes);
}

static void chain_of_another_product_or_kind_is_refused(void **state)
{
    (void)state;
    const struct vector *milan = vectors_get("milan-v5-gcp"), *genoa = vectors_get("genoa-v5-oak");
    const struct leaf *leaf = &milan->leaves[0];
    const struct {
        const struct buffer *ask, *ark;
    } cases[] = {
        {&genoa->ask, &genoa->ark},  {&milan->ask, &genoa->ark}, {&genoa->ask, &milan->ark},
        {&milan->asvk, &milan->ark}, {&milan->ark, &milan->ark}, {&leaf->der, &milan->ark},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        static const char *const codes[] = {"chain_path", NULL};
        const struct verify_policy policy = vector_policy(milan, leaf);
        _cleanup_buffer_ struct buffer bytes = {};
        const struct certificate_table table = {
            .vcek = {leaf->der.data, leaf->der.size},
            .ask = {cases[i].ask->data, cases[i].ask->size},
            .ark = {cases[i].ark->data, cases[i].ark->size},
        };
        struct verify_result result;

        certificate_table_write(&table, &bytes);
        vector_appraise(&policy, &milan->report, &bytes, &result);
        assert_int_equal(vector_step(&result, "chain")->verdict, VERDICT_FAIL);
        if (i < 4)
            assert_string_equal(vector_step(&result, "chain")->code, codes[0]);
        verify_result_done(&result);
    }
}

static void check_negative(const char *name, const struct vector *like, const char *certificate,
                           const char *const codes[])
{
    const struct leaf like_leaf = {.file = "vcek.der"};
    struct leaf leaf = like_leaf;
    struct verify_policy policy = vector_policy(like, &like->leaves[0]);
    _cleanup_buffer_ struct buffer report = {}, table = {};
    struct verify_result result;

    vectors_read(&report, "%s/snp/_negative/%s/report.bin", vectors->dir, name);
    if (certificate)
        vectors_read(&leaf.der, "%s/snp/%s", vectors->dir, certificate);
    else
        vectors_read(&leaf.der, "%s/snp/_negative/%s/vcek.der", vectors->dir, name);
    vector_table(like, &leaf, &table);
    vector_appraise(&policy, &report, &table, &result);
    for (size_t i = 0; codes[i]; i++)
        assert_string_equal(vector_step(&result, verify_code_find(codes[i])->step)->code, codes[i]);
    assert_int_equal(verify_result_verdict(&result), VERDICT_FAIL);
    print_message("vector %s: refused (%s), as its manifest says\n", name, codes[0]);
    verify_result_done(&result);
    buffer_done(&leaf.der);
}

static void stored_negatives_fail_at_their_step(void **state)
{
    (void)state;
    static const char *const format[] = {"format_not_a_report", NULL};
    static const char *const chain[] = {"chain_path", "signature_wrong", NULL};
    static const char *const chip[] = {"extensions_chip", "signature_wrong", NULL};
    static const char *const product[] = {"product_differs", "signature_wrong", NULL};
    const struct vector *milan = vectors_get("milan-v5-gcp"), *genoa = vectors_get("genoa-v5-oak");

    check_negative("report-truncated", milan, "milan-v5-gcp/vcek.der", format);
    check_negative("report-trailing-byte-and-bitflip", milan, "milan-v5-gcp/vcek.der", format);
    check_negative("vcek-not-issued-by-ask-legacy", milan, NULL, chain);
    check_negative("vcek-not-issued-by-ask-new", milan, NULL, chain);
    check_negative("vcek-of-other-chip-azure", milan, NULL, chip);
    check_negative("vcek-of-other-product-genoa", genoa, "genoa-v5-oak/vcek.der", product);
}

static void write_pem(const char *dir, const char *name, const struct buffer *der)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
    const uint8_t *at = der->data;
    X509 *certificate = d2i_X509(NULL, &at, (long)der->size);
    FILE *file = fopen(path, "w");

    assert_non_null(certificate);
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    fclose(file);
    X509_free(certificate);
}

/* Who names AMD's root gets AMD's root: no "development", and no other intermediates than known. */
static void a_folder_with_amds_own_root_is_amds(void **state)
{
    (void)state;
    const struct vector *v = vectors_get("milan-v5-gcp"), *genoa = vectors_get("genoa-v5-oak");
    char dir[] = "/tmp/coffer-root-XXXXXX";
    struct trust_roots *roots = NULL;
    _cleanup_free_ char *remove_all = xasprintf("rm -r '%s'", mkdtemp(dir));

    write_pem(dir, "ark.pem", &v->ark);
    write_pem(dir, "ask.pem", &v->ask);
    expect_ok(trust_roots_load(dir, &roots));
    assert_int_equal(roots->n, 1);
    assert_false(roots->roots[0].development);
    assert_false(trust_roots_are_development(roots));
    assert_int_equal(roots->roots[0].product, SNP_PRODUCT_MILAN);
    assert_int_equal(roots->roots[0].n_asks, 1);
    assert_true(trust_root_knows(&roots->roots[0], roots->roots[0].asks[0]));
    assert_false(trust_root_knows(&roots->roots[0], roots->roots[0].ark));
    trust_roots_free(roots);

    write_pem(dir, "ask.pem", &genoa->ask); /* of another root: left out */
    expect_ok(trust_roots_load(dir, &roots));
    assert_int_equal(roots->roots[0].n_asks, 0);
    trust_roots_free(roots);
    assert_int_equal(system(remove_all), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_real_report_verifies),
        cmocka_unit_test(a_folder_with_amds_own_root_is_amds),
        cmocka_unit_test(old_levels_are_below_the_minimum),
        cmocka_unit_test(decoded_fields_equal_the_manifests),
        cmocka_unit_test(real_certificate_tables_are_read),
        cmocka_unit_test(certificates_may_all_be_collateral),
        cmocka_unit_test(a_stale_certificate_gives_way_to_the_right_one),
        cmocka_unit_test(expired_vlek_fails_on_time_only),
        cmocka_unit_test(a_cloud_is_accepted_by_name),
        cmocka_unit_test(chain_of_another_product_or_kind_is_refused),
        cmocka_unit_test(stored_negatives_fail_at_their_step),
    };

    vectors = vectors_find();
    if (!vectors)
        return 77;
    return cmocka_run_group_tests_name("verifier vectors", tests, vectors_load, vectors_free);
}
