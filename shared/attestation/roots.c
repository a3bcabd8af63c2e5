#include "shared/attestation/roots.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "shared/attestation/certificates.h"
#include "shared/attestation/verifier.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"

DEFINE_CLEANUP(BIO *, BIO_free)

/* SHA-256 of AMD's self-signed root certificates (ARK), DER. */
static const struct {
    enum snp_product product;
    uint8_t fingerprint[32];
} amd_roots[] = {
    {SNP_PRODUCT_MILAN, {0x69, 0xd0, 0x63, 0xb4, 0x53, 0x44, 0xd2, 0x6a, 0x2e, 0x94, 0xe1,
                         0xf4, 0x21, 0x0d, 0xe4, 0x9e, 0xf5, 0x55, 0x30, 0x82, 0x87, 0xd4,
                         0xc1, 0x74, 0x44, 0x5c, 0x95, 0x63, 0x9a, 0x54, 0x0b, 0xcd}},
    {SNP_PRODUCT_GENOA, {0x4c, 0x65, 0x98, 0xd1, 0x9c, 0x18, 0x71, 0x9c, 0x5d, 0xfd, 0x4a,
                         0x7d, 0x33, 0x5f, 0x67, 0x4e, 0x5b, 0xfe, 0x1d, 0x8f, 0x80, 0x0c,
                         0xea, 0x2c, 0xf2, 0x70, 0xc1, 0x0d, 0x10, 0x3d, 0xb2, 0xf1}},
    {SNP_PRODUCT_TURIN, {0x1f, 0x08, 0x41, 0x61, 0xa4, 0x4b, 0xb6, 0xd9, 0x37, 0x78, 0xa9,
                         0x04, 0x87, 0x7d, 0x48, 0x19, 0xca, 0xfa, 0x5d, 0x05, 0xef, 0x41,
                         0x93, 0xb2, 0xde, 0xd9, 0xdd, 0x9c, 0x73, 0xdd, 0x3f, 0x6a}},
};

struct error *trust_roots_amd(struct trust_roots **ret_roots)
{
    struct trust_roots *roots = xnew(struct trust_roots);

    for (size_t i = 0; i < ELEMENTSOF(amd_roots); i++) {
        struct trust_root *root = &roots->roots[roots->n++];

        root->product = amd_roots[i].product;
        memcpy(root->fingerprint, amd_roots[i].fingerprint, 32);
    }
    *ret_roots = roots;
    return NULL;
}

static bool fingerprint(X509 *certificate, uint8_t ret_sha256[32])
{
    unsigned int size = 0;

    return X509_digest(certificate, EVP_sha256(), ret_sha256, &size) == 1 && size == 32;
}

/* A root from a folder that is AMD's own stays AMD's: only others are "development". */
static bool init_root(struct trust_root *root, X509 *ark, X509 *ask)
{
    root->development = true;
    if (!fingerprint(ark, root->fingerprint) || !X509_up_ref(ark))
        return false;
    root->ark = ark;
    if (ask && X509_up_ref(ask))
        root->ask = ask;
    for (size_t i = 0; i < ELEMENTSOF(amd_roots); i++) {
        if (memcmp(amd_roots[i].fingerprint, root->fingerprint, 32) != 0)
            continue;
        root->development = false;
        root->product = amd_roots[i].product;
    }
    return true;
}

struct pem_list {
    X509 *certificates[TRUST_ROOTS_MAX];
    size_t n;
};

static void pem_list_done(struct pem_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        X509_free(list->certificates[i]);
}

static struct error *read_pem(const char *dir, const char *name, struct pem_list *ret_list)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
    _cleanup_buffer_ struct buffer text = {};

    struct error *err = file_read(path, TRUST_ROOTS_MAX * CERTIFICATE_SIZE_MAX, &text);
    if (err)
        return err;
    _cleanup_(BIO_freep) BIO *bio = BIO_new_mem_buf(buffer_text(&text), (int)text.size);
    while (bio && ret_list->n < TRUST_ROOTS_MAX) {
        X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        if (!certificate)
            break;
        ret_list->certificates[ret_list->n++] = certificate;
    }
    ERR_clear_error();
    if (ret_list->n == 0)
        return error_new(ERROR_INVALID_ARGUMENT, "no certificate in '%s'", path);
    return NULL;
}

/* ask.pem may be missing: evidence carries the intermediate. */
struct error *trust_roots_load(const char *dir, struct trust_roots **ret_roots)
{
    _cleanup_(pem_list_done) struct pem_list arks = {}, asks = {};
    _cleanup_(trust_roots_freep) struct trust_roots *roots = xnew(struct trust_roots);

    struct error *err = read_pem(dir, "ark.pem", &arks);
    if (err)
        return error_wrap(err, "trust root");
    err = read_pem(dir, "ask.pem", &asks);
    if (err && error_get_code(err) != ERROR_NOT_FOUND)
        return error_wrap(err, "trust root");
    error_free(err);
    for (size_t i = 0; i < arks.n; i++) {
        X509 *ark = arks.certificates[i], *ask = NULL;

        for (size_t k = 0; k < asks.n && !ask; k++)
            if (X509_NAME_cmp(X509_get_issuer_name(asks.certificates[k]),
                              X509_get_subject_name(ark)) == 0)
                ask = asks.certificates[k];
        if (!init_root(&roots->roots[roots->n++], ark, ask))
            return error_openssl("trust root");
    }
    *ret_roots = TAKE_PTR(roots);
    return NULL;
}

void trust_roots_free(struct trust_roots *roots)
{
    if (!roots)
        return;
    for (size_t i = 0; i < roots->n; i++) {
        X509_free(roots->roots[i].ark);
        X509_free(roots->roots[i].ask);
    }
    free(roots);
}

const struct trust_root *trust_roots_match(const struct trust_roots *roots, X509 *ark)
{
    uint8_t sha256[32];

    if (!fingerprint(ark, sha256))
        return NULL;
    for (size_t i = 0; i < roots->n; i++)
        if (memcmp(roots->roots[i].fingerprint, sha256, 32) == 0)
            return &roots->roots[i];
    return NULL;
}

const struct trust_root *trust_roots_issuer_of(const struct trust_roots *roots, X509 *ask)
{
    for (size_t i = 0; i < roots->n; i++) {
        X509 *ark = roots->roots[i].ark;

        if (ark && X509_NAME_cmp(X509_get_issuer_name(ask), X509_get_subject_name(ark)) == 0)
            return &roots->roots[i];
    }
    return NULL;
}
