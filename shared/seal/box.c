#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "shared/seal/seal.h"

#define BOX_VERSION    1
#define BOX_KEY_AT     1
#define BOX_NONCE_AT   (BOX_KEY_AT + SEAL_KEY_SIZE)
#define BOX_NONCE_SIZE 12
#define BOX_CIPHER_AT  (BOX_NONCE_AT + BOX_NONCE_SIZE)
#define BOX_TAG_SIZE   16
#define BOX_LABEL      "coffer/seal/v1"

DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
DEFINE_CLEANUP(EVP_PKEY_CTX *, EVP_PKEY_CTX_free)
DEFINE_CLEANUP(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_free)
DEFINE_CLEANUP(EVP_KDF *, EVP_KDF_free)
DEFINE_CLEANUP(EVP_KDF_CTX *, EVP_KDF_CTX_free)

/* What HKDF gives for one box: both parts are used once, because the ephemeral key is. */
struct box_secret {
    uint8_t key[32];
    uint8_t nonce[BOX_NONCE_SIZE];
};

static void box_secret_done(struct box_secret *secret)
{
    OPENSSL_cleanse(secret, sizeof(*secret));
}

/* Costs a multiplication, for the public half: a key that is used twice is kept. */
static EVP_PKEY *new_private(const uint8_t secret[SEAL_KEY_SIZE])
{
    return EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, SEAL_KEY_SIZE);
}

static struct error *public_of(const EVP_PKEY *pkey, uint8_t ret_public[SEAL_KEY_SIZE])
{
    size_t size = SEAL_KEY_SIZE;

    if (!pkey || EVP_PKEY_get_raw_public_key(pkey, ret_public, &size) != 1)
        return error_openssl("load x25519 key");
    return NULL;
}

struct error *box_key_from_secret(const uint8_t secret[SEAL_KEY_SIZE], struct box_key *ret_key)
{
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *pkey = new_private(secret);
    uint8_t public[SEAL_KEY_SIZE];
    struct error *err = public_of(pkey, public);

    if (err)
        return err;
    memcpy(ret_key->secret, secret, SEAL_KEY_SIZE);
    memcpy(ret_key->public, public, SEAL_KEY_SIZE);
    return NULL;
}

struct error *box_key_generate(struct box_key *ret_key)
{
    uint8_t secret[SEAL_KEY_SIZE];

    if (RAND_priv_bytes(secret, sizeof(secret)) != 1)
        return error_openssl("generate x25519 key");
    struct error *err = box_key_from_secret(secret, ret_key);
    OPENSSL_cleanse(secret, sizeof(secret));
    return err;
}

void box_key_done(struct box_key *key)
{
    OPENSSL_cleanse(key, sizeof(*key));
}

/* RFC 7748 section 6.1; OpenSSL refuses the all-zero result of small-order points. */
static struct error *x25519(EVP_PKEY *own, const uint8_t public[SEAL_KEY_SIZE],
                            uint8_t ret_shared[32])
{
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *peer =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, public, SEAL_KEY_SIZE);
    _cleanup_(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *ctx = own ? EVP_PKEY_CTX_new(own, NULL) : NULL;
    size_t size = 32;

    if (!peer || !ctx || EVP_PKEY_derive_init(ctx) != 1 ||
        EVP_PKEY_derive_set_peer(ctx, peer) != 1 || EVP_PKEY_derive(ctx, ret_shared, &size) != 1)
        return error_openssl("x25519");
    return NULL;
}

