#include "shared/attestation/crl.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "shared/attestation/vek.h"
#include "shared/base/alloc.h"

#define URI_MAX 512

DEFINE_CLEANUP(ISSUING_DIST_POINT *, ISSUING_DIST_POINT_free)
DEFINE_CLEANUP(CRL_DIST_POINTS *, CRL_DIST_POINTS_free)
DEFINE_CLEANUP(ASN1_INTEGER *, ASN1_INTEGER_free)

struct crl {
    X509_CRL *x509;
};

static int64_t time_ms(const ASN1_TIME *time)
{
    struct tm tm;

    if (!time || ASN1_TIME_to_tm(time, &tm) != 1)
        return 0;
    return (int64_t)timegm(&tm) * 1000;
}

struct error *crl_parse(const void *der, size_t size, struct crl **ret_crl)
{
    const uint8_t *at = der;

    if (size == 0 || size > CRL_SIZE_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "revocation list: %zu bytes", size);
    X509_CRL *x509 = d2i_X509_CRL(NULL, &at, (long)size);
    ERR_clear_error();
    if (!x509 || at != (const uint8_t *)der + size) {
        X509_CRL_free(x509);
        return error_new(ERROR_INVALID_ARGUMENT, "revocation list: not exactly one, in DER");
    }
    struct crl *crl = xnew(struct crl);
    crl->x509 = x509;
    *ret_crl = crl;
    return NULL;
}

void crl_free(struct crl *crl)
{
    if (!crl)
        return;
    X509_CRL_free(crl->x509);
    free(crl);
}

int64_t crl_this_update_ms(const struct crl *crl)
{
    return time_ms(X509_CRL_get0_lastUpdate(crl->x509));
}

int64_t crl_next_update_ms(const struct crl *crl)
{
    return time_ms(X509_CRL_get0_nextUpdate(crl->x509));
}

int64_t crl_number(const struct crl *crl)
{
    _cleanup_(ASN1_INTEGER_freep) ASN1_INTEGER *number =
        X509_CRL_get_ext_d2i(crl->x509, NID_crl_number, NULL, NULL);
    int64_t value = -1;

    if (!number || ASN1_INTEGER_get_int64(&value, number) != 1 || value < 0)
        value = -1;
    ERR_clear_error();
    return value;
}

/* Only a whole list by its own issuer is understood: nothing partial, nothing for others. */
static bool distribution_point_is_plain(const struct crl *crl)
{
    _cleanup_(ISSUING_DIST_POINT_freep) ISSUING_DIST_POINT *point =
        X509_CRL_get_ext_d2i(crl->x509, NID_issuing_distribution_point, NULL, NULL);

    return point && !point->indirectCRL && !point->onlysomereasons && !point->onlyuser &&
           !point->onlyattr;
}

static bool extensions_are_known(const struct crl *crl)
{
    for (int i = 0; i < X509_CRL_get_ext_count(crl->x509); i++) {
        X509_EXTENSION *extension = X509_CRL_get_ext(crl->x509, i);
        int nid = OBJ_obj2nid(X509_EXTENSION_get_object(extension));

        if (nid == NID_delta_crl)
            return false;
        if (nid == NID_issuing_distribution_point) {
            if (!distribution_point_is_plain(crl))
                return false;
        } else if (X509_EXTENSION_get_critical(extension) && nid != NID_crl_number) {
            return false;
        }
    }
    return true;
}

static bool entries_are_known(const struct crl *crl)
{
    STACK_OF(X509_REVOKED) *entries = X509_CRL_get_REVOKED(crl->x509);

    for (int i = 0; i < sk_X509_REVOKED_num(entries); i++) {
        const X509_REVOKED *entry = sk_X509_REVOKED_value(entries, i);

        for (int k = 0; k < X509_REVOKED_get_ext_count(entry); k++) {
            X509_EXTENSION *extension = X509_REVOKED_get_ext(entry, k);
            int nid = OBJ_obj2nid(X509_EXTENSION_get_object(extension));

            if (X509_EXTENSION_get_critical(extension) && nid != NID_crl_reason)
                return false;
        }
    }
    return true;
}

