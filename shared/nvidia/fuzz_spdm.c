/* Target functions: spdm_parse, spdm_measure, gpu_chain_parse. Views stay inside of the input, and
 * both agree on where an exchange ends. */
#include <stdlib.h>

#include "shared/nvidia/gpu_chain.h"
#include "shared/nvidia/spdm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_inside(const struct spdm_bytes *view, const uint8_t *data, size_t size)
{
    if (view->data && (view->data < data || view->data + view->size > data + size))
        abort();
}

static void check_views(const struct spdm_transcript *t, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < SPDM_MEASUREMENTS_MAX; i++)
        expect_inside(&t->measurements[i], data, size);
    for (size_t i = 0; i < SPDM_OPAQUE_TYPES; i++)
        expect_inside(&t->opaque[i], data, size);
    if (t->signature + SPDM_SIGNATURE_SIZE != data + size)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct spdm_transcript t;
    struct gpu_chain chain;
    size_t measured = 0;

    struct error *parse_err = spdm_parse(data, size, &t);
    struct error *measure_err = spdm_measure(data, size, &measured);
    if (!parse_err)
        check_views(&t, data, size);
    if (!parse_err && (measure_err || measured != size))
        abort();
    error_free(parse_err);
    error_free(measure_err);
    struct error *err = gpu_chain_parse(data, size, &chain);
    if (!err)
        gpu_chain_done(&chain);
    error_free(err);
    return 0;
}
