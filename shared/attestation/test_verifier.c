/* Appraisal of evidence from the software processor: what must hold, and each way it must not. */
#include "shared/attestation/test_fleet.h"

#include <openssl/pem.h>
#include <sys/stat.h>

#include "shared/attestation/certificates.h"
#include "shared/attestation/dev_certificate.h"
#include "shared/attestation/report.h"
#include "shared/attestation/roots.h"
#include "shared/attestation/verifier.h"
#include "shared/base/clock.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"

static struct test_fleet fleet;
static struct trust_roots *roots, *amd;
static uint8_t report_data[64];
static uint8_t measurements[2][48];
static uint8_t host_data[32];

static int set_up(void **state)
{
    (void)state;
    test_fleet_init(&fleet);
    expect_ok(trust_roots_load(fleet.root, &roots));
    expect_ok(trust_roots_amd(&amd));
    memset(report_data, 0x44, sizeof(report_data));
    memset(measurements[0], 0x11, 48);
    memset(measurements[1], 0x4d, 48);
    memset(host_data, 0x48, sizeof(host_data));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    trust_roots_free(roots);
    trust_roots_free(amd);
    test_fleet_done(&fleet);
    return 0;
}

static const uint8_t (*chip_of(size_t host))[64]
{
    return (const uint8_t(*)[64])processor_chip_id(fleet.processors[host]);
}

static struct verify_policy strict(void)
{
    return (struct verify_policy){
        .roots = roots,
        .report_data = report_data,
        .host_data = host_data,
        .measurements = (const uint8_t(*)[48])measurements,
        .n_measurements = 2,
        .chip_ids = chip_of(0),
        .n_chip_ids = 1,
        .crl = POLICY_CRL_SOFT,
        .at_ms = clock_wall_ms(clock_system()),
    };
}

static void get_evidence(size_t host, const struct processor_guest *guest,
                         struct tee_evidence *ret_evidence)
{
    expect_ok(processor_report(fleet.processors[host], guest, report_data, ret_evidence));
}

static void appraise(const struct verify_policy *policy, const struct tee_evidence *evidence,
                     struct verify_result *ret_result)
{
    verify_result_init(ret_result);
    expect_ok(verify_snp(policy, evidence->report, TEE_REPORT_SIZE, evidence->certificates.data,
                         evidence->certificates.size, ret_result));
}

/* Exactly this step, and no other, has this verdict; the others pass. */
static void expect_only(const struct verify_policy *policy, const struct tee_evidence *evidence,
                        const char *id, enum verdict verdict)
{
    struct verify_result result;
    bool found = false;

    appraise(policy, evidence, &result);
    for (size_t i = 0; i < result.n_steps; i++) {
        const struct verify_step *step = &result.steps[i];
        bool named = id && strcmp(step->id, id) == 0;

        found |= named;
        if (step->verdict != (named ? verdict : VERDICT_PASS))
            fail_msg("step '%s': verdict %d, expected '%s', actual '%s'", step->id, step->verdict,
                     step->expected, step->actual);
    }
    assert_true(found || !id);
    assert_int_equal(verify_result_verdict(&result), id ? verdict : VERDICT_PASS);
    verify_result_done(&result);
}

static void good_evidence_passes_every_step(void **state)
{
    (void)state;
    struct processor_guest guest = test_guest();
    struct tee_evidence evidence;
    struct verify_policy policy = strict();
    struct verify_result result;

    get_evidence(0, &guest, &evidence);
    appraise(&policy, &evidence, &result);
    assert_int_equal(verify_result_verdict(&result), VERDICT_PASS);
    assert_int_equal(result.n_steps, 25);
    assert_true(result.development);
    verify_result_done(&result);
    expect_only(&policy, &evidence, NULL, VERDICT_PASS);
    tee_evidence_done(&evidence);
}

struct guest_case {
    const char *step;
    void (*change)(struct processor_guest *guest);
};

static void set_debug(struct processor_guest *guest)
{
    guest->policy |= REPORT_POLICY_DEBUG;
}
static void set_migration(struct processor_guest *guest)
{
    guest->policy |= REPORT_POLICY_MIGRATE_MA;
}
static void clear_policy_bit_17(struct processor_guest *guest)
{
    guest->policy = 0x10000;
}
static void set_vmpl(struct processor_guest *guest)
{
    guest->vmpl = 1;
}
static void set_vmpl_of_host(struct processor_guest *guest)
{
    guest->vmpl = UINT32_MAX;
}
static void change_measurement(struct processor_guest *guest)
{
    guest->measurement[47] ^= 1;
}
static void zero_measurement(struct processor_guest *guest)
{
    memset(guest->measurement, 0, 48);
}
static void change_host_data(struct processor_guest *guest)
{
    guest->host_data[0] ^= 0x80;
}

