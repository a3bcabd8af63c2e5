#include "services/api-gateway/records.h"

static struct error *unpack(struct request *request, const struct store_record *record,
                            const ProtobufCMessageDescriptor *type, void **ret_message)
{
    struct error *err =
        bus_unpack(type, record->value.data, record->value.len, request->arena, ret_message);

    return error_recode(error_wrap(err, "record '%s'", record->key), ERROR_INTERNAL);
}

struct error *record_load(struct request *request, const char *family, const char *id,
                          const ProtobufCMessageDescriptor *type, void **ret_message)
{
    struct store_record record;
    struct error *err =
        store_get(request->gateway->store, arena_printf(request->arena, "%s%s", family, id),
                  request->arena, &record);

    *ret_message = NULL;
    return err || !record.version ? err : unpack(request, &record, type, ret_message);
}

struct error *records_load_all(struct request *request, const char *set, const char *family,
                               const ProtobufCMessageDescriptor *type, size_t max,
                               void ***ret_messages, size_t *ret_n)
{
    struct arena *arena = request->arena;
    const char **keys;
    size_t n_keys;
    size_t n = 0;
    struct error *err = store_members(request->gateway->store, set, max, arena, &keys, &n_keys);

    if (err)
        return err;
    struct store_record *records = arena_alloc(arena, (n_keys + 1) * sizeof(*records));
    void **messages = arena_alloc(arena, (n_keys + 1) * sizeof(*messages));
    for (size_t i = 0; i < n_keys; i++)
        keys[i] = arena_printf(arena, "%s%s", family, keys[i]);
    err = store_get_many(request->gateway->store, keys, n_keys, arena, records);
    for (size_t i = 0; !err && i < n_keys; i++)
        if (records[i].version) /* else: deleted between the two reads */
            err = unpack(request, &records[i], type, &messages[n++]);
    if (err)
        return err;
    *ret_messages = messages;
    *ret_n = n;
    return NULL;
}
