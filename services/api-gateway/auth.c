#include "services/api-gateway/auth.h"

#include <openssl/crypto.h>

#include "services/api-gateway/gateway.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "shared/seal/seal.h"
#include "shared/store/keys.h"

enum { KEY_MIN = 16, KEY_MAX = 256 };

static void wipe_textp(char **text)
{
    if (*text)
        OPENSSL_cleanse(*text, strlen(*text));
    free(*text);
}

static struct error *refused(void)
{
    return error_new(ERROR_UNAUTHENTICATED, "a valid API key is needed: Authorization: Bearer ...");
}

static void key_name(const char *key, size_t size, char ret_name[128])
{
    uint8_t digest[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];

    sha256(key, size, digest);
    hex_encode(digest, sizeof(digest), hex);
    snprintf(ret_name, 128, "%s%s", KEY_API_KEY, hex);
}

/* A record's JSON; NULL when there is none. */
static struct error *load_json(struct request *request, const char *key, json_t **ret_json)
{
    struct store_record record;
    struct error *err = store_get(request->gateway->store, key, request->arena, &record);

    if (err)
        return err;
    *ret_json = record.version
                    ? json_loadb((const char *)record.value.data, record.value.len, 0, NULL)
                    : NULL;
    return NULL;
}

static bool is_active(const json_t *record)
{
    return json_is_true(json_object_get(record, "active"));
}

static struct error *check_account(struct request *request, const char *id)
{
    _cleanup_(json_decrefp) json_t *account = NULL;
    char name[128];

    if (!id || !name_is_valid(id))
        return refused();
    snprintf(name, sizeof(name), "%s%s", KEY_ACCOUNT, id);
    struct error *err = load_json(request, name, &account);
    if (err)
        return err;
    if (!is_active(account))
        return refused();
    snprintf(request->account, sizeof(request->account), "%s", id);
    return NULL;
}

/* Until there are principals, this is all that makes an operator. */
static bool is_admin(const struct request *request)
{
    const struct gateway *gateway = request->gateway;
    const char *key = http_header(request, "x-api-key");
    uint8_t digest[SHA256_SIZE];

    if (!gateway->has_admin_key || !key)
        return false;
    sha256(key, strlen(key), digest);
    return CRYPTO_memcmp(digest, gateway->admin_key_sha256, sizeof(digest)) == 0;
}

struct error *auth_load_admin_key(struct gateway *gateway)
{
    _cleanup_(wipe_textp) char *key = NULL;

    if (!*gateway->config->admin_key_file)
        return NULL;
    struct error *err = file_read_text(gateway->config->admin_key_file, 1024, &key);
    if (!err && (strlen(key) < KEY_MIN || strlen(key) > KEY_MAX))
        err =
            error_new(ERROR_INVALID_ARGUMENT, "it must have %d to %d characters", KEY_MIN, KEY_MAX);
    if (err)
        return error_wrap(err, "GATEWAY_ADMIN_KEY_FILE");
    sha256(key, strlen(key), gateway->admin_key_sha256);
    gateway->has_admin_key = true;
    return NULL;
}

static struct error *check_key(struct request *request)
{
    const char *header = http_header(request, MHD_HTTP_HEADER_AUTHORIZATION);
    _cleanup_(json_decrefp) json_t *record = NULL;
    char name[128];

    if (!header || strncasecmp(header, "Bearer ", 7) != 0)
        return refused();
    const char *key = header + 7;
    size_t size = strlen(key);
    if (size < KEY_MIN || size > KEY_MAX)
        return refused();
    error_free(gateway_ensure_bootstrap(request->gateway));
    key_name(key, size, name);
    struct error *err = load_json(request, name, &record);
    if (err)
        return err;
    if (!is_active(record))
        return refused();
    return check_account(request, json_string_value(json_object_get(record, "account")));
}

struct error *auth_check(struct request *request)
{
    enum scope scope = request->route->scope;

    if (scope != SCOPE_ACCOUNT && is_admin(request))
        return NULL;
    if (scope == SCOPE_ADMIN)
        return error_new(ERROR_UNAUTHENTICATED, "the operator's key is needed: x-api-key: ...");
    return check_key(request);
}

static struct error *put_new(struct gateway *gateway, const char *key, const json_t *json)
{
    _cleanup_free_ char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    const struct store_write write = {.key = key,
                                      .value = {.data = (uint8_t *)text, .len = strlen(text)}};
    const struct store_change change = {.writes = &write, .n_writes = 1};
    struct error *err = store_commit(gateway->store, &change);

    if (error_get_code(err) != ERROR_ABORTED)
        return err;
    error_free(err); /* it is there */
    return NULL;
}

struct error *auth_ensure_key(struct gateway *gateway, const char *account, const char *key)
{
    char now[CLOCK_TEXT_SIZE];
    char name[128];

    if (strlen(key) < KEY_MIN || strlen(key) > KEY_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "an API key has %d to %d characters", KEY_MIN,
                         KEY_MAX);
    clock_format(clock_wall_ms(gateway->clock), now);
    _cleanup_(json_decrefp) json_t *record =
        json_pack("{s:s, s:s, s:b, s:s}", "account", account, "name", account, "active", 1,
                  "created_at", now);
    snprintf(name, sizeof(name), "%s%s", KEY_ACCOUNT, account);
    struct error *err = put_new(gateway, name, record);
    if (err)
        return err;
    json_object_del(record, "name");
    key_name(key, strlen(key), name);
    return put_new(gateway, name, record);
}
