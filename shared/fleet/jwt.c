#include "shared/fleet/jwt.h"

#include <jansson.h>
#include <openssl/evp.h>

#include "shared/base/alloc.h"
#include "shared/base/encode.h"

enum { JSON_FORM = JSON_COMPACT | JSON_SORT_KEYS };

/* The claims' own hash names them, as other NATS tools do. */
static struct error *add_id(json_t *claims)
{
    _cleanup_free_ char *text = json_dumps(claims, JSON_FORM);
    uint8_t digest[EVP_MAX_MD_SIZE];
    char id[64];

    if (!text || EVP_Digest(text, strlen(text), digest, NULL, EVP_sha512_256(), NULL) != 1)
        return error_openssl("hash the claims");
    base32_encode(digest, 32, id);
    json_object_set_new(claims, "jti", json_string(id));
    return NULL;
}

/* Takes claims; adds who signs and when. */
static struct error *sign_claims(json_t *nats, const struct nkey *issuer, const char *subject,
                                 const char *name, int64_t issued_at, int64_t expires_at,
                                 char **ret_jwt)
{
    static const char header[] = "{\"typ\":\"JWT\",\"alg\":\"ed25519-nkey\"}";
    char issuer_text[NKEY_PUBLIC_TEXT_SIZE];
    uint8_t signature[SIGN_SIZE];

    nkey_public_text(issuer, issuer_text);
    _cleanup_(json_decrefp) json_t *claims =
        json_pack("{s:s, s:s, s:s, s:I, s:o}", "iss", issuer_text, "sub", subject, "name", name,
                  "iat", (json_int_t)issued_at, "nats", nats);
    if (!claims)
        return error_new(ERROR_INVALID_ARGUMENT, "claims of '%s' cannot be written", name);
    if (expires_at)
        json_object_set_new(claims, "exp", json_integer(expires_at));
    struct error *err = add_id(claims);
    if (err)
        return err;
    _cleanup_free_ char *payload = json_dumps(claims, JSON_FORM);
    _cleanup_free_ char *header_part = base64url_encode_new(header, strlen(header));
    _cleanup_free_ char *payload_part = base64url_encode_new(payload, strlen(payload));
    _cleanup_free_ char *text = xasprintf("%s.%s", header_part, payload_part);
    err = sign_bytes(&issuer->key, text, strlen(text), signature);
    if (err)
        return err;
    _cleanup_free_ char *signature_part = base64url_encode_new(signature, sizeof(signature));
    *ret_jwt = xasprintf("%s.%s", text, signature_part);
    return NULL;
}

struct error *jwt_operator(const struct nkey *operator_key, const char *name,
                           const char *system_account, int64_t issued_at, char **ret_jwt)
{
    char subject[NKEY_PUBLIC_TEXT_SIZE];

    nkey_public_text(operator_key, subject);
    json_t *nats = json_pack("{s:s, s:i, s:s}", "type", "operator", "version", 2, "system_account",
                             system_account);
    return sign_claims(nats, operator_key, subject, name, issued_at, 0, ret_jwt);
}

struct error *jwt_account(const struct nkey *operator_key, const struct jwt_account *facts,
                          int64_t issued_at, char **ret_jwt)
{
    int store = facts->jetstream ? -1 : 0;
    json_t *signing_keys = facts->signing_key ? json_pack("[s]", facts->signing_key) : json_array();
    json_t *limits =
        json_pack("{s:i, s:i, s:i, s:i, s:i, s:b, s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "subs", -1,
                  "data", -1, "payload", -1, "imports", -1, "exports", -1, "wildcards", 1, "conn",
                  -1, "leaf", -1, "mem_storage", store, "disk_storage", store, "streams", store,
                  "consumer", store, "max_ack_pending", -1);
    json_t *mappings = facts->map_from
                           ? json_pack("{s:[{s:s}]}", facts->map_from, "subject", facts->map_to)
                           : json_object();
    json_t *nats = json_pack("{s:s, s:i, s:o, s:o, s:o, s:{s:{}, s:{}}}", "type", "account",
                             "version", 2, "limits", limits, "signing_keys", signing_keys,
                             "mappings", mappings, "default_permissions", "pub", "sub");

    return sign_claims(nats, operator_key, facts->account, facts->name, issued_at, 0, ret_jwt);
}

/* No list at all would mean everything: an empty one is written as a refusal of everything. */
static json_t *permission_json(char texts[][PERMISSION_TEXT_MAX], size_t n)
{
    if (n == 0)
        return json_pack("{s:[s]}", "deny", ">");
    json_t *allow = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(allow, json_string(texts[i]));
    return json_pack("{s:o}", "allow", allow);
}

struct error *jwt_user(const struct nkey *signing_key, const char *account, const char *user,
                       const char *name, const struct permissions *permissions, int64_t issued_at,
                       int64_t expires_at, char **ret_jwt)
{
    struct permissions p = *permissions;
    json_t *nats = json_pack("{s:s, s:i, s:o, s:o, s:i, s:i, s:i, s:s, s:[s]}", "type", "user",
                             "version", 2, "pub", permission_json(p.publish, p.n_publish), "sub",
                             permission_json(p.subscribe, p.n_subscribe), "subs",
                             p.max_subscriptions, "data", -1, "payload", -1, "issuer_account",
                             account, "allowed_connection_types", p.connection_type);

    return sign_claims(nats, signing_key, user, name, issued_at, expires_at, ret_jwt);
}

char *creds_text(const char *jwt, const struct nkey *user)
{
    char seed[NKEY_SEED_TEXT_SIZE];

    nkey_seed_text(user, seed);
    char *text = xasprintf("-----BEGIN NATS USER JWT-----\n%s\n------END NATS USER JWT------\n\n"
                           "-----BEGIN USER NKEY SEED-----\n%s\n------END USER NKEY SEED------\n",
                           jwt, seed);
    OPENSSL_cleanse(seed, sizeof(seed));
    return text;
}