static void bad_guests_fail_at_their_step(void **state)
{
    (void)state;
    static const struct guest_case cases[] = {
        {"debug", set_debug},
        {"migration", set_migration},
        {"format", clear_policy_bit_17},
        {"vmpl", set_vmpl},
        {"vmpl", set_vmpl_of_host},
        {"measurement", change_measurement},
        {"measurement", zero_measurement},
        {"host_data", change_host_data},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        struct processor_guest guest = test_guest();
        struct tee_evidence evidence;
        struct verify_policy policy = strict();

        cases[i].change(&guest);
        get_evidence(0, &guest, &evidence);
        expect_only(&policy, &evidence, cases[i].step, VERDICT_FAIL);
        tee_evidence_done(&evidence);
    }
}

static void missing_reference_values_are_unknown_and_any_is_a_word(void **state)
{
    (void)state;
    struct processor_guest guest = test_guest();
    struct tee_evidence evidence;
    struct verify_policy policy = strict();

    get_evidence(0, &guest, &evidence);
    policy.measurements = NULL;
    policy.n_measurements = 0;
    expect_only(&policy, &evidence, "measurement", VERDICT_UNKNOWN);
    policy.any_measurement = true;
    expect_only(&policy, &evidence, NULL, VERDICT_PASS);
    policy = strict();
    policy.n_measurements = 0; /* an empty list allows nothing, and does not mean "any" */
    expect_only(&policy, &evidence, "measurement", VERDICT_UNKNOWN);
    policy = strict();
    policy.host_data = NULL;
    expect_only(&policy, &evidence, "host_data", VERDICT_UNKNOWN);
    policy.any_host_data = true;
    expect_only(&policy, &evidence, NULL, VERDICT_PASS);
    policy = strict();
    policy.report_data = NULL;
    expect_only(&policy, &evidence, "report_data", VERDICT_UNKNOWN);
    policy = strict();
    policy.n_chip_ids = 0;
    expect_only(&policy, &evidence, "chip", VERDICT_UNKNOWN);
    policy.any_chip_id = true;
    expect_only(&policy, &evidence, NULL, VERDICT_PASS);
    tee_evidence_done(&evidence);
}

static void wrong_reference_values_fail(void **state)
{
    (void)state;
    static const uint8_t zero[64];
    struct processor_guest guest = test_guest();
    struct tee_evidence evidence;
    struct verify_policy policy = strict();

    get_evidence(0, &guest, &evidence);
    policy.report_data = zero;
    expect_only(&policy, &evidence, "report_data", VERDICT_FAIL);
    policy = strict();
    policy.chip_ids = chip_of(1);
    expect_only(&policy, &evidence, "chip", VERDICT_FAIL);
    policy = strict();
    policy.vmpl = 1;
    expect_only(&policy, &evidence, "vmpl", VERDICT_FAIL);
    policy = strict();
    policy.at_ms += INT64_C(8) * 366 * 24 * 3600 * 1000;
    expect_only(&policy, &evidence, "validity", VERDICT_FAIL);
    policy.at_ms = 0;
    expect_only(&policy, &evidence, "validity", VERDICT_FAIL);
    tee_evidence_done(&evidence);
}

/* The development chain is worth nothing to whoever did not ask for it by name. */
static void development_root_is_refused_unless_given(void **state)
{
    (void)state;
    struct processor_guest guest = test_guest();
    struct tee_evidence evidence;
    struct verify_policy policy = strict();

    get_evidence(0, &guest, &evidence);
    policy.roots = amd;
    expect_only(&policy, &evidence, "chain", VERDICT_FAIL);
    tee_evidence_done(&evidence);
}

static void every_flipped_byte_is_refused(void **state)
{
    (void)state;
    struct processor_guest guest = test_guest();
    struct tee_evidence evidence;
    struct verify_policy policy = strict();

    get_evidence(0, &guest, &evidence);
    for (size_t i = 0; i < TEE_REPORT_SIZE; i++) {
        struct verify_result result;

        evidence.report[i] ^= 1;
        appraise(&policy, &evidence, &result);
        assert_int_equal(verify_result_verdict(&result), VERDICT_FAIL);
        verify_result_done(&result);
        evidence.report[i] ^= 1;
    }
    expect_only(&policy, &evidence, NULL, VERDICT_PASS);
    tee_evidence_done(&evidence);
}

