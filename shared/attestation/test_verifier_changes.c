/* Real reports changed by a bit, or shown with the certificates of others: none may pass. */
#include "shared/attestation/test_vectors.h"

#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "shared/attestation/report.h"
#include "shared/attestation/roots.h"

#define SCALAR_R 0x2a0
#define SCALAR_S 0x2e8
#define TAIL     0x330

static struct vectors *vectors;
static struct verify_cache *cache;

static int set_up(void **state)
{
    vectors_load(state);
    cache = verify_cache_new(vectors->roots);
    return 0;
}

static int tear_down(void **state)
{
    verify_cache_free(cache);
    return vectors_free(state);
}

static bool same_key(const struct leaf *a, const struct leaf *b)
{
    const uint8_t *at_a = a->der.data, *at_b = b->der.data;
    _cleanup_(X509_freep) X509 *x = d2i_X509(NULL, &at_a, (long)a->der.size);
    _cleanup_(X509_freep) X509 *y = d2i_X509(NULL, &at_b, (long)b->der.size);

    return EVP_PKEY_eq(X509_get0_pubkey(x), X509_get0_pubkey(y)) == 1;
}

/* Passes as a whole exactly when the key is the one that signed the report. */
static bool pair_passes(const struct vector *v, const struct vector *other, const struct leaf *leaf)
{
    struct verify_policy policy = vector_policy(v, leaf);
    _cleanup_buffer_ struct buffer table = {};
    struct verify_result result;

    policy.cache = cache;
    vector_table(other, leaf, &table);
    vector_appraise(&policy, &v->report, &table, &result);
    bool pass = verify_result_verdict(&result) == VERDICT_PASS;
    assert_int_equal(pass, vector_step(&result, "signature")->verdict == VERDICT_PASS);
    verify_result_done(&result);
    return pass;
}

static void a_report_passes_with_its_own_key_only(void **state)
{
    (void)state;
    size_t pairs = 0, passed = 0;

    for (size_t i = 0; i < vectors->n; i++) {
        const struct vector *v = &vectors->list[i];

        for (size_t k = 0; k < vectors->n; k++) {
            const struct vector *other = &vectors->list[k];

            for (size_t l = 0; l < other->n_leaves; l++) {
                bool pass = pair_passes(v, other, &other->leaves[l]);

                if (pass != same_key(&v->leaves[0], &other->leaves[l]))
                    fail_msg("%s with %s of %s", v->name, other->leaves[l].file, other->name);
                passed += pass;
                pairs++;
            }
        }
    }
    print_message("%zu pairs of report and certificate, %zu pass, all of one key\n", pairs, passed);
    assert_true(passed >= vectors->n && passed < pairs);
}

struct change {
    const char *code;
    size_t at;
    uint8_t flip;
};

static const struct change changes[] = {
    {"format_algorithm", 0x034, 0x01},       {"format_reserved", 0x04c, 0x01},
    {"format_reserved", 0x29f, 0x01},        {"format_policy_bit", 0x00a, 0x02},
    {"format_key_info", 0x049, 0x01},        {"signing_key_kind", 0x048, 0x04},
    {"report_data_differs", 0x050, 0x01},    {"report_data_differs", 0x08f, 0x80},
    {"measurement_not_listed", 0x0bf, 0x80}, {"host_data_differs", 0x0df, 0x01},
    {"migration_allowed", 0x00a, 0x04},      {"migration_agent", 0x17f, 0x01},
    {"guest_policy_forbidden", 0x00a, 0x20}, {"vmpl_differs", 0x030, 0x02},
    {"id_block_inconsistent", 0x048, 0x01},
};

/* The same value on both sides would hide the change: the reference values stand still. */
static void expect_change(const struct vector *v, const struct change *change)
{
    const char *const codes[] = {change->code, "signature_wrong", NULL};
    struct verify_policy policy = vector_policy(v, &v->leaves[0]);
    _cleanup_buffer_ struct buffer table = {}, report = {};

    policy.cache = cache;
    buffer_add(&report, v->report.data, v->report.size);
    report.data[change->at] ^= change->flip;
    vector_table(v, &v->leaves[0], &table);
    vector_expect(&policy, &report, &table, v->name, codes);
}

static uint8_t lowest_bit(uint8_t value)
{
    return (uint8_t)(value & -value);
}

/* Fields whose values differ from machine to machine. */
static void expect_own_changes(const struct vector *v)
{
    const uint8_t *report = v->report.data;
    const struct change level = {"extensions_tcb", 0x187, lowest_bit(report[0x187])};
    const struct change chip = {"extensions_chip", 0x1a0, 0x01};
    const struct change alias = {"platform_info_required", 0x040, 0x20};
    const struct change debug = {"debug_on", 0x00a, 0x08};
    const struct change version = {"version_not_accepted", 0x003, 0x01};

    expect_change(v, &level);
    if (report[0] > 2) /* a newer one would have a CPUID */
        expect_change(v, &version);
    if (!vector_is_vlek(&v->leaves[0]))
        expect_change(v, &chip);
    if (!vector_has_finding(v, "ALIAS"))
        expect_change(v, &alias);
    if (!vector_has_finding(v, "DEBUG"))
        expect_change(v, &debug);
}

static void a_changed_field_fails_its_own_step_and_the_signature(void **state)
{
    (void)state;
    for (size_t i = 0; i < vectors->n; i++) {
        for (size_t k = 0; k < ELEMENTSOF(changes); k++)
            expect_change(&vectors->list[i], &changes[k]);
        expect_own_changes(&vectors->list[i]);
    }
}

