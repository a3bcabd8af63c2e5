#include "services/api-gateway/auth.h"

#include "services/api-gateway/gateway.h"
#include "shared/base/alloc.h"
#include "shared/seal/seal.h"
#include "shared/store/keys.h"

enum { KEY_MIN = 16, KEY_MAX = 256 };

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

struct error *auth_check(struct request *request)
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
