/* Revocation lists: what is understood, what they say of a chain, and what their absence means. */
#include "shared/attestation/test_kit.h"

#include <openssl/x509v3.h>
#include <string.h>

#include "shared/attestation/crl.h"
#include "shared/attestation/dev_certificate.h"
#include "shared/attestation/roots.h"
#include "shared/base/clock.h"

#define HOUR_MS INT64_C(3600000)
#define DAY_MS  (24 * HOUR_MS)

static struct kit kit;
static EVP_PKEY *other_key;
static X509 *other_ark; /* the same name, another key */

static int set_up(void **state)
{
    (void)state;
    kit_init(&kit);
    other_key = test_foreign_key(0);
    expect_ok(dev_certificate_issuer(other_key, NULL, NULL, &other_ark));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    EVP_PKEY_free(other_key);
    X509_free(other_ark);
    kit_done(&kit);
    return 0;
}

/* With these lists beside good evidence, exactly this code. */
static void expect(const struct verify_policy *base, const struct kit_crl *lists, size_t n,
                   const char *code)
{
    struct buffer der[2] = {};
    struct certificate_view views[2];
    struct verify_policy policy = *base;
    struct tee_evidence evidence;

    for (size_t i = 0; i < n; i++) {
        kit_make_crl(&kit, &lists[i], &der[i]);
        views[i] = (struct certificate_view){der[i].data, der[i].size};
    }
    const struct verify_collateral collateral = {.crls = views, .n_crls = n};
    policy.collateral = &collateral;
    kit_evidence(&kit, &evidence);
    kit_expect(&policy, &evidence, code);
    tee_evidence_done(&evidence);
    for (size_t i = 0; i < n; i++)
        buffer_done(&der[i]);
}

