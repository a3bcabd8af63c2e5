/* Fleet state in Redis. A commit is one Lua call; the rest are single commands. */
#include <inttypes.h>
#include <pthread.h>
#include <time.h>

#include "shared/base/alloc.h"
#include "shared/base/buffer.h"
#include "shared/base/reader.h"
#include "shared/store/keys.h"
#include "shared/store/redis_connection.h"

/*
 * Threads need not wait for each other's answers: the server writes changes that arrive together to
 * disk together. A line is connected when it is first needed; the one that was used last is taken
 * first, so that few are where little is asked.
 */
enum { LINES = 16 };
struct line {
    struct line *next; /* free ones */
    struct redis_connection connection;
};

struct store_redis {
    struct store base;
    pthread_mutex_t lock; /* of the next two */
    pthread_cond_t freed;
    struct line *free;
    struct line lines[LINES];
};

/*
 * KEYS: term, outbox, outbox-data, version, then one per write, edit and list in their order.
 * ARGV: term, n writes, n edits, n outbox, n lists; per write: expected version ("any", "0" must
 * not exist), "set" or "del", value, expiry in ms; per edit: "add" or "rem", member; per outbox
 * entry: id, data; per list: value, last index kept, expiry in ms. Returns "ok" or what did not
 * hold.
 */
static const char commit_script[] =
    "local term = redis.call('GET', KEYS[1])\n"
    "if ARGV[1] ~= '0' and term and tonumber(term) > tonumber(ARGV[1]) then\n"
    "  return 'term is ' .. term .. ', not ' .. ARGV[1]\n"
    "end\n"
    "local nw, ne, no, nl = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), "
    "tonumber(ARGV[5])\n"
    "for i = 1, nw do\n"
    "  local want = ARGV[5 + (i - 1) * 4 + 1]\n"
    "  local have = want ~= 'any' and (redis.call('HGET', KEYS[4 + i], 'v') or '0')\n"
    "  if have and want ~= have then\n"
    "    return KEYS[4 + i] .. ' has version ' .. have .. ', not ' .. want\n"
    "  end\n"
    "end\n"
    "local version = redis.call('INCR', KEYS[4])\n"
    "local k, a = 4, 5\n"
    "for i = 1, nw do\n"
    "  local key = KEYS[k + i]\n"
    "  if ARGV[a + 2] == 'del' then\n"
    "    redis.call('DEL', key)\n"
    "  else\n"
    "    redis.call('HSET', key, 'v', version, 'd', ARGV[a + 3])\n"
    "    if ARGV[a + 4] ~= '0' then redis.call('PEXPIRE', key, ARGV[a + 4])\n"
    "    elseif ARGV[a + 1] ~= '0' then redis.call('PERSIST', key) end\n" /* 0: it is new */
    "  end\n"
    "  a = a + 4\n"
    "end\n"
    "k = k + nw\n"
    "local i = 1\n"
    "while i <= ne do\n" /* edits of one set that follow each other, 100 at a time, are one */
    "  local key, how, members = KEYS[k + i], ARGV[a + 1], {}\n"
    "  repeat\n"
    "    members[#members + 1] = ARGV[a + 2]\n"
    "    i, a = i + 1, a + 2\n"
    "  until i > ne or KEYS[k + i] ~= key or ARGV[a + 1] ~= how or #members == 100\n"
    "  redis.call(how == 'add' and 'SADD' or 'SREM', key, unpack(members))\n"
    "end\n"
    "k = k + ne\n"
    "i = 1\n"
    "while i <= no do\n" /* of the outbox as well; an id that waits already is not put twice */
    "  local ids, data, new = {}, {}, {}\n"
    "  repeat\n"
    "    ids[#ids + 1] = ARGV[a + 1]\n"
    "    data[#data + 1], data[#data + 2] = ARGV[a + 1], ARGV[a + 2]\n"
    "    i, a = i + 1, a + 2\n"
    "  until i > no or #ids == 100\n"
    "  local waiting = redis.call('HMGET', KEYS[3], unpack(ids))\n"
    "  redis.call('HSET', KEYS[3], unpack(data))\n"
    "  local seen = {}\n"
    "  for j = 1, #ids do\n"
    "    if not waiting[j] and not seen[ids[j]] then new[#new + 1] = ids[j] end\n"
    "    seen[ids[j]] = true\n"
    "  end\n"
    "  if #new > 0 then redis.call('RPUSH', KEYS[2], unpack(new)) end\n"
    "end\n"
    "i = 1\n"
    "while i <= nl do\n" /* of lists as well */
    "  local key, values = KEYS[k + i], {}\n"
    "  repeat\n"
    "    values[#values + 1] = ARGV[a + 1]\n"
    "    i, a = i + 1, a + 3\n"
    "  until i > nl or KEYS[k + i] ~= key or #values == 100\n"
    "  if redis.call('LPUSH', key, unpack(values)) > tonumber(ARGV[a - 1]) + 1 then\n"
    "    redis.call('LTRIM', key, 0, ARGV[a - 1])\n"
    "  end\n"
    "  if ARGV[a] ~= '0' then redis.call('PEXPIRE', key, ARGV[a]) end\n"
    "end\n"
    "return 'ok'\n";

