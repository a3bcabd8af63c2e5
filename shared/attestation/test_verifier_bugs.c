/* Bugs that were found in verifiers, by the numbers of their list; each must not happen here. */
#include "shared/attestation/test_kit.h"

#include <string.h>

#include "shared/attestation/certificates.h"
#include "shared/attestation/dev_certificate.h"
#include "shared/attestation/product.h"
#include "shared/attestation/roots.h"

static struct kit kit;

static int set_up(void **state)
{
    (void)state;
    kit_init(&kit);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kit_done(&kit);
    return 0;
}

static struct certificate_view view_of(const struct buffer *buffer)
{
    return (struct certificate_view){buffer->data, buffer->size};
}

/* A whole chain with every name right, by keys that nobody trusts. */
struct forged {
    struct buffer vcek, ask, ark;
};

static void forge(struct forged *ret)
{
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *ark_key = test_foreign_key(0),
                                       *ask_key = test_foreign_key(1);
    _cleanup_(X509_freep) X509 *ark = NULL, *ask = NULL, *vcek = NULL;

    *ret = (struct forged){};
    expect_ok(dev_certificate_issuer(ark_key, NULL, NULL, &ark));
    expect_ok(dev_certificate_issuer(ask_key, ark, ark_key, &ask));
    expect_ok(dev_certificate_vcek(kit.vcek_key, processor_chip_id(kit.fleet.processors[0]), ask,
                                   ask_key, &vcek));
    kit_der(vcek, &ret->vcek);
    kit_der(ask, &ret->ask);
    kit_der(ark, &ret->ark);
}

static void forged_done(struct forged *forged)
{
    buffer_done(&forged->vcek);
    buffer_done(&forged->ask);
    buffer_done(&forged->ark);
}

static void bug_1_no_roots_does_not_mean_any_root(void **state)
{
    (void)state;
    struct verify_policy policy = kit_policy(&kit);
    struct tee_evidence evidence;
    struct verify_result result;

    kit_evidence(&kit, &evidence);
    policy.roots = NULL;
    verify_result_init(&result);
    expect_code(verify_snp(&policy, evidence.report, TEE_REPORT_SIZE, evidence.certificates.data,
                           evidence.certificates.size, &result),
                ERROR_INVALID_ARGUMENT);
    assert_int_equal(verify_result_verdict(&result), VERDICT_UNKNOWN);
    verify_result_done(&result);
    tee_evidence_done(&evidence);
}

/* For AMD's roots and for a given one: what the evidence or the collateral carries is no root. */
static void bug_1_and_2_a_carried_root_is_never_trusted(void **state)
{
    (void)state;
    struct forged forged;

    forge(&forged);
    const struct certificate_view vcek = view_of(&forged.vcek), ask = view_of(&forged.ask),
                                  ark = view_of(&forged.ark), none = {};
    const struct certificate_view extra[] = {ask, ark};
    const struct verify_collateral collateral = {
        .certificates = extra, .n_certificates = 2, .crls = kit.crls, .n_crls = 1};
    const struct trust_roots *const roots[] = {kit.roots, kit.amd};
    for (size_t i = 0; i < 2; i++) {
        struct verify_policy policy = kit_policy(&kit);
        struct tee_evidence evidence;
        struct verify_result result;

        policy.roots = roots[i];
        kit_evidence(&kit, &evidence);
        kit_replace(&evidence, &(struct kit_table){.vcek = &vcek, .ask = &ask, .ark = &ark});
        kit_appraise(&policy, &evidence, &result);
        assert_string_equal(kit_step(&result, "chain")->code, "chain_root");
        assert_non_null(strstr(kit_step(&result, "chain")->actual, "CN=ARK-Genoa"));
        assert_non_null(strstr(kit_step(&result, "chain")->actual, "which is not trusted"));
        assert_string_equal(kit_step(&result, "signature")->code, "");
        assert_false(result.development);
        verify_result_done(&result);

        policy.collateral = &collateral;
        kit_replace(&evidence, &(struct kit_table){.ask = &none, .ark = &none});
        kit_appraise(&policy, &evidence, &result);
        assert_int_equal(kit_step(&result, "chain")->verdict, VERDICT_FAIL);
        verify_result_done(&result);
        tee_evidence_done(&evidence);
    }
    forged_done(&forged);
}

