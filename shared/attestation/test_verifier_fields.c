/*
 * One field changed, everything signed again: exactly the step that covers the field says so. Each
 * row is one check of the verifier; take the check out and the row fails.
 */
#include "shared/attestation/test_kit.h"

#include <string.h>

#include "shared/attestation/report.h"

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

static void any_chip(struct verify_policy *policy)
{
    policy->any_chip_id = true;
}
static void refuse_unknown(struct verify_policy *policy)
{
    policy->refuse_unknown_bits = true;
}
static void accept_provisional(struct verify_policy *policy)
{
    policy->accept_provisional_firmware = true;
}
static void no_smt_host(struct verify_policy *policy)
{
    policy->platform_info.forbid = 1;
}
static void deny_all_but(struct verify_policy *policy)
{
    static const uint8_t denied[1][64] = {{1}};

    policy->any_chip_id = true;
    policy->denied_chip_ids = denied;
    policy->n_denied_chip_ids = 1;
}

struct row {
    const char *code;
    size_t at;
    uint8_t flip;
    void (*tweak)(struct verify_policy *policy);
};

/* Offsets: SEV-SNP firmware ABI, ATTESTATION_REPORT. */
/* The kit's processor: family 0x19, model 0x11, stepping 1. */
static void minimum_for(struct verify_policy *policy, struct policy_minimum processors)
{
    static struct policy_minimum minimum;

    minimum = processors;
    minimum.basis = "the test";
    policy->minimums = &minimum;
    policy->n_minimums = 1;
}
static void minimum_of_higher_models(struct verify_policy *policy)
{
    minimum_for(policy, (struct policy_minimum){0x19, 0x12, 0x1f, 0, 255, "", {}});
}
static void minimum_of_lower_models(struct verify_policy *policy)
{
    minimum_for(policy, (struct policy_minimum){0x19, 0x00, 0x10, 0, 255, "", {}});
}
static void minimum_of_higher_steppings(struct verify_policy *policy)
{
    minimum_for(policy, (struct policy_minimum){0x19, 0x00, 0xff, 2, 255, "", {}});
}
static void minimum_of_lower_steppings(struct verify_policy *policy)
{
    minimum_for(policy, (struct policy_minimum){0x19, 0x00, 0xff, 0, 0, "", {}});
}
static void minimum_of_another_family(struct verify_policy *policy)
{
    minimum_for(policy, (struct policy_minimum){0x1a, 0x00, 0xff, 0, 255, "", {}});
}