static void lists_that_revoke_or_are_wrong_fail(void **state)
{
    (void)state;
    const struct verify_policy policy = kit_policy(&kit);
    const struct {
        struct kit_crl list;
        const char *code;
    } cases[] = {
        {{}, NULL},
        {{.number = 7}, NULL},
        {{.revoked = {3, 4}}, NULL},
        {{.revoked = {2}}, "revocation_revoked"},      /* the ASK */
        {{.revoked = {1}}, "revocation_revoked"},      /* the ARK */
        {{.revoke_zero = true}, "revocation_revoked"}, /* the VCEK */
        {{.revoked = {5, 2}, .removed_entry = true}, "revocation_revoked"},
        {{.key = other_key}, "revocation_crl"},
        {{.issuer = kit.ask, .key = kit.ask_key}, "revocation_no_crl"}, /* none of this root */
        {{.pkcs1 = true}, "revocation_crl"},
        {{.unknown_critical = true}, "revocation_crl"},
        {{.unknown_plain = true}, NULL},
        {{.number = 3, .critical_number = true}, NULL},
        {{.revoked = {9}, .unknown_plain_entry = true}, NULL},
        {{.revoked = {9}, .removed_entry = true, .critical_reason = true}, NULL},
        {{.revoked = {9}, .unknown_critical_entry = true}, "revocation_crl"},
        {{.number = 2, .delta = true}, "revocation_crl"},
        {{.number = 2, .plain_delta = true}, "revocation_crl"},
        {{.point = "https://crl.example/a", .point_kind = KIT_POINT_OF_SOME_REASONS},
         "revocation_crl"},
        {{.point = "https://crl.example/a", .point_kind = KIT_POINT_OF_OTHERS}, "revocation_crl"},
        {{.point = "https://crl.example/a", .point_kind = KIT_POINT_OF_USERS}, "revocation_crl"},
        {{.point = "https://crl.example/a", .point_kind = KIT_POINT_OF_ATTRIBUTES},
         "revocation_crl"},
        {{.point = "https://crl.example/a"}, "revocation_no_crl"}, /* of another chain */
        {{.from_ms = kit.now_ms + HOUR_MS}, "revocation_stale"},
        {{.until_ms = kit.now_ms - HOUR_MS / 2}, "revocation_stale"},
        {{.no_next_update = true}, "revocation_stale"},
        {{.until_ms = kit.now_ms - DAY_MS, .from_ms = kit.now_ms - 2 * DAY_MS, .revoked = {2}},
         "revocation_revoked"},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        expect(&policy, &cases[i].list, 1, cases[i].code);
    expect(&policy, NULL, 0, "revocation_no_crl");
}

static void soft_means_missing_or_old_but_never_revoked(void **state)
{
    (void)state;
    struct verify_policy policy = kit_policy(&kit);
    const struct kit_crl old = {.from_ms = kit.now_ms - 2 * DAY_MS,
                                .until_ms = kit.now_ms - DAY_MS};
    const struct kit_crl revoking = {.revoked = {2}}, forged = {.key = other_key};

    policy.crl = POLICY_CRL_SOFT;
    expect(&policy, NULL, 0, NULL);
    expect(&policy, &old, 1, NULL);
    expect(&policy, &revoking, 1, "revocation_revoked");
    expect(&policy, &forged, 1, "revocation_crl");
}

static void grace_is_counted_from_the_next_update(void **state)
{
    (void)state;
    struct verify_policy policy = kit_policy(&kit);
    const struct kit_crl old = {.from_ms = kit.now_ms - 2 * DAY_MS,
                                .until_ms = kit.now_ms - DAY_MS};

    policy.crl_grace_ms = DAY_MS + HOUR_MS;
    expect(&policy, &old, 1, NULL);
    policy.crl_grace_ms = DAY_MS - HOUR_MS;
    expect(&policy, &old, 1, "revocation_stale");
}

/* One list that is fine does not outweigh one that revokes, wherever it stands. */
static void any_list_can_revoke(void **state)
{
    (void)state;
    const struct verify_policy policy = kit_policy(&kit);
    const struct kit_crl lists[] = {{.number = 9}, {.number = 8, .revoked = {2}}};
    const struct kit_crl turned[] = {lists[1], lists[0]};

    expect(&policy, lists, 2, "revocation_revoked");
    expect(&policy, turned, 2, "revocation_revoked");
}

/* A list of another time does not hide the one that is in date, wherever it stands. */
static void a_list_made_later_does_not_hide_one_in_date(void **state)
{
    (void)state;
    const struct verify_policy policy = kit_policy(&kit);
    const struct kit_crl good = {.number = 1};
    const struct kit_crl old = {.from_ms = kit.now_ms - 3 * DAY_MS,
                                .until_ms = kit.now_ms - 2 * DAY_MS};
    const struct {
        struct kit_crl a, b;
        const char *code;
    } cases[] = {
        {good, {.from_ms = kit.now_ms + HOUR_MS}, NULL}, /* verified for a time gone by */
        {good, old, NULL},
        {old, {.from_ms = kit.now_ms + HOUR_MS}, "revocation_stale"},
        {{.from_ms = kit.now_ms + HOUR_MS}, {.from_ms = kit.now_ms + DAY_MS}, "revocation_stale"},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        expect(&policy, (const struct kit_crl[]){cases[i].a, cases[i].b}, 2, cases[i].code);
        expect(&policy, (const struct kit_crl[]){cases[i].b, cases[i].a}, 2, cases[i].code);
    }
}

/* The text names the list that was looked up in. */
static void the_newest_list_made_by_then_is_the_one_that_counts(void **state)
{
    (void)state;
    const int64_t made[] = {kit.now_ms - 2 * DAY_MS, kit.now_ms - DAY_MS, kit.now_ms + DAY_MS};
    static const size_t orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 2, 0}, {1, 0, 2}};

    for (size_t i = 0; i < ELEMENTSOF(orders); i++) {
        struct buffer der[3] = {};
        struct certificate_view views[3];
        struct verify_policy policy = kit_policy(&kit);
        const struct verify_collateral collateral = {.crls = views, .n_crls = 3};
        struct tee_evidence evidence;
        struct verify_result result;
        char text[CLOCK_TEXT_SIZE];

        for (size_t k = 0; k < 3; k++) {
            kit_make_crl(&kit, &(struct kit_crl){.from_ms = made[orders[i][k]]}, &der[k]);
            views[k] = (struct certificate_view){der[k].data, der[k].size};
        }
        policy.collateral = &collateral;
        kit_evidence(&kit, &evidence);
        kit_appraise(&policy, &evidence, &result);
        clock_format(made[1] / 1000 * 1000, text);
        assert_int_equal(kit_step(&result, "revocation")->verdict, VERDICT_PASS);
        assert_non_null(strstr(kit_step(&result, "revocation")->actual, text));
        verify_result_done(&result);
        tee_evidence_done(&evidence);
        for (size_t k = 0; k < 3; k++)
            buffer_done(&der[k]);
    }
}

