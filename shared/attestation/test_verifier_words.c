/* What a person reads beside each verdict: that something was accepted because the policy says so
 * is never hidden, and what was found is named. */
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

#define HEX8(b)  b b b b b b b b
#define HEX48(b) HEX8(b) HEX8(b) HEX8(b) HEX8(b) HEX8(b) HEX8(b)
#define OURS     "at least bootloader 9, tee 0, snp 24, microcode 80 (the test)"

struct words {
    const char *step;
    size_t at; /* bytes of the report that become value; n 0: none */
    uint8_t value;
    size_t n;
    void (*tweak)(struct verify_policy *policy);
    const char *expected, *actual; /* NULL: not looked at */
};

static void allow_debug(struct verify_policy *policy)
{
    policy->guest_policy.allow = 1u << 19;
}
static void accept_agent(struct verify_policy *policy)
{
    policy->accept_migration_agent = true;
}
static void accept_vlek(struct verify_policy *policy)
{
    policy->accept_vlek = true;
}
static void accept_provisional(struct verify_policy *policy)
{
    policy->accept_provisional_firmware = true;
}
static void any_values(struct verify_policy *policy)
{
    policy->any_measurement = policy->any_host_data = policy->any_chip_id = policy->any_tcb = true;
}
static void no_values(struct verify_policy *policy)
{
    policy->measurements = NULL;
    policy->host_data = NULL;
    policy->report_data = NULL;
    policy->chip_ids = NULL;
    policy->n_measurements = policy->n_chip_ids = 0;
}
static void an_image(struct verify_policy *policy)
{
    no_values(policy);
    policy->image_version = "1.2.3";
}
static void one_measurement(struct verify_policy *policy)
{
    static const uint8_t one[1][48] = {{[0 ... 47] = 0x4d}};

    policy->measurements = one;
    policy->n_measurements = 1;
}
static void two_chips(struct verify_policy *policy)
{
    static uint8_t chips[2][64];

    memcpy(chips[1], policy->chip_ids[0], 64);
    chips[0][0] = 1;
    policy->chip_ids = (const uint8_t(*)[64])chips;
    policy->n_chip_ids = 2;
}
static void no_keys(struct verify_policy *policy)
{
    policy->n_id_keys = policy->n_author_keys = policy->guest_svn = 0;
}
static void id_keys_only(struct verify_policy *policy)
{
    policy->n_author_keys = 0;
}
static void author_keys_only(struct verify_policy *policy)
{
    policy->n_id_keys = 0;
}
static void no_firmware(struct verify_policy *policy)
{
    policy->firmware = (struct policy_firmware){};
}
static void built_in_minimums(struct verify_policy *policy)
{
    policy->minimums = NULL;
    policy->n_minimums = 0;
}
static void amd_roots(struct verify_policy *policy)
{
    policy->roots = kit.amd;
}

static void two_and_three(struct verify_policy *policy)
{
    policy->report_versions = 1u << 2 | 1u << 3;
}
static void five_or_newer(struct verify_policy *policy)
{
    policy->report_versions = 1u << 5;
    policy->accept_unknown_versions = true;
}