static const struct row signed_rows[] = {
    {"format_algorithm", 0x034, 0x02, NULL},
    {"format_reserved", 0x04c, 0x01, NULL},
    {"format_reserved", 0x18b, 0x80, NULL},
    {"format_reserved", 0x19f, 0x01, NULL},
    {"format_reserved", 0x1eb, 0x01, NULL},
    {"format_reserved", 0x1ef, 0x01, NULL},
    {"format_reserved", 0x208, 0x01, NULL},
    {"format_reserved", 0x29f, 0x80, NULL},
    {"format_policy_bit", 0x00a, 0x02, NULL},
    {"format_key_info", 0x048, 0x20, NULL},
    {"format_key_info", 0x04b, 0x80, NULL},
    {"format_signing_key", 0x048, 0x1c, NULL},
    {"version_not_accepted", 0x000, 0x03, NULL}, /* 6 */
    {"version_not_accepted", 0x003, 0x80, NULL},
    {"product_differs", 0x189, 0x10, NULL},   /* Milan */
    {"product_differs", 0x188, 0x03, NULL},   /* Turin */
    {"product_not_known", 0x188, 0x02, NULL}, /* family 0x1b */
    {"product_not_known", 0x189, 0x60, NULL}, /* model 0x71 */
    {"signing_key_kind", 0x048, 0x04, NULL},
    {"extensions_tcb", 0x186, 0x01, NULL}, /* snp 24 */
    {"extensions_tcb", 0x187, 0x04, NULL}, /* microcode 80 */
    {"extensions_tcb", 0x180, 0x03, NULL}, /* bootloader 9 */
    {"extensions_chip", 0x1a0, 0x01, any_chip},
    {"extensions_chip", 0x1df, 0x80, any_chip},
    {"tcb_order", 0x1e6, 0x02, NULL},               /* committed snp 27 */
    {"tcb_order", 0x03e, 0x01, NULL},               /* current snp 24 */
    {"tcb_order", 0x1e6, 0x01, accept_provisional}, /* committed snp 24, reported 25 */
    {"provisional_firmware", 0x03e, 0x02, NULL},    /* current snp 27 */
    {"provisional_firmware", 0x1e8, 0x04, NULL},    /* current build 47 */
    {"provisional_firmware", 0x1ed, 0x40, NULL},    /* committed minor 119 */
    {"provisional_firmware", 0x1ea, 0x02, NULL},    /* current major 3 */
    {"tcb_minimum_below", 0x1f6, 0x10, NULL},       /* launch snp 9 */
    {"tcb_minimum_below", 0x1f7, 0x40, NULL},       /* launch microcode 20 */
    {"tcb_minimum_below", 0x1f0, 0x02, NULL},       /* launch bootloader 8 */
    {"tcb_minimum_not_given", 0x18a, 0x02, NULL},
    {"tcb_minimum_not_given", 0, 0, minimum_of_higher_models},
    {"tcb_minimum_not_given", 0, 0, minimum_of_lower_models},
    {"tcb_minimum_not_given", 0, 0, minimum_of_higher_steppings},
    {"tcb_minimum_not_given", 0, 0, minimum_of_lower_steppings},
    {"tcb_minimum_not_given", 0, 0, minimum_of_another_family},
    {"firmware_below", 0x1e8, 0x01, accept_provisional}, /* current build 42 */
    {"firmware_below", 0x1ec, 0x01, accept_provisional},
    {"firmware_below", 0x1e9, 0x01, accept_provisional}, /* minor 54 */
    {"firmware_below", 0x1ee, 0x01, accept_provisional}, /* major 0 */
    {"report_data_differs", 0x050, 0x01, NULL},
    {"report_data_differs", 0x08f, 0x80, NULL},
    {"measurement_not_listed", 0x090, 0x01, NULL},
    {"measurement_not_listed", 0x0bf, 0x80, NULL},
    {"host_data_differs", 0x0c0, 0x01, NULL},
    {"host_data_differs", 0x0df, 0x80, NULL},
    {"debug_on", 0x00a, 0x08, NULL},
    {"migration_allowed", 0x00a, 0x04, NULL},
    {"migration_agent", 0x160, 0x01, NULL},
    {"migration_agent", 0x17f, 0x80, NULL},
    {"guest_policy_forbidden", 0x00a, 0x20, NULL}, /* CXL */
    {"guest_policy_required", 0x00a, 0x01, NULL},  /* SMT */
    {"guest_policy_unknown_bits", 0x00f, 0x80, refuse_unknown},
    {"abi_below", 0x008, 0x10, NULL}, /* 0.15 */
    {"platform_info_required", 0x040, 0x20, NULL},
    {"platform_info_forbidden", 0x040, 0x00, no_smt_host},
    {"platform_info_unknown_bits", 0x040, 0x40, refuse_unknown},
    {"vmpl_differs", 0x030, 0x01, NULL},
    {"vmpl_differs", 0x031, 0x01, NULL},
    {"chip_hidden", 0x048, 0x02, NULL},
    {"id_block_inconsistent", 0x048, 0x01, NULL}, /* AUTHOR_KEY_EN */
    {"id_block_id_key", 0x0e0, 0x01, NULL},
    {"id_block_author_key", 0x13f, 0x80, NULL},
    {"id_block_guest_svn", 0x004, 0x01, NULL}, /* 6 */
    {"mitigations_missing", 0x1f8, 0x01, NULL},
    {"mitigations_missing", 0x200, 0x01, NULL},
};

