/* Fleet state in Redis. Commits are in store_redis_commit.c, the outbox in store_redis_outbox.c;
 * the rest are single commands. */
#include "shared/store/store_redis.h"

#include "shared/base/alloc.h"
#include "shared/store/keys.h"

static const char set_term_script[] =
    "local term = redis.call('GET', KEYS[1])\n"
    "if term and tonumber(term) >= tonumber(ARGV[1]) then return 'term is ' .. term end\n"
    "redis.call('SET', KEYS[1], ARGV[1])\n"
    "return 'ok'\n";

static const char get_many_script[] =
    "local records = {}\n"
    "for i = 1, #KEYS do records[i] = redis.call('HMGET', KEYS[i], 'v', 'd') end\n"
    "return records\n";

/* reply is the answer to HMGET key v d. */
static struct error *to_record(const char *key, const redisReply *reply, struct arena *arena,
                               struct store_record *ret_record)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
        return redis_unexpected(reply);
    const redisReply *version = reply->element[0];
    const redisReply *data = reply->element[1];
    *ret_record = (struct store_record){.key = arena_strdup(arena, key)};
    if (version->type != REDIS_REPLY_STRING || data->type != REDIS_REPLY_STRING)
        return NULL;
    ret_record->version = strtoull(version->str, NULL, 10);
    ret_record->value = arena_bytes(arena, data->str, data->len);
    return NULL;
}

static struct error *redis_get(struct store *store, const char *key, struct arena *arena,
                               struct store_record *ret_record)
{
    _cleanup_args_ struct redis_args args;
    _cleanup_(redis_reply_freep) redisReply *reply = NULL;

    redis_args_init(&args);
    redis_args_text(&args, "HMGET");
    redis_args_text(&args, key);
    redis_args_text(&args, "v");
    redis_args_text(&args, "d");
    struct error *err = redis_run(store, &args, &reply);
    return err ?: to_record(key, reply, arena, ret_record);
}

static struct error *get_chunk(struct store *store, const char *const *keys, size_t n,
                               struct arena *arena, struct store_record *ret_records)
{
    _cleanup_args_ struct redis_args args;
    _cleanup_(redis_reply_freep) redisReply *reply = NULL;

    redis_args_init(&args);
    redis_args_number(&args, n);
    for (size_t i = 0; i < n; i++)
        redis_args_text(&args, keys[i]);
    struct error *err = redis_run_script(store, REDIS_SCRIPT_GET_MANY, &args, &reply);
    if (err)
        return err;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != n)
        return redis_unexpected(reply);
    for (size_t i = 0; !err && i < n; i++)
        err = to_record(keys[i], reply->element[i], arena, &ret_records[i]);
    return err;
}

static struct error *redis_get_many(struct store *store, const char *const *keys, size_t n,
                                    struct arena *arena, struct store_record *ret_records)
{
    for (size_t i = 0; i < n; i += REDIS_CHUNK) {
        size_t chunk = n - i < REDIS_CHUNK ? n - i : REDIS_CHUNK;
        struct error *err = get_chunk(store, keys + i, chunk, arena, ret_records + i);
        if (err)
            return err;
    }
    return NULL;
}

static struct error *redis_members(struct store *store, const char *set, size_t max,
                                   struct arena *arena, const char ***ret_members, size_t *ret_n)
{
    _cleanup_args_ struct redis_args args;
    _cleanup_(redis_reply_freep) redisReply *reply = NULL;

    redis_args_init(&args);
    redis_args_text(&args, "SMEMBERS");
    redis_args_text(&args, set);
    struct error *err = redis_run(store, &args, &reply);
    if (err)
        return err;
    if (reply->type != REDIS_REPLY_ARRAY)
        return redis_unexpected(reply);
    if (reply->elements > max)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "%zu members, at most %zu are read",
                         (size_t)reply->elements, max);
    *ret_members = arena_alloc(arena, (reply->elements + 1) * sizeof(char *));
    for (size_t i = 0; i < reply->elements; i++)
        (*ret_members)[i] = arena_strdup(arena, reply->element[i]->str);
    *ret_n = reply->elements;
    return NULL;
}

struct error *redis_range(struct store *store, const char *key, size_t max, redisReply **ret_reply)
{
    _cleanup_args_ struct redis_args args;
    _cleanup_(redis_reply_freep) redisReply *reply = NULL;

    redis_args_init(&args);
    redis_args_text(&args, "LRANGE");
    redis_args_text(&args, key);
    redis_args_text(&args, "0");
    redis_args_number(&args, max - 1);
    struct error *err = redis_run(store, &args, &reply);
    if (err)
        return err;
    if (reply->type != REDIS_REPLY_ARRAY)
        return redis_unexpected(reply);
    *ret_reply = TAKE_PTR(reply);
    return NULL;
}

