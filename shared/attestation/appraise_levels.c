/* Firmware levels: in order, committed, and not below what is known to be open. */
#include <string.h>

#include "shared/attestation/appraisal.h"
#include "shared/base/buffer.h"

static struct snp_tcb decode(const struct appraisal *a, uint64_t raw)
{
    return snp_tcb_decode(a->product, raw);
}

static void appraise_order(struct appraisal *a)
{
    static const char expected[] = "reported <= committed <= current firmware level";
    struct snp_tcb reported = decode(a, a->report.reported_tcb);
    struct snp_tcb committed = decode(a, a->report.committed_tcb);
    struct snp_tcb current = decode(a, a->report.current_tcb);
    char text[SNP_TCB_TEXT_SIZE];

    snp_tcb_format(a->product, &reported, text);
    if (a->product == SNP_PRODUCT_UNKNOWN)
        appraise_problem(a, "tcb_no_product", expected, NULL);
    else if (!snp_tcb_at_most(&reported, &committed) || !snp_tcb_at_most(&committed, &current))
        appraise_problem(a, "tcb_order", expected, NULL);
    else
        appraise_pass(a, "tcb", expected, text);
}

static bool firmware_equal(const struct report_firmware *x, const struct report_firmware *y)
{
    return x->major == y->major && x->minor == y->minor && x->build == y->build;
}

/* Committed above current is no order of levels at all: that is step "tcb". */
static bool is_provisional(const struct appraisal *a)
{
    struct snp_tcb committed = decode(a, a->report.committed_tcb);
    struct snp_tcb current = decode(a, a->report.current_tcb);

    return (snp_tcb_at_most(&committed, &current) && !snp_tcb_equal(&committed, &current)) ||
           !firmware_equal(&a->report.committed, &a->report.current);
}

static void appraise_provisional(struct appraisal *a)
{
    const char *expected =
        a->policy->accept_provisional_firmware ? "any, as asked for" : "committed = current";

    if (a->product == SNP_PRODUCT_UNKNOWN)
        appraise_problem(a, "provisional_no_product", expected, NULL);
    else if (is_provisional(a) && !a->policy->accept_provisional_firmware)
        appraise_problem(a, "provisional_firmware", expected, NULL);
    else
        appraise_pass(a, "provisional", expected, is_provisional(a) ? "provisional" : "committed");
}

static bool covers(const struct policy_minimum *minimum, const struct appraisal *a)
{
    const struct report *report = &a->report;

    if (!report_has_cpuid(report)) /* the product is all that is known, if it is */
        return a->product != SNP_PRODUCT_UNKNOWN &&
               snp_product_from_cpuid(minimum->family, minimum->first_model) == a->product;
    return minimum->family == report->cpuid_family && minimum->first_model <= report->cpuid_model &&
           report->cpuid_model <= minimum->last_model &&
           minimum->first_stepping <= report->cpuid_stepping &&
           report->cpuid_stepping <= minimum->last_stepping;
}

/* "reported snp 8 < 23" for each component below its minimum. */
static void compare(struct buffer *text, const char *level, const struct snp_tcb *minimum,
                    const struct snp_tcb *actual)
{
    const struct {
        const char *name;
        uint8_t minimum, actual;
    } parts[] = {
        {"fmc", minimum->fmc, actual->fmc},
        {"bootloader", minimum->bootloader, actual->bootloader},
        {"tee", minimum->tee, actual->tee},
        {"snp", minimum->snp, actual->snp},
        {"microcode", minimum->microcode, actual->microcode},
    };

    for (size_t i = 0; i < ELEMENTSOF(parts); i++)
        if (parts[i].actual < parts[i].minimum)
            buffer_printf(text, "%s%s %s %u < %u", text->size ? ", " : "", level, parts[i].name,
                          parts[i].actual, parts[i].minimum);
}

