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

static X509 *vek_of(const struct appraisal *a)
{
    return a->chain->certificates[CHAIN_VEK];
}

static bool csp_is_listed(const struct verify_policy *policy, const char *csp_id)
{
    for (size_t i = 0; i < policy->n_csp_ids; i++)
        if (strcmp(policy->csp_ids[i], csp_id) == 0)
            return true;
    return false;
}

void appraise_signing_key(struct appraisal *a)
{
    const struct verify_policy *policy = a->policy;
    const struct vek *vek = &a->chain->vek;
    const char *expected = policy->accept_vlek ? "VCEK, or VLEK of an accepted cloud" : "VCEK";

    if (!vek_of(a) || !a->bytes || a->chain->vek_problem) {
        appraise_problem(a, "signing_key_no_certificate", expected, NULL);
        return;
    }
    bool vlek = report_signing_key(&a->report) == REPORT_SIGNING_KEY_VLEK;
    if ((vek->kind == VEK_VLEK) != vlek)
        appraise_problem(a, "signing_key_kind", expected, NULL);
    else if (!vlek)
        appraise_pass(a, "signing_key", expected, "VCEK");
    else if (!policy->accept_vlek)
        appraise_problem(a, "signing_key_vlek", expected, NULL);
    else if (policy->any_csp_id || csp_is_listed(policy, vek->csp_id))
        appraise_pass(a, "signing_key", expected, vek->csp_id);
    else
        appraise_problem(a,
                         policy->n_csp_ids ? "signing_key_csp_id" : "signing_key_csp_id_not_given",
                         expected, vek->csp_id);
}

/* A hidden chip is judged by step "chip". */
static bool chip_differs(const struct appraisal *a)
{
    const struct vek *vek = &a->chain->vek;
    const uint8_t *chip_id = a->report.chip_id;

    if (vek->kind == VEK_VLEK || appraise_is_zero(chip_id, 64))
        return false;
    return memcmp(vek->hwid, chip_id, vek->hwid_size) != 0 ||
           !appraise_is_zero(chip_id + vek->hwid_size, 64 - vek->hwid_size);
}

void appraise_extensions(struct appraisal *a)
{
    static const char expected[] = "certificate and report agree on TCB and chip";
    const struct vek *vek = &a->chain->vek;
    char text[2][SNP_TCB_TEXT_SIZE];

    if (!vek_of(a) || !a->bytes) {
        appraise_problem(a, "extensions_no_certificate", expected, NULL);
        return;
    }
    if (a->chain->vek_problem) {
        appraise_problem(a, "extensions_malformed", expected, a->chain->vek_problem);
        return;
    }
    struct snp_tcb reported = snp_tcb_decode(vek->product, a->report.reported_tcb);
    snp_tcb_format(vek->product, &vek->tcb, text[0]);
    snp_tcb_format(vek->product, &reported, text[1]);
    if (!snp_tcb_equal(&reported, &vek->tcb))
        appraise_problem(
            a, "extensions_tcb", expected,
            arena_printf(a->result->arena, "certificate: %s; report: %s", text[0], text[1]));
    else if (chip_differs(a))
        appraise_problem(a, "extensions_chip", expected, NULL);
    else
        appraise_pass(a, "extensions", expected, text[0]);
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

/* Over the received bytes: what was parsed is never written again. */
static bool signature_verifies(const struct appraisal *a)
{
    _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY *key = X509_get0_pubkey(vek_of(a));
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

    if (!vek_of(a) || !a->bytes)
        appraise_problem(a, "signature_no_certificate", expected, NULL);
    else if (signature_verifies(a))
        appraise_pass(a, "signature", expected, "");
    else
        appraise_problem(a, "signature_wrong", expected, NULL);
}
