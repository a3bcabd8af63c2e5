#include "shared/manifest/signed_document.h"

#include <openssl/crypto.h>
#include <string.h>

#include "shared/base/encode.h"
#include "shared/manifest/manifest.h"

static struct error *refused(const char *what)
{
    return error_new(ERROR_PERMISSION_DENIED, "%s", what);
}

static struct error *read_signature(const json_t *root, uint8_t ret_public[SIGN_KEY_SIZE],
                                    uint8_t ret_signature[SIGN_SIZE])
{
    const json_t *signature = json_object_get(root, "signature");
    const char *key = json_string_value(json_object_get(signature, "key"));
    const char *value = json_string_value(json_object_get(signature, "value"));
    _cleanup_free_ uint8_t *bytes = NULL;
    size_t size = 0;

    if (!key || !value)
        return refused("not signed");
    struct error *err = hex_decode(key, ret_public, SIGN_KEY_SIZE);
    if (!err)
        err = base64_decode_new(value, SIGN_SIZE, &bytes, &size);
    if (err || size != SIGN_SIZE) {
        error_free(err);
        return refused("the signature is malformed");
    }
    memcpy(ret_signature, bytes, SIGN_SIZE);
    return NULL;
}

/* Takes the signature out of the document and checks it over the rest. */
static struct error *check_signature(json_t *root, const uint8_t public[SIGN_KEY_SIZE])
{
    _cleanup_buffer_ struct buffer text = {};
    uint8_t signer[SIGN_KEY_SIZE], signature[SIGN_SIZE];

    struct error *err = read_signature(root, signer, signature);
    if (err)
        return err;
    if (CRYPTO_memcmp(signer, public, SIGN_KEY_SIZE) != 0)
        return refused("signed by another key than the release key");
    json_object_del(root, "signature");
    err = canonical_json(root, &text);
    return err ? err : sign_verify(public, text.data, text.size, signature);
}

struct error *signed_document_open(const void *json, size_t size,
                                   const uint8_t public[SIGN_KEY_SIZE], json_t **ret_root)
{
    json_auto_t *root = json_loadb(json, size, JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(root))
        return error_new(ERROR_INVALID_ARGUMENT, "not a JSON object");
    struct error *err = check_signature(root, public);
    if (!err)
        *ret_root = json_incref(root);
    return err;
}

struct error *signed_document_seal(json_t *root, const struct sign_key *key)
{
    _cleanup_buffer_ struct buffer text = {};
    uint8_t signature[SIGN_SIZE];

    json_object_del(root, "signature"); /* sealing again gives the same */
    struct error *err = canonical_json(root, &text);
    if (!err)
        err = sign_bytes(key, text.data, text.size, signature);
    if (err)
        return err;
    _cleanup_free_ char *public = hex_encode_new(key->public, SIGN_KEY_SIZE);
    _cleanup_free_ char *value = base64_encode_new(signature, sizeof(signature));
    json_object_set_new(root, "signature", json_pack("{s:s, s:s}", "key", public, "value", value));
    return NULL;
}