static const char set_term_script[] =
    "local term = redis.call('GET', KEYS[1])\n"
    "if term and tonumber(term) >= tonumber(ARGV[1]) then return 'term is ' .. term end\n"
    "redis.call('SET', KEYS[1], ARGV[1])\n"
    "return 'ok'\n";

static const char get_many_script[] =
    "local records = {}\n"
    "for i = 1, #KEYS do records[i] = redis.call('HMGET', KEYS[i], 'v', 'd') end\n"
    "return records\n";

/* They are the oldest, most often in their order: then they go at one stroke. */
static const char clear_script[] =
    "local first = redis.call('LRANGE', KEYS[1], 0, #ARGV - 1)\n"
    "local same = #first == #ARGV\n"
    "for i = 1, #first do same = same and first[i] == ARGV[i] end\n"
    "if same then redis.call('LTRIM', KEYS[1], #ARGV, -1)\n"
    "else for i = 1, #ARGV do redis.call('LREM', KEYS[1], 1, ARGV[i]) end end\n"
    "redis.call('HDEL', KEYS[2], unpack(ARGV))\n"
    "return 'ok'\n";

enum { GET_CHUNK = 512 };

/* A command under construction; texts it owns live in its arena. */
struct command {
    struct arena *arena;
    const char **argv;
    size_t *sizes;
    size_t n;
    size_t room;
};

static void command_add(struct command *command, const void *data, size_t size)
{
    if (command->n == command->room) {
        command->room = command->room ? command->room * 2 : 32;
        command->argv = xrealloc_array(command->argv, command->room, sizeof(*command->argv));
        command->sizes = xrealloc_array(command->sizes, command->room, sizeof(*command->sizes));
    }
    command->argv[command->n] = data ? data : "";
    command->sizes[command->n++] = size;
}

static void command_text(struct command *command, const char *text)
{
    command_add(command, text, strlen(text));
}

static void command_number(struct command *command, uint64_t number)
{
    command_text(command, arena_printf(command->arena, "%" PRIu64, number));
}

static void command_init(struct command *command)
{
    *command = (struct command){.arena = arena_new()};
}

static void command_done(struct command *command)
{
    free(command->argv);
    free(command->sizes);
    arena_free(command->arena);
}
#define _cleanup_command_ _cleanup_(command_done)

/* What is left of the deadline after a wait of this long is enough for one exchange. */
enum { LINE_WAIT_MS = STORE_DEADLINE_MS - 2000 };

/* NULL: all are busy, and were for long. */
static struct line *take_line(struct store_redis *redis)
{
    struct timespec deadline;
    int rc = 0;

    pthread_mutex_lock(&redis->lock);
    if (!redis->free) {
        clock_gettime(CLOCK_MONOTONIC, &deadline);
        deadline.tv_sec += LINE_WAIT_MS / 1000;
    }
    while (!redis->free && rc == 0)
        rc = pthread_cond_timedwait(&redis->freed, &redis->lock, &deadline);
    struct line *line = redis->free;
    if (line)
        redis->free = line->next;
    pthread_mutex_unlock(&redis->lock);
    return line;
}

static void give_line(struct store_redis *redis, struct line *line)
{
    pthread_mutex_lock(&redis->lock);
    line->next = redis->free;
    redis->free = line;
    pthread_cond_signal(&redis->freed);
    pthread_mutex_unlock(&redis->lock);
}

