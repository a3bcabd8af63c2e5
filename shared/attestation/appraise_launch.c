/* Who vouched for the launch (ID block), and which mitigations were on. */
#include <inttypes.h>

#include "shared/attestation/appraisal.h"

/* Without an ID block its fields are zero; an author signs an ID key, never nothing. */
static bool id_block_is_consistent(const struct report *report)
{
    bool id_key = !appraise_is_zero(report->id_key_digest, 48);
    bool author = !appraise_is_zero(report->author_key_digest, 48);
    bool fields = report->guest_svn != 0 || !appraise_is_zero(report->family_id, 16) ||
                  !appraise_is_zero(report->image_id, 16);

    return author == report_author_key_is_enabled(report) && (id_key || (!author && !fields));
}

static const char *id_block_problem(const struct appraisal *a)
{
    const struct verify_policy *policy = a->policy;
    const struct report *report = &a->report;

    if (!id_block_is_consistent(report))
        return "id_block_inconsistent";
    if (policy->n_id_keys > 0 &&
        !appraise_is_listed(policy->id_keys, policy->n_id_keys, report->id_key_digest, 48))
        return "id_block_id_key";
    if (policy->n_author_keys > 0 &&
        (!report_author_key_is_enabled(report) ||
         !appraise_is_listed(policy->author_keys, policy->n_author_keys, report->author_key_digest,
                             48)))
        return "id_block_author_key";
    if (report->guest_svn < policy->guest_svn)
        return "id_block_guest_svn";
    return NULL;
}

static void appraise_id_block(struct appraisal *a)
{
    const struct verify_policy *policy = a->policy;
    const struct report *report = &a->report;
    const char *problem = id_block_problem(a), *actual = "none";
    const char *expected = "any: no key is asked for";

    if (policy->n_id_keys > 0 || policy->n_author_keys > 0)
        expected = arena_printf(a->result->arena,
                                "one of %zu ID keys, %zu author keys, version at least %u",
                                policy->n_id_keys, policy->n_author_keys, policy->guest_svn);
    if (!appraise_is_zero(report->id_key_digest, 48))
        actual = arena_printf(a->result->arena, "version %u by ID key %s", report->guest_svn,
                              appraise_hex(a, report->id_key_digest, 48));
    if (problem)
        appraise_problem(a, problem, expected, actual);
    else
        appraise_pass(a, "id_block", expected, actual);
}

static void appraise_mitigations(struct appraisal *a)
{
    const struct verify_policy *policy = a->policy;
    const struct report *report = &a->report;
    const char *expected =
        arena_printf(a->result->arena, "launch 0x%" PRIx64 ", current 0x%" PRIx64,
                     policy->launch_mitigations, policy->current_mitigations);
    const char *actual = arena_printf(a->result->arena, "launch 0x%" PRIx64 ", current 0x%" PRIx64,
                                      report->launch_mit_vector, report->current_mit_vector);

    if (policy->launch_mitigations & ~report->launch_mit_vector ||
        policy->current_mitigations & ~report->current_mit_vector)
        appraise_problem(a, "mitigations_missing", expected, actual);
    else
        appraise_pass(a, "mitigations", expected, actual);
}

void appraise_launch(struct appraisal *a)
{
    appraise_id_block(a);
    appraise_mitigations(a);
}
