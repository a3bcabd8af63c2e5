#include "services/api-gateway/read_cache.h"

#include "shared/base/log.h"
#include "shared/store/keys.h"

#define MIB ((size_t)1024 * 1024)

static const char *const prefixes[] = {
    KEY_WORKLOAD, KEY_WORKLOAD_INPUT, KEY_WORKLOADS_OF, KEY_HOST,     KEY_HOSTS,
    KEY_ACCOUNT,  KEY_API_KEY,        KEY_TIERS,        KEY_ARTIFACT, KEY_ARTIFACTS,
    KEY_IMAGE,    KEY_MEMBER,         KEY_WEBHOOKS_OF,
};

static void name_of(const char *key, char *ret_name, size_t size)
{
    const size_t input = strlen(KEY_WORKLOAD_INPUT);

    if (strncmp(key, KEY_WORKLOAD_INPUT, input) == 0)
        snprintf(ret_name, size, "%s%s", KEY_WORKLOAD, key + input);
    else if (strncmp(key, KEY_ARTIFACT, strlen(KEY_ARTIFACT)) == 0)
        snprintf(ret_name, size, "%s", KEY_ARTIFACTS); /* they are kept together */
    else
        snprintf(ret_name, size, "%s", key);
}

static void watched(const char *why_not)
{
    if (why_not)
        log_event(LOG_LEVEL_WARNING, "changes are not told: every read asks the store", "error",
                  why_not, NULL);
    else
        log_info("changes are told: reads are kept", NULL);
}

struct error *read_cache_start(struct gateway *gateway)
{
    const struct store_cache_options options = {
        .prefixes = prefixes,
        .n_prefixes = ELEMENTSOF(prefixes),
        .max_bytes = (size_t)gateway->config->cache_mib * MIB,
        .name_of = name_of,
        .watched = watched,
    };

    return error_wrap(store_cache_new(gateway->store, &options, &gateway->cache), "read cache");
}

void read_cache_name(const char *family, const char *id, char ret_name[STORE_CACHE_NAME_MAX])
{
    size_t size = strlen(family);
    size_t rest = strnlen(id, STORE_CACHE_NAME_MAX - 1 - size);

    memcpy(ret_name, family, size);
    memcpy(ret_name + size, id, rest);
    ret_name[size + rest] = '\0';
}

void read_cache_forget(struct gateway *gateway, const char *family, const char *id)
{
    char name[STORE_CACHE_NAME_MAX];

    read_cache_name(family, id, name);
    store_cache_forget(gateway->cache, name);
}

static void forget_key(struct gateway *gateway, const char *key)
{
    char name[STORE_CACHE_NAME_MAX];

    name_of(key, name, sizeof(name));
    store_cache_forget(gateway->cache, name);
}

struct error *read_cache_commit(struct gateway *gateway, const struct store_change *change)
{
    struct error *err = store_commit(gateway->store, change);

    for (size_t i = 0; i < change->n_writes; i++)
        forget_key(gateway, change->writes[i].key);
    for (size_t i = 0; i < change->n_edits; i++)
        forget_key(gateway, change->edits[i].set);
    return err;
}

struct error *read_cache_bytes(struct gateway *gateway, const char *key, struct arena *arena,
                               struct buffer *ret_bytes)
{
    _cleanup_(store_cached_unrefp) struct store_cached *value =
        store_cache_get(gateway->cache, key);
    struct store_record record;

    if (value) {
        buffer_add(ret_bytes, value->data, value->size);
        return NULL;
    }
    const struct store_ticket ticket = store_cache_ticket(gateway->cache, key);
    struct error *err = store_get(gateway->store, key, arena, &record);
    if (err || !record.version)
        return err;
    value = store_cached_new(record.value.len, record.version);
    if (record.value.len)
        memcpy(value->data, record.value.data, record.value.len);
    store_cache_put(gateway->cache, key, &ticket, value);
    buffer_add(ret_bytes, record.value.data, record.value.len);
    return NULL;
}

/* Kept as texts behind each other, each with its NUL. */
static struct store_cached *pack(const char *const *members, size_t n)
{
    size_t size = 0;

    for (size_t i = 0; i < n; i++)
        size += strlen(members[i]) + 1;
    struct store_cached *value = store_cached_new(size, 0);
    char *at = (char *)value->data;
    for (size_t i = 0; i < n; i++)
        at = stpcpy(at, members[i]) + 1;
    return value;
}

static void unpack(const struct store_cached *value, struct arena *arena, const char ***ret_members,
                   size_t *ret_n)
{
    const char *texts = arena_memdup(arena, value->data, value->size);
    size_t n = 0;

    for (size_t i = 0; i < value->size; i++)
        n += !texts[i];
    *ret_members = arena_alloc(arena, (n + 1) * sizeof(char *));
    *ret_n = n;
    for (size_t i = 0; i < n; i++) {
        (*ret_members)[i] = texts;
        texts += strlen(texts) + 1;
    }
}

bool read_cache_members_now(struct gateway *gateway, const char *set, struct arena *arena,
                            const char ***ret_members, size_t *ret_n)
{
    _cleanup_(store_cached_unrefp) struct store_cached *value =
        store_cache_get(gateway->cache, set);

    if (value)
        unpack(value, arena, ret_members, ret_n);
    return value != NULL;
}

struct error *read_cache_members(struct gateway *gateway, const char *set, size_t max,
                                 struct arena *arena, const char ***ret_members, size_t *ret_n)
{
    if (read_cache_members_now(gateway, set, arena, ret_members, ret_n))
        return NULL;
    const struct store_ticket ticket = store_cache_ticket(gateway->cache, set);
    struct error *err = store_members(gateway->store, set, max, arena, ret_members, ret_n);
    if (err)
        return err;
    _cleanup_(store_cached_unrefp) struct store_cached *value = pack(*ret_members, *ret_n);
    store_cache_put(gateway->cache, set, &ticket, value);
    return NULL;
}
