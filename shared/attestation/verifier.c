#include "shared/attestation/verifier.h"

#include <openssl/crypto.h>
#include <string.h>

#include "shared/attestation/appraisal.h"
#include "shared/base/encode.h"

#define VMPL_HOST UINT32_MAX

static const struct {
    const char *id;
    const char *why;
} reasons[] = {
    {"format", "bytes that are not exactly a report could mean different things to others"},
    {"version", "the meaning of a report of an unknown version is not known"},
    {"chain", "anyone can make a report; only a vendor's chain shows a real processor"},
    {"validity", "a certificate out of date is no longer vouched for"},
    {"extensions", "the key must be the one of this chip at this firmware level"},
    {"signature", "every field of the report could be forged without it"},
    {"tcb", "firmware that can be rolled back may have known holes"},
    {"report_data", "a report made for another key or another question could be replayed"},
    {"measurement", "other software could have been started in place of the published image"},
    {"host_data", "the host could have started the image with another manifest"},
    {"debug", "a debug guest can be read by its host"},
    {"migration", "a migration agent can move the guest's memory elsewhere"},
    {"vmpl", "less privileged code of the guest could speak in place of the image"},
    {"chip", "a genuine but different machine could answer"},
};

void appraise_step(struct appraisal *a, const char *id, enum verdict verdict, const char *expected,
                   const char *actual)
{
    const char *why = "";

    for (size_t i = 0; i < ELEMENTSOF(reasons); i++)
        if (strcmp(reasons[i].id, id) == 0)
            why = reasons[i].why;
    verify_step_add(a->result, id, verdict, expected, actual, why);
}

enum snp_product appraise_product(const struct appraisal *a)
{
    if (a->bytes && report_has_cpuid(&a->report))
        return report_product(&a->report);
    return a->leaf && !a->vek_problem ? a->vek.product : SNP_PRODUCT_UNKNOWN;
}

static const char *hex(const struct appraisal *a, const void *data, size_t size)
{
    _cleanup_free_ char *text = hex_encode_new(data, size);

    return arena_strdup(a->result->arena, text);
}

static bool is_zero(const uint8_t *data, size_t size)
{
    uint8_t all = 0;

    for (size_t i = 0; i < size; i++)
        all |= data[i];
    return all == 0;
}

static void appraise_format(struct appraisal *a, const void *data, size_t size)
{
    static const char expected[] = "1184 bytes of a SEV-SNP report, nothing reserved set";
    struct error *err = report_parse(data, size, &a->report);

    if (err) {
        appraise_step(a, "format", VERDICT_FAIL, expected, error_text(err));
        error_free(err);
        return;
    }
    a->bytes = data;
    const char *problem = report_format_problem(&a->report);
    appraise_step(a, "format", problem ? VERDICT_FAIL : VERDICT_PASS, expected,
                  problem ? problem : "");
}

static void appraise_version(struct appraisal *a)
{
    uint32_t version = a->report.version;
    bool two = a->policy->report_versions & 1u << 2;
    bool ok = report_version_is_known(version) && (version != 2 || two);

    appraise_step(a, "version", ok ? VERDICT_PASS : VERDICT_FAIL, two ? "2, 3 or 5" : "3 or 5",
                  arena_printf(a->result->arena, "%u", version));
}

/* reported <= committed <= current, and nothing that can still be rolled back. */
static void appraise_tcb(struct appraisal *a)
{
    static const char expected[] = "reported <= committed = current firmware level";
    enum snp_product product = appraise_product(a);
    struct snp_tcb reported = snp_tcb_decode(product, a->report.reported_tcb);
    struct snp_tcb committed = snp_tcb_decode(product, a->report.committed_tcb);
    struct snp_tcb current = snp_tcb_decode(product, a->report.current_tcb);
    char text[SNP_TCB_TEXT_SIZE];

    snp_tcb_format(product, &reported, text);
    if (product == SNP_PRODUCT_UNKNOWN)
        appraise_step(a, "tcb", VERDICT_UNKNOWN, expected, "the product is not known");
    else if (!snp_tcb_at_most(&reported, &committed) || !snp_tcb_at_most(&committed, &current))
        appraise_step(a, "tcb", VERDICT_FAIL, expected, "levels are not in order");
    else if (!snp_tcb_equal(&committed, &current) && !a->policy->accept_provisional_firmware)
        appraise_step(a, "tcb", VERDICT_FAIL, expected, "firmware is provisional, not committed");
    else
        appraise_step(a, "tcb", VERDICT_PASS, expected, text);
}

/* One fixed-size field against one reference value. */
static void appraise_bytes(struct appraisal *a, const char *id, const uint8_t *expected,
                           const uint8_t *actual, size_t size)
{
    bool equal = expected && CRYPTO_memcmp(expected, actual, size) == 0;

    if (!expected)
        appraise_step(a, id, VERDICT_UNKNOWN, "not given", hex(a, actual, size));
    else
        appraise_step(a, id, equal ? VERDICT_PASS : VERDICT_FAIL, hex(a, expected, size),
                      hex(a, actual, size));
}

