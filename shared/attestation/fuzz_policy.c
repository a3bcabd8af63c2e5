/* Target function: policy_parse. Input: a policy file. What is accepted judges a report of zeros
 * without a crash, and never as good. */
#include "shared/attestation/verifier.h"

#include <stdlib.h>

#include "shared/attestation/tee.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void appraise(const struct verify_policy *policy)
{
    static const uint8_t report[TEE_REPORT_SIZE] = {5};
    struct verify_result result;

    verify_result_init(&result);
    error_free(verify_snp(policy, report, sizeof(report), NULL, 0, &result));
    if (verify_result_verdict(&result) != VERDICT_FAIL)
        abort();
    verify_result_done(&result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(trust_roots_freep) struct trust_roots *roots = NULL;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct verify_policy policy;

    struct error *err = policy_parse((const char *)data, size, arena, &policy);
    if (!err)
        err = trust_roots_amd(&roots);
    if (!err) {
        policy.roots = roots;
        appraise(&policy);
    }
    error_free(err);
    return 0;
}