/* Behind what is signed. */
static const struct row unsigned_rows[] = {
    {"signature_wrong", 0x2a0, 0x01, NULL}, {"signature_wrong", 0x2cf, 0x80, NULL},
    {"signature_wrong", 0x2e8, 0x01, NULL}, {"signature_wrong", 0x317, 0x80, NULL},
    {"format_scalar", 0x2d0, 0x01, NULL},   {"format_scalar", 0x2e7, 0x80, NULL},
    {"format_scalar", 0x318, 0x01, NULL},   {"format_scalar", 0x32f, 0x80, NULL},
    {"format_tail", 0x330, 0x01, NULL},     {"format_tail", 0x49f, 0x80, NULL},
};

static void check_row(const struct row *row, bool sign)
{
    struct verify_policy policy = kit_policy(&kit);
    struct tee_evidence evidence;

    if (row->tweak)
        row->tweak(&policy);
    kit_evidence(&kit, &evidence);
    evidence.report[row->at] ^= row->flip;
    if (sign)
        kit_sign(&kit, evidence.report);
    kit_expect(&policy, &evidence, row->code);
    tee_evidence_done(&evidence);
}

static void a_changed_field_fails_its_own_step_only(void **state)
{
    (void)state;
    struct verify_policy policy = kit_policy(&kit);
    struct tee_evidence evidence;

    kit_evidence(&kit, &evidence);
    kit_expect(&policy, &evidence, NULL);
    tee_evidence_done(&evidence);
    for (size_t i = 0; i < ELEMENTSOF(signed_rows); i++)
        check_row(&signed_rows[i], true);
    for (size_t i = 0; i < ELEMENTSOF(unsigned_rows); i++)
        check_row(&unsigned_rows[i], false);
}

/* Fields that are more than one byte to be what they must not be. */
static void fill(const char *code, size_t at, uint8_t value, size_t size,
                 void (*tweak)(struct verify_policy *))
{
    struct verify_policy policy = kit_policy(&kit);
    struct tee_evidence evidence;

    if (tweak)
        tweak(&policy);
    kit_evidence(&kit, &evidence);
    memset(evidence.report + at, value, size);
    kit_sign(&kit, evidence.report);
    kit_expect(&policy, &evidence, code);
    tee_evidence_done(&evidence);
}

static void list_a_zero_measurement(struct verify_policy *policy)
{
    static const uint8_t zero[1][48];

    policy->measurements = zero;
    policy->n_measurements = 1;
}
static void any_measurement(struct verify_policy *policy)
{
    policy->any_measurement = true;
}
static void list_a_zero_id_key(struct verify_policy *policy)
{
    policy->n_id_keys = 0;
}
static void accept_masked(struct verify_policy *policy)
{
    policy->accept_masked_chip = true;
    policy->any_chip_id = true;
}
static void accept_masked_but_deny(struct verify_policy *policy)
{
    deny_all_but(policy);
    policy->accept_masked_chip = true;
}

static void empty_fields_are_not_values(void **state)
{
    (void)state;
    fill("vmpl_host", 0x030, 0xff, 4, NULL);
    fill("measurement_none", 0x090, 0, 48, NULL);
    fill("measurement_none", 0x090, 0, 48, list_a_zero_measurement);
    fill("measurement_none", 0x090, 0, 48, any_measurement);
    fill("chip_hidden", 0x1a0, 0, 64, NULL);
    fill("chip_hidden", 0x1a0, 0, 64, any_chip);
    fill(NULL, 0x1a0, 0, 64, accept_masked);
    fill("chip_not_named", 0x1a0, 0, 64, accept_masked_but_deny);
    fill("id_block_inconsistent", 0x0e0, 0, 48, list_a_zero_id_key);
    fill("id_block_inconsistent", 0x110, 0, 48, NULL);
    fill("id_block_inconsistent", 0x110, 0, 48, list_a_zero_id_key);
}

