#include "shared/nvidia/x509_path.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <string.h>

DEFINE_CLEANUP(BIO *, BIO_free)
DEFINE_CLEANUP(X509_STORE *, X509_STORE_free)
DEFINE_CLEANUP(X509_STORE_CTX *, X509_STORE_CTX_free)

static void stack_free(STACK_OF(X509) * stack)
{
    sk_X509_free(stack);
}
DEFINE_CLEANUP(STACK_OF(X509) *, stack_free)

void x509_path_done(struct x509_path *path)
{
    for (size_t i = 0; i < path->n; i++)
        X509_free(path->certificates[i]);
    *path = (struct x509_path){};
}

struct error *x509_path_add_der(struct x509_path *path, const void *der, size_t size)
{
    const uint8_t *at = der;

    if (path->n >= X509_PATH_MAX || size > X509_PATH_PEM_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "chain: too many or too long certificates");
    X509 *certificate = d2i_X509(NULL, &at, (long)size);
    ERR_clear_error();
    if (!certificate || at != (const uint8_t *)der + size) {
        X509_free(certificate);
        return error_new(ERROR_INVALID_ARGUMENT, "chain: a certificate cannot be read");
    }
    path->certificates[path->n++] = certificate;
    return NULL;
}

/* Without it OpenSSL would ask at the terminal for the key of an encrypted block. */
static int no_password(char *ret_text, int size, int writing, void *data)
{
    (void)ret_text, (void)size, (void)writing, (void)data;
    return -1;
}

struct error *x509_path_add_pem(struct x509_path *path, const void *pem, size_t size)
{
    size_t before = path->n;

    if (size > X509_PATH_PEM_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "chain: longer than %d bytes", X509_PATH_PEM_MAX);
    _cleanup_(BIO_freep) BIO *bio = BIO_new_mem_buf(size ? pem : "", (int)size);
    for (X509 *certificate = NULL;
         bio && (certificate = PEM_read_bio_X509(bio, NULL, no_password, NULL));) {
        if (path->n >= X509_PATH_MAX) {
            X509_free(certificate);
            return error_new(ERROR_INVALID_ARGUMENT, "chain: more than %d certificates",
                             X509_PATH_MAX);
        }
        path->certificates[path->n++] = certificate;
    }
    bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    if (path->n == before || !at_end)
        return error_new(ERROR_INVALID_ARGUMENT, "chain: a certificate cannot be read");
    return NULL;
}

static bool is_pinned(X509 *root, const uint8_t *fingerprint)
{
    uint8_t sha256[EVP_MAX_MD_SIZE];
    unsigned int size = 0;

    return X509_digest(root, EVP_sha256(), sha256, &size) == 1 && size == X509_PATH_FINGERPRINT &&
           CRYPTO_memcmp(sha256, fingerprint, X509_PATH_FINGERPRINT) == 0;
}

static bool is_p384(X509 *certificate)
{
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    char group[32] = "";

    return key && EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
           strcmp(group, "secp384r1") == 0 &&
           X509_get_signature_nid(certificate) == NID_ecdsa_with_SHA384;
}

static bool prepare(const struct x509_path *path, X509_STORE *store, STACK_OF(X509) * untrusted,
                    X509_STORE_CTX *ctx)
{
    if (!store || !untrusted || !ctx ||
        X509_STORE_add_cert(store, path->certificates[path->n - 1]) != 1)
        return false;
    for (size_t i = 1; i + 1 < path->n; i++)
        if (sk_X509_push(untrusted, path->certificates[i]) <= 0)
            return false;
    if (X509_STORE_CTX_init(ctx, store, path->certificates[0], untrusted) != 1)
        return false;
    X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_NO_CHECK_TIME | X509_V_FLAG_CHECK_SS_SIGNATURE);
    return true;
}

/* The chain that OpenSSL finds must be the one that was given: no certificate unused. */
static const char *signatures_problem(const struct x509_path *path)
{
    _cleanup_(X509_STORE_freep) X509_STORE *store = X509_STORE_new();
    _cleanup_(stack_freep) STACK_OF(X509) *untrusted = sk_X509_new_null();
    _cleanup_(X509_STORE_CTX_freep) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    const char *problem = NULL;

    if (!prepare(path, store, untrusted, ctx))
        return "out of memory";
    if (X509_verify_cert(ctx) != 1)
        problem = X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx));
    else if ((size_t)sk_X509_num(X509_STORE_CTX_get0_chain(ctx)) != path->n)
        problem = "the chain holds certificates that are not part of it";
    for (size_t i = 0; !problem && i < path->n; i++)
        if (X509_cmp(sk_X509_value(X509_STORE_CTX_get0_chain(ctx), (int)i),
                     path->certificates[i]) != 0)
            problem = "the chain is not in order, leaf first";
    return problem;
}

const char *x509_path_problem(const struct x509_path *path,
                              const uint8_t fingerprint[X509_PATH_FINGERPRINT])
{
    if (path->n < 2)
        return "there is no chain";
    if (!is_pinned(path->certificates[path->n - 1], fingerprint))
        return "the last certificate is not the pinned root";
    for (size_t i = 0; i < path->n; i++)
        if (!is_p384(path->certificates[i]))
            return "a certificate is not on P-384 with SHA-384";
    const char *problem = signatures_problem(path);
    ERR_clear_error();
    return problem;
}

bool x509_path_in_date(const struct x509_path *path, int64_t at_ms)
{
    time_t at = (time_t)(at_ms / 1000);

    for (size_t i = 0; i < path->n; i++) {
        const X509 *certificate = path->certificates[i];

        if (X509_cmp_time(X509_get0_notBefore(certificate), &at) >= 0 ||
            X509_cmp_time(X509_get0_notAfter(certificate), &at) <= 0)
            return false;
    }
    return true;
}

EVP_PKEY *x509_path_key(const struct x509_path *path)
{
    return path->n ? X509_get0_pubkey(path->certificates[0]) : NULL;
}
