/* Target functions: rim_open, and the readers behind its signature, which nothing else would
 * reach. What is read stays in its bounds. */
#include <stdlib.h>

#include "shared/base/alloc.h"
#include "shared/nvidia/gpu_verify.h"
#include "shared/nvidia/rim_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As after a good signature. */
static void read_content(const struct rim_xml *xml)
{
    _cleanup_(rim_freep) struct rim *rim = xnew(struct rim);
    size_t active = 0;

    error_free(rim_xml_certificates(xml, &rim->signer));
    struct error *err = rim_xml_identity(xml, rim);
    if (!err)
        err = rim_xml_measurements(xml, rim);
    for (size_t i = 0; i < SPDM_MEASUREMENTS_MAX; i++)
        active += rim->measurements[i].active;
    if (active != rim->n_active || (!err && active == 0))
        abort();
    error_free(err);
    if (rim->signer.n > 0)
        (void)rim_xml_signature_is_valid(xml, x509_path_key(&rim->signer));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rim *rim = NULL;
    struct rim_xml xml;

    struct error *err = rim_open(data, size, gpu_roots_nvidia.rim, &rim);
    rim_free(rim);
    error_free(err);
    err = rim_xml_parse(data, size, &xml);
    if (!err) {
        read_content(&xml);
        rim_xml_done(&xml);
    }
    error_free(err);
    return 0;
}