/* RFC 5869 with SHA-256. */
static struct error *hkdf(const uint8_t shared[32], const uint8_t salt[2 * SEAL_KEY_SIZE],
                          const char *context, struct box_secret *ret_secret)
{
    _cleanup_(EVP_KDF_freep) EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    _cleanup_(EVP_KDF_CTX_freep) EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    _cleanup_buffer_ struct buffer info = {};
    uint8_t out[sizeof(ret_secret->key) + sizeof(ret_secret->nonce)];

    buffer_add(&info, BOX_LABEL, sizeof(BOX_LABEL)); /* with its NUL */
    buffer_add_text(&info, context);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)shared, 32),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt, 2 * SEAL_KEY_SIZE),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info.data, info.size),
        OSSL_PARAM_construct_end(),
    };
    if (!ctx || EVP_KDF_derive(ctx, out, sizeof(out), params) != 1)
        return error_openssl("hkdf");
    memcpy(ret_secret->key, out, sizeof(ret_secret->key));
    memcpy(ret_secret->nonce, out + sizeof(ret_secret->key), sizeof(ret_secret->nonce));
    OPENSSL_cleanse(out, sizeof(out));
    return NULL;
}

static struct error *box_derive(EVP_PKEY *own, const uint8_t peer[SEAL_KEY_SIZE],
                                const uint8_t ephemeral[SEAL_KEY_SIZE],
                                const uint8_t receiver[SEAL_KEY_SIZE], const char *context,
                                struct box_secret *ret_secret)
{
    uint8_t shared[32];
    uint8_t salt[2 * SEAL_KEY_SIZE];

    memcpy(salt, ephemeral, SEAL_KEY_SIZE);
    memcpy(salt + SEAL_KEY_SIZE, receiver, SEAL_KEY_SIZE);
    struct error *err = x25519(own, peer, shared);
    if (!err)
        err = hkdf(shared, salt, context, ret_secret);
    OPENSSL_cleanse(shared, sizeof(shared));
    return err;
}

/* out has room for size bytes of ciphertext and the tag behind. */
static struct error *encrypt(const struct box_secret *secret, const char *context,
                             const void *plain, size_t size, uint8_t *out)
{
    _cleanup_(EVP_CIPHER_CTX_freep) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0;

    if (!ctx || EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, secret->key, secret->nonce) != 1 ||
        EVP_EncryptUpdate(ctx, NULL, &n, (const uint8_t *)context, (int)strlen(context)) != 1 ||
        (size > 0 && EVP_EncryptUpdate(ctx, out, &n, plain, (int)size) != 1) ||
        EVP_EncryptFinal_ex(ctx, out + size, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, BOX_TAG_SIZE, out + size) != 1)
        return error_openssl("encrypt");
    return NULL;
}

static struct error *decrypt(const struct box_secret *secret, const char *context,
                             const uint8_t *cipher, size_t size, uint8_t *out)
{
    _cleanup_(EVP_CIPHER_CTX_freep) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0;

    if (!ctx || EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, secret->key, secret->nonce) != 1 ||
        EVP_DecryptUpdate(ctx, NULL, &n, (const uint8_t *)context, (int)strlen(context)) != 1 ||
        (size > 0 && EVP_DecryptUpdate(ctx, out, &n, cipher, (int)size) != 1) ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, BOX_TAG_SIZE, (void *)(cipher + size)) !=
            1 ||
        EVP_DecryptFinal_ex(ctx, out + size, &n) != 1)
        return error_openssl("decrypt");
    return NULL;
}

/* A key for one box. */
static struct error *make_ephemeral(EVP_PKEY **ret_pkey, uint8_t ret_public[SEAL_KEY_SIZE])
{
    uint8_t secret[SEAL_KEY_SIZE];

    if (RAND_priv_bytes(secret, sizeof(secret)) != 1)
        return error_openssl("generate x25519 key");
    *ret_pkey = new_private(secret);
    OPENSSL_cleanse(secret, sizeof(secret));
    return public_of(*ret_pkey, ret_public);
}