/* The anchor is the ARK alone: neither an ASK nor a shorter chain ends at it. */
static void bug_3_an_intermediate_is_no_anchor(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer ask = {}, ark = {}, direct = {};
    _cleanup_(X509_freep) X509 *vcek = NULL;
    struct verify_policy policy = kit_policy(&kit);
    struct tee_evidence evidence;

    kit_der(kit.ask, &ask);
    kit_der(kit.ark, &ark);
    expect_ok(dev_certificate_vcek(kit.vcek_key, processor_chip_id(kit.fleet.processors[0]),
                                   kit.ark, kit.ark_key, &vcek));
    kit_der(vcek, &direct);
    const struct certificate_view ask_view = view_of(&ask), ark_view = view_of(&ark),
                                  direct_view = view_of(&direct);
    const struct {
        struct kit_table table;
        const char *code;
    } cases[] = {
        {{.ark = &ask_view}, "chain_root"},
        {{.ask = &ark_view}, "chain_path"},
        {{.vcek = &direct_view, .ask = &ark_view}, "chain_path"},
        {{.vcek = &ask_view}, "chain_profile"},
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        struct verify_result result;

        kit_evidence(&kit, &evidence);
        kit_replace(&evidence, &cases[i].table);
        kit_appraise(&policy, &evidence, &result);
        assert_string_equal(kit_step(&result, "chain")->code, cases[i].code);
        verify_result_done(&result);
        tee_evidence_done(&evidence);
    }
}

/* A second intermediate by the same root and of the same name is not the known one. */
static void bug_3_only_known_intermediates_count(void **state)
{
    (void)state;
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = test_foreign_key(0);
    _cleanup_(X509_freep) X509 *ask = NULL, *vcek = NULL;
    _cleanup_buffer_ struct buffer ask_der = {}, vcek_der = {};
    struct verify_policy policy = kit_policy(&kit);
    struct tee_evidence evidence;

    expect_ok(dev_certificate_issuer(key, kit.ark, kit.ark_key, &ask));
    expect_ok(dev_certificate_vcek(kit.vcek_key, processor_chip_id(kit.fleet.processors[0]), ask,
                                   key, &vcek));
    kit_der(ask, &ask_der);
    kit_der(vcek, &vcek_der);
    const struct certificate_view ask_view = view_of(&ask_der), vcek_view = view_of(&vcek_der);
    kit_evidence(&kit, &evidence);
    kit_replace(&evidence, &(struct kit_table){.vcek = &vcek_view, .ask = &ask_view});
    kit_expect(&policy, &evidence, "chain_intermediate");
    tee_evidence_done(&evidence);
}

static void bug_4_a_wrong_report_data_is_fatal(void **state)
{
    (void)state;
    static const uint8_t other[64] = {0x44};
    struct verify_policy policy = kit_policy(&kit);
    struct tee_evidence evidence;

    kit_evidence(&kit, &evidence);
    policy.report_data = other;
    kit_expect(&policy, &evidence, "report_data_differs");
    policy.report_data = NULL;
    kit_expect(&policy, &evidence, "report_data_not_given");
    tee_evidence_done(&evidence);
}