/* What is at hand may hold anything: only the root's own lists speak. */
static void a_foreign_list_beside_a_good_one_does_no_harm(void **state)
{
    (void)state;
    const struct verify_policy policy = kit_policy(&kit);
    const struct kit_crl good = {.number = 1}, foreign = {.key = other_key, .revoked = {2}};
    const struct kit_crl elsewhere = {.point = "https://crl.example/a"};
    const struct {
        struct kit_crl a, b;
        const char *code;
    } cases[] = {
        {good, foreign, NULL},
        {good, {.unknown_critical = true}, NULL},
        {good, {.pkcs1 = true, .revoked = {2}}, NULL},
        {foreign, {.key = other_key}, "revocation_crl"},
        {elsewhere, foreign, "revocation_crl"}, /* a good one, but not for this chain */
        {{.revoked = {2}}, foreign, "revocation_revoked"},
        {{.until_ms = kit.now_ms - HOUR_MS / 2}, foreign, "revocation_stale"},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        expect(&policy, (const struct kit_crl[]){cases[i].a, cases[i].b}, 2, cases[i].code);
        expect(&policy, (const struct kit_crl[]){cases[i].b, cases[i].a}, 2, cases[i].code);
    }
}

/* The evidence itself may not show a list that is not its root's, whatever else is at hand. */
static void a_foreign_list_in_the_evidence_is_bad(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer foreign = {};
    const struct verify_policy policy = kit_policy(&kit);
    struct tee_evidence evidence;

    kit_make_crl(&kit, &(struct kit_crl){.key = other_key}, &foreign);
    const struct certificate_view view = {foreign.data, foreign.size};
    kit_evidence(&kit, &evidence);
    kit_replace(&evidence, &(struct kit_table){.crl = &view});
    kit_expect(&policy, &evidence, "revocation_crl");
    tee_evidence_done(&evidence);
}

/* A root of the same name and another key, before the right one or behind it. */
static void a_foreign_root_beside_the_trusted_one_does_no_harm(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer right = {}, wrong = {};
    struct trust_roots pinned = *kit.roots; /* as AMD's: the ARK is not at hand */
    const struct certificate_view none = {};
    struct verify_policy policy = kit_policy(&kit);
    struct tee_evidence evidence;

    kit_der(kit.ark, &right);
    kit_der(other_ark, &wrong);
    const struct certificate_view views[] = {
        {wrong.data, wrong.size}, {right.data, right.size}, {wrong.data, wrong.size}};
    pinned.roots[0].ark = NULL;
    policy.roots = &pinned;
    kit_evidence(&kit, &evidence);
    kit_replace(&evidence, &(struct kit_table){.ark = &none});
    for (size_t i = 0; i < 2; i++) {
        const struct verify_collateral collateral = {
            .certificates = views + i, .n_certificates = 2, .crls = kit.crls, .n_crls = 1};

        policy.collateral = &collateral;
        kit_expect(&policy, &evidence, NULL);
    }
    const struct verify_collateral only_wrong = {
        .certificates = views, .n_certificates = 1, .crls = kit.crls, .n_crls = 1};
    struct verify_result result;
    policy.collateral = &only_wrong;
    kit_appraise(&policy, &evidence, &result);
    assert_string_equal(kit_step(&result, "chain")->code, "chain_root");
    verify_result_done(&result);
    tee_evidence_done(&evidence);
}

static void a_carried_list_counts_like_others(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer revoking = {};
    struct verify_policy policy = kit_policy(&kit);
    struct tee_evidence evidence;

    kit_make_crl(&kit, &(struct kit_crl){.revoked = {2}}, &revoking);
    const struct certificate_view bad = {revoking.data, revoking.size};
    const struct certificate_view garbage = {revoking.data, revoking.size - 1};
    policy.collateral = NULL;
    kit_evidence(&kit, &evidence);
    kit_replace(&evidence, &(struct kit_table){.crl = &kit.crls[0]});
    kit_expect(&policy, &evidence, NULL);
    kit_replace(&evidence, &(struct kit_table){.crl = &bad});
    kit_expect(&policy, &evidence, "revocation_revoked");
    kit_replace(&evidence, &(struct kit_table){.crl = &garbage});
    kit_expect(&policy, &evidence, "revocation_crl");
    tee_evidence_done(&evidence);
}