/* Zero digests mean that there was no ID block, and then nothing may look as if there had been. */
struct id_block_row {
    const char *code;
    bool id_key, author_key, author_enabled;
    uint8_t guest_svn, family_id, image_id;
    void (*tweak)(struct verify_policy *);
};

static void ask_for_no_key(struct verify_policy *policy)
{
    policy->n_id_keys = policy->n_author_keys = policy->guest_svn = 0;
}
static void list_a_zero_author(struct verify_policy *policy)
{
    static const uint8_t zero[1][48];

    ask_for_no_key(policy);
    policy->author_keys = zero;
    policy->n_author_keys = 1;
}

static void an_id_block_is_all_there_or_not_at_all(void **state)
{
    (void)state;
    static const struct id_block_row rows[] = {
        {NULL, false, false, false, 0, 0, 0, ask_for_no_key},
        {NULL, true, false, false, 7, 1, 1, ask_for_no_key},
        {NULL, true, true, true, 0, 0, 0, ask_for_no_key},
        {"id_block_inconsistent", false, false, false, 1, 0, 0, ask_for_no_key},
        {"id_block_inconsistent", false, false, false, 0, 1, 0, ask_for_no_key},
        {"id_block_inconsistent", false, false, false, 0, 0, 1, ask_for_no_key},
        {"id_block_inconsistent", false, true, true, 0, 0, 0, ask_for_no_key},
        {"id_block_inconsistent", true, true, false, 7, 0, 0, ask_for_no_key},
        {"id_block_inconsistent", true, false, true, 7, 0, 0, ask_for_no_key},
        {"id_block_author_key", true, false, false, 7, 0, 0, NULL},
        {"id_block_author_key", true, false, false, 7, 0, 0, list_a_zero_author},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const struct id_block_row *row = &rows[i];
        struct verify_policy policy = kit_policy(&kit);
        struct tee_evidence evidence;

        kit_evidence(&kit, &evidence);
        uint8_t *report = evidence.report;
        report[0x004] = row->guest_svn;
        report[0x01f] = row->family_id; /* last bytes: all of them count */
        report[0x02f] = row->image_id;
        memset(report + 0x0e0, row->id_key ? 0x1d : 0, 48);
        memset(report + 0x110, row->author_key ? 0xa0 : 0, 48);
        report[0x048] = (uint8_t)((report[0x048] & ~1) | row->author_enabled);
        kit_sign(&kit, report);
        if (row->tweak)
            row->tweak(&policy);
        kit_expect(&policy, &evidence, row->code);
        tee_evidence_done(&evidence);
    }
}

/* What is a field in one version is reserved in those before; of later ones it cannot be known. */
static void reserved_bytes_are_those_of_the_version(void **state)
{
    (void)state;
    static const struct {
        uint8_t version;
        size_t at; /* this byte is set; 0: none */
        const char *code;
    } rows[] = {
        {2, 0, NULL},
        {2, 0x188, "format_reserved"},
        {2, 0x18a, "format_reserved"},
        {3, 0, NULL},
        {3, 0x1f8, "format_reserved"},
        {3, 0x207, "format_reserved"},
        {5, 0x1f9, NULL},
        {5, 0x208, "format_reserved"},
        {9, 0, NULL},
        {9, 0x208, NULL},
        {9, 0x18b, NULL},
        {4, 0, "version_not_accepted"},
        {5, 0x049, "format_key_info"},
        {9, 0x049, NULL},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        struct verify_policy policy = kit_policy(&kit);
        struct tee_evidence evidence;

        policy.report_versions = 1u << 2 | 1u << 3 | 1u << 5;
        policy.accept_unknown_versions = policy.any_tcb = true;
        policy.launch_mitigations = policy.current_mitigations = 0;
        kit_evidence(&kit, &evidence);
        uint8_t *report = evidence.report;
        report[0x000] = rows[i].version;
        memset(report + 0x1f8, 0, 16);
        if (rows[i].version == 2)
            memset(report + 0x188, 0, 3);
        if (rows[i].at)
            report[rows[i].at] = 1;
        kit_sign(&kit, report);
        kit_expect(&policy, &evidence, rows[i].code);
        tee_evidence_done(&evidence);
    }
}