static const struct words rows[] = {
    {"chain", 0, 0, 0, NULL, "a chain to the given root", NULL},
    {"chain", 0, 0, 0, amd_roots, "a chain to AMD's root key", NULL},
    {"version", 0x000, 9, 1, NULL, "3 5 only", "9, not known, read as 5"},
    {"version", 0, 0, 0, two_and_three, "2 3 only", "5"},
    {"version", 0, 0, 0, five_or_newer, "5 or newer", "5"},
    {"signing_key", 0, 0, 0, NULL, "VCEK", "VCEK"},
    {"signing_key", 0, 0, 0, accept_vlek, "VCEK, or VLEK of an accepted cloud", "VCEK"},
    {"provisional", 0, 0, 0, NULL, "committed = current", "committed"},
    {"provisional", 0x03e, 27, 1, accept_provisional, "any, as asked for", "provisional"},
    {"provisional", 0, 0, 0, accept_provisional, "any, as asked for", "committed"},
    {"tcb_minimum", 0, 0, 0, NULL, OURS, "reported, committed, current and launch"},
    {"tcb_minimum", 0, 0, 0, any_values, "any, as asked for", ""},
    {"tcb_minimum", 0x1f6, 9, 2, NULL, OURS, "launch snp 9 < 24, launch microcode 9 < 80"},
    {"tcb_minimum", 0, 0, 0, built_in_minimums,
     "at least bootloader 10, tee 0, snp 23, microcode 84 (AMD-SB-3019, Genoa 0x0a101154; built-in "
     "minimums "
     "of " POLICY_MINIMUMS_VERSION ")",
     NULL},
    {"tcb_minimum", 0x18a, 3, 1, NULL, "a minimum for this processor",
     "family 0x19, model 0x11, stepping 3"},
    {"firmware", 0, 0, 0, NULL, "at least 1.55.43", "1.55.43, committed 1.55.43"},
    {"firmware", 0, 0, 0, no_firmware, "any: no minimum is set", NULL},
    {"report_data", 0x050, 0xee, 64, NULL, HEX48("44") HEX8("44") HEX8("44"),
     HEX48("ee") HEX8("ee") HEX8("ee")},
    {"report_data", 0, 0, 0, no_values, "not given", NULL},
    {"measurement", 0, 0, 0, NULL, "one of 2 published values", HEX48("4d")},
    {"measurement", 0x090, 0xee, 48, NULL, "one of 2 published values", HEX48("ee")},
    {"measurement", 0, 0, 0, one_measurement, HEX48("4d"), HEX48("4d")},
    {"measurement", 0, 0, 0, any_values, "any, as asked for", HEX48("4d")},
    {"measurement", 0, 0, 0, no_values, "not given", HEX48("4d")},
    {"measurement", 0, 0, 0, an_image, "those of image 1.2.3, not at hand", HEX48("4d")},
    {"host_data", 0, 0, 0, any_values, "any, as asked for", NULL},
    {"host_data", 0, 0, 0, no_values, "not given", NULL},
    {"debug", 0, 0, 0, NULL, "off", "off"},
    {"debug", 0x00a, 0x0b, 1, NULL, "off", "on"},
    {"debug", 0x00a, 0x0b, 1, allow_debug, "any, as asked for", "on"},
    {"debug", 0, 0, 0, allow_debug, "any, as asked for", "off"},
    {"migration", 0, 0, 0, NULL, "no migration agent", "none"},
    {"migration", 0x160, 0x00, 1, accept_agent, "any, as asked for", "an agent"},
    {"migration", 0, 0, 0, accept_agent, "any, as asked for", "none"},
    {"guest_policy", 0, 0, 0, NULL, "set: smt; not set: cxl_allow", "smt"},
    {"platform_info", 0x040, 0x05, 1, NULL, "set: alias_check_complete; not set: none",
     "without alias_check_complete"},
    {"chip", 0, 0, 0, two_chips, "one of 2 chips", NULL},
    {"chip", 0, 0, 0, any_values, "any, as asked for", NULL},
    {"chip", 0, 0, 0, no_values, "not given", NULL},
    {"id_block", 0, 0, 0, NULL, "one of 1 ID keys, 1 author keys, version at least 7",
     "version 7 by ID key " HEX48("1d")},
    {"id_block", 0, 0, 0, id_keys_only, "one of 1 ID keys, 0 author keys, version at least 7",
     NULL},
    {"id_block", 0, 0, 0, author_keys_only, "one of 0 ID keys, 1 author keys, version at least 7",
     NULL},
    {"id_block", 0, 0, 0, no_keys, "any: no key is asked for", NULL},
    {"id_block", 0x0e0, 0, 48, no_keys, "any: no key is asked for", "none"},
    {"mitigations", 0, 0, 0, NULL, "launch 0x1, current 0x1", NULL},
};

static void steps_say_what_was_asked_for_and_what_was_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const struct words *row = &rows[i];
        struct verify_policy policy = kit_policy(&kit);
        struct tee_evidence evidence;
        struct verify_result result;

        if (row->tweak)
            row->tweak(&policy);
        kit_evidence(&kit, &evidence);
        memset(evidence.report + row->at, row->value, row->n);
        kit_sign(&kit, evidence.report);
        kit_appraise(&policy, &evidence, &result);
        const struct verify_step *step = kit_step(&result, row->step);
        if ((row->expected && strcmp(step->expected, row->expected) != 0) ||
            (row->actual && strcmp(step->actual, row->actual) != 0))
            fail_msg("row %zu, '%s': expected '%s', actual '%s'", i, row->step, step->expected,
                     step->actual);
        verify_result_done(&result);
        tee_evidence_done(&evidence);
    }
}

static void the_one_chip_that_is_meant_is_named(void **state)
{
    (void)state;
    const struct verify_policy policy = kit_policy(&kit);
    struct tee_evidence evidence;
    struct verify_result result;

    kit_evidence(&kit, &evidence);
    kit_appraise(&policy, &evidence, &result);
    const struct verify_step *chip = kit_step(&result, "chip");
    assert_int_equal(strlen(chip->expected), 128);
    assert_string_equal(chip->expected, chip->actual);
    verify_result_done(&result);
    tee_evidence_done(&evidence);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_say_what_was_asked_for_and_what_was_found),
        cmocka_unit_test(the_one_chip_that_is_meant_is_named),
    };

    return cmocka_run_group_tests_name("verifier words", tests, set_up, tear_down);
}
