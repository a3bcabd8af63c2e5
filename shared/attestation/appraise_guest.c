/* What the host may do to the guest, what the host is like, and who in the guest asked. */
#include <string.h>

#include "shared/attestation/appraisal.h"
#include "shared/attestation/report_bits.h"

#define VMPL_HOST         UINT32_MAX
#define VMPL_MAX          3
#define BIT(n)            (UINT64_C(1) << (n))
#define POLICY_CXL        BIT(21)
#define POLICY_FORBIDDEN  (REPORT_POLICY_DEBUG | REPORT_POLICY_MIGRATE_MA | POLICY_CXL)
#define PLATFORM_REQUIRED BIT(5) /* ALIAS_CHECK_COMPLETE: AMD-SB-3015 */
#define OWN_STEPS         (REPORT_POLICY_DEBUG | REPORT_POLICY_MIGRATE_MA)

static uint64_t forbidden(uint64_t by_default, const struct policy_bits *bits)
{
    return (by_default & ~bits->allow & ~bits->require) | bits->forbid;
}

static uint64_t required(uint64_t by_default, const struct policy_bits *bits)
{
    return (by_default & ~bits->allow & ~bits->forbid) | bits->require;
}

static void appraise_debug(struct appraisal *a)
{
    bool refused = forbidden(POLICY_FORBIDDEN, &a->policy->guest_policy) & REPORT_POLICY_DEBUG;
    bool on = a->report.policy & REPORT_POLICY_DEBUG;

    if (on && refused)
        appraise_problem(a, "debug_on", "off", "on");
    else
        appraise_pass(a, "debug", refused ? "off" : "any, as asked for", on ? "on" : "off");
}

static void appraise_migration(struct appraisal *a)
{
    static const uint8_t no_agent[32] = {[0 ... 31] = 0xff};
    uint64_t refused = forbidden(POLICY_FORBIDDEN, &a->policy->guest_policy);
    bool allowed = a->report.policy & REPORT_POLICY_MIGRATE_MA;
    bool agent = memcmp(a->report.report_id_ma, no_agent, sizeof(no_agent)) != 0;

    if (allowed && (refused & REPORT_POLICY_MIGRATE_MA))
        appraise_problem(a, "migration_allowed", "no migration agent", NULL);
    else if (agent && !a->policy->accept_migration_agent)
        appraise_problem(a, "migration_agent", "no migration agent", NULL);
    else
        appraise_pass(a, "migration",
                      a->policy->accept_migration_agent ? "any, as asked for"
                                                        : "no migration agent",
                      agent ? "an agent" : "none");
}

struct bits_check {
    const char *step; /* the codes are named after it */
    const struct report_bit *names;
    size_t n_names;
    uint64_t value, forbidden, required, unknown;
};

static const char *bits_text(const struct appraisal *a, const struct bits_check *check,
                             uint64_t value)
{
    return report_bits_text(check->names, check->n_names, value, a->result->arena);
}

static void appraise_bits(struct appraisal *a, const struct bits_check *check)
{
    struct arena *arena = a->result->arena;
    const char *expected =
        arena_printf(arena, "set: %s; not set: %s", bits_text(a, check, check->required),
                     bits_text(a, check, check->forbidden));
    const char *problem = NULL, *actual = bits_text(a, check, check->value);

    if (check->value & check->forbidden) {
        problem = "forbidden";
        actual = bits_text(a, check, check->value & check->forbidden);
    } else if (~check->value & check->required) {
        problem = "required";
        actual =
            arena_printf(arena, "without %s", bits_text(a, check, ~check->value & check->required));
    } else if (check->unknown && a->policy->refuse_unknown_bits) {
        problem = "unknown_bits";
        actual = bits_text(a, check, check->unknown);
    }
    if (problem)
        appraise_problem(a, arena_printf(arena, "%s_%s", check->step, problem), expected, actual);
    else
        appraise_pass(a, check->step, expected, actual);
}

static void appraise_guest_policy(struct appraisal *a)
{
    const struct policy_bits *bits = &a->policy->guest_policy;
    uint64_t value = a->report.policy & ~UINT64_C(0xffff) & ~REPORT_POLICY_RESERVED_1;
    struct bits_check check = {
        .step = "guest_policy",
        .value = value,
        .forbidden = forbidden(POLICY_FORBIDDEN, bits) & ~OWN_STEPS,
        .required = required(0, bits),
        .unknown = report_policy_unknown(value),
    };

    check.names = report_policy_bits(&check.n_names);
    appraise_bits(a, &check);
}

static void appraise_platform_info(struct appraisal *a)
{
    const struct policy_bits *bits = &a->policy->platform_info;
    struct bits_check check = {
        .step = "platform_info",
        .value = a->report.platform_info,
        .forbidden = forbidden(0, bits),
        .required = required(PLATFORM_REQUIRED, bits),
        .unknown = report_platform_unknown(a->report.platform_info),
    };

    check.names = report_platform_bits(&check.n_names);
    appraise_bits(a, &check);
}

/* POLICY bits 15:8 and 7:0: the oldest firmware interface that the guest may run on. */
static void appraise_abi(struct appraisal *a)
{
    uint64_t least = (uint64_t)a->policy->abi_major << 8 | a->policy->abi_minor;
    uint64_t abi = a->report.policy & 0xffff;
    const char *expected = arena_printf(a->result->arena, "at least %u.%u", a->policy->abi_major,
                                        a->policy->abi_minor);
    const char *actual =
        arena_printf(a->result->arena, "%u.%u", (unsigned)(abi >> 8), (unsigned)(abi & 0xff));

    if (abi < least)
        appraise_problem(a, "abi_below", expected, actual);
    else
        appraise_pass(a, "abi", expected, actual);
}

static void appraise_vmpl(struct appraisal *a)
{
    uint32_t vmpl = a->report.vmpl;
    const char *expected = arena_printf(a->result->arena, "%u", a->policy->vmpl);
    const char *actual = arena_printf(a->result->arena, "%u", vmpl);

    if (vmpl == VMPL_HOST)
        appraise_problem(a, "vmpl_host", expected, NULL);
    else if (vmpl != a->policy->vmpl || vmpl > VMPL_MAX)
        appraise_problem(a, "vmpl_differs", expected, actual);
    else
        appraise_pass(a, "vmpl", expected, actual);
}

void appraise_guest(struct appraisal *a)
{
    appraise_debug(a);
    appraise_migration(a);
    appraise_guest_policy(a);
    appraise_abi(a);
    appraise_platform_info(a);
    appraise_vmpl(a);
}
