/* Target functions: report_parse, snp_report_to_json, certificate_table_parse, vek_parse, and all
 * of verify_snp. Input: a report's 1184 bytes (or fewer), then a certificate table. */
#include "shared/attestation/verifier.h"

#include "shared/attestation/tee.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void appraise(const struct trust_roots *roots, const uint8_t *data, size_t size)
{
    size_t report_size = size < TEE_REPORT_SIZE ? size : TEE_REPORT_SIZE;
    const struct verify_policy policy = {
        .roots = roots, .any_measurement = true, .any_host_data = true, .any_chip_id = true};
    struct verify_result result;

    verify_result_init(&result);
    error_free(
        verify_snp(&policy, data, report_size, data + report_size, size - report_size, &result));
    if (verify_result_verdict(&result) == VERDICT_PASS)
        abort(); /* report_data is not known: nothing may pass */
    json_decref(verify_result_to_json(&result));
    verify_result_done(&result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(trust_roots_freep) struct trust_roots *roots = NULL;
    json_auto_t *json = NULL;
    struct snp_report report;

    error_free(snp_report_parse(data, size, &report));
    error_free(snp_report_to_json(data, size < TEE_REPORT_SIZE ? size : TEE_REPORT_SIZE, &json));
    struct error *err = trust_roots_amd(&roots);
    if (!err)
        appraise(roots, data, size);
    error_free(err);
    return 0;
}
