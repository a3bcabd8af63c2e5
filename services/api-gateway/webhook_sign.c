#include "services/api-gateway/webhook_sign.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "shared/base/encode.h"

#define SECRET_PREFIX "whsec_"
#define KEY_LABEL     "coffer/webhook-secrets/v1"
#define BOX_CONTEXT   "coffer/webhook/v1"

enum { SECRET_BYTES = 32, SEALED_MAX = WEBHOOK_SECRET_SIZE + SEAL_OVERHEAD };

DEFINE_CLEANUP(EVP_KDF *, EVP_KDF_free)
DEFINE_CLEANUP(EVP_KDF_CTX *, EVP_KDF_CTX_free)

struct error *webhook_key_init(const struct sign_key *gateway_key, struct box_key *ret_key)
{
    _cleanup_(EVP_KDF_freep) EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    _cleanup_(EVP_KDF_CTX_freep) EVP_KDF_CTX *context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    uint8_t secret[SEAL_KEY_SIZE];
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)gateway_key->secret,
                                          sizeof(gateway_key->secret)),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)KEY_LABEL,
                                          strlen(KEY_LABEL)),
        OSSL_PARAM_construct_end(),
    };

    if (!context || EVP_KDF_derive(context, secret, sizeof(secret), params) != 1)
        return error_openssl("webhook key");
    struct error *err = box_key_from_secret(secret, ret_key);
    OPENSSL_cleanse(secret, sizeof(secret));
    return err;
}

struct error *webhook_secret_make(char ret_secret[WEBHOOK_SECRET_SIZE])
{
    uint8_t random[SECRET_BYTES];

    if (RAND_priv_bytes(random, sizeof(random)) != 1)
        return error_openssl("webhook secret");
    char *text = base64url_encode_new(random, sizeof(random));
    snprintf(ret_secret, WEBHOOK_SECRET_SIZE, SECRET_PREFIX "%s", text);
    OPENSSL_cleanse(random, sizeof(random));
    OPENSSL_cleanse(text, strlen(text));
    free(text);
    return NULL;
}

static const char *box_context(char text[96], const char *webhook_id)
{
    snprintf(text, 96, BOX_CONTEXT " %.64s", webhook_id);
    return text;
}

struct error *webhook_secret_seal(const struct box_key *key, const char *webhook_id,
                                  const char *secret, struct arena *arena, const char **ret_sealed)
{
    _cleanup_buffer_ struct buffer box = {0};
    char context[96];
    struct error *err =
        seal_to(key->public, box_context(context, webhook_id), secret, strlen(secret), &box);

    if (err)
        return error_recode(error_wrap(err, "seal a webhook's secret"), ERROR_INTERNAL);
    _cleanup_free_ char *text = base64_encode_new(box.data, box.size);
    *ret_sealed = arena_strdup(arena, text);
    return NULL;
}

struct error *webhook_secret_open(const struct box_key *key, const char *webhook_id,
                                  const char *sealed, char ret_secret[WEBHOOK_SECRET_SIZE])
{
    _cleanup_buffer_ struct buffer plain = {0};
    _cleanup_free_ uint8_t *box = NULL;
    char context[96];
    size_t size = 0;
    struct error *err = base64_decode_new(sealed, SEALED_MAX, &box, &size);

    err = err ?: seal_open(key, box_context(context, webhook_id), box, size, &plain);
    if (!err && plain.size != WEBHOOK_SECRET_SIZE - 1)
        err = error_new(ERROR_INTERNAL, "it has another size");
    if (err)
        return error_recode(error_wrap(err, "secret of webhook '%s'", webhook_id), ERROR_INTERNAL);
    memcpy(ret_secret, plain.data, plain.size);
    ret_secret[plain.size] = '\0';
    return NULL;
}

/* ",v1=<hex>" of what is signed. */
static struct error *add_mac(const struct box_key *key, const char *webhook_id, const char *sealed,
                             const struct buffer *bytes, struct buffer *value)
{
    char secret[WEBHOOK_SECRET_SIZE] = "";
    uint8_t mac[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];
    unsigned size = sizeof(mac);
    struct error *err = webhook_secret_open(key, webhook_id, sealed, secret);

    if (!err &&
        !HMAC(EVP_sha256(), secret, (int)strlen(secret), bytes->data, bytes->size, mac, &size))
        err = error_openssl("sign a delivery");
    OPENSSL_cleanse(secret, sizeof(secret));
    if (err)
        return err;
    hex_encode(mac, sizeof(mac), hex);
    buffer_printf(value, ",v1=%s", hex);
    return NULL;
}

struct error *webhook_sign(const struct box_key *key, const char *webhook_id,
                           const char *const sealed[2], int64_t now_s, const char *body,
                           char ret_value[WEBHOOK_SIGNATURE_MAX])
{
    _cleanup_buffer_ struct buffer bytes = {0};
    _cleanup_buffer_ struct buffer value = {0};
    struct error *err = NULL;

    buffer_printf(&bytes, "%lld.", (long long)now_s);
    buffer_add_text(&bytes, body);
    buffer_printf(&value, "t=%lld", (long long)now_s);
    for (size_t i = 0; !err && i < 2 && sealed[i]; i++)
        err = add_mac(key, webhook_id, sealed[i], &bytes, &value);
    if (err)
        return err;
    snprintf(ret_value, WEBHOOK_SIGNATURE_MAX, "%s", buffer_text(&value));
    return NULL;
}
