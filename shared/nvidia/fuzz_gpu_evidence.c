/* Target functions: gpu_evidence_parse, gpu_evidence_write, verify_gpus. What is read is written
 * and read again as the same; no input passes. */
#include <stdlib.h>
#include <string.h>

#include "shared/nvidia/gpu_verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_same(const struct buffer *a, const struct buffer *b)
{
    if (a->size != b->size || (a->size > 0 && memcmp(a->data, b->data, a->size) != 0))
        abort();
}

static void check_again(const struct gpu_evidence *evidence)
{
    _cleanup_buffer_ struct buffer json = {};
    struct gpu_evidence again;

    gpu_evidence_write(evidence, &json);
    struct error *err = gpu_evidence_parse(json.data, json.size, &again);
    if (err)
        abort();
    expect_same(&evidence->exchange, &again.exchange);
    expect_same(&evidence->certificate, &again.certificate);
    gpu_evidence_done(&again);
}

static void verify(const uint8_t *data, size_t size)
{
    const struct gpu_policy policy = {.any_number = true, .at_ms = 1};
    const struct binding_bytes device = {data, size};
    struct verify_result result;

    verify_result_init(&result);
    struct error *err = verify_gpus(&policy, &device, 1, &result);
    if (err || result.n_steps != GPU_STEPS || verify_result_verdict(&result) == VERDICT_PASS)
        abort();
    verify_result_done(&result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gpu_evidence evidence;

    struct error *err = gpu_evidence_parse(data, size, &evidence);
    if (!err) {
        check_again(&evidence);
        gpu_evidence_done(&evidence);
    }
    error_free(err);
    verify(data, size);
    return 0;
}