/* A policy of zeros accepts nothing: each reference value that is missing is a step. */
static void bug_5_an_empty_policy_is_not_a_permission(void **state)
{
    (void)state;
    static const char *const codes[] = {"report_data_not_given", "measurement_not_given",
                                        "host_data_not_given", "chip_not_given",
                                        "revocation_no_crl"};
    struct verify_policy policy = {.roots = kit.roots, .at_ms = kit.now_ms};
    struct tee_evidence evidence;
    struct verify_result result;

    kit_evidence(&kit, &evidence);
    kit_appraise(&policy, &evidence, &result);
    assert_int_equal(verify_result_verdict(&result), VERDICT_UNKNOWN);
    for (size_t i = 0; i < ELEMENTSOF(codes); i++)
        assert_string_equal(kit_step(&result, verify_code_find(codes[i])->step)->code, codes[i]);
    verify_result_done(&result);
    tee_evidence_done(&evidence);
}

static void bug_6_unknown_bits_are_shown_not_refused(void **state)
{
    (void)state;
    struct verify_policy policy = kit_policy(&kit);
    struct tee_evidence evidence;
    struct verify_result result;

    kit_evidence(&kit, &evidence);
    evidence.report[0x00f] |= 0x80; /* POLICY bit 63 */
    evidence.report[0x00b] |= 0x02; /* bit 25: set on real machines before tools knew it */
    evidence.report[0x040] |= 0x40; /* PLATFORM_INFO bit 6: set on Turin */
    evidence.report[0x046] |= 0x01;
    kit_sign(&kit, evidence.report);
    kit_expect(&policy, &evidence, NULL);
    kit_appraise(&policy, &evidence, &result);
    assert_non_null(strstr(kit_step(&result, "guest_policy")->actual, "page_swap_disable, bit 63"));
    assert_non_null(strstr(kit_step(&result, "platform_info")->actual, "bit 6, bit 48"));
    verify_result_done(&result);
    tee_evidence_done(&evidence);
}

static void bug_7_turin_has_a_layout_of_its_own(void **state)
{
    (void)state;
    struct snp_tcb turin = snp_tcb_decode(SNP_PRODUCT_TURIN, UINT64_C(0x6100000005020301));
    struct snp_tcb genoa = snp_tcb_decode(SNP_PRODUCT_GENOA, UINT64_C(0x541900000000000a));

    char text[SNP_TCB_TEXT_SIZE];

    snp_tcb_format(SNP_PRODUCT_TURIN, &turin, text);
    assert_string_equal(text, "fmc 1, bootloader 3, tee 2, snp 5, microcode 97");
    snp_tcb_format(SNP_PRODUCT_GENOA, &genoa, text);
    assert_string_equal(text, "bootloader 10, tee 0, snp 25, microcode 84");
    assert_int_equal(turin.fmc, 1);
    assert_int_equal(turin.bootloader, 3);
    assert_int_equal(turin.tee, 2);
    assert_int_equal(turin.snp, 5);
    assert_int_equal(turin.microcode, 97);
    assert_int_equal(genoa.fmc, 0);
    assert_int_equal(genoa.bootloader, 10);
    assert_int_equal(genoa.snp, 25);
    assert_int_equal(genoa.microcode, 84);
}