/* What is below, or "". */
static const char *below_text(const struct appraisal *a, const struct policy_minimum *minimum)
{
    const struct {
        const char *name;
        uint64_t raw;
    } levels[POLICY_LEVELS] = {
        [POLICY_REPORTED] = {"reported", a->report.reported_tcb},
        [POLICY_COMMITTED] = {"committed", a->report.committed_tcb},
        [POLICY_CURRENT] = {"current", a->report.current_tcb},
        [POLICY_LAUNCH] = {"launch", a->report.launch_tcb},
    };
    _cleanup_buffer_ struct buffer below = {};

    for (size_t i = 0; i < POLICY_LEVELS; i++) {
        struct snp_tcb actual = decode(a, levels[i].raw);

        compare(&below, levels[i].name, &minimum->levels[i], &actual);
    }
    return arena_strdup(a->result->arena, buffer_text(&below));
}

static const char *minimum_text(const struct appraisal *a, const struct policy_minimum *minimum)
{
    char text[SNP_TCB_TEXT_SIZE];

    snp_tcb_format(a->product, &minimum->levels[POLICY_REPORTED], text);
    return arena_printf(
        a->result->arena, "at least %s (%s%s)", text, minimum->basis,
        a->policy->n_minimums > 0 ? "" : "; built-in minimums of " POLICY_MINIMUMS_VERSION);
}

/* The minimums that may be this processor's: with its CPUID the first that covers it, without all
 * of its product. */
struct minimums {
    size_t n, n_below;
    const struct policy_minimum *first;
    const char *below; /* of the first that it is below */
};

static struct minimums find_minimums(const struct appraisal *a)
{
    size_t n = a->policy->n_minimums;
    const struct policy_minimum *list = n > 0 ? a->policy->minimums : policy_default_minimums(&n);
    struct minimums found = {};

    for (size_t i = 0; i < n && (found.n == 0 || !report_has_cpuid(&a->report)); i++) {
        if (!covers(&list[i], a))
            continue;
        const char *below = below_text(a, &list[i]);
        if (found.n++ == 0)
            found.first = &list[i];
        if (below[0] && found.n_below++ == 0)
            found.below = below;
    }
    return found;
}

static void appraise_minimum(struct appraisal *a)
{
    static const char levels[] = "reported, committed, current and launch";
    const struct report *report = &a->report;

    if (a->policy->any_tcb) {
        appraise_pass(a, "tcb_minimum", "any, as asked for", "");
        return;
    }
    const struct minimums found = find_minimums(a);
    if (found.n == 0)
        appraise_problem(a, "tcb_minimum_not_given", "a minimum for this processor",
                         arena_printf(a->result->arena, "family 0x%x, model 0x%x, stepping %u",
                                      report->cpuid_family, report->cpuid_model,
                                      report->cpuid_stepping));
    else if (found.n_below == found.n)
        appraise_problem(a, "tcb_minimum_below", minimum_text(a, found.first), found.below);
    else if (found.n_below > 0)
        appraise_problem(a, "tcb_minimum_not_given", "a minimum for this processor",
                         "several of the product, and no CPUID to choose by");
    else
        appraise_pass(a, "tcb_minimum", minimum_text(a, found.first), levels);
}

static uint32_t firmware_number(unsigned int major, unsigned int minor, unsigned int build)
{
    return major << 16 | minor << 8 | build;
}

static void appraise_firmware(struct appraisal *a)
{
    const struct policy_firmware *minimum = &a->policy->firmware;
    const struct report_firmware *now = &a->report.current, *kept = &a->report.committed;
    uint32_t least = firmware_number(minimum->major, minimum->minor, minimum->build);
    const char *expected = least == 0
                               ? "any: no minimum is set"
                               : arena_printf(a->result->arena, "at least %u.%u.%u", minimum->major,
                                              minimum->minor, minimum->build);
    const char *actual =
        arena_printf(a->result->arena, "%u.%u.%u, committed %u.%u.%u", now->major, now->minor,
                     now->build, kept->major, kept->minor, kept->build);

    if (firmware_number(now->major, now->minor, now->build) < least ||
        firmware_number(kept->major, kept->minor, kept->build) < least)
        appraise_problem(a, "firmware_below", expected, actual);
    else
        appraise_pass(a, "firmware", expected, actual);
}

void appraise_levels(struct appraisal *a)
{
    appraise_order(a);
    appraise_provisional(a);
    appraise_minimum(a);
    appraise_firmware(a);
}