struct error *seal_to(const uint8_t receiver_public[SEAL_KEY_SIZE], const char *context,
                      const void *plain, size_t size, struct buffer *ret_box)
{
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *ephemeral = NULL;
    _cleanup_(box_secret_done) struct box_secret secret = {};
    uint8_t public[SEAL_KEY_SIZE];

    if (size > SEAL_PLAINTEXT_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "more than %d bytes to seal",
                         SEAL_PLAINTEXT_MAX);
    struct error *err = make_ephemeral(&ephemeral, public);
    if (!err)
        err = box_derive(ephemeral, receiver_public, public, receiver_public, context, &secret);
    if (err)
        return error_wrap(err, "seal");

    _cleanup_free_ uint8_t *cipher = calloc(1, size + BOX_TAG_SIZE);
    if (!cipher)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "no memory to seal");
    err = encrypt(&secret, context, plain, size, cipher);
    if (err)
        return error_wrap(err, "seal");
    buffer_add_u8(ret_box, BOX_VERSION);
    buffer_add(ret_box, public, SEAL_KEY_SIZE);
    buffer_add(ret_box, secret.nonce, BOX_NONCE_SIZE);
    buffer_add(ret_box, cipher, size + BOX_TAG_SIZE);
    return NULL;
}

struct box_opener {
    EVP_PKEY *pkey;
    uint8_t public[SEAL_KEY_SIZE];
};

static struct error *open_box(const struct box_opener *opener, const char *context,
                              const uint8_t *box, size_t size, uint8_t *plain)
{
    _cleanup_(box_secret_done) struct box_secret secret = {};
    const uint8_t *ephemeral = box + BOX_KEY_AT;

    struct error *err =
        box_derive(opener->pkey, ephemeral, ephemeral, opener->public, context, &secret);
    if (err)
        return err;
    if (CRYPTO_memcmp(secret.nonce, box + BOX_NONCE_AT, BOX_NONCE_SIZE) != 0)
        return error_new(ERROR_PERMISSION_DENIED, "wrong nonce");
    return decrypt(&secret, context, box + BOX_CIPHER_AT, size - SEAL_OVERHEAD, plain);
}

struct error *box_opener_open(const struct box_opener *opener, const char *context, const void *box,
                              size_t size, struct buffer *ret_plain)
{
    const uint8_t *bytes = box;

    if (size < SEAL_OVERHEAD || size > SEAL_OVERHEAD + SEAL_PLAINTEXT_MAX ||
        bytes[0] != BOX_VERSION)
        return error_new(ERROR_PERMISSION_DENIED, "sealed box cannot be opened");

    size_t plain_size = size - SEAL_OVERHEAD;
    uint8_t *plain = calloc(1, plain_size + 1);
    if (!plain)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "no memory to open a sealed box");
    struct error *err = open_box(opener, context, bytes, size, plain);
    if (!err)
        buffer_add(ret_plain, plain, plain_size);
    OPENSSL_cleanse(plain, plain_size);
    free(plain);
    if (!err)
        return NULL;
    error_free(err); /* which check failed would be an oracle */
    return error_new(ERROR_PERMISSION_DENIED, "sealed box cannot be opened");
}

struct error *seal_open(const struct box_key *key, const char *context, const void *box,
                        size_t size, struct buffer *ret_plain)
{
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *pkey = new_private(key->secret);
    struct box_opener opener = {.pkey = pkey};

    if (!pkey)
        return error_openssl("load x25519 key");
    memcpy(opener.public, key->public, SEAL_KEY_SIZE);
    return box_opener_open(&opener, context, box, size, ret_plain);
}

struct error *box_opener_new(const struct box_key *key, struct box_opener **ret_opener)
{
    _cleanup_(box_opener_freep) struct box_opener *opener = calloc(1, sizeof(*opener));

    if (!opener)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "no memory for a key");
    memcpy(opener->public, key->public, SEAL_KEY_SIZE);
    opener->pkey = new_private(key->secret);
    if (!opener->pkey)
        return error_openssl("load x25519 key");
    *ret_opener = TAKE_PTR(opener);
    return NULL;
}

void box_opener_free(struct box_opener *opener)
{
    if (!opener)
        return;
    EVP_PKEY_free(opener->pkey);
    free(opener);
}