/* What is kept is what certificates say; when and by what policy they are asked is not. */
static void a_cached_chain_is_judged_each_time(void **state)
{
    (void)state;
    _cleanup_(verify_cache_freep) struct verify_cache *cache = verify_cache_new(kit.roots);
    _cleanup_buffer_ struct buffer revoking = {};
    struct verify_policy policy = kit_policy(&kit);
    struct tee_evidence evidence;

    kit_make_crl(&kit, &(struct kit_crl){.revoked = {2}}, &revoking);
    const struct certificate_view views[] = {{revoking.data, revoking.size}};
    const struct verify_collateral collateral = {.crls = views, .n_crls = 1};
    policy.cache = cache;
    kit_evidence(&kit, &evidence);
    for (int i = 0; i < 2; i++)
        kit_expect(&policy, &evidence, NULL);
    policy.at_ms += 8 * DAY_MS;
    kit_expect(&policy, &evidence, "revocation_stale");
    policy.at_ms += 8 * 366 * DAY_MS;
    policy.crl = POLICY_CRL_SOFT;
    kit_expect(&policy, &evidence, "validity_out_of_date");
    policy.at_ms = kit.now_ms;
    policy.collateral = &collateral;
    kit_expect(&policy, &evidence, "revocation_revoked");
    policy.collateral = &kit.collateral;
    policy.roots = kit.amd; /* a cache is for one set of roots */
    kit_expect(&policy, &evidence, "chain_root");
    tee_evidence_done(&evidence);
}

static void a_list_can_be_read(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer der = {};
    _cleanup_(crl_freep) struct crl *crl = NULL;
    const int64_t from = kit.now_ms / 1000 * 1000;
    struct crl *none = NULL;

    kit_make_crl(&kit, &(struct kit_crl){.number = 42, .from_ms = from, .until_ms = from + DAY_MS},
                 &der);
    expect_ok(crl_parse(der.data, der.size, &crl));
    assert_int_equal(crl_number(crl), 42);
    assert_int_equal(crl_this_update_ms(crl), from);
    assert_int_equal(crl_next_update_ms(crl), from + DAY_MS);
    assert_null(crl_problem(crl, kit.ark));
    assert_non_null(crl_problem(crl, kit.ask));
    assert_non_null(crl_problem(crl, other_ark));
    buffer_add_u8(&der, 0);
    expect_code(crl_parse(der.data, der.size, &none), ERROR_INVALID_ARGUMENT);
    expect_code(crl_parse(der.data, der.size - 2, &none), ERROR_INVALID_ARGUMENT);
    expect_code(crl_parse(der.data, 0, &none), ERROR_INVALID_ARGUMENT);
}

#define URI      "https://kds.example/vcek/v1/Genoa/crl"
#define ELSE     "https://kds.example/vlek/v1/Genoa/crl"
#define TEN(s)   s s s s s s s s s s
#define LONG_URI "https://kds.example/" TEN(TEN("abcdef"))

/* The ASK with these distribution points, as OpenSSL's configuration has them. */
static X509 *ask_with_points(const char *text)
{
    X509 *ask = X509_dup(kit.ask);
    X509V3_CTX ctx;

    X509V3_set_ctx(&ctx, kit.ark, kit.ask, NULL, NULL, 0);
    X509_EXTENSION *points = X509V3_EXT_conf_nid(NULL, &ctx, NID_crl_distribution_points, text);
    assert_non_null(points);
    assert_int_equal(X509_add_ext(ask, points, -1), 1);
    X509_EXTENSION_free(points);
    return ask;
}

/* AMD's CRLs of VCEK and VLEK chains have one issuer: their distribution points tell them apart. */
static void a_distribution_point_says_what_a_list_is_for(void **state)
{
    (void)state;
    static const struct {
        const char *points; /* of the ASK; NULL: it has none */
        struct kit_crl list;
        bool covers;
    } rows[] = {
        {"URI:" URI, {.point = URI}, true},
        {"URI:" URI, {.point = ELSE}, false},
        {"URI:" ELSE ",URI:" URI, {.point = URI}, true},
        {"URI:" URI ",URI:" ELSE, {.point = URI}, true},
        {"DNS:" URI, {.point = URI}, false},           /* a name of another kind */
        {"URI:" LONG_URI, {.point = LONG_URI}, false}, /* longer than any of AMD's */
        {NULL, {.point = URI}, false},
        {"URI:" URI, {.number = 1}, true}, /* a list of everything */
        {NULL, {.number = 1}, true},
        {NULL, {.point = URI, .point_kind = KIT_POINT_UNNAMED}, true},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_buffer_ struct buffer der = {};
        _cleanup_(crl_freep) struct crl *crl = NULL;
        _cleanup_(X509_freep) X509 *ask =
            rows[i].points ? ask_with_points(rows[i].points) : X509_dup(kit.ask);

        kit_make_crl(&kit, &rows[i].list, &der);
        expect_ok(crl_parse(der.data, der.size, &crl));
        assert_null(crl_problem(crl, kit.ark));
        if (crl_covers(crl, ask) != rows[i].covers)
            fail_msg("row %zu", i);
    }
}

