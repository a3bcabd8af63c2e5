#include "shared/collateral/check.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "shared/attestation/certificates.h"
#include "shared/attestation/crl.h"
#include "shared/attestation/roots.h"

DEFINE_CLEANUP(BIO *, BIO_free)

void check_chain_done(struct check_chain *chain)
{
    X509_free(chain->ask);
    X509_free(chain->ark);
    *chain = (struct check_chain){};
}

static struct error *refuse(const char *what, const char *why)
{
    ERR_clear_error();
    return error_new(ERROR_PERMISSION_DENIED, "%s %s", what, why);
}

static bool in_date(const X509 *certificate, int64_t at_ms)
{
    time_t at = (time_t)(at_ms / 1000);

    return X509_cmp_time(X509_get0_notBefore(certificate), &at) < 0 &&
           X509_cmp_time(X509_get0_notAfter(certificate), &at) > 0;
}

static struct error *check_signed_by(const char *what, X509 *certificate, X509 *issuer,
                                     int64_t at_ms)
{
    if (!vek_signature_algorithm_is_amd(certificate) ||
        X509_check_issued(issuer, certificate) != X509_V_OK ||
        X509_verify(certificate, X509_get0_pubkey(issuer)) != 1)
        return refuse(what, "is not signed by its issuer");
    if (!in_date(certificate, at_ms))
        return refuse(what, "is out of date");
    return NULL;
}

static bool has_name(X509 *certificate, const char *prefix, enum snp_product product)
{
    char expected[32], actual[32] = "";
    X509_NAME *name = X509_get_subject_name(certificate);

    snprintf(expected, sizeof(expected), "%s%s", prefix, snp_product_name(product));
    int size = X509_NAME_get_text_by_NID(name, NID_commonName, actual, sizeof(actual));
    return size == (int)strlen(expected) && strcmp(actual, expected) == 0;
}

static struct error *check_root(const struct trust_roots *roots, enum snp_product product,
                                X509 *ark)
{
    const struct trust_root *root = trust_roots_match(roots, ark);

    if (!root)
        return refuse("the root certificate", "is not trusted");
    if (root->product != SNP_PRODUCT_UNKNOWN && root->product != product)
        return refuse("the root certificate", "is of another product");
    return NULL;
}

/* What is encrypted is refused: nobody is asked. */
static int no_password(char *buffer, int size, int writing, void *state)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)state;
    return -1;
}

static struct error *read_chain(const void *pem, size_t size, struct check_chain *chain)
{
    _cleanup_(BIO_freep) BIO *bio =
        size <= 2 * CERTIFICATE_SIZE_MAX ? BIO_new_mem_buf(pem, (int)size) : NULL;
    X509 *more = NULL;

    if (bio) {
        chain->ask = PEM_read_bio_X509(bio, NULL, no_password, NULL);
        chain->ark = PEM_read_bio_X509(bio, NULL, no_password, NULL);
        more = PEM_read_bio_X509(bio, NULL, no_password, NULL);
    }
    bool exactly_two = chain->ask && chain->ark && !more;
    X509_free(more);
    ERR_clear_error();
    if (!exactly_two)
        return error_new(ERROR_INVALID_ARGUMENT, "not a chain of two certificates");
    return NULL;
}

struct error *check_chain_parse(const struct trust_roots *roots, enum snp_product product,
                                enum vek_kind kind, int64_t at_ms, const void *pem, size_t size,
                                struct check_chain *ret_chain)
{
    _cleanup_(check_chain_done) struct check_chain chain = {};

    struct error *err = read_chain(pem, size, &chain);
    if (!err)
        err = check_root(roots, product, chain.ark);
    if (!err)
        err = check_signed_by("the root certificate", chain.ark, chain.ark, at_ms);
    if (!err)
        err = check_signed_by("the intermediate certificate", chain.ask, chain.ark, at_ms);
    if (!err && !has_name(chain.ask, kind == VEK_VLEK ? "SEV-VLEK-" : "SEV-", product))
        err = refuse("the intermediate certificate", "is of another product or kind");
    if (err)
        return err;
    *ret_chain = chain;
    chain = (struct check_chain){};
    return NULL;
}

static struct error *check_is_of_chip(const struct vek *vek, const struct kds_chip *chip)
{
    if (vek->kind != VEK_VCEK || vek->product != chip->product)
        return refuse("the certificate", "is of another product or kind");
    if (vek->hwid_size != chip->hwid_size || memcmp(vek->hwid, chip->hwid, chip->hwid_size) != 0)
        return refuse("the certificate", "is of another chip");
    if (!snp_tcb_equal(&vek->tcb, &chip->tcb))
        return refuse("the certificate", "is of another TCB version");
    return NULL;
}

struct error *check_vcek(const struct check_chain *chain, const struct kds_chip *chip,
                         int64_t at_ms, const void *der, size_t size)
{
    const uint8_t *at = der, *end = at + size;
    struct vek vek;

    if (size > CERTIFICATE_SIZE_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "the certificate is too large");
    _cleanup_(X509_freep) X509 *certificate = d2i_X509(NULL, &at, (long)size);
    if (!certificate || at != end) {
        ERR_clear_error();
        return error_new(ERROR_INVALID_ARGUMENT, "not a certificate");
    }
    struct error *err = vek_parse(certificate, &vek);
    if (!err)
        err = check_is_of_chip(&vek, chip);
    return err ? err : check_signed_by("the certificate", certificate, chain->ask, at_ms);
}

bool check_crl_is_older(const struct check_crl_version *a, const struct check_crl_version *b)
{
    return a->number < b->number ||
           (a->number == b->number && a->this_update_ms < b->this_update_ms);
}

struct error *check_crl(const struct check_chain *chain, const void *der, size_t size,
                        struct check_crl_version *ret_version)
{
    _cleanup_(crl_freep) struct crl *crl = NULL;

    if (size > CERTIFICATE_SIZE_MAX) /* it must fit into a certificate table */
        return error_new(ERROR_INVALID_ARGUMENT, "the CRL is too large");
    struct error *err = crl_parse(der, size, &crl);
    if (err)
        return err;
    const char *problem = crl_problem(crl, chain->ark);
    if (problem)
        return refuse("the CRL:", problem);
    *ret_version = (struct check_crl_version){crl_number(crl), crl_this_update_ms(crl),
                                              crl_next_update_ms(crl)};
    return NULL;
}