static void appraise_measurement(struct appraisal *a)
{
    const struct verify_policy *policy = a->policy;
    const uint8_t *actual = a->report.measurement;
    const char *text = hex(a, actual, 48);
    bool listed = false;

    for (size_t i = 0; i < policy->n_measurements; i++)
        listed |= CRYPTO_memcmp(policy->measurements[i], actual, 48) == 0;
    if (is_zero(actual, 48)) /* also when the list holds it */
        appraise_step(a, "measurement", VERDICT_FAIL, "a measurement", "none (all zero)");
    else if (policy->any_measurement)
        appraise_step(a, "measurement", VERDICT_PASS, "any, as asked for", text);
    else if (!policy->measurements || policy->n_measurements == 0)
        appraise_step(a, "measurement", VERDICT_UNKNOWN, "not given", text);
    else
        appraise_step(a, "measurement", listed ? VERDICT_PASS : VERDICT_FAIL,
                      policy->n_measurements == 1
                          ? hex(a, policy->measurements[0], 48)
                          : arena_printf(a->result->arena, "one of %zu published values",
                                         policy->n_measurements),
                      text);
}

static void appraise_host_data(struct appraisal *a)
{
    if (a->policy->any_host_data)
        appraise_step(a, "host_data", VERDICT_PASS, "any, as asked for",
                      hex(a, a->report.host_data, 32));
    else
        appraise_bytes(a, "host_data", a->policy->host_data, a->report.host_data, 32);
}

static void appraise_guest_policy(struct appraisal *a)
{
    static const uint8_t no_agent[32] = {[0 ... 31] = 0xff};
    bool debug = a->report.policy & REPORT_POLICY_DEBUG;
    bool migration = (a->report.policy & REPORT_POLICY_MIGRATE_MA) ||
                     memcmp(a->report.report_id_ma, no_agent, sizeof(no_agent)) != 0;

    appraise_step(a, "debug", debug ? VERDICT_FAIL : VERDICT_PASS, "off", debug ? "on" : "off");
    appraise_step(a, "migration", migration ? VERDICT_FAIL : VERDICT_PASS, "no migration agent",
                  migration ? "a migration agent may be there" : "none");
}

static void appraise_vmpl(struct appraisal *a)
{
    uint32_t vmpl = a->report.vmpl;
    bool ok = vmpl == a->policy->vmpl && vmpl != VMPL_HOST && vmpl <= 3;

    appraise_step(a, "vmpl", ok ? VERDICT_PASS : VERDICT_FAIL,
                  arena_printf(a->result->arena, "%u", a->policy->vmpl),
                  vmpl == VMPL_HOST ? "asked for by the host"
                                    : arena_printf(a->result->arena, "%u", vmpl));
}

static void appraise_chip(struct appraisal *a)
{
    if (a->policy->any_chip_id)
        appraise_step(a, "chip", VERDICT_PASS, "any, as asked for", hex(a, a->report.chip_id, 64));
    else
        appraise_bytes(a, "chip", a->policy->n_chip_ids ? a->policy->chip_ids[0] : NULL,
                       a->report.chip_id, 64);
}

static void appraise_fields(struct appraisal *a)
{
    appraise_tcb(a);
    appraise_bytes(a, "report_data", a->policy->report_data, a->report.report_data, 64);
    appraise_measurement(a);
    appraise_host_data(a);
    appraise_guest_policy(a);
    appraise_vmpl(a);
    appraise_chip(a);
}

static void appraise_no_fields(struct appraisal *a)
{
    static const char *const ids[] = {"tcb",   "report_data", "measurement", "host_data",
                                      "debug", "migration",   "vmpl",        "chip"};

    for (size_t i = 0; i < ELEMENTSOF(ids); i++)
        appraise_step(a, ids[i], VERDICT_UNKNOWN, "", "there is no report");
}

struct error *verify_snp(const struct verify_policy *policy, const void *report, size_t report_size,
                         const void *certificates, size_t certificates_size,
                         struct verify_result *result)
{
    struct appraisal a = {.policy = policy, .result = result};

    if (!policy->roots || !result->arena)
        return error_new(ERROR_INVALID_ARGUMENT, "verify: no roots or no result");
    appraise_format(&a, report, report_size);
    if (a.bytes)
        appraise_version(&a);
    else
        appraise_step(&a, "version", VERDICT_UNKNOWN, "", "there is no report");
    appraise_chain(&a, certificates, certificates_size);
    appraise_validity(&a);
    appraise_extensions(&a);
    appraise_signature(&a);
    if (a.bytes)
        appraise_fields(&a);
    else
        appraise_no_fields(&a);
    X509_free(a.leaf);
    X509_free(a.ask);
    X509_free(a.ark);
    return NULL;
}