static void the_first_minimum_for_a_processor_counts(void **state)
{
    (void)state;
    const struct policy_minimum low = {0x19, 0x11, 0x11, 1, 1, "the test", {}};
    struct policy_minimum high = low;
    struct tee_evidence evidence;

    high.levels[POLICY_REPORTED].snp = 255;
    const struct policy_minimum orders[2][2] = {{low, high}, {high, low}};
    kit_evidence(&kit, &evidence);
    for (size_t i = 0; i < 2; i++) {
        struct verify_policy policy = kit_policy(&kit);

        policy.minimums = orders[i];
        policy.n_minimums = 2;
        kit_expect(&policy, &evidence, i == 0 ? NULL : "tcb_minimum_below");
    }
    tee_evidence_done(&evidence);
}

/* Every step of the verifier is in this file's tables, or has a test file of its own. */
static void every_step_has_a_row(void **state)
{
    (void)state;
    static const char *const elsewhere[] = {"chain", "validity", "revocation"};
    struct verify_policy policy = kit_policy(&kit);
    struct tee_evidence evidence;
    struct verify_result result;

    kit_evidence(&kit, &evidence);
    kit_appraise(&policy, &evidence, &result);
    for (size_t i = 0; i < result.n_steps; i++) {
        const char *id = result.steps[i].id;
        bool found = false;

        for (size_t k = 0; k < ELEMENTSOF(signed_rows); k++)
            found |= strcmp(verify_code_find(signed_rows[k].code)->step, id) == 0;
        for (size_t k = 0; k < ELEMENTSOF(unsigned_rows); k++)
            found |= strcmp(verify_code_find(unsigned_rows[k].code)->step, id) == 0;
        for (size_t k = 0; k < ELEMENTSOF(elsewhere); k++)
            found |= strcmp(elsewhere[k], id) == 0;
        if (!found)
            fail_msg("no row for step '%s'", id);
        assert_true(result.steps[i].why[0] != '\0');
    }
    verify_result_done(&result);
    tee_evidence_done(&evidence);
}

struct switch_row {
    const char *code; /* without the switch; with it all pass */
    size_t at;
    uint8_t flip;
    void (*accept)(struct verify_policy *policy);
};

static void accept_reserved(struct verify_policy *policy)
{
    policy->accept_reserved = true;
}
static void accept_newer(struct verify_policy *policy)
{
    policy->accept_unknown_versions = true;
}
static void allow_debug(struct verify_policy *policy)
{
    policy->guest_policy.allow = 1u << 19;
}
static void allow_agent_bit(struct verify_policy *policy)
{
    policy->guest_policy.allow = 1u << 18;
}
static void accept_agent(struct verify_policy *policy)
{
    policy->accept_migration_agent = true;
}
static void allow_cxl(struct verify_policy *policy)
{
    policy->guest_policy.allow = 1u << 21;
}
static void allow_aliases(struct verify_policy *policy)
{
    policy->platform_info.allow = 1u << 5;
}
static void any_tcb(struct verify_policy *policy)
{
    policy->any_tcb = true;
}
static void any_host_data(struct verify_policy *policy)
{
    policy->any_host_data = true;
}