static struct error *all_busy(void)
{
    return error_new(ERROR_UNAVAILABLE, "redis: no connection is free");
}

static struct error *run(struct store *store, const struct command *command, redisReply **ret_reply)
{
    struct store_redis *redis = (struct store_redis *)store;
    struct line *line = take_line(redis);

    if (!line)
        return all_busy();
    struct error *err =
        redis_command(&line->connection, (int)command->n, command->argv, command->sizes, ret_reply);

    give_line(redis, line);
    return err;
}

static struct error *call_script(struct store *store, enum redis_script script,
                                 const struct command *command, redisReply **ret_reply)
{
    struct store_redis *redis = (struct store_redis *)store;
    struct line *line = take_line(redis);

    if (!line)
        return all_busy();
    struct error *err = redis_script_call(&line->connection, script, (int)command->n, command->argv,
                                          command->sizes, ret_reply);

    give_line(redis, line);
    return err;
}

/* The script's "ok", or ABORTED with what it said. */
static struct error *run_script(struct store *store, enum redis_script script,
                                const struct command *command)
{
    _cleanup_(redis_reply_freep) redisReply *reply = NULL;
    struct error *err = call_script(store, script, command, &reply);

    if (err)
        return err;
    if (reply->type != REDIS_REPLY_STRING)
        return error_new(ERROR_INTERNAL, "redis: unexpected answer of a script");
    if (strcmp(reply->str, "ok") != 0)
        return error_new(ERROR_ABORTED, "%s", reply->str);
    return NULL;
}

static struct error *unexpected(const redisReply *reply)
{
    return error_new(ERROR_INTERNAL, "redis: unexpected answer of type %d", reply->type);
}

/* reply is the answer to HMGET key v d. */
static struct error *to_record(const char *key, const redisReply *reply, struct arena *arena,
                               struct store_record *ret_record)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
        return unexpected(reply);
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
    _cleanup_command_ struct command command;
    _cleanup_(redis_reply_freep) redisReply *reply = NULL;

    command_init(&command);
    command_text(&command, "HMGET");
    command_text(&command, key);
    command_text(&command, "v");
    command_text(&command, "d");
    struct error *err = run(store, &command, &reply);
    return err ?: to_record(key, reply, arena, ret_record);
}

static struct error *get_chunk(struct store *store, const char *const *keys, size_t n,
                               struct arena *arena, struct store_record *ret_records)
{
    _cleanup_command_ struct command command;
    _cleanup_(redis_reply_freep) redisReply *reply = NULL;

    command_init(&command);
    command_number(&command, n);
    for (size_t i = 0; i < n; i++)
        command_text(&command, keys[i]);
    struct error *err = call_script(store, REDIS_SCRIPT_GET_MANY, &command, &reply);
    if (err)
        return err;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != n)
        return unexpected(reply);
    for (size_t i = 0; !err && i < n; i++)
        err = to_record(keys[i], reply->element[i], arena, &ret_records[i]);
    return err;
}

static struct error *redis_get_many(struct store *store, const char *const *keys, size_t n,
                                    struct arena *arena, struct store_record *ret_records)
{
    for (size_t i = 0; i < n; i += GET_CHUNK) {
        size_t chunk = n - i < GET_CHUNK ? n - i : GET_CHUNK;
        struct error *err = get_chunk(store, keys + i, chunk, arena, ret_records + i);
        if (err)
            return err;
    }
    return NULL;
}

static struct error *redis_members(struct store *store, const char *set, size_t max,
                                   struct arena *arena, const char ***ret_members, size_t *ret_n)
{
    _cleanup_command_ struct command command;
    _cleanup_(redis_reply_freep) redisReply *reply = NULL;

    command_init(&command);
    command_text(&command, "SMEMBERS");
    command_text(&command, set);
    struct error *err = run(store, &command, &reply);
    if (err)
        return err;
    if (reply->type != REDIS_REPLY_ARRAY)
        return unexpected(reply);
    if (reply->elements > max)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "%zu members, at most %zu are read",
                         (size_t)reply->elements, max);
    *ret_members = arena_alloc(arena, (reply->elements + 1) * sizeof(char *));
    for (size_t i = 0; i < reply->elements; i++)
        (*ret_members)[i] = arena_strdup(arena, reply->element[i]->str);
    *ret_n = reply->elements;
    return NULL;
}