static void wrong_sizes_are_refused(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 793, 1183, 1185, 2000};
    static const uint8_t report[2000] = {5};
    struct verify_policy policy = strict();

    for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
        struct verify_result result;
        struct snp_report parsed;

        verify_result_init(&result);
        expect_ok(verify_snp(&policy, report, sizes[i], NULL, 0, &result));
        assert_int_equal(result.n_steps, 25);
        assert_string_equal(verify_result_first_problem(&result)->id, "format");
        assert_int_equal(verify_result_verdict(&result), VERDICT_FAIL);
        verify_result_done(&result);
        expect_code(snp_report_parse(report, sizes[i], &parsed), ERROR_INVALID_ARGUMENT);
    }
}

static void unknown_versions_are_shown_but_refused(void **state)
{
    (void)state;
    static const uint8_t versions[] = {2, 4, 6, 255};
    struct processor_guest guest = test_guest();
    struct tee_evidence evidence;
    struct verify_policy policy = strict();

    get_evidence(0, &guest, &evidence);
    for (size_t i = 0; i < ELEMENTSOF(versions); i++) {
        struct verify_result result;
        struct snp_report parsed;

        evidence.report[0] = versions[i];
        expect_ok(snp_report_parse(evidence.report, TEE_REPORT_SIZE, &parsed));
        assert_int_equal(parsed.version, versions[i]);
        assert_memory_equal(parsed.measurement, guest.measurement, 48);
        appraise(&policy, &evidence, &result);
        bool refused = false;
        for (size_t k = 0; k < result.n_steps; k++)
            refused |= strcmp(result.steps[k].id, "version") == 0 &&
                       result.steps[k].verdict == VERDICT_FAIL;
        assert_true(refused);
        verify_result_done(&result);
    }
    evidence.report[0] = 1;
    struct snp_report parsed;
    expect_code(snp_report_parse(evidence.report, TEE_REPORT_SIZE, &parsed),
                ERROR_INVALID_ARGUMENT);
    tee_evidence_done(&evidence);
}

/* One entry of the evidence's table replaced. */
static void replace(struct tee_evidence *evidence, const struct tee_evidence *other, bool leaf)
{
    struct certificate_table table, from = {};
    _cleanup_buffer_ struct buffer bytes = {};

    expect_ok(
        certificate_table_parse(evidence->certificates.data, evidence->certificates.size, &table));
    if (other)
        expect_ok(
            certificate_table_parse(other->certificates.data, other->certificates.size, &from));
    if (leaf)
        table.vcek = from.vcek;
    else
        table.ark = from.ark;
    certificate_table_write(&table, &bytes);
    buffer_done(&evidence->certificates);
    evidence->certificates = bytes;
    bytes = (struct buffer){};
}

static void certificate_of_another_chip_is_refused(void **state)
{
    (void)state;
    struct processor_guest guest = test_guest();
    struct tee_evidence evidence, other;
    struct verify_policy policy = strict();
    struct verify_result result;

    get_evidence(0, &guest, &evidence);
    get_evidence(1, &guest, &other);
    replace(&evidence, &other, true);
    appraise(&policy, &evidence, &result);
    assert_string_equal(verify_result_first_problem(&result)->id, "extensions");
    for (size_t i = 0; i < result.n_steps; i++) {
        bool expected = strcmp(result.steps[i].id, "extensions") == 0 ||
                        strcmp(result.steps[i].id, "signature") == 0;
        assert_int_equal(result.steps[i].verdict, expected ? VERDICT_FAIL : VERDICT_PASS);
    }
    verify_result_done(&result);
    tee_evidence_done(&evidence);
    tee_evidence_done(&other);
}

