#include "services/api-gateway/json_record.h"

#include "shared/base/buffer.h"

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

static int add_to_buffer(const char *text, size_t size, void *buffer)
{
    buffer_add(buffer, text, size);
    return 0;
}

ProtobufCBinaryData json_record_value(struct arena *arena, const json_t *json)
{
    _cleanup_buffer_ struct buffer text = {0};

    buffer_reserve(&text, 512);
    json_dump_callback(json, add_to_buffer, &text, JSON_COMPACT | JSON_SORT_KEYS);
    return arena_bytes(arena, text.data, text.size);
}

const char *json_record_text(const json_t *json, const char *name, struct arena *arena)
{
    return arena_strdup(arena, json_string_value(json_object_get(json, name)));
}