static int compare_edits(const void *a, const void *b)
{
    const struct store_index_edit *x = *(const struct store_index_edit *const *)a;
    const struct store_index_edit *y = *(const struct store_index_edit *const *)b;
    int order = strcmp(x->set, y->set);

    return order ?: (x > y) - (x < y);
}

/* Set by set, those of one in the order in which they are: the script makes one command of them. */
static const struct store_index_edit **sorted_edits(struct command *command,
                                                    const struct store_change *change)
{
    const struct store_index_edit **edits =
        arena_alloc(command->arena, (change->n_edits + 1) * sizeof(*edits));

    for (size_t i = 0; i < change->n_edits; i++)
        edits[i] = &change->edits[i];
    qsort(edits, change->n_edits, sizeof(*edits), compare_edits);
    return edits;
}

static void add_keys(struct command *command, const struct store_change *change,
                     const struct store_index_edit *const *edits)
{
    command_number(command, 4 + change->n_writes + change->n_edits + change->n_lists);
    command_text(command, KEY_TERM);
    command_text(command, KEY_OUTBOX);
    command_text(command, KEY_OUTBOX_DATA);
    command_text(command, KEY_VERSION);
    for (size_t i = 0; i < change->n_writes; i++)
        command_text(command, change->writes[i].key);
    for (size_t i = 0; i < change->n_edits; i++)
        command_text(command, edits[i]->set);
    for (size_t i = 0; i < change->n_lists; i++)
        command_text(command, change->lists[i].key);
}

static void add_write(struct command *command, const struct store_write *write)
{
    bool delete = !write->value.data && !write->value.len;

    if (write->expected_version == UINT64_MAX)
        command_text(command, "any");
    else
        command_number(command, write->expected_version);
    command_text(command, delete ? "del" : "set");
    command_add(command, write->value.data, write->value.len);
    command_number(command, write->expire_ms > 0 ? (uint64_t)write->expire_ms : 0);
}

static void add_outbox(struct command *command, const struct store_outbox_entry *entry)
{
    _cleanup_buffer_ struct buffer data = {0};

    buffer_add_lp(&data, entry->subject, strlen(entry->subject));
    buffer_add_lp(&data, entry->type, strlen(entry->type));
    buffer_add_lp(&data, entry->payload.data, entry->payload.len);
    command_text(command, entry->id);
    command_add(command, arena_memdup(command->arena, data.data, data.size), data.size);
}

static struct error *redis_commit(struct store *store, const struct store_change *change)
{
    _cleanup_command_ struct command command;

    command_init(&command);
    const struct store_index_edit **edits = sorted_edits(&command, change);
    add_keys(&command, change, edits);
    command_number(&command, change->term);
    command_number(&command, change->n_writes);
    command_number(&command, change->n_edits);
    command_number(&command, change->n_outbox);
    command_number(&command, change->n_lists);
    for (size_t i = 0; i < change->n_writes; i++)
        add_write(&command, &change->writes[i]);
    for (size_t i = 0; i < change->n_edits; i++) {
        command_text(&command, edits[i]->remove ? "rem" : "add");
        command_text(&command, edits[i]->member);
    }
    for (size_t i = 0; i < change->n_outbox; i++)
        add_outbox(&command, &change->outbox[i]);
    for (size_t i = 0; i < change->n_lists; i++) {
        const struct store_list_edit *list = &change->lists[i];
        command_add(&command, list->value.data, list->value.len);
        command_number(&command, list->max_length - 1);
        command_number(&command, list->expire_ms > 0 ? (uint64_t)list->expire_ms : 0);
    }
    return run_script(store, REDIS_SCRIPT_COMMIT, &command);
}

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
    _cleanup_command_ struct command command;
    _cleanup_(redis_reply_freep) redisReply *reply = NULL;

    command_init(&command);
    command_text(&command, "HMGET");
    command_text(&command, KEY_OUTBOX_DATA);
    for (size_t i = 0; i < ids->elements; i++)
        command_text(&command, ids->element[i]->str);
    struct error *err = run(store, &command, &reply);
    if (err)
        return err;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != ids->elements)
        return unexpected(reply);
    *ret_data = TAKE_PTR(reply);
    return NULL;
}