static void what_a_policy_accepts_by_name_passes(void **state)
{
    (void)state;
    static const struct switch_row rows[] = {
        {"format_reserved", 0x29f, 0x01, accept_reserved},
        {"format_key_info", 0x048, 0x20, accept_reserved},
        {"version_not_accepted", 0x000, 0x03, accept_newer},
        {"provisional_firmware", 0x03e, 0x02, accept_provisional},
        {"tcb_minimum_below", 0x1f6, 0x10, any_tcb},
        {"measurement_not_listed", 0x090, 0x01, any_measurement},
        {"host_data_differs", 0x0c0, 0x01, any_host_data},
        {"debug_on", 0x00a, 0x08, allow_debug},
        {"migration_allowed", 0x00a, 0x04, allow_agent_bit},
        {"migration_agent", 0x160, 0x01, accept_agent},
        {"guest_policy_forbidden", 0x00a, 0x20, allow_cxl},
        {"platform_info_required", 0x040, 0x20, allow_aliases},
        {"chip_hidden", 0x048, 0x02, accept_masked},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        struct verify_policy policy = kit_policy(&kit);
        struct tee_evidence evidence;

        kit_evidence(&kit, &evidence);
        evidence.report[rows[i].at] ^= rows[i].flip;
        kit_sign(&kit, evidence.report);
        kit_expect(&policy, &evidence, rows[i].code);
        rows[i].accept(&policy);
        kit_expect(&policy, &evidence, NULL);
        tee_evidence_done(&evidence);
    }
}

static void chips_can_be_listed_and_denied(void **state)
{
    (void)state;
    struct verify_policy policy = kit_policy(&kit);
    struct tee_evidence evidence;

    kit_evidence(&kit, &evidence);
    policy.chip_ids = (const uint8_t(*)[64])processor_chip_id(kit.fleet.processors[1]);
    kit_expect(&policy, &evidence, "chip_not_listed");
    policy.n_chip_ids = 0;
    kit_expect(&policy, &evidence, "chip_not_given");
    policy.any_chip_id = true;
    kit_expect(&policy, &evidence, NULL);
    policy.denied_chip_ids = (const uint8_t(*)[64])processor_chip_id(kit.fleet.processors[0]);
    policy.n_denied_chip_ids = 1;
    kit_expect(&policy, &evidence, "chip_denied");
    tee_evidence_done(&evidence);
}

static void levels_are_compared_by_component_on_all_four(void **state)
{
    (void)state;
    struct tee_evidence evidence;

    kit_evidence(&kit, &evidence);
    for (size_t level = 0; level < POLICY_LEVELS; level++) {
        for (size_t component = 0; component < 5; component++) {
            struct policy_minimum minimum = {0x19, 0x11, 0x11, 1, 1, "the test", {}};
            struct verify_policy policy = kit_policy(&kit);
            uint8_t *levels = (uint8_t *)&minimum.levels[level]; /* five bytes, in order */
            static const uint8_t has[] = {0, 10, 0, 25, 84};

            policy.minimums = &minimum;
            policy.n_minimums = 1;
            levels[component] = has[component];
            kit_expect(&policy, &evidence, NULL);
            levels[component]++;
            kit_expect(&policy, &evidence, "tcb_minimum_below");
        }
    }
    tee_evidence_done(&evidence);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_changed_field_fails_its_own_step_only),
        cmocka_unit_test(empty_fields_are_not_values),
        cmocka_unit_test(an_id_block_is_all_there_or_not_at_all),
        cmocka_unit_test(reserved_bytes_are_those_of_the_version),
        cmocka_unit_test(the_first_minimum_for_a_processor_counts),
        cmocka_unit_test(every_step_has_a_row),
        cmocka_unit_test(what_a_policy_accepts_by_name_passes),
        cmocka_unit_test(chips_can_be_listed_and_denied),
        cmocka_unit_test(levels_are_compared_by_component_on_all_four),
    };

    return cmocka_run_group_tests_name("verifier fields", tests, set_up, tear_down);
}
