#include "services/api-gateway/json_record.h"

json_t *json_record_parse(const struct store_record *record)
{
    json_t *json = record->version
                       ? json_loadb((const char *)record->value.data, record->value.len, 0, NULL)
                       : NULL;

    if (json_is_object(json))
        return json;
    json_decref(json);
    return NULL;
}

struct error *json_record_load(struct store *store, const char *key, struct arena *arena,
                               json_t **ret_json, uint64_t *ret_version)
{
    struct store_record record;
    struct error *err = store_get(store, key, arena, &record);

    if (err)
        return err;
    json_t *json = json_record_parse(&record);
    if (!json && record.version)
        return error_new(ERROR_INTERNAL, "record '%s' is damaged", key);
    *ret_json = json;
    if (ret_version)
        *ret_version = record.version;
    return NULL;
}

ProtobufCBinaryData json_record_value(struct arena *arena, const json_t *json)
{
    size_t size = json_dumpb(json, NULL, 0, JSON_COMPACT | JSON_SORT_KEYS);
    char *text = arena_alloc(arena, size + 1);

    json_dumpb(json, text, size, JSON_COMPACT | JSON_SORT_KEYS);
    return (ProtobufCBinaryData){.data = (uint8_t *)text, .len = size};
}

const char *json_record_text(const json_t *json, const char *name, struct arena *arena)
{
    return arena_strdup(arena, json_string_value(json_object_get(json, name)));
}
