#include "shared/attestation/id_key.h"

#include <assert.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

#include "shared/attestation/pem.h"

#define KEY_SIZE   0x404
#define CURVE_P384 2
#define X_OFFSET   0x04
#define Y_OFFSET   0x4c
#define COORDINATE 72 /* bytes, little endian */

static bool put_coordinate(const EVP_PKEY *key, const char *name, uint8_t *at)
{
    BIGNUM *number = NULL;

    bool ok = EVP_PKEY_get_bn_param(key, name, &number) == 1 &&
              BN_bn2lebinpad(number, at, COORDINATE) == COORDINATE;
    BN_free(number);
    return ok;
}

static bool is_p384(const EVP_PKEY *key)
{
    char group[32] = "";

    return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
           EVP_PKEY_get_group_name((EVP_PKEY *)key, group, sizeof(group), NULL) == 1 &&
           strcmp(group, "secp384r1") == 0;
}

struct error *id_key_digest(const void *pem, size_t size, uint8_t ret_digest[ID_KEY_DIGEST_SIZE])
{
    uint8_t form[KEY_SIZE] = {CURVE_P384};

    if (size > ID_KEY_PEM_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "key of %zu bytes", size);
    BIO *bio = BIO_new_mem_buf(pem, (int)size);
    EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, pem_no_password, NULL) : NULL;
    bool ok = key && is_p384(key) &&
              put_coordinate(key, OSSL_PKEY_PARAM_EC_PUB_X, form + X_OFFSET) &&
              put_coordinate(key, OSSL_PKEY_PARAM_EC_PUB_Y, form + Y_OFFSET);
    EVP_PKEY_free(key);
    BIO_free(bio);
    ERR_clear_error();
    if (!ok)
        return error_new(ERROR_INVALID_ARGUMENT, "not a public key on P-384 in PEM");
    int hashed = EVP_Digest(form, sizeof(form), ret_digest, NULL, EVP_sha384(), NULL);
    assert(hashed == 1);
    return NULL;
}