static bool signature_is_right(const struct crl *crl, X509 *ark)
{
    EVP_PKEY *key = X509_get0_pubkey(ark);
    const X509_ALGOR *algorithm;

    X509_CRL_get0_signature(crl->x509, NULL, &algorithm);
    bool ok = key && pss_algorithm_is_amd(algorithm) && X509_CRL_verify(crl->x509, key) == 1;
    ERR_clear_error();
    return ok;
}

bool crl_is_issued_by(const struct crl *crl, X509 *ark)
{
    return X509_NAME_cmp(X509_CRL_get_issuer(crl->x509), X509_get_subject_name(ark)) == 0;
}

const char *crl_problem(const struct crl *crl, X509 *ark)
{
    if (!crl_is_issued_by(crl, ark))
        return "the revocation list is of another issuer than the root";
    if (!signature_is_right(crl, ark))
        return "the revocation list is not signed by the root";
    if (!extensions_are_known(crl) || !entries_are_known(crl))
        return "the revocation list has an extension that is not understood";
    return NULL;
}

/* The first URI of a distribution point; false: it has none that fits. */
static bool get_uri(const DIST_POINT_NAME *point, char ret_uri[URI_MAX])
{
    for (int i = 0; point && point->type == 0 && i < sk_GENERAL_NAME_num(point->name.fullname);
         i++) {
        int type;
        const ASN1_STRING *value =
            GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(point->name.fullname, i), &type);
        int size = type == GEN_URI ? ASN1_STRING_length(value) : 0;

        if (size <= 0 || size >= URI_MAX)
            continue;
        memcpy(ret_uri, ASN1_STRING_get0_data(value), (size_t)size);
        ret_uri[size] = '\0';
        return true;
    }
    return false;
}

bool crl_covers(const struct crl *crl, X509 *certificate)
{
    _cleanup_(ISSUING_DIST_POINT_freep) ISSUING_DIST_POINT *own =
        X509_CRL_get_ext_d2i(crl->x509, NID_issuing_distribution_point, NULL, NULL);
    _cleanup_(CRL_DIST_POINTS_freep) CRL_DIST_POINTS *points =
        X509_get_ext_d2i(certificate, NID_crl_distribution_points, NULL, NULL);
    char uri[URI_MAX], other[URI_MAX];
    bool covers = !own || !own->distpoint;

    for (int i = 0; !covers && i < sk_DIST_POINT_num(points); i++)
        covers = get_uri(own->distpoint, uri) &&
                 get_uri(sk_DIST_POINT_value(points, i)->distpoint, other) &&
                 strcmp(uri, other) == 0;
    ERR_clear_error();
    return covers;
}

static const ASN1_OCTET_STRING *distribution_point(const struct crl *crl)
{
    int at = X509_CRL_get_ext_by_NID(crl->x509, NID_issuing_distribution_point, -1);

    return at < 0 ? NULL : X509_EXTENSION_get_data(X509_CRL_get_ext(crl->x509, at));
}

bool crl_is_of_series(const struct crl *a, const struct crl *b)
{
    const ASN1_OCTET_STRING *x = distribution_point(a), *y = distribution_point(b);

    return X509_NAME_cmp(X509_CRL_get_issuer(a->x509), X509_CRL_get_issuer(b->x509)) == 0 &&
           (x && y ? ASN1_OCTET_STRING_cmp(x, y) == 0 : x == y);
}

bool crl_revokes(const struct crl *crl, X509 *certificate)
{
    X509_REVOKED *entry = NULL;

    /* 2: an entry that says "remove from CRL", which a whole list cannot have */
    return X509_CRL_get0_by_serial(crl->x509, &entry, X509_get_serialNumber(certificate)) != 0;
}
