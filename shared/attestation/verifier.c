#include "shared/attestation/verifier.h"

#include <openssl/crypto.h>

#include "shared/attestation/appraisal.h"
#include "shared/attestation/tee.h"
#include "shared/attestation/verify_cache.h"
#include "shared/attestation/verify_codes.h"
#include "shared/base/encode.h"

#define VERSIONS_DEFAULT (1u << 3 | 1u << 5)

void appraise_pass(struct appraisal *a, const char *id, const char *expected, const char *actual)
{
    verify_step_add(a->result, id, VERDICT_PASS, expected, actual, verify_step_reason(id));
}

void appraise_problem(struct appraisal *a, const char *code, const char *expected,
                      const char *actual)
{
    const struct verify_code *row = verify_code_find(code);

    verify_problem_add(a->result, code, expected, actual ? actual : row->meaning,
                       verify_step_reason(row->step));
}

const char *appraise_hex(const struct appraisal *a, const void *data, size_t size)
{
    char *text = arena_alloc(a->result->arena, 2 * size + 1);

    hex_encode(data, size, text);
    return text;
}

bool appraise_is_zero(const uint8_t *data, size_t size)
{
    uint8_t all = 0;

    for (size_t i = 0; i < size; i++)
        all |= data[i];
    return all == 0;
}

bool appraise_is_listed(const void *list, size_t n, const uint8_t *value, size_t size)
{
    bool listed = false;

    for (size_t i = 0; i < n; i++)
        listed |= CRYPTO_memcmp((const uint8_t *)list + i * size, value, size) == 0;
    return listed;
}

static void appraise_format(struct appraisal *a, const void *data, size_t size)
{
    static const char expected[] = "1184 bytes of a SEV-SNP report, nothing reserved set";
    struct error *err = report_parse(data, size, &a->report);

    if (err) {
        appraise_problem(a, "format_not_a_report", expected, error_text(err));
        error_free(err);
        return;
    }
    a->bytes = data;
    const char *code = report_format_problem(&a->report, a->policy->accept_reserved);
    if (code)
        appraise_problem(a, code, expected, NULL);
    else
        appraise_pass(a, "format", expected, "");
}

static const char *versions_text(const struct appraisal *a, uint32_t versions)
{
    return arena_printf(a->result->arena, "%s%s%s%s", versions & 1u << 2 ? "2 " : "",
                        versions & 1u << 3 ? "3 " : "", versions & 1u << 5 ? "5 " : "",
                        a->policy->accept_unknown_versions ? "or newer" : "only");
}

static void appraise_version(struct appraisal *a)
{
    uint32_t versions = a->policy->report_versions ? a->policy->report_versions : VERSIONS_DEFAULT;
    uint32_t version = a->report.version;
    bool ok = report_version_is_known(version) ? versions & 1u << version
                                               : a->policy->accept_unknown_versions && version > 5;
    const char *expected = versions_text(a, versions);
    const char *actual =
        arena_printf(a->result->arena, "%u%s", version,
                     report_version_is_known(version) ? "" : ", not known, read as 5");

    if (ok)
        appraise_pass(a, "version", expected, actual);
    else
        appraise_problem(a, "version_not_accepted", expected, actual);
}

/* Report (from version 3) and certificate must name one product; its root is chain's business. */
static void appraise_product(struct appraisal *a)
{
    static const char expected[] = "one known product in report and certificate";
    enum snp_product said = report_product(&a->report);
    bool certified = a->chain->certificates[CHAIN_VEK] && !a->chain->vek_problem;

    a->product = certified ? a->chain->vek.product : said;
    if (report_has_cpuid(&a->report) && said == SNP_PRODUCT_UNKNOWN)
        appraise_problem(a, "product_not_known", expected,
                         arena_printf(a->result->arena, "family 0x%x, model 0x%x",
                                      a->report.cpuid_family, a->report.cpuid_model));
    else if (said != SNP_PRODUCT_UNKNOWN && said != a->product)
        appraise_problem(a, "product_differs", expected,
                         arena_printf(a->result->arena, "report: %s; certificate: %s",
                                      snp_product_name(said), snp_product_name(a->product)));
    else if (a->product == SNP_PRODUCT_UNKNOWN)
        appraise_problem(a, "product_no_certificate", expected, NULL);
    else
        appraise_pass(a, "product", expected, snp_product_name(a->product));
}

static void appraise_no_report(struct appraisal *a, const char *const *ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        appraise_problem(a, arena_printf(a->result->arena, "%s_no_report", ids[i]), "", NULL);
}

static void appraise_head(struct appraisal *a)
{
    static const char *const ids[] = {"version", "product"};

    if (!a->bytes) {
        appraise_no_report(a, ids, ELEMENTSOF(ids));
        return;
    }
    appraise_version(a);
    appraise_product(a);
}

static void appraise_fields(struct appraisal *a)
{
    static const char *const ids[] = {
        "tcb",       "provisional", "tcb_minimum", "firmware",     "report_data", "measurement",
        "host_data", "debug",       "migration",   "guest_policy", "abi",         "platform_info",
        "vmpl",      "chip",        "id_block",    "mitigations",
    };

    if (!a->bytes) {
        appraise_no_report(a, ids, ELEMENTSOF(ids));
        return;
    }
    appraise_levels(a);
    appraise_values(a);
    appraise_guest(a);
    appraise_chip(a);
    appraise_launch(a);
}

static struct error *check_arguments(const struct verify_policy *policy,
                                     const struct verify_result *result)
{
    const struct verify_collateral *collateral = policy->collateral;

    if (!policy->roots || !result->arena)
        return error_new(ERROR_INVALID_ARGUMENT, "verify: no roots or no result");
    if (collateral && (collateral->n_certificates > VERIFY_COLLATERAL_MAX ||
                       collateral->n_crls > VERIFY_COLLATERAL_MAX))
        return error_new(ERROR_RESOURCE_EXHAUSTED, "verify: more than %d of one collateral",
                         VERIFY_COLLATERAL_MAX);
    return NULL;
}

static void appraise(struct appraisal *a, const struct chain_input *input)
{
    struct verify_cache *cache = a->policy->cache;
    struct chain *own = NULL;

    a->chain = cache ? verify_cache_get(cache, input) : NULL;
    if (!a->chain)
        a->chain = own = chain_new(input);
    appraise_head(a);
    appraise_chain(a);
    appraise_validity(a);
    appraise_revocation(a);
    appraise_signing_key(a);
    appraise_extensions(a);
    appraise_signature(a);
    appraise_fields(a);
    chain_free(own);
}

struct error *verify_snp(const struct verify_policy *policy, const void *report, size_t report_size,
                         const void *certificates, size_t certificates_size,
                         struct verify_result *result)
{
    struct appraisal a = {.policy = policy, .result = result};

    struct error *err = check_arguments(policy, result);
    if (err)
        return err;
    appraise_format(&a, report, report_size);
    const struct chain_input input = {
        .roots = policy->roots,
        .report = a.bytes ? &a.report : NULL,
        .table = certificates,
        .table_size = certificates_size,
        .collateral = policy->collateral,
    };
    appraise(&a, &input);
    return NULL;
}

struct error *verify_snp_no_report(const struct verify_policy *policy, struct verify_result *result)
{
    struct appraisal a = {.policy = policy, .result = result};
    const struct chain_input input = {.roots = policy->roots};

    struct error *err = check_arguments(policy, result);
    if (err)
        return err;
    appraise_problem(&a, "format_no_report", "", NULL);
    appraise(&a, &input);
    return NULL;
}