static void sizes_of_lists_are_bounded(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer large = {}, whole = {};
    struct crl *crl = NULL;

    kit_make_crl(&kit, &(struct kit_crl){.more = 2000}, &large);
    expect_ok(crl_parse(large.data, large.size, &crl));
    crl_free(crl);
    crl_free(NULL);
    kit_make_crl(&kit, &(struct kit_crl){.more = 14000}, &whole);
    assert_true(whole.size > CRL_SIZE_MAX);
    expect_code(crl_parse(whole.data, whole.size, &crl), ERROR_INVALID_ARGUMENT);
    expect_code(crl_parse(large.data, 0, &crl), ERROR_INVALID_ARGUMENT);
    expect_code(crl_parse(large.data, large.size - 1, &crl), ERROR_INVALID_ARGUMENT);
}

/* RFC 5280 section 5.2.3: not negative. */
static void numbers_are_told_where_there_are_any(void **state)
{
    (void)state;
    static const struct {
        long number;
        int64_t told;
    } rows[] = {{0, -1}, {1, 1}, {70000, 70000}, {-5, -1}};

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_buffer_ struct buffer der = {};
        struct crl *crl = NULL;

        kit_make_crl(&kit, &(struct kit_crl){.number = rows[i].number}, &der);
        expect_ok(crl_parse(der.data, der.size, &crl));
        assert_int_equal(crl_number(crl), rows[i].told);
        crl_free(crl);
    }
}

/* Which lists renew each other: of one issuer, and of one distribution point or of none. */
static void series_are_told_by_issuer_and_distribution_point(void **state)
{
    (void)state;
    const struct kit_crl options[] = {
        {.number = 1},
        {.number = 2},
        {.point = "https://kds.example/vcek/v1/Genoa/crl"},
        {.point = "https://kds.example/vcek/v1/Genoa/crl", .number = 2},
        {.point = "https://kds.example/vlek/v1/Genoa/crl"},
        {.issuer = kit.ask, .key = kit.ask_key},
    };
    static const int series[] = {0, 0, 1, 1, 2, 3};
    struct crl *lists[ELEMENTSOF(options)];

    for (size_t i = 0; i < ELEMENTSOF(options); i++) {
        _cleanup_buffer_ struct buffer der = {};

        kit_make_crl(&kit, &options[i], &der);
        expect_ok(crl_parse(der.data, der.size, &lists[i]));
    }
    for (size_t i = 0; i < ELEMENTSOF(options); i++)
        for (size_t k = 0; k < ELEMENTSOF(options); k++)
            assert_int_equal(crl_is_of_series(lists[i], lists[k]), series[i] == series[k]);
    for (size_t i = 0; i < ELEMENTSOF(options); i++)
        crl_free(lists[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_that_revoke_or_are_wrong_fail),
        cmocka_unit_test(soft_means_missing_or_old_but_never_revoked),
        cmocka_unit_test(grace_is_counted_from_the_next_update),
        cmocka_unit_test(any_list_can_revoke),
        cmocka_unit_test(a_list_made_later_does_not_hide_one_in_date),
        cmocka_unit_test(the_newest_list_made_by_then_is_the_one_that_counts),
        cmocka_unit_test(a_foreign_list_beside_a_good_one_does_no_harm),
        cmocka_unit_test(a_foreign_list_in_the_evidence_is_bad),
        cmocka_unit_test(a_foreign_root_beside_the_trusted_one_does_no_harm),
        cmocka_unit_test(a_carried_list_counts_like_others),
        cmocka_unit_test(a_cached_chain_is_judged_each_time),
        cmocka_unit_test(a_list_can_be_read),
        cmocka_unit_test(a_distribution_point_says_what_a_list_is_for),
        cmocka_unit_test(sizes_of_lists_are_bounded),
        cmocka_unit_test(numbers_are_told_where_there_are_any),
        cmocka_unit_test(series_are_told_by_issuer_and_distribution_point),
    };

    return cmocka_run_group_tests_name("revocation", tests, set_up, tear_down);
}
