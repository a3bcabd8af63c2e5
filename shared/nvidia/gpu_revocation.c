/* OCSP (RFC 6960): is any certificate of the device or of a RIM's signer revoked? */
#include <openssl/err.h>
#include <openssl/ocsp.h>

#include "shared/nvidia/gpu_appraisal.h"

#define OCSP_SIZE_MAX (64 * 1024)

DEFINE_CLEANUP(OCSP_RESPONSE *, OCSP_RESPONSE_free)
DEFINE_CLEANUP(OCSP_BASICRESP *, OCSP_BASICRESP_free)
DEFINE_CLEANUP(OCSP_CERTID *, OCSP_CERTID_free)
DEFINE_CLEANUP(X509_STORE *, X509_STORE_free)

static void chain_free(STACK_OF(X509) * stack)
{
    sk_X509_free(stack);
}
DEFINE_CLEANUP(STACK_OF(X509) *, chain_free)

/* NULL: not a successful response. Caller frees. */
static OCSP_BASICRESP *read_response(const struct binding_bytes *bytes)
{
    const uint8_t *at = bytes->data;

    if (bytes->size > OCSP_SIZE_MAX)
        return NULL;
    _cleanup_(OCSP_RESPONSE_freep) OCSP_RESPONSE *response =
        d2i_OCSP_RESPONSE(NULL, &at, (long)bytes->size);
    if (!response || at != (const uint8_t *)bytes->data + bytes->size ||
        OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        return NULL;
    return OCSP_response_get1_basic(response);
}

/* By the certificate's issuer, or by a responder that it appointed; up to the pinned root. */
static bool is_authentic(OCSP_BASICRESP *response, const struct x509_path *path, int64_t at_ms)
{
    _cleanup_(X509_STORE_freep) X509_STORE *store = X509_STORE_new();
    _cleanup_(chain_freep) STACK_OF(X509) *untrusted = sk_X509_new_null();

    if (!store || !untrusted || X509_STORE_add_cert(store, path->certificates[path->n - 1]) != 1)
        return false;
    for (size_t i = 1; i < path->n; i++)
        if (sk_X509_push(untrusted, path->certificates[i]) <= 0)
            return false;
    X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), (time_t)(at_ms / 1000));
    return OCSP_basic_verify(response, untrusted, store, 0) == 1;
}

static bool in_window(const ASN1_GENERALIZEDTIME *from, const ASN1_GENERALIZEDTIME *until,
                      int64_t at_ms)
{
    time_t at = (time_t)(at_ms / 1000);

    return from && until && X509_cmp_time(from, &at) < 0 && X509_cmp_time(until, &at) > 0;
}

/* What one response says of certificate i of the path. */
static enum verdict ask_one(OCSP_BASICRESP *response, const struct x509_path *path, size_t i,
                            int64_t at_ms)
{
    _cleanup_(OCSP_CERTID_freep) OCSP_CERTID *id = NULL;
    ASN1_GENERALIZEDTIME *from = NULL, *until = NULL;
    int status = V_OCSP_CERTSTATUS_UNKNOWN;
    static const int hashes[] = {NID_sha1, NID_sha256, NID_sha384};
    bool found = false;

    for (size_t k = 0; k < ELEMENTSOF(hashes) && !found; k++) {
        OCSP_CERTID_free(id);
        id = OCSP_cert_to_id(EVP_get_digestbynid(hashes[k]), path->certificates[i],
                             path->certificates[i + 1]);
        found = id && OCSP_resp_find_status(response, id, &status, NULL, NULL, &from, &until) == 1;
    }
    if (!found || !is_authentic(response, path, at_ms) || !in_window(from, until, at_ms))
        return VERDICT_UNKNOWN;
    return status == V_OCSP_CERTSTATUS_GOOD      ? VERDICT_PASS
           : status == V_OCSP_CERTSTATUS_REVOKED ? VERDICT_FAIL
                                                 : VERDICT_UNKNOWN;
}

/* One that says revoked outweighs any that does not. */
static enum verdict ask_all(const struct gpu_policy *policy, const struct x509_path *path, size_t i)
{
    enum verdict verdict = VERDICT_UNKNOWN;

    for (size_t k = 0; k < policy->n_ocsp && verdict != VERDICT_FAIL; k++) {
        _cleanup_(OCSP_BASICRESP_freep) OCSP_BASICRESP *response = read_response(&policy->ocsp[k]);
        enum verdict answer =
            response ? ask_one(response, path, i, policy->at_ms) : VERDICT_UNKNOWN;

        if (answer != VERDICT_UNKNOWN)
            verdict = answer;
    }
    ERR_clear_error();
    return verdict;
}

/* From the certificate at first up to the one below the root. */
static enum verdict ask_path(const struct gpu_policy *policy, const struct x509_path *path,
                             size_t first)
{
    enum verdict worst = VERDICT_PASS;

    for (size_t i = first; i + 1 < path->n; i++) {
        enum verdict verdict = ask_all(policy, path, i);

        if (verdict == VERDICT_FAIL || worst == VERDICT_PASS)
            worst = verdict;
    }
    return worst;
}

/* The attestation key is made by the device itself: nobody keeps a state of its certificate. */
struct gpu_finding gpu_check_revocation(struct gpu_appraisal *a, const struct gpu_device *d)
{
    const struct rim *rims[] = {d->driver.rim, d->vbios.rim};
    enum verdict worst = ask_path(a->policy, &d->chain.path, 1);

    for (size_t i = 0; i < ELEMENTSOF(rims); i++) {
        enum verdict verdict = rims[i] ? ask_path(a->policy, &rims[i]->signer, 0) : VERDICT_PASS;

        if (verdict == VERDICT_FAIL || worst == VERDICT_PASS)
            worst = verdict;
    }
    if (worst == VERDICT_FAIL)
        return GPU_FAIL("a certificate is revoked");
    if (worst == VERDICT_PASS)
        return GPU_PASS("");
    return a->policy->accept_no_revocation ? GPU_PASS("not known of every one, as asked for")
                                           : GPU_UNKNOWN("no OCSP response for a certificate");
}
