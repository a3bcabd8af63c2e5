/* What is not there is told by each step that would need it, and never passes. */
#include "shared/attestation/test_kit.h"

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

struct missing {
    size_t report_size;
    bool without_certificates;
    uint8_t version;          /* 0: as it is */
    const char *const *codes; /* of all steps that do not pass, in order, NULL-ended */
};

#define HEAD     "format_not_a_report", "version_no_report", "product_no_report"
#define NO_KEY   "signing_key_no_certificate", "extensions_no_certificate", "signature_no_certificate"
#define NO_CHAIN "chain_no_vek", "validity_no_certificates", "revocation_no_chain"
#define FIELDS                                                                                     \
    "tcb_no_report", "provisional_no_report", "tcb_minimum_no_report", "firmware_no_report",       \
        "report_data_no_report", "measurement_no_report", "host_data_no_report",                   \
        "debug_no_report", "migration_no_report", "guest_policy_no_report", "abi_no_report",       \
        "platform_info_no_report", "vmpl_no_report", "chip_no_report", "id_block_no_report",       \
        "mitigations_no_report"

static const char *const no_report[] = {HEAD, NO_KEY, FIELDS, NULL};
static const char *const no_certificates[] = {NO_CHAIN, NO_KEY, NULL};
static const char *const nothing[] = {HEAD, NO_CHAIN, NO_KEY, FIELDS, NULL};
/* Version 2 has no CPUID: only the certificate would say what processor it is. */
static const char *const no_product[] = {
    "product_no_certificate", NO_CHAIN, NO_KEY, "tcb_no_product", "provisional_no_product",
    "tcb_minimum_not_given",  NULL};

static void expect_codes(const struct verify_result *result, const char *const *codes, size_t row)
{
    for (size_t i = 0; i < result->n_steps; i++) {
        const struct verify_step *step = &result->steps[i];

        if (step->verdict == VERDICT_PASS)
            continue;
        if (!*codes || strcmp(step->code, *codes) != 0)
            fail_msg("row %zu: '%s', not '%s'", row, step->code, *codes ? *codes : "a pass");
        codes++;
    }
    assert_null(*codes);
}

static void make_version_2(const struct missing *missing, struct tee_evidence *evidence,
                           struct verify_policy *policy)
{
    if (!missing->version)
        return;
    evidence->report[0x000] = missing->version;
    memset(evidence->report + 0x188, 0, 3);  /* no CPUID */
    memset(evidence->report + 0x1f8, 0, 16); /* no mitigation vectors */
    kit_sign(&kit, evidence->report);
    policy->report_versions = 1u << missing->version;
    policy->launch_mitigations = policy->current_mitigations = 0;
}

static void what_is_missing_is_said_by_every_step_that_needs_it(void **state)
{
    (void)state;
    static const struct missing rows[] = {
        {0, false, 0, no_report},
        {TEE_REPORT_SIZE - 1, false, 0, no_report},
        {TEE_REPORT_SIZE, true, 0, no_certificates},
        {0, true, 0, nothing},
        {TEE_REPORT_SIZE, true, 2, no_product},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        struct verify_policy policy = kit_policy(&kit);
        struct tee_evidence evidence;
        struct verify_result result;

        kit_evidence(&kit, &evidence);
        make_version_2(&rows[i], &evidence, &policy);
        verify_result_init(&result);
        expect_ok(
            verify_snp(&policy, evidence.report, rows[i].report_size, evidence.certificates.data,
                       rows[i].without_certificates ? 0 : evidence.certificates.size, &result));
        expect_codes(&result, rows[i].codes, i);
        assert_int_not_equal(verify_result_verdict(&result), VERDICT_PASS);
        verify_result_done(&result);
        tee_evidence_done(&evidence);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_missing_is_said_by_every_step_that_needs_it),
    };

    return cmocka_run_group_tests_name("verifier missing", tests, set_up, tear_down);
}