/* The evidence of host 0 with this certificate in its table (NULL: none), these at hand. */
static void expect_key_step(const struct tee_evidence *carried,
                            const struct tee_evidence *const *at_hand, size_t n, const char *code)
{
    struct processor_guest guest = test_guest();
    struct verify_policy policy = strict();
    struct certificate_view views[2];
    struct certificate_table table;
    struct tee_evidence evidence;
    struct verify_result result;
    bool found = !code;

    for (size_t i = 0; i < n; i++) {
        expect_ok(certificate_table_parse(at_hand[i]->certificates.data,
                                          at_hand[i]->certificates.size, &table));
        views[i] = table.vcek;
    }
    const struct verify_collateral collateral = {.certificates = views, .n_certificates = n};
    policy.collateral = &collateral;
    get_evidence(0, &guest, &evidence);
    replace(&evidence, carried, true);
    appraise(&policy, &evidence, &result);
    for (size_t i = 0; code && i < result.n_steps; i++)
        found |= strcmp(result.steps[i].code, code) == 0;
    assert_true(found);
    assert_int_equal(verify_result_verdict(&result),
                     code ? verify_code_find(code)->verdict : VERDICT_PASS);
    verify_result_done(&result);
    tee_evidence_done(&evidence);
}

/* Certificates at hand are looked up: those of other chips are nobody's claim. */
static void a_folder_of_other_chips_cannot_tell(void **state)
{
    (void)state;
    struct processor_guest guest = test_guest();
    struct tee_evidence own, other;
    const struct tee_evidence *const both[] = {&other, &own};

    get_evidence(0, &guest, &own);
    get_evidence(1, &guest, &other);
    expect_key_step(NULL, both, 1, "chain_no_vek");
    expect_key_step(NULL, both, 2, NULL);
    expect_key_step(NULL, both + 1, 1, NULL);
    expect_key_step(NULL, NULL, 0, "chain_no_vek");
    tee_evidence_done(&own);
    tee_evidence_done(&other);
}

/* What the evidence carries it claims: the right one has its place, another changes nothing. */
static void a_carried_stale_certificate_is_bad_until_the_right_one_is_at_hand(void **state)
{
    (void)state;
    struct processor_guest guest = test_guest();
    struct tee_evidence own, other;
    const struct tee_evidence *const both[] = {&other, &own};

    get_evidence(0, &guest, &own);
    get_evidence(1, &guest, &other);
    expect_key_step(&other, NULL, 0, "extensions_chip");
    expect_key_step(&other, both, 1, "extensions_chip");
    expect_key_step(&other, both, 2, NULL);
    expect_key_step(&own, both, 1, NULL);
    tee_evidence_done(&own);
    tee_evidence_done(&other);
}

/* A report that hides its chip may be of any: looked up only while one key is in question. */
static void a_hidden_chip_is_looked_up_only_while_one_key_is_in_question(void **state)
{
    (void)state;
    struct processor_guest guest = test_guest();
    struct tee_evidence evidence, other;
    struct certificate_table table;
    struct verify_policy policy = strict();
    struct certificate_view views[2];

    get_evidence(0, &guest, &evidence);
    get_evidence(1, &guest, &other);
    expect_ok(
        certificate_table_parse(evidence.certificates.data, evidence.certificates.size, &table));
    views[0] =
        (struct certificate_view){xmemdup(table.vcek.data, table.vcek.size), table.vcek.size};
    expect_ok(certificate_table_parse(other.certificates.data, other.certificates.size, &table));
    views[1] = table.vcek;
    replace(&evidence, NULL, true);
    memset(evidence.report + 0x1a0, 0, 64);
    for (size_t n = 1; n <= 2; n++) {
        const struct verify_collateral collateral = {.certificates = views, .n_certificates = n};
        struct verify_result result;

        policy.collateral = &collateral;
        appraise(&policy, &evidence, &result);
        bool found = false; /* a chain */
        for (size_t i = 0; i < result.n_steps; i++)
            found |=
                strcmp(result.steps[i].id, "chain") == 0 && result.steps[i].verdict == VERDICT_PASS;
        assert_int_equal(found, n == 1);
        verify_result_done(&result);
    }
    free((void *)views[0].data);
    tee_evidence_done(&evidence);
    tee_evidence_done(&other);
}

static void missing_certificates_cannot_be_told(void **state)
{
    (void)state;
    struct processor_guest guest = test_guest();
    struct tee_evidence evidence;
    struct verify_policy policy = strict();
    struct verify_result result;

    get_evidence(0, &guest, &evidence);
    replace(&evidence, NULL, false); /* without ARK: the given root is at hand */
    expect_only(&policy, &evidence, NULL, VERDICT_PASS);
    policy.roots = amd;
    appraise(&policy, &evidence, &result); /* AMD's roots are pinned, not at hand */
    assert_string_equal(verify_result_first_problem(&result)->id, "chain");
    assert_int_equal(verify_result_verdict(&result), VERDICT_UNKNOWN);
    verify_result_done(&result);
    tee_evidence_done(&evidence);

    get_evidence(0, &guest, &evidence);
    buffer_done(&evidence.certificates);
    policy = strict();
    appraise(&policy, &evidence, &result);
    assert_int_equal(verify_result_verdict(&result), VERDICT_UNKNOWN);
    assert_string_equal(verify_result_first_problem(&result)->id, "chain");
    verify_result_done(&result);
    tee_evidence_done(&evidence);
}