static void bug_8_product_names_and_models_are_all_known(void **state)
{
    (void)state;
    static const struct {
        uint8_t family, model;
        enum snp_product product;
    } cases[] = {
        {0x19, 0x00, SNP_PRODUCT_MILAN},   {0x19, 0x01, SNP_PRODUCT_MILAN},
        {0x19, 0x0f, SNP_PRODUCT_MILAN},   {0x19, 0x10, SNP_PRODUCT_GENOA},
        {0x19, 0x11, SNP_PRODUCT_GENOA},   {0x19, 0x1f, SNP_PRODUCT_GENOA},
        {0x19, 0xa0, SNP_PRODUCT_GENOA},   {0x19, 0xaf, SNP_PRODUCT_GENOA},
        {0x1a, 0x00, SNP_PRODUCT_TURIN},   {0x1a, 0x1f, SNP_PRODUCT_TURIN},
        {0x19, 0x20, SNP_PRODUCT_UNKNOWN}, {0x19, 0x9f, SNP_PRODUCT_UNKNOWN},
        {0x19, 0xb0, SNP_PRODUCT_UNKNOWN}, {0x1a, 0x20, SNP_PRODUCT_UNKNOWN},
        {0x18, 0x01, SNP_PRODUCT_UNKNOWN}, {0x1b, 0x00, SNP_PRODUCT_UNKNOWN},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        assert_int_equal(snp_product_from_cpuid(cases[i].family, cases[i].model), cases[i].product);
    assert_int_equal(snp_product_from_name("Genoa"), SNP_PRODUCT_GENOA);
    assert_int_equal(snp_product_from_name("Milan-B0"), SNP_PRODUCT_MILAN);
    assert_int_equal(snp_product_from_name("Milano"), SNP_PRODUCT_UNKNOWN);
    assert_int_equal(snp_product_from_name("-B0"), SNP_PRODUCT_UNKNOWN);
    assert_int_equal(snp_product_from_name(""), SNP_PRODUCT_UNKNOWN);
}

/* A newer version's bytes mean nothing yet, but they are signed. */
static void bug_9_the_received_bytes_are_what_is_signed(void **state)
{
    (void)state;
    struct verify_policy policy = kit_policy(&kit);
    struct tee_evidence evidence;
    struct verify_result result;

    policy.accept_unknown_versions = true;
    kit_evidence(&kit, &evidence);
    evidence.report[0x000] = 6;
    evidence.report[0x230] = 0x5a;
    kit_sign(&kit, evidence.report);
    kit_expect(&policy, &evidence, NULL);
    evidence.report[0x230] = 0x5b;
    kit_appraise(&policy, &evidence, &result);
    assert_string_equal(kit_step(&result, "signature")->code, "signature_wrong");
    assert_string_equal(kit_step(&result, "format")->code, "");
    verify_result_done(&result);
    tee_evidence_done(&evidence);
}

/* Equal up to a NUL, or in all but the last byte, is not equal. */
static void bug_11_values_are_compared_whole(void **state)
{
    (void)state;
    struct verify_policy policy = kit_policy(&kit);
    struct tee_evidence evidence;
    uint8_t measurement[1][48] = {{0x4d}}, host_data[32] = {0x48};

    kit_evidence(&kit, &evidence);
    memset(evidence.report + 0x090 + 1, 0, 47);
    memset(evidence.report + 0x0c0 + 1, 0, 31);
    kit_sign(&kit, evidence.report);
    policy.measurements = (const uint8_t(*)[48])measurement;
    policy.n_measurements = 1;
    policy.host_data = host_data;
    kit_expect(&policy, &evidence, NULL);
    measurement[0][47] = 1;
    kit_expect(&policy, &evidence, "measurement_not_listed");
    measurement[0][47] = 0;
    host_data[31] = 1;
    kit_expect(&policy, &evidence, "host_data_differs");
    tee_evidence_done(&evidence);
}

/* Old firmware makes old reports: refused as such, and also by its levels when accepted. */
static void bug_12_an_older_version_is_no_way_around(void **state)
{
    (void)state;
    struct verify_policy policy = kit_policy(&kit);
    struct tee_evidence evidence;

    kit_evidence(&kit, &evidence);
    evidence.report[0x000] = 2;
    memset(evidence.report + 0x188, 0, 3);  /* no CPUID */
    memset(evidence.report + 0x1f8, 0, 16); /* no mitigation vectors */
    kit_sign(&kit, evidence.report);
    policy.launch_mitigations = policy.current_mitigations = 0;
    policy.n_minimums = 1; /* of one model: with several, which one is meant cannot be told */
    policy.report_versions = 1u << 2;
    struct policy_minimum minimum = {0x19, 0x11, 0x11, 1, 1, "the test", {}};
    policy.minimums = &minimum;
    kit_expect(&policy, &evidence, NULL);
    minimum.levels[POLICY_REPORTED].snp = 26;
    kit_expect(&policy, &evidence, "tcb_minimum_below");
    /* which one is meant cannot be told: what holds for all of them does */
    struct policy_minimum several[] = {minimum, minimum};
    policy.minimums = several;
    policy.n_minimums = 2;
    kit_expect(&policy, &evidence, "tcb_minimum_below");
    several[1].levels[POLICY_REPORTED].snp = 25;
    kit_expect(&policy, &evidence, "tcb_minimum_not_given");
    several[0].levels[POLICY_REPORTED].snp = 25;
    kit_expect(&policy, &evidence, NULL);
    several[1].levels[POLICY_REPORTED].snp = 26;
    kit_expect(&policy, &evidence, "tcb_minimum_not_given");
    several[1].levels[POLICY_REPORTED].snp = 25;
    several[0].family = several[1].family = 0x1a; /* another product */
    kit_expect(&policy, &evidence, "tcb_minimum_not_given");
    policy.any_tcb = true;
    policy.report_versions = 0;
    kit_expect(&policy, &evidence, "version_not_accepted");
    policy.report_versions = 1u << 2;
    policy.launch_mitigations = 1; /* a version 2 report has none */
    kit_expect(&policy, &evidence, "mitigations_missing");
    tee_evidence_done(&evidence);
}

static void bug_14_the_privilege_level_is_checked(void **state)
{
    (void)state;
    struct verify_policy policy = kit_policy(&kit);
    struct tee_evidence evidence;

    kit_evidence(&kit, &evidence);
    evidence.report[0x030] = 2;
    kit_sign(&kit, evidence.report);
    kit_expect(&policy, &evidence, "vmpl_differs");
    policy.vmpl = 2;
    kit_expect(&policy, &evidence, NULL);
    memset(evidence.report + 0x030, 0xff, 4);
    kit_sign(&kit, evidence.report);
    policy.vmpl = UINT32_MAX; /* not even when asked for */
    kit_expect(&policy, &evidence, "vmpl_host");
    evidence.report[0x030] = 4;
    memset(evidence.report + 0x031, 0, 3);
    kit_sign(&kit, evidence.report);
    policy.vmpl = 4;
    kit_expect(&policy, &evidence, "vmpl_differs");
    tee_evidence_done(&evidence);
}

static void bug_15_host_data_is_worth_its_expected_value_only(void **state)
{
    (void)state;
    static const uint8_t zero[32];
    struct verify_policy policy = kit_policy(&kit);
    struct tee_evidence evidence;

    kit_evidence(&kit, &evidence);
    policy.host_data = NULL;
    kit_expect(&policy, &evidence, "host_data_not_given");
    policy.host_data = zero;
    kit_expect(&policy, &evidence, "host_data_differs");
    tee_evidence_done(&evidence);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bug_1_no_roots_does_not_mean_any_root),
        cmocka_unit_test(bug_1_and_2_a_carried_root_is_never_trusted),
        cmocka_unit_test(bug_3_an_intermediate_is_no_anchor),
        cmocka_unit_test(bug_3_only_known_intermediates_count),
        cmocka_unit_test(bug_4_a_wrong_report_data_is_fatal),
        cmocka_unit_test(bug_5_an_empty_policy_is_not_a_permission),
        cmocka_unit_test(bug_6_unknown_bits_are_shown_not_refused),
        cmocka_unit_test(bug_7_turin_has_a_layout_of_its_own),
        cmocka_unit_test(bug_8_product_names_and_models_are_all_known),
        cmocka_unit_test(bug_9_the_received_bytes_are_what_is_signed),
        cmocka_unit_test(bug_11_values_are_compared_whole),
        cmocka_unit_test(bug_12_an_older_version_is_no_way_around),
        cmocka_unit_test(bug_14_the_privilege_level_is_checked),
        cmocka_unit_test(bug_15_host_data_is_worth_its_expected_value_only),
    };

    return cmocka_run_group_tests_name("verifier bugs", tests, set_up, tear_down);
}
