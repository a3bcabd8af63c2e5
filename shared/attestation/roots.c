#include "shared/attestation/roots.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "shared/attestation/certificates.h"
#include "shared/attestation/pem.h"
#include "shared/attestation/verifier.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"

DEFINE_CLEANUP(BIO *, BIO_free)

/* SHA-256 of AMD's certificates, DER: the root (ARK), and its ASK and ASVK. */
static const struct amd_root {
    enum snp_product product;
    uint8_t fingerprint[32];
    uint8_t asks[2][32];
} amd_roots[] = {
    {SNP_PRODUCT_MILAN,
     {0x69, 0xd0, 0x63, 0xb4, 0x53, 0x44, 0xd2, 0x6a, 0x2e, 0x94, 0xe1,
      0xf4, 0x21, 0x0d, 0xe4, 0x9e, 0xf5, 0x55, 0x30, 0x82, 0x87, 0xd4,
      0xc1, 0x74, 0x44, 0x5c, 0x95, 0x63, 0x9a, 0x54, 0x0b, 0xcd},
     {{0x67, 0xd3, 0x03, 0xbd, 0x39, 0x05, 0xfd, 0x38, 0xdb, 0x8b, 0x20,
       0xe0, 0x79, 0x36, 0x99, 0x87, 0x0e, 0x7f, 0xa6, 0x12, 0xea, 0xad,
       0x5d, 0xec, 0x35, 0x82, 0x93, 0xfd, 0x8c, 0x0b, 0xac, 0x1b},
      {0xc5, 0xe0, 0x81, 0xf5, 0x9b, 0x7e, 0xfa, 0xb1, 0xfe, 0x2f, 0x8b,
       0x50, 0x5e, 0x15, 0x97, 0x04, 0xe7, 0x2f, 0x29, 0xca, 0xb7, 0xef,
       0x7c, 0xf6, 0x28, 0xa0, 0x5a, 0x42, 0x43, 0x90, 0x82, 0xf5}}},
    {SNP_PRODUCT_GENOA,
     {0x4c, 0x65, 0x98, 0xd1, 0x9c, 0x18, 0x71, 0x9c, 0x5d, 0xfd, 0x4a,
      0x7d, 0x33, 0x5f, 0x67, 0x4e, 0x5b, 0xfe, 0x1d, 0x8f, 0x80, 0x0c,
      0xea, 0x2c, 0xf2, 0x70, 0xc1, 0x0d, 0x10, 0x3d, 0xb2, 0xf1},
     {{0x54, 0x64, 0x73, 0x8c, 0x15, 0x46, 0xae, 0xd5, 0xf2, 0xce, 0xcf,
       0x1d, 0xc9, 0x8c, 0x5c, 0x96, 0x0a, 0x92, 0xe8, 0x91, 0x32, 0x38,
       0xa6, 0x17, 0x11, 0xbc, 0x90, 0xec, 0x6e, 0x82, 0x85, 0x21},
      {0x19, 0x7e, 0x61, 0x07, 0x43, 0xa9, 0x17, 0xd6, 0xb9, 0xbb, 0x98,
       0x2a, 0x5a, 0x92, 0x26, 0xcc, 0xc0, 0xa1, 0x5b, 0x61, 0x1b, 0xe0,
       0x61, 0x9e, 0x62, 0x6a, 0xca, 0x91, 0x51, 0x45, 0x73, 0x72}}},
    {SNP_PRODUCT_TURIN,
     {0x1f, 0x08, 0x41, 0x61, 0xa4, 0x4b, 0xb6, 0xd9, 0x37, 0x78, 0xa9,
      0x04, 0x87, 0x7d, 0x48, 0x19, 0xca, 0xfa, 0x5d, 0x05, 0xef, 0x41,
      0x93, 0xb2, 0xde, 0xd9, 0xdd, 0x9c, 0x73, 0xdd, 0x3f, 0x6a},
     {{0x5b, 0x77, 0xef, 0x5f, 0xe7, 0xa7, 0xa0, 0x04, 0xfd, 0x90, 0x32,
       0x66, 0x8f, 0xba, 0x9d, 0x0f, 0xda, 0x22, 0xf8, 0x8c, 0x44, 0x42,
       0x06, 0x9a, 0x47, 0x96, 0x36, 0xa6, 0xae, 0x3b, 0x31, 0x85},
      {0x10, 0x4e, 0x10, 0xa8, 0xbd, 0x06, 0x0a, 0x3c, 0x20, 0xa4, 0x34,
       0x26, 0x1a, 0x57, 0xd0, 0x58, 0x8f, 0xd6, 0x5a, 0x88, 0x91, 0x5b,
       0x4f, 0x65, 0xb0, 0x8b, 0xde, 0xca, 0xf8, 0xdf, 0x1a, 0x3c}}},
};

