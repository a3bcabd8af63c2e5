/* Target functions: verify_answer_parse, and what `coffer verify` does with an answer. */
#include "cli/verify_appraise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void appraise(const struct verify_answer *answer)
{
    static const uint8_t zero[32];
    _cleanup_(trust_roots_freep) struct trust_roots *roots = NULL;
    struct verify_result result;

    struct error *err = trust_roots_amd(&roots);
    if (err)
        abort();
    const struct verify_reference reference = {
        .policy = {.roots = roots, .any_chip_id = true, .crl = POLICY_CRL_SOFT},
        .nonce = zero,
        .spki_sha256 = zero,
        .any_manifest = true,
        .any_gpus = true,
        .gpu_roots = gpu_roots_nvidia,
    };
    verify_result_init(&result);
    error_free(verify_appraise(&reference, NULL, answer, &result));
    if (verify_result_verdict(&result) == VERDICT_PASS)
        abort(); /* there are no measurements: nothing may pass */
    verify_result_done(&result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct verify_answer answer = {0};

    struct error *err = verify_answer_parse(data, size, arena, &answer);
    if (!err)
        appraise(&answer);
    error_free(err);
    verify_answer_done(&answer);
    return 0;
}