static struct error *redis_get_term(struct store *store, uint64_t *ret_term)
{
    _cleanup_args_ struct redis_args args;
    _cleanup_(redis_reply_freep) redisReply *reply = NULL;

    redis_args_init(&args);
    redis_args_text(&args, "GET");
    redis_args_text(&args, KEY_TERM);
    struct error *err = redis_run(store, &args, &reply);
    if (err)
        return err;
    *ret_term = reply->type == REDIS_REPLY_STRING ? strtoull(reply->str, NULL, 10) : 0;
    return NULL;
}

static struct error *redis_set_term(struct store *store, uint64_t term)
{
    _cleanup_args_ struct redis_args args;

    redis_args_init(&args);
    redis_args_number(&args, 1);
    redis_args_text(&args, KEY_TERM);
    redis_args_number(&args, term);
    return redis_run_script_ok(store, REDIS_SCRIPT_SET_TERM, &args);
}

static struct error *redis_list_push(struct store *store, const char *key, const void *data,
                                     size_t size, size_t max_length)
{
    struct store_list_edit edit = {
        .key = key,
        .value = {.data = (uint8_t *)data, .len = size},
        .max_length = max_length,
    };

    return store_redis_commit(store, &(struct store_change){.lists = &edit, .n_lists = 1});
}

static struct error *redis_list_range(struct store *store, const char *key, size_t max,
                                      struct arena *arena, ProtobufCBinaryData **ret_items,
                                      size_t *ret_n)
{
    _cleanup_(redis_reply_freep) redisReply *reply = NULL;
    struct error *err = max ? redis_range(store, key, max, &reply) : NULL;
    size_t n = reply ? reply->elements : 0;

    if (err)
        return err;
    *ret_items = arena_alloc(arena, (n + 1) * sizeof(**ret_items));
    for (size_t i = 0; i < n; i++)
        (*ret_items)[i] = arena_bytes(arena, reply->element[i]->str, reply->element[i]->len);
    *ret_n = n;
    return NULL;
}

static struct error *redis_ping(struct store *store)
{
    _cleanup_args_ struct redis_args args;
    _cleanup_(redis_reply_freep) redisReply *reply = NULL;

    redis_args_init(&args);
    redis_args_text(&args, "PING");
    return redis_run(store, &args, &reply);
}

static struct error *redis_watch(struct store *store, const char *const *prefixes, size_t n,
                                 store_told told, void *state, struct store_watch **ret_watch)
{
    const struct store_redis *redis = (struct store_redis *)store;
    const struct store_watch base = {
        .store = store, .prefixes = prefixes, .n_prefixes = n, .told = told, .state = state};

    return redis_watch_new(&redis->lines[0].connection.address, &base, ret_watch);
}

static void redis_free(struct store *store)
{
    struct store_redis *redis = (struct store_redis *)store;

    for (size_t i = 0; i < REDIS_LINES; i++)
        redis_connection_done(&redis->lines[i].connection);
    pthread_cond_destroy(&redis->freed);
    pthread_mutex_destroy(&redis->lock);
    free(redis);
}

static const struct store_ops redis_ops = {
    .name = "redis",
    .get = redis_get,
    .get_many = redis_get_many,
    .members = redis_members,
    .commit = store_redis_commit,
    .outbox_peek = store_redis_outbox_peek,
    .outbox_clear = store_redis_outbox_clear,
    .get_term = redis_get_term,
    .set_term = redis_set_term,
    .list_push = redis_list_push,
    .list_range = redis_list_range,
    .ping = redis_ping,
    .watch = redis_watch,
    .unwatch = redis_watch_free,
    .free = redis_free,
};

static void line_init(struct redis_line *line, const struct redis_address *address)
{
    struct redis_connection *connection = &line->connection;

    connection->address = *address;
    connection->address.host = address->host ? xstrdup(address->host) : NULL;
    connection->address.socket_path = address->socket_path ? xstrdup(address->socket_path) : NULL;
    connection->address.password = address->password ? xstrdup(address->password) : NULL;
    connection->scripts[REDIS_SCRIPT_COMMIT] = store_redis_commit_script;
    connection->scripts[REDIS_SCRIPT_SET_TERM] = set_term_script;
    connection->scripts[REDIS_SCRIPT_GET_MANY] = get_many_script;
    connection->scripts[REDIS_SCRIPT_CLEAR] = store_redis_clear_script;
}

struct store *store_redis_new(struct redis_address *address)
{
    struct store_redis *redis = xnew(struct store_redis);
    pthread_condattr_t attributes;

    redis->base.ops = &redis_ops;
    pthread_mutex_init(&redis->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&redis->freed, &attributes);
    pthread_condattr_destroy(&attributes);
    for (size_t i = REDIS_LINES; i--;) {
        line_init(&redis->lines[i], address);
        redis->lines[i].next = redis->free;
        redis->free = &redis->lines[i];
    }
    redis_address_done(address);
    return &redis->base;
}