/* Chains made by keys that the given root never signed, with all names right. */
static void forged_chains_are_refused(void **state)
{
    (void)state;
    struct processor_guest guest = test_guest();
    struct tee_evidence evidence, good;
    struct verify_policy policy = strict();
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *ark_key = test_foreign_key(0),
                                       *ask_key = test_foreign_key(1);
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *vcek_key = EVP_EC_gen("P-384");
    _cleanup_(X509_freep) X509 *ark = NULL, *ask = NULL, *vcek = NULL;
    struct certificate_table table;
    uint8_t *der[3] = {};
    int size[3];

    expect_ok(dev_certificate_issuer(ark_key, NULL, NULL, &ark));
    expect_ok(dev_certificate_issuer(ask_key, ark, ark_key, &ask));
    expect_ok(dev_certificate_vcek(vcek_key, processor_chip_id(fleet.processors[0]), ask, ask_key,
                                   &vcek));
    size[0] = i2d_X509(vcek, &der[0]);
    size[1] = i2d_X509(ask, &der[1]);
    size[2] = i2d_X509(ark, &der[2]);
    get_evidence(0, &guest, &good);
    for (int mask = 1; mask < 8; mask++) {
        struct verify_result result;

        get_evidence(0, &guest, &evidence);
        expect_ok(certificate_table_parse(good.certificates.data, good.certificates.size, &table));
        if (mask & 1)
            table.vcek = (struct certificate_view){der[0], (size_t)size[0]};
        if (mask & 2)
            table.ask = (struct certificate_view){der[1], (size_t)size[1]};
        if (mask & 4)
            table.ark = (struct certificate_view){der[2], (size_t)size[2]};
        buffer_done(&evidence.certificates);
        certificate_table_write(&table, &evidence.certificates);
        appraise(&policy, &evidence, &result);
        assert_string_equal(verify_result_first_problem(&result)->id, "chain");
        assert_int_equal(verify_result_verdict(&result), VERDICT_FAIL);
        assert_false(result.development);
        verify_result_done(&result);
        tee_evidence_done(&evidence);
    }
    for (int i = 0; i < 3; i++)
        OPENSSL_free(der[i]);
    tee_evidence_done(&good);
}

static void result_as_json_names_every_step(void **state)
{
    (void)state;
    struct processor_guest guest = test_guest();
    struct tee_evidence evidence;
    struct verify_policy policy = strict();
    struct verify_result result;

    policy.host_data = report_data;
    get_evidence(0, &guest, &evidence);
    appraise(&policy, &evidence, &result);
    json_auto_t *json = verify_result_to_json(&result);
    assert_string_equal(json_string_value(json_object_get(json, "verdict")), "fail");
    assert_true(json_is_true(json_object_get(json, "development")));
    assert_int_equal(json_array_size(json_object_get(json, "steps")), 25);
    verify_result_done(&result);
    tee_evidence_done(&evidence);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_evidence_passes_every_step),
        cmocka_unit_test(bad_guests_fail_at_their_step),
        cmocka_unit_test(missing_reference_values_are_unknown_and_any_is_a_word),
        cmocka_unit_test(wrong_reference_values_fail),
        cmocka_unit_test(development_root_is_refused_unless_given),
        cmocka_unit_test(every_flipped_byte_is_refused),
        cmocka_unit_test(wrong_sizes_are_refused),
        cmocka_unit_test(unknown_versions_are_shown_but_refused),
        cmocka_unit_test(certificate_of_another_chip_is_refused),
        cmocka_unit_test(a_folder_of_other_chips_cannot_tell),
        cmocka_unit_test(a_carried_stale_certificate_is_bad_until_the_right_one_is_at_hand),
        cmocka_unit_test(a_hidden_chip_is_looked_up_only_while_one_key_is_in_question),
        cmocka_unit_test(missing_certificates_cannot_be_told),
        cmocka_unit_test(forged_chains_are_refused),
        cmocka_unit_test(result_as_json_names_every_step),
    };

    return cmocka_run_group_tests_name("verifier", tests, set_up, tear_down);
}
