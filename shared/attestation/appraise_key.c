/* Does the certified key belong to the chip of the report, and did it sign the report? */
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

#include "shared/attestation/appraisal.h"

#define P384_SIZE 48

DEFINE_CLEANUP(ECDSA_SIG *, ECDSA_SIG_free)
DEFINE_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free)

static const char *chip_problem(const struct appraisal *a)
{
    static const uint8_t zero[64];
    const uint8_t *chip_id = a->report.chip_id;

    if (a->vek.kind == VEK_VLEK)
        return NULL; /* names no chip */
    if (report_chip_key_is_masked(&a->report) || memcmp(chip_id, zero, 64) == 0)
        return "the report hides its chip";
    if (memcmp(a->vek.hwid, chip_id, a->vek.hwid_size) != 0 ||
        memcmp(chip_id + a->vek.hwid_size, zero, 64 - a->vek.hwid_size) != 0)
        return "the certificate is of another chip";
    return NULL;
}

static const char *extensions_problem(struct appraisal *a)
{
    bool vlek = report_signing_key(&a->report) == REPORT_SIGNING_KEY_VLEK;

    if ((a->vek.kind == VEK_VLEK) != vlek)
        return "report and certificate name different kinds of key";
    if (vlek && !a->policy->accept_vlek)
        return "signed by a VLEK, which names no chip";
    if (report_has_cpuid(&a->report) && report_product(&a->report) != a->vek.product)
        return "the certificate is of another product";
    struct snp_tcb reported = snp_tcb_decode(a->vek.product, a->report.reported_tcb);
    if (!snp_tcb_equal(&reported, &a->vek.tcb)) {
        char text[2][SNP_TCB_TEXT_SIZE];

        snp_tcb_format(a->vek.product, &a->vek.tcb, text[0]);
        snp_tcb_format(a->vek.product, &reported, text[1]);
        return arena_printf(a->result->arena, "certificate: %s; report: %s", text[0], text[1]);
    }
    return chip_problem(a);
}

void appraise_extensions(struct appraisal *a)
{
    static const char expected[] = "certificate and report agree on product, TCB and chip";

    if (!a->leaf || !a->bytes) {
        appraise_step(a, "extensions", VERDICT_UNKNOWN, expected, "certificate or report missing");
        return;
    }
    const char *problem = a->vek_problem ? a->vek_problem : extensions_problem(a);
    appraise_step(a, "extensions", problem ? VERDICT_FAIL : VERDICT_PASS, expected,
                  problem ? problem : "");
}

/* R and S are little endian; OpenSSL wants DER. NULL: not a signature. */
static uint8_t *signature_der(const struct report *report, int *ret_size)
{
    _cleanup_(ECDSA_SIG_freep) ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_lebin2bn(report->signature_r, P384_SIZE, NULL);
    BIGNUM *s = BN_lebin2bn(report->signature_s, P384_SIZE, NULL);
    uint8_t *der = NULL;

    if (!signature || !r || !s || ECDSA_SIG_set0(signature, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return NULL;
    }
    *ret_size = i2d_ECDSA_SIG(signature, &der);
    return *ret_size > 0 ? der : NULL;
}

static bool signature_verifies(const struct appraisal *a)
{
    _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY *key = X509_get0_pubkey(a->leaf);
    int size = 0;
    uint8_t *der = signature_der(&a->report, &size);

    bool ok = der && ctx && key && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
              EVP_DigestVerifyInit(ctx, NULL, EVP_sha384(), NULL, key) == 1 &&
              EVP_DigestVerify(ctx, der, (size_t)size, a->bytes, REPORT_SIGNED_SIZE) == 1;
    OPENSSL_free(der);
    ERR_clear_error();
    return ok;
}

void appraise_signature(struct appraisal *a)
{
    static const char expected[] = "ECDSA P-384 signature by the certified key";

    if (!a->leaf || !a->bytes)
        appraise_step(a, "signature", VERDICT_UNKNOWN, expected, "certificate or report missing");
    else if (signature_verifies(a))
        appraise_step(a, "signature", VERDICT_PASS, expected, "");
    else
        appraise_step(a, "signature", VERDICT_FAIL, expected, "does not verify");
}