/* What the relying party expects is forged with the report: the signature must hold alone. */
static void check_flip(const struct vector *v, const struct buffer *table, size_t at, uint8_t flip)
{
    struct verify_policy policy = vector_policy(v, &v->leaves[0]);
    _cleanup_buffer_ struct buffer report = {};
    struct verify_result result;

    buffer_add(&report, v->report.data, v->report.size);
    report.data[at] ^= flip;
    policy.cache = cache;
    policy.report_data = report.data + 0x50;
    policy.measurements = (const uint8_t(*)[48])(report.data + 0x90);
    policy.host_data = report.data + 0xc0;
    policy.vmpl = report.data[0x30];
    vector_appraise(&policy, &report, table, &result);
    assert_int_equal(verify_result_verdict(&result), VERDICT_FAIL);
    bool scalar = at >= SCALAR_R && at < TAIL;
    bool significant = at < SCALAR_R || (scalar && (at - SCALAR_R) % REPORT_SCALAR_SIZE < 48);
    const char *step = significant ? "signature" : "format";
    if (at != 0 && vector_step(&result, step)->verdict != VERDICT_FAIL)
        fail_msg("%s: byte %zu is not covered by step '%s'", v->name, at, step);
    verify_result_done(&result);
}

static void every_flipped_byte_is_refused(void **state)
{
    (void)state;
    const struct {
        const char *name;
        size_t step;
    } cases[] = {{"milan-v5-gcp", 1}, {"genoa-v5-oak", 7}, {"turin-v5-alibaba", 7}};

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        const struct vector *v = vectors_get(cases[i].name);
        _cleanup_buffer_ struct buffer table = {};

        vector_table(v, &v->leaves[0], &table);
        for (size_t at = 0; at < v->report.size; at += cases[i].step)
            check_flip(v, &table, at, 0x01);
    }
}

static json_t *load_recipes(void)
{
    _cleanup_free_ char *path = xasprintf("%s/snp/_negative/mutation_recipes.json", vectors->dir);
    json_t *root = json_load_file(path, 0, NULL);

    assert_non_null(root);
    return root;
}

static void stored_recipes_are_refused(void **state)
{
    (void)state;
    json_auto_t *root = load_recipes();
    size_t i, n = 0;
    json_t *recipe;

    json_array_foreach(json_object_get(root, "recipes"), i, recipe)
    {
        const char *offset = json_string_value(json_object_get(recipe, "offset"));
        const char *flip = json_string_value(json_object_get(recipe, "xor"));

        if (!offset || !flip)
            continue; /* those of the scalars are below */
        for (size_t k = 0; k < vectors->n; k++) {
            const struct vector *v = &vectors->list[k];
            _cleanup_buffer_ struct buffer table = {};

            vector_table(v, &v->leaves[0], &table);
            check_flip(v, &table, strtoul(offset, NULL, 16), (uint8_t)strtoul(flip, NULL, 16));
        }
        print_message("recipe %s ^ %s: refused for %zu reports, as it says\n", offset, flip,
                      vectors->n);
        n++;
    }
    assert_true(n >= 14);
}

/* The order of P-384 (SEC 2). */
static const char order_text[] = "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF"
                                 "581A0DB248B0A77AECEC196ACCC52973";

/* S -> n - S is the same signature in another form: why a report's bytes are no name for it. */
static void negate(uint8_t scalar[48])
{
    BIGNUM *order = NULL, *s = BN_lebin2bn(scalar, 48, NULL);

    assert_true(BN_hex2bn(&order, order_text) > 0);
    assert_int_equal(BN_sub(s, order, s), 1);
    assert_int_equal(BN_bn2lebinpad(s, scalar, 48), 48);
    BN_free(order);
    BN_free(s);
}

static void scalars_are_checked_as_numbers(void **state)
{
    (void)state;
    static const char *const wrong[] = {"signature_wrong", NULL}, *const none[] = {NULL};

    for (size_t i = 0; i < vectors->n; i++) {
        const struct vector *v = &vectors->list[i];
        struct verify_policy policy = vector_policy(v, &v->leaves[0]);
        _cleanup_buffer_ struct buffer table = {}, report = {};

        policy.cache = cache;
        vector_table(v, &v->leaves[0], &table);
        buffer_add(&report, v->report.data, v->report.size);
        negate(report.data + SCALAR_S);
        vector_expect(&policy, &report, &table, v->name, none);
        memset(report.data + SCALAR_S, 0, 48);
        vector_expect(&policy, &report, &table, v->name, wrong);
        memcpy(report.data + SCALAR_S, v->report.data + SCALAR_S, 48);
        memset(report.data + SCALAR_R, 0, 48);
        vector_expect(&policy, &report, &table, v->name, wrong);
        memset(report.data + SCALAR_R, 0xff, 48);
        vector_expect(&policy, &report, &table, v->name, wrong);
    }
    print_message("recipe R=0 or S=0: refused; recipe S -> n-S: verifies, as it says\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_passes_with_its_own_key_only),
        cmocka_unit_test(a_changed_field_fails_its_own_step_and_the_signature),
        cmocka_unit_test(every_flipped_byte_is_refused),
        cmocka_unit_test(stored_recipes_are_refused),
        cmocka_unit_test(scalars_are_checked_as_numbers),
    };

    vectors = vectors_find();
    if (!vectors)
        return 77;
    return cmocka_run_group_tests_name("verifier changes", tests, set_up, tear_down);
}