static struct error *redis_range(struct store *store, const char *key, size_t max,
                                 redisReply **ret_reply)
{
    _cleanup_command_ struct command command;
    _cleanup_(redis_reply_freep) redisReply *reply = NULL;

    command_init(&command);
    command_text(&command, "LRANGE");
    command_text(&command, key);
    command_text(&command, "0");
    command_number(&command, max - 1);
    struct error *err = run(store, &command, &reply);
    if (err)
        return err;
    if (reply->type != REDIS_REPLY_ARRAY)
        return unexpected(reply);
    *ret_reply = TAKE_PTR(reply);
    return NULL;
}

static struct error *redis_outbox_peek(struct store *store, size_t max, struct arena *arena,
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
    _cleanup_command_ struct command command;

    command_init(&command);
    command_number(&command, 2);
    command_text(&command, KEY_OUTBOX);
    command_text(&command, KEY_OUTBOX_DATA);
    for (size_t i = 0; i < n; i++)
        command_text(&command, ids[i]);
    return run_script(store, REDIS_SCRIPT_CLEAR, &command);
}

static struct error *redis_outbox_clear(struct store *store, const char *const *ids, size_t n)
{
    struct error *err = NULL;

    for (size_t i = 0; !err && i < n; i += GET_CHUNK)
        err = clear_chunk(store, ids + i, n - i < GET_CHUNK ? n - i : GET_CHUNK);
    return err;
}

static struct error *redis_get_term(struct store *store, uint64_t *ret_term)
{
    _cleanup_command_ struct command command;
    _cleanup_(redis_reply_freep) redisReply *reply = NULL;

    command_init(&command);
    command_text(&command, "GET");
    command_text(&command, KEY_TERM);
    struct error *err = run(store, &command, &reply);
    if (err)
        return err;
    *ret_term = reply->type == REDIS_REPLY_STRING ? strtoull(reply->str, NULL, 10) : 0;
    return NULL;
}

static struct error *redis_set_term(struct store *store, uint64_t term)
{
    _cleanup_command_ struct command command;

    command_init(&command);
    command_number(&command, 1);
    command_text(&command, KEY_TERM);
    command_number(&command, term);
    return run_script(store, REDIS_SCRIPT_SET_TERM, &command);
}

static struct error *redis_list_push(struct store *store, const char *key, const void *data,
                                     size_t size, size_t max_length)
{
    struct store_list_edit edit = {
        .key = key,
        .value = {.data = (uint8_t *)data, .len = size},
        .max_length = max_length,
    };

    return redis_commit(store, &(struct store_change){.lists = &edit, .n_lists = 1});
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
    _cleanup_command_ struct command command;
    _cleanup_(redis_reply_freep) redisReply *reply = NULL;

    command_init(&command);
    command_text(&command, "PING");
    return run(store, &command, &reply);
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

    for (size_t i = 0; i < LINES; i++)
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
    .commit = redis_commit,
    .outbox_peek = redis_outbox_peek,
    .outbox_clear = redis_outbox_clear,
    .get_term = redis_get_term,
    .set_term = redis_set_term,
    .list_push = redis_list_push,
    .list_range = redis_list_range,
    .ping = redis_ping,
    .watch = redis_watch,
    .unwatch = redis_watch_free,
    .free = redis_free,
};

static void line_init(struct line *line, const struct redis_address *address)
{
    struct redis_connection *connection = &line->connection;

    connection->address = *address;
    connection->address.host = address->host ? xstrdup(address->host) : NULL;
    connection->address.socket_path = address->socket_path ? xstrdup(address->socket_path) : NULL;
    connection->address.password = address->password ? xstrdup(address->password) : NULL;
    connection->scripts[REDIS_SCRIPT_COMMIT] = commit_script;
    connection->scripts[REDIS_SCRIPT_SET_TERM] = set_term_script;
    connection->scripts[REDIS_SCRIPT_GET_MANY] = get_many_script;
    connection->scripts[REDIS_SCRIPT_CLEAR] = clear_script;
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
    for (size_t i = LINES; i--;) {
        line_init(&redis->lines[i], address);
        redis->lines[i].next = redis->free;
        redis->free = &redis->lines[i];
    }
    redis_address_done(address);
    return &redis->base;
}
