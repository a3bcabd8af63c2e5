/* The outbox in Redis: read from its front, and cleared. */
#include "shared/store/store_redis.h"

#include "shared/base/reader.h"
#include "shared/store/keys.h"

/* They are the oldest, most often in their order: then they go at one stroke. */
const char store_redis_clear_script[] =
    "local first = redis.call('LRANGE', KEYS[1], 0, #ARGV - 1)\n"
    "local same = #first == #ARGV\n"
    "for i = 1, #first do same = same and first[i] == ARGV[i] end\n"
    "if same then redis.call('LTRIM', KEYS[1], #ARGV, -1)\n"
    "else for i = 1, #ARGV do redis.call('LREM', KEYS[1], 1, ARGV[i]) end end\n"
    "redis.call('HDEL', KEYS[2], unpack(ARGV))\n"
    "return 'ok'\n";

static struct error *to_entry(const redisReply *id, const redisReply *data, struct arena *arena,
                              struct store_outbox_entry *ret_entry)
{
    struct reader reader;
    struct store_outbox_entry entry = {.id = arena_strdup(arena, id->str)};

    reader_init(&reader, data->str, data->type == REDIS_REPLY_STRING ? data->len : 0);
    uint32_t size = reader_u32be(&reader);
    const uint8_t *view = reader_view(&reader, size);
    entry.subject = view ? arena_printf(arena, "%.*s", (int)size, (const char *)view) : NULL;
    size = reader_u32be(&reader);
    view = reader_view(&reader, size);
    entry.type = view ? arena_printf(arena, "%.*s", (int)size, (const char *)view) : NULL;
    size = reader_u32be(&reader);
    view = reader_view(&reader, size);
    if (!view || !reader_done(&reader))
        return error_new(ERROR_DATA_LOSS, "entry '%s' cannot be read", entry.id);
    entry.payload = arena_bytes(arena, view, size);
    *ret_entry = entry;
    return NULL;
}

static struct error *outbox_data(struct store *store, const redisReply *ids, redisReply **ret_data)
{
    _cleanup_args_ struct redis_args args;
    _cleanup_(redis_reply_freep) redisReply *reply = NULL;

    redis_args_init(&args);
    redis_args_text(&args, "HMGET");
    redis_args_text(&args, KEY_OUTBOX_DATA);
    for (size_t i = 0; i < ids->elements; i++)
        redis_args_text(&args, ids->element[i]->str);
    struct error *err = redis_run(store, &args, &reply);
    if (err)
        return err;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != ids->elements)
        return redis_unexpected(reply);
    *ret_data = TAKE_PTR(reply);
    return NULL;
}

struct error *store_redis_outbox_peek(struct store *store, size_t max, struct arena *arena,
                                      struct store_outbox_entry **ret_entries, size_t *ret_n)
{
    _cleanup_(redis_reply_freep) redisReply *ids = NULL;
    _cleanup_(redis_reply_freep) redisReply *data = NULL;
    struct error *err = max ? redis_range(store, KEY_OUTBOX, max, &ids) : NULL;
    size_t n = ids ? ids->elements : 0;

    if (err)
        return err;
    struct store_outbox_entry *entries = arena_alloc(arena, (n + 1) * sizeof(*entries));
    if (n)
        err = outbox_data(store, ids, &data);
    for (size_t i = 0; !err && i < n; i++)
        err = to_entry(ids->element[i], data->element[i], arena, &entries[i]);
    if (err)
        return err;
    *ret_entries = entries;
    *ret_n = n;
    return NULL;
}

static struct error *clear_chunk(struct store *store, const char *const *ids, size_t n)
{
    _cleanup_args_ struct redis_args args;

    redis_args_init(&args);
    redis_args_number(&args, 2);
    redis_args_text(&args, KEY_OUTBOX);
    redis_args_text(&args, KEY_OUTBOX_DATA);
    for (size_t i = 0; i < n; i++)
        redis_args_text(&args, ids[i]);
    return redis_run_script_ok(store, REDIS_SCRIPT_CLEAR, &args);
}

struct error *store_redis_outbox_clear(struct store *store, const char *const *ids, size_t n)
{
    struct error *err = NULL;

    for (size_t i = 0; !err && i < n; i += REDIS_CHUNK)
        err = clear_chunk(store, ids + i, n - i < REDIS_CHUNK ? n - i : REDIS_CHUNK);
    return err;
}
