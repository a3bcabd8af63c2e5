#include "services/api-gateway/auth_cache.h"

#include "services/api-gateway/members.h"
#include "services/api-gateway/read_cache.h"
#include "shared/store/keys.h"

static bool get(struct gateway *gateway, const char *family, const char *id, void *ret, size_t size)
{
    char name[STORE_CACHE_NAME_MAX];

    read_cache_name(family, id, name);
    _cleanup_(store_cached_unrefp) struct store_cached *value =
        store_cache_get(gateway->cache, name);
    if (value)
        memcpy(ret, value->data, size);
    return value != NULL;
}

static void put(struct gateway *gateway, const char *name, const struct store_ticket *ticket,
                uint64_t version, const void *data, size_t size)
{
    _cleanup_(store_cached_unrefp) struct store_cached *value = store_cached_new(size, version);

    memcpy(value->data, data, size);
    store_cache_put(gateway->cache, name, ticket, value);
}

bool auth_key_now(struct gateway *gateway, const char *sha256, struct auth_key *ret_key)
{
    return get(gateway, KEY_API_KEY, sha256, ret_key, sizeof(*ret_key));
}

bool auth_account_now(struct gateway *gateway, const char *account,
                      struct auth_account *ret_account)
{
    return get(gateway, KEY_ACCOUNT, account, ret_account, sizeof(*ret_account));
}

bool auth_member_now(struct gateway *gateway, const char *member, struct auth_member *ret_member)
{
    return get(gateway, KEY_MEMBER, member, ret_member, sizeof(*ret_member));
}

/* Guesses are not kept: they would push out what is used. */
struct error *auth_key_find(struct request *request, const char *sha256, struct auth_key *ret_key)
{
    struct gateway *gateway = request->gateway;
    char name[STORE_CACHE_NAME_MAX];
    struct api_key key;

    if (auth_key_now(gateway, sha256, ret_key))
        return NULL;
    read_cache_name(KEY_API_KEY, sha256, name);
    const struct store_ticket ticket = store_cache_ticket(gateway->cache, name);
    struct error *err = api_key_load(gateway, sha256, request->arena, &key);
    if (err)
        return err;
    memset(ret_key, 0, sizeof(*ret_key));
    if (!key.version)
        return NULL;
    ret_key->type = key.type;
    ret_key->level = key.level;
    ret_key->active = key.active;
    ret_key->expires_at_ms = key.expires_at_ms;
    snprintf(ret_key->id, sizeof(ret_key->id), "%s", key.id);
    snprintf(ret_key->account, sizeof(ret_key->account), "%s", key.account);
    snprintf(ret_key->member, sizeof(ret_key->member), "%s", key.member_id ?: "");
    put(gateway, name, &ticket, key.version, ret_key, sizeof(*ret_key));
    return NULL;
}

struct error *auth_account_find(struct request *request, struct auth_account *ret_account)
{
    struct gateway *gateway = request->gateway;
    char name[STORE_CACHE_NAME_MAX];
    struct account account;

    if (auth_account_now(gateway, request->account, ret_account))
        return NULL;
    read_cache_name(KEY_ACCOUNT, request->account, name);
    const struct store_ticket ticket = store_cache_ticket(gateway->cache, name);
    struct error *err = account_load(request, request->account, &account);
    memset(ret_account, 0, sizeof(*ret_account));
    if (error_get_code(err) == ERROR_NOT_FOUND) {
        error_free(err);
        return NULL;
    }
    if (err)
        return err;
    ret_account->active = account.active;
    ret_account->balance_micro = account.balance_micro;
    ret_account->quota = account.quota;
    put(gateway, name, &ticket, account.version, ret_account, sizeof(*ret_account));
    return NULL;
}

/* Asked with a key that may do everything: what is left of it is the member's. */
struct error *auth_member_find(struct request *request, const struct auth_key *key,
                               struct auth_member *ret_member)
{
    struct gateway *gateway = request->gateway;
    char name[STORE_CACHE_NAME_MAX];
    struct api_key all = {
        .account = key->account, .member_id = key->member, .level = LEVEL_ADMIN, .active = true};

    if (auth_member_now(gateway, key->member, ret_member))
        return NULL;
    read_cache_name(KEY_MEMBER, key->member, name);
    const struct store_ticket ticket = store_cache_ticket(gateway->cache, name);
    struct error *err = member_limit_key(gateway, request->arena, &all);
    if (err)
        return err;
    memset(ret_member, 0, sizeof(*ret_member));
    ret_member->active = all.active;
    ret_member->level = all.level;
    put(gateway, name, &ticket, 0, ret_member, sizeof(*ret_member));
    return NULL;
}
