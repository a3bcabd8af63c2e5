/* All keys of an account, with their last use. */
#include "services/api-gateway/api_key_record.h"
#include "services/api-gateway/gateway.h"
#include "services/api-gateway/json_record.h"
#include "shared/store/keys.h"

static const char *key_of(struct arena *arena, const char *family, const char *name)
{
    return arena_printf(arena, "%s%s", family, name);
}

static int newest_first(const void *a, const void *b)
{
    const struct api_key *one = a;
    const struct api_key *other = b;

    if (one->created_at_ms != other->created_at_ms)
        return one->created_at_ms > other->created_at_ms ? -1 : 1;
    return strcmp(one->id, other->id);
}

static struct error *load_all(struct request *request, const char *const *hashes, size_t n,
                              struct api_key *keys, size_t *ret_found)
{
    struct store_record *records = arena_alloc(request->arena, (2 * n + 1) * sizeof(*records));
    const char **names = arena_alloc(request->arena, (2 * n + 1) * sizeof(*names));

    for (size_t i = 0; i < n; i++) {
        names[2 * i] = key_of(request->arena, KEY_API_KEY, hashes[i]);
        names[2 * i + 1] = key_of(request->arena, KEY_API_KEY_USED, hashes[i]);
    }
    struct error *err =
        store_get_many(request->gateway->store, names, 2 * n, request->arena, records);
    for (size_t i = 0; !err && i < n; i++) {
        _cleanup_(json_decrefp) json_t *json = json_record_parse(&records[2 * i]);
        _cleanup_(json_decrefp) json_t *used = json_record_parse(&records[2 * i + 1]);
        struct api_key *key = &keys[*ret_found];
        if (!json)
            continue; /* deleted between the two reads */
        api_key_read(json, request->arena, key);
        key->used_at_ms = json_integer_value(json_object_get(used, "at_ms"));
        (*ret_found)++;
    }
    return err;
}

struct error *api_keys_list(struct request *request, const char *account, json_t **ret_list)
{
    const char **hashes = NULL;
    size_t n = 0;
    size_t found = 0;
    struct error *err =
        store_members(request->gateway->store, key_of(request->arena, KEY_API_KEYS_OF, account),
                      2 * API_KEYS_MAX, request->arena, &hashes, &n);

    if (err)
        return err;
    struct api_key *keys = arena_alloc(request->arena, (n + 1) * sizeof(*keys));
    err = load_all(request, hashes, n, keys, &found);
    if (err)
        return err;
    qsort(keys, found, sizeof(*keys), newest_first);
    *ret_list = json_array();
    for (size_t i = 0; i < found; i++)
        json_array_append_new(*ret_list, api_key_to_json(&keys[i], keys[i].id));
    return NULL;
}
