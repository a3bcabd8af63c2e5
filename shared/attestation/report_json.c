/* A report as the existing system's JSON: numbers, lower-case hex, null where a version has none.
 */
#include "shared/attestation/report.h"
#include "shared/attestation/verifier.h"
#include "shared/base/encode.h"

static void set_hex(json_t *object, const char *name, const void *data, size_t size)
{
    _cleanup_free_ char *text = hex_encode_new(data, size);

    json_object_set_new(object, name, json_string(text));
}

static void set_number(json_t *object, const char *name, uint64_t value)
{
    json_object_set_new(object, name, json_integer((json_int_t)value));
}

static void set_number_or_null(json_t *object, const char *name, bool present, uint64_t value)
{
    json_object_set_new(object, name, present ? json_integer((json_int_t)value) : json_null());
}

static void set_tcb(json_t *object, const char *name, enum snp_product product, uint64_t raw)
{
    struct snp_tcb tcb = snp_tcb_decode(product, raw);
    json_t *value = json_object();

    set_number_or_null(value, "fmc", product == SNP_PRODUCT_TURIN, tcb.fmc);
    set_number(value, "bootloader", tcb.bootloader);
    set_number(value, "tee", tcb.tee);
    set_number(value, "snp", tcb.snp);
    set_number(value, "microcode", tcb.microcode);
    json_object_set_new(object, name, value);
}

static void set_firmware(json_t *object, const char *name, const struct report_firmware *firmware)
{
    json_object_set_new(object, name,
                        json_pack("{s:i, s:i, s:i}", "major", firmware->major, "minor",
                                  firmware->minor, "build", firmware->build));
}

static void set_signature(json_t *object, const struct report *report)
{
    json_t *signature = json_object();

    set_hex(signature, "r", report->signature_r, sizeof(report->signature_r));
    set_hex(signature, "s", report->signature_s, sizeof(report->signature_s));
    json_object_set_new(object, "signature", signature);
}

static void set_guest_part(json_t *object, const struct report *report, enum snp_product product)
{
    set_number(object, "version", report->version);
    set_number(object, "guest_svn", report->guest_svn);
    set_number(object, "policy", report->policy);
    set_hex(object, "family_id", report->family_id, sizeof(report->family_id));
    set_hex(object, "image_id", report->image_id, sizeof(report->image_id));
    set_number(object, "vmpl", report->vmpl);
    set_number(object, "sig_algo", report->signature_algo);
    set_tcb(object, "current_tcb", product, report->current_tcb);
    set_number(object, "plat_info", report->platform_info);
    set_number(object, "key_info", report->key_info);
    set_hex(object, "report_data", report->report_data, sizeof(report->report_data));
    set_hex(object, "measurement", report->measurement, sizeof(report->measurement));
    set_hex(object, "host_data", report->host_data, sizeof(report->host_data));
    set_hex(object, "id_key_digest", report->id_key_digest, sizeof(report->id_key_digest));
    set_hex(object, "author_key_digest", report->author_key_digest,
            sizeof(report->author_key_digest));
    set_hex(object, "report_id", report->report_id, sizeof(report->report_id));
    set_hex(object, "report_id_ma", report->report_id_ma, sizeof(report->report_id_ma));
}

static void set_platform_part(json_t *object, const struct report *report, enum snp_product product)
{
    bool cpuid = report_has_cpuid(report), mitigations = report->version >= 5;

    set_tcb(object, "reported_tcb", product, report->reported_tcb);
    set_number_or_null(object, "cpuid_fam_id", cpuid, report->cpuid_family);
    set_number_or_null(object, "cpuid_mod_id", cpuid, report->cpuid_model);
    set_number_or_null(object, "cpuid_step", cpuid, report->cpuid_stepping);
    set_hex(object, "chip_id", report->chip_id, sizeof(report->chip_id));
    set_tcb(object, "committed_tcb", product, report->committed_tcb);
    set_firmware(object, "current", &report->current);
    set_firmware(object, "committed", &report->committed);
    set_tcb(object, "launch_tcb", product, report->launch_tcb);
    set_number_or_null(object, "launch_mit_vector", mitigations, report->launch_mit_vector);
    set_number_or_null(object, "current_mit_vector", mitigations, report->current_mit_vector);
}

struct error *snp_report_to_json(const void *data, size_t size, json_t **ret_json)
{
    struct report report;

    struct error *err = report_parse(data, size, &report);
    if (err)
        return err;
    enum snp_product product = report_product(&report);
    json_t *object = json_object();
    set_guest_part(object, &report, product);
    set_platform_part(object, &report, product);
    set_signature(object, &report);
    *ret_json = object;
    return NULL;
}
