#include "shared/attestation/report.h"

#include <string.h>

#include "shared/attestation/verifier.h"
#include "shared/base/reader.h"

#define KEY_INFO_KNOWN 0x1f

bool report_version_is_known(uint32_t version)
{
    return version == 2 || version == 3 || version == 5;
}

static bool any_set(const uint8_t *data, size_t size)
{
    uint8_t all = 0;

    for (size_t i = 0; data && i < size; i++)
        all |= data[i];
    return all != 0;
}

static void read_reserved(struct reader *reader, struct report *report, size_t size)
{
    if (any_set(reader_view(reader, size), size))
        report->reserved_set = true;
}

static struct report_firmware read_firmware(struct reader *reader, struct report *report)
{
    struct report_firmware firmware;

    firmware.build = reader_u8(reader);
    firmware.minor = reader_u8(reader);
    firmware.major = reader_u8(reader);
    read_reserved(reader, report, 1);
    return firmware;
}

/* 0x000 .. 0x187 */
static void read_guest_part(struct reader *in, struct report *report)
{
    report->version = reader_u32le(in);
    report->guest_svn = reader_u32le(in);
    report->policy = reader_u64le(in);
    reader_bytes(in, report->family_id, sizeof(report->family_id));
    reader_bytes(in, report->image_id, sizeof(report->image_id));
    report->vmpl = reader_u32le(in);
    report->signature_algo = reader_u32le(in);
    report->current_tcb = reader_u64le(in);
    report->platform_info = reader_u64le(in);
    report->key_info = reader_u32le(in);
    read_reserved(in, report, 4);
    reader_bytes(in, report->report_data, sizeof(report->report_data));
    reader_bytes(in, report->measurement, sizeof(report->measurement));
    reader_bytes(in, report->host_data, sizeof(report->host_data));
    reader_bytes(in, report->id_key_digest, sizeof(report->id_key_digest));
    reader_bytes(in, report->author_key_digest, sizeof(report->author_key_digest));
    reader_bytes(in, report->report_id, sizeof(report->report_id));
    reader_bytes(in, report->report_id_ma, sizeof(report->report_id_ma));
    report->reported_tcb = reader_u64le(in);
}

/* 0x188 .. 0x29f */
static void read_platform_part(struct reader *in, struct report *report)
{
    if (report_has_cpuid(report)) {
        report->cpuid_family = reader_u8(in);
        report->cpuid_model = reader_u8(in);
        report->cpuid_stepping = reader_u8(in);
        read_reserved(in, report, 21);
    } else {
        read_reserved(in, report, 24);
    }
    reader_bytes(in, report->chip_id, sizeof(report->chip_id));
    report->committed_tcb = reader_u64le(in);
    report->current = read_firmware(in, report);
    report->committed = read_firmware(in, report);
    report->launch_tcb = reader_u64le(in);
    if (report->version >= 5) {
        report->launch_mit_vector = reader_u64le(in);
        report->current_mit_vector = reader_u64le(in);
    } else {
        read_reserved(in, report, 16);
    }
    read_reserved(in, report, 152);
}

struct error *report_parse(const void *data, size_t size, struct report *ret_report)
{
    struct report report = {};
    struct reader in;

    if (size != TEE_REPORT_SIZE)
        return error_new(ERROR_INVALID_ARGUMENT, "a report has %d bytes, this has %zu",
                         TEE_REPORT_SIZE, size);
    reader_init(&in, data, size);
    read_guest_part(&in, &report);
    read_platform_part(&in, &report);
    reader_bytes(&in, report.signature_r, sizeof(report.signature_r));
    reader_bytes(&in, report.signature_s, sizeof(report.signature_s));
    size_t tail = reader_left(&in);
    report.tail_set = any_set(reader_view(&in, tail), tail);
    if (!reader_done(&in) || report.version < 2)
        return error_new(ERROR_INVALID_ARGUMENT, "not a report: version %u", report.version);
    if (!report_version_is_known(report.version))
        report.reserved_set = false; /* may have got a meaning */
    *ret_report = report;
    return NULL;
}

const char *report_format_problem(const struct report *report, bool accept_reserved)
{
    bool known = report_version_is_known(report->version) && !accept_reserved;

    if (report->signature_algo != 1)
        return "format_algorithm";
    if (report->reserved_set && !accept_reserved)
        return "format_reserved";
    if (report->tail_set)
        return "format_tail";
    if (any_set(report->signature_r + 48, 24) || any_set(report->signature_s + 48, 24))
        return "format_scalar";
    if (!(report->policy & REPORT_POLICY_RESERVED_1))
        return "format_policy_bit";
    if (known && (report->key_info & ~KEY_INFO_KNOWN))
        return "format_key_info";
    if (report_signing_key(report) > REPORT_SIGNING_KEY_VLEK)
        return "format_signing_key";
    return NULL;
}

enum snp_product report_product(const struct report *report)
{
    if (!report_has_cpuid(report))
        return SNP_PRODUCT_UNKNOWN;
    return snp_product_from_cpuid(report->cpuid_family, report->cpuid_model);
}

struct error *snp_report_parse(const void *data, size_t size, struct snp_report *ret_report)
{
    struct report report;

    struct error *err = report_parse(data, size, &report);
    if (err)
        return err;
    *ret_report = (struct snp_report){
        .version = report.version,
        .policy = report.policy,
        .vmpl = report.vmpl,
        .current_tcb = report.current_tcb,
        .platform_info = report.platform_info,
        .reported_tcb = report.reported_tcb,
        .family = report.cpuid_family,
        .model = report.cpuid_model,
        .stepping = report.cpuid_stepping,
    };
    memcpy(ret_report->report_data, report.report_data, sizeof(report.report_data));
    memcpy(ret_report->measurement, report.measurement, sizeof(report.measurement));
    memcpy(ret_report->host_data, report.host_data, sizeof(report.host_data));
    memcpy(ret_report->report_id, report.report_id, sizeof(report.report_id));
    memcpy(ret_report->chip_id, report.chip_id, sizeof(report.chip_id));
    return NULL;
}
