/* All keys of an account, with their last use. */
#include "services/api-gateway/api_key_record.h"
#include "services/api-gateway/etag.h"
#include "services/api-gateway/gateway.h"
#include "services/api-gateway/json_record.h"
#include "services/api-gateway/list_page.h"
#include "shared/store/keys.h"

static const char *key_of(struct arena *arena, const char *family, const char *name)
{
    return arena_printf(arena, "%s%s", family, name);
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
        key->version = records[2 * i].version;
        key->used_at_ms = json_integer_value(json_object_get(used, "at_ms"));
        (*ret_found)++;
    }
    return err;
}

struct filter {
    bool by_active;
    bool active;
    const char *type; /* NULL: any */
};

static void read_filter(struct list_query *query, struct filter *ret_filter)
{
    enum api_key_type type;

    ret_filter->by_active = list_query_bool(query, "active", &ret_filter->active);
    ret_filter->type = list_query_text(query, "type");
    if (ret_filter->type && !api_key_type_parse(ret_filter->type, &type))
        list_query_find(query, "type", "there is no such type",
                        "write \"account-admin\" or \"user\"");
}

static bool matches(const struct api_key *key, const struct filter *filter)
{
    enum api_key_type type;

    if (filter->by_active && key->active != filter->active)
        return false;
    return !filter->type || (api_key_type_parse(filter->type, &type) && key->type == type);
}

static struct error *load_matching(struct request *request, const char *account,
                                   const struct filter *filter, struct list_item **ret_items,
                                   size_t *ret_n)
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
    *ret_items = arena_alloc(request->arena, (n + 1) * sizeof(**ret_items));
    err = load_all(request, hashes, n, keys, &found);
    for (size_t i = 0; !err && i < found; i++)
        if (matches(&keys[i], filter))
            (*ret_items)[(*ret_n)++] = (struct list_item){
                .key = list_key_of_number(request->arena, (uint64_t)keys[i].created_at_ms),
                .id = keys[i].id,
                .what = &keys[i]};
    return err;
}

/* The tag is what If-Match of an update takes: there is no answer of one key alone. */
static json_t *key_to_json(const struct api_key *key)
{
    json_t *json = api_key_to_json(key, key->id);
    char tag[ETAG_SIZE];

    etag_of_version(key->version, tag);
    json_object_set_new(json, "etag", json_string(tag));
    return json;
}

struct error *api_keys_list(struct request *request, const char *account, struct response *response)
{
    static const char *const arguments[] = {"active", "type", NULL};
    struct list_item *items = NULL;
    struct list_query query;
    struct filter filter;
    size_t n = 0;

    list_query_read(request, arguments, &query);
    read_filter(&query, &filter);
    struct error *err = list_query_result(&query);
    err = err ?: load_matching(request, account, &filter, &items, &n);
    if (err)
        return err;
    items = list_page(request, response, &query, list_by_key_down, items, &n);
    response->json = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(response->json, key_to_json(items[i].what));
    return NULL;
}
