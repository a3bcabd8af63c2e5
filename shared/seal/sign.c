#include <openssl/evp.h>
#include <openssl/rand.h>

#include "shared/seal/seal.h"

DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
DEFINE_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free)

struct error *sign_key_from_secret(const uint8_t secret[SIGN_KEY_SIZE], struct sign_key *ret_key)
{
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *pkey =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, SIGN_KEY_SIZE);
    struct sign_key key = {};
    size_t size = sizeof(key.public);

    if (!pkey || EVP_PKEY_get_raw_public_key(pkey, key.public, &size) != 1)
        return error_openssl("load ed25519 key");
    memcpy(ret_key->secret, secret, SIGN_KEY_SIZE);
    memcpy(ret_key->public, key.public, SIGN_KEY_SIZE);
    return NULL;
}

struct error *sign_key_generate(struct sign_key *ret_key)
{
    uint8_t secret[SIGN_KEY_SIZE];

    if (RAND_priv_bytes(secret, sizeof(secret)) != 1)
        return error_openssl("generate ed25519 key");
    struct error *err = sign_key_from_secret(secret, ret_key);
    OPENSSL_cleanse(secret, sizeof(secret));
    return err;
}

void sign_key_done(struct sign_key *key)
{
    OPENSSL_cleanse(key, sizeof(*key));
}

struct error *sign_bytes(const struct sign_key *key, const void *data, size_t size,
                         uint8_t ret_signature[SIGN_SIZE])
{
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *pkey =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key->secret, SIGN_KEY_SIZE);
    _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t signature[SIGN_SIZE];
    size_t signature_size = sizeof(signature);

    if (!pkey || !ctx || EVP_DigestSignInit(ctx, NULL, NULL, NULL, pkey) != 1 ||
        EVP_DigestSign(ctx, signature, &signature_size, data, size) != 1)
        return error_openssl("sign");
    memcpy(ret_signature, signature, SIGN_SIZE);
    return NULL;
}

struct error *sign_verify(const uint8_t public[SIGN_KEY_SIZE], const void *data, size_t size,
                          const uint8_t signature[SIGN_SIZE])
{
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *pkey =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public, SIGN_KEY_SIZE);
    _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (!pkey || !ctx || EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) != 1)
        return error_openssl("load ed25519 public key");
    if (EVP_DigestVerify(ctx, signature, SIGN_SIZE, data, size) == 1)
        return NULL;
    error_free(error_openssl("verify")); /* empties OpenSSL's queue */
    return error_new(ERROR_PERMISSION_DENIED, "signature does not verify");
}
