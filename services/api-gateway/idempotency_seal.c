#include "services/api-gateway/idempotency_seal.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "shared/base/alloc.h"

#define LABEL   "coffer/idempotency/v1"
#define VERSION 1

enum { NONCE_AT = 1, NONCE_SIZE = 12, CIPHER_AT = NONCE_AT + NONCE_SIZE, TAG_SIZE = 16 };

DEFINE_CLEANUP(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_free)
DEFINE_CLEANUP(EVP_KDF *, EVP_KDF_free)
DEFINE_CLEANUP(EVP_KDF_CTX *, EVP_KDF_CTX_free)

struct error *idempotency_seal_init(struct idempotency_seal *seal, const char *secret,
                                    const char *account, const char *key)
{
    _cleanup_(EVP_KDF_freep) EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    _cleanup_(EVP_KDF_CTX_freep) EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    _cleanup_buffer_ struct buffer info = {0};
    uint8_t out[sizeof(seal->seal_key) + sizeof(seal->request_key)];

    buffer_add(&info, LABEL, sizeof(LABEL)); /* with its NUL */
    buffer_add_text(&info, account);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret, strlen(secret)),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)key, strlen(key)),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info.data, info.size),
        OSSL_PARAM_construct_end(),
    };
    if (!ctx || EVP_KDF_derive(ctx, out, sizeof(out), params) != 1)
        return error_openssl("idempotency: hkdf");
    memcpy(seal->seal_key, out, sizeof(seal->seal_key));
    memcpy(seal->request_key, out + sizeof(seal->seal_key), sizeof(seal->request_key));
    OPENSSL_cleanse(out, sizeof(out));
    return NULL;
}

void idempotency_seal_done(struct idempotency_seal *seal)
{
    OPENSSL_cleanse(seal, sizeof(*seal));
}

static struct error *mac(const struct idempotency_seal *seal, const struct buffer *text,
                         uint8_t ret_mac[SHA256_SIZE])
{
    unsigned size = SHA256_SIZE;

    if (!HMAC(EVP_sha256(), seal->request_key, sizeof(seal->request_key), text->data, text->size,
              ret_mac, &size))
        return error_openssl("idempotency: hmac");
    return NULL;
}

struct error *idempotency_seal_fingerprint(const struct idempotency_seal *seal, const char *method,
                                           const char *path, const struct buffer *body,
                                           uint8_t ret_fingerprint[SHA256_SIZE])
{
    _cleanup_buffer_ struct buffer text = {0};
    uint8_t digest[SHA256_SIZE];

    /* The body may be many megabytes: its hash stands for it. */
    sha256(buffer_text(body), body->size, digest);
    buffer_add_lp(&text, method, strlen(method));
    buffer_add_lp(&text, path, strlen(path));
    buffer_add_lp(&text, digest, sizeof(digest));
    return mac(seal, &text, ret_fingerprint);
}

struct error *idempotency_seal_salt(const struct idempotency_seal *seal, const char *name,
                                    const void *data, size_t size, uint8_t ret_salt[SHA256_SIZE])
{
    _cleanup_buffer_ struct buffer text = {0};

    buffer_add_lp(&text, "salt", strlen("salt")); /* where a fingerprint has its method */
    buffer_add_lp(&text, name, strlen(name));
    buffer_add_lp(&text, data, size);
    return mac(seal, &text, ret_salt);
}

/* out has room for size bytes of ciphertext and the tag behind. */
static struct error *encrypt(const struct idempotency_seal *seal, const uint8_t nonce[NONCE_SIZE],
                             const char *context, const void *plain, size_t size, uint8_t *out)
{
    _cleanup_(EVP_CIPHER_CTX_freep) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0;

    if (!ctx || EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, seal->seal_key, nonce) != 1 ||
        EVP_EncryptUpdate(ctx, NULL, &n, (const uint8_t *)context, (int)strlen(context)) != 1 ||
        (size > 0 && EVP_EncryptUpdate(ctx, out, &n, plain, (int)size) != 1) ||
        EVP_EncryptFinal_ex(ctx, out + size, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, out + size) != 1)
        return error_openssl("idempotency: encrypt");
    return NULL;
}

struct error *idempotency_seal_close(const struct idempotency_seal *seal, const char *context,
                                     const void *plain, size_t size, struct buffer *ret_box)
{
    uint8_t nonce[NONCE_SIZE];

    if (size > SEAL_PLAINTEXT_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "the answer has more than %d bytes",
                         SEAL_PLAINTEXT_MAX);
    if (RAND_bytes(nonce, sizeof(nonce)) != 1)
        return error_openssl("idempotency: nonce");
    _cleanup_free_ uint8_t *cipher = xcalloc(1, size + TAG_SIZE);
    struct error *err = encrypt(seal, nonce, context, plain, size, cipher);
    if (err)
        return err;
    buffer_add_u8(ret_box, VERSION);
    buffer_add(ret_box, nonce, sizeof(nonce));
    buffer_add(ret_box, cipher, size + TAG_SIZE);
    return NULL;
}

/* False when it is not this caller's, or was changed. out has room for size bytes. */
static bool decrypt(const struct idempotency_seal *seal, const char *context, const uint8_t *box,
                    size_t size, uint8_t *out)
{
    _cleanup_(EVP_CIPHER_CTX_freep) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    const uint8_t *cipher = box + CIPHER_AT;
    int n = 0;

    return ctx &&
           EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, seal->seal_key, box + NONCE_AT) == 1 &&
           EVP_DecryptUpdate(ctx, NULL, &n, (const uint8_t *)context, (int)strlen(context)) == 1 &&
           (size == 0 || EVP_DecryptUpdate(ctx, out, &n, cipher, (int)size) == 1) &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, (void *)(cipher + size)) ==
               1 &&
           EVP_DecryptFinal_ex(ctx, out + size, &n) == 1;
}

struct error *idempotency_seal_open(const struct idempotency_seal *seal, const char *context,
                                    const void *box, size_t size, struct buffer *ret_plain)
{
    const uint8_t *bytes = box;
    bool opened = false;

    if (size >= IDEMPOTENCY_SEAL_OVERHEAD &&
        size - IDEMPOTENCY_SEAL_OVERHEAD <= SEAL_PLAINTEXT_MAX && bytes[0] == VERSION) {
        size_t plain_size = size - IDEMPOTENCY_SEAL_OVERHEAD;
        uint8_t *plain = xcalloc(1, plain_size + 1);
        opened = decrypt(seal, context, bytes, plain_size, plain);
        if (opened)
            buffer_add(ret_plain, plain, plain_size);
        OPENSSL_cleanse(plain, plain_size);
        free(plain);
    }
    if (opened)
        return NULL;
    ERR_clear_error();
    return error_new(ERROR_PERMISSION_DENIED, "a kept answer cannot be opened");
}
