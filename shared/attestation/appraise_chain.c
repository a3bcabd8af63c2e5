/* What the chain says, as steps: does it lead to a trusted root, is it in date, is it revoked? */
#include <string.h>

#include "shared/attestation/appraisal.h"
#include "shared/base/clock.h"

static bool roots_are_amd(const struct trust_roots *roots)
{
    for (size_t i = 0; i < roots->n; i++)
        if (roots->roots[i].development)
            return false;
    return true;
}

void appraise_chain(struct appraisal *a)
{
    const char *expected =
        roots_are_amd(a->policy->roots) ? "a chain to AMD's root key" : "a chain to the given root";

    if (a->chain->code)
        appraise_problem(a, a->chain->code, expected, a->chain->text);
    else
        appraise_pass(a, "chain", expected, a->chain->text);
    a->result->development = a->chain->development;
}

static const char *time_text(const struct appraisal *a, int64_t ms)
{
    char text[CLOCK_TEXT_SIZE];

    clock_format(ms, text);
    return arena_strdup(a->result->arena, text);
}

/* RFC 5280 section 4.1.2.5: both ends belong to the validity. */
static bool in_date(const struct chain *chain, int place, int64_t at_ms)
{
    return chain->from_ms[place] <= at_ms && at_ms <= chain->until_ms[place];
}

void appraise_validity(struct appraisal *a)
{
    int64_t at_ms = a->policy->at_ms;
    const char *expected =
        arena_printf(a->result->arena, "all certificates in date at %s", time_text(a, at_ms));

    for (int i = 0; i < CHAIN_LENGTH; i++) {
        if (!a->chain->certificates[i]) {
            appraise_problem(a, "validity_no_certificates", expected, NULL);
            return;
        }
        if (!in_date(a->chain, i, at_ms)) {
            appraise_problem(a, "validity_out_of_date", expected,
                             arena_printf(a->result->arena, "%s is not", chain_place_name(i)));
            return;
        }
    }
    appraise_pass(a, "validity", expected, "");
}

/* The evidence may not carry a wrong list; of those at hand a wrong one is no list. */
static const char *wrong_list(const struct chain *chain, bool carried)
{
    for (size_t i = 0; i < chain->n_crls; i++)
        if (chain->crls[i].problem && chain->crls[i].carried == carried)
            return chain->crls[i].problem;
    return NULL;
}

/* Any list of the root, also one out of date; enum chain_place, or -1: none. */
static int revoked_place(const struct chain *chain)
{
    for (size_t i = 0; i < chain->n_crls; i++)
        if (!chain->crls[i].problem && chain->crls[i].revoked >= 0)
            return chain->crls[i].revoked;
    return -1;
}

/* One made later says nothing of this time, and hides none that does. */
static const struct chain_crl *newest_covering(const struct chain *chain, int64_t at_ms)
{
    const struct chain_crl *newest = NULL;

    for (size_t i = 0; i < chain->n_crls; i++) {
        const struct chain_crl *crl = &chain->crls[i];

        if (crl->problem || !crl->covers)
            continue;
        bool made = crl->from_ms <= at_ms, other_made = newest && newest->from_ms <= at_ms;
        if (!newest || (made == other_made ? newest->from_ms < crl->from_ms : made))
            newest = crl;
    }
    return newest;
}

/* true: a list says, or is, what must not be. */
static bool find_crl_problem(struct appraisal *a, const struct chain_crl *good,
                             const char *expected)
{
    const char *wrong = wrong_list(a->chain, true);
    int place = revoked_place(a->chain);

    if (!wrong && !good)
        wrong = wrong_list(a->chain, false);
    if (place >= 0)
        appraise_problem(a, "revocation_revoked", expected,
                         arena_printf(a->result->arena, "%s is", chain_place_name(place)));
    else if (wrong)
        appraise_problem(a, "revocation_crl", expected, wrong);
    return place >= 0 || wrong;
}

/* Nothing to look up in: cannot tell, unless the policy says that this is fine. */
static void no_list(struct appraisal *a, const char *code, const char *expected, const char *actual)
{
    if (a->policy->crl != POLICY_CRL_SOFT)
        appraise_problem(a, code, expected, actual);
    else
        appraise_pass(
            a, "revocation", expected,
            arena_printf(a->result->arena, "not checked: %s; the policy accepts that", actual));
}

void appraise_revocation(struct appraisal *a)
{
    static const char expected[] = "nothing of the chain on the root's revocation list";
    int64_t at_ms = a->policy->at_ms;
    const struct chain_crl *crl = newest_covering(a->chain, at_ms);

    for (int i = 0; i < CHAIN_LENGTH; i++) {
        if (a->chain->certificates[i])
            continue;
        appraise_problem(a, "revocation_no_chain", expected, NULL);
        return;
    }
    if (find_crl_problem(a, crl, expected))
        return;
    if (!crl) {
        no_list(a, "revocation_no_crl", expected, "no revocation list for this chain");
        return;
    }
    const char *span = arena_printf(a->result->arena, "the list of %s, to be renewed until %s",
                                    time_text(a, crl->from_ms), time_text(a, crl->until_ms));
    if (crl->from_ms > at_ms || crl->until_ms + a->policy->crl_grace_ms <= at_ms)
        no_list(a, "revocation_stale", expected, span);
    else
        appraise_pass(a, "revocation", expected, span);
}