static void pin(struct trust_root *root, const struct amd_root *amd)
{
    root->product = amd->product;
    root->development = false;
    memcpy(root->fingerprint, amd->fingerprint, 32);
    memcpy(root->known_asks, amd->asks, sizeof(amd->asks));
    root->n_known_asks = ELEMENTSOF(amd->asks);
}

struct error *trust_roots_amd(struct trust_roots **ret_roots)
{
    struct trust_roots *roots = xnew(struct trust_roots);

    for (size_t i = 0; i < ELEMENTSOF(amd_roots); i++)
        pin(&roots->roots[roots->n++], &amd_roots[i]);
    *ret_roots = roots;
    return NULL;
}

static bool fingerprint(X509 *certificate, uint8_t ret_sha256[32])
{
    unsigned int size = 0;

    return X509_digest(certificate, EVP_sha256(), ret_sha256, &size) == 1 && size == 32;
}

/* A root from a folder that is AMD's own stays AMD's: only others are "development". */
static bool init_root(struct trust_root *root, X509 *ark)
{
    root->development = true;
    if (!fingerprint(ark, root->fingerprint) || !X509_up_ref(ark))
        return false;
    root->ark = ark;
    for (size_t i = 0; i < ELEMENTSOF(amd_roots); i++)
        if (memcmp(amd_roots[i].fingerprint, root->fingerprint, 32) == 0)
            pin(root, &amd_roots[i]);
    return true;
}

/* An intermediate given beside the root is at hand, and from then on only such are known. */
static bool add_ask(struct trust_root *root, X509 *ask)
{
    if (root->n_asks == TRUST_ROOT_ASKS_MAX || !X509_up_ref(ask))
        return false;
    root->asks[root->n_asks++] = ask;
    if (!root->development)
        return true; /* AMD's are known already */
    return fingerprint(ask, root->known_asks[root->n_known_asks++]);
}

static bool add_asks(struct trust_root *root, X509 *const *asks, size_t n)
{
    bool ok = true;

    for (size_t i = 0; ok && i < n; i++)
        if (X509_NAME_cmp(X509_get_issuer_name(asks[i]), X509_get_subject_name(root->ark)) == 0)
            ok = add_ask(root, asks[i]);
    return ok;
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
        X509 *certificate = PEM_read_bio_X509(bio, NULL, pem_no_password, NULL);
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
        struct trust_root *root = &roots->roots[roots->n++];

        if (!init_root(root, arks.certificates[i]) || !add_asks(root, asks.certificates, asks.n))
            return error_openssl("trust root");
    }
    *ret_roots = TAKE_PTR(roots);
    return NULL;
}

bool trust_roots_are_development(const struct trust_roots *roots)
{
    for (size_t i = 0; i < roots->n; i++)
        if (!roots->roots[i].development)
            return false;
    return roots->n > 0;
}

void trust_roots_free(struct trust_roots *roots)
{
    if (!roots)
        return;
    for (size_t i = 0; i < roots->n; i++) {
        X509_free(roots->roots[i].ark);
        for (size_t k = 0; k < roots->roots[i].n_asks; k++)
            X509_free(roots->roots[i].asks[k]);
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

static bool digest_is_listed(const uint8_t (*list)[32], size_t n, const uint8_t sha256[32])
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(list[i], sha256, 32) == 0)
            return true;
    return false;
}

bool trust_root_knows(const struct trust_root *root, X509 *ask)
{
    uint8_t sha256[32];

    if (root->n_known_asks == 0)
        return true;
    return fingerprint(ask, sha256) &&
           digest_is_listed(root->known_asks, root->n_known_asks, sha256);
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
