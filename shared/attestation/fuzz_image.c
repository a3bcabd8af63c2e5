/* Target function: image_parse. The target signs what it is given, or the fuzzer would never come
 * behind the signature. */
#include <jansson.h>

#include "shared/attestation/image.h"
#include "shared/base/encode.h"
#include "shared/manifest/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct error *sign(json_t *root, const struct sign_key *key)
{
    _cleanup_buffer_ struct buffer text = {};
    uint8_t signature[SIGN_SIZE];

    struct error *err = canonical_json(root, &text);
    if (!err)
        err = sign_bytes(key, text.data, text.size, signature);
    if (err)
        return err;
    _cleanup_free_ char *public = hex_encode_new(key->public, SIGN_KEY_SIZE);
    _cleanup_free_ char *value = base64_encode_new(signature, SIGN_SIZE);
    json_object_set_new(root, "signature", json_pack("{s:s, s:s}", "key", public, "value", value));
    return NULL;
}

static void parse(const void *json, size_t size, const struct sign_key *key)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct image *image = NULL;
    uint8_t digests[4][LAUNCH_DIGEST_SIZE];

    struct error *err = image_parse(json, size, key->public, arena, &image);
    if (!err) {
        image_find_file(image, image->firmware);
        image_measurements_for(image, 1, "", digests, 4);
    }
    error_free(err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t secret[SIGN_KEY_SIZE] = {1};
    struct sign_key key;
    json_auto_t *root = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);

    struct error *err = sign_key_from_secret(secret, &key);
    if (err)
        abort();
    parse(data, size, &key);
    if (!json_is_object(root))
        return 0;
    json_object_del(root, "signature");
    err = sign(root, &key);
    if (!err) {
        _cleanup_free_ char *text = json_dumps(root, 0);
        parse(text, strlen(text), &key);
    }
    error_free(err);
    return 0;
}
