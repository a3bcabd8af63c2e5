/* A commit of fleet state: one Lua call. */
#include "shared/store/store_redis.h"

#include "shared/base/buffer.h"
#include "shared/store/keys.h"

/*
 * KEYS: term, outbox, outbox-data, version, then one per write, edit and list in their order.
 * ARGV: term, n writes, n edits, n outbox, n lists; per write: expected version ("any", "0" must
 * not exist), "set" or "del", value, expiry in ms; per edit: "add" or "rem", member; per outbox
 * entry: id, data; per list: value, last index kept, expiry in ms. Returns "ok" or what did not
 * hold.
 */
const char store_redis_commit_script[] =
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
    "while i <= nl do\n" /* of lists as well, where they end alike */
    "  local key, values = KEYS[k + i], {}\n"
    "  repeat\n"
    "    values[#values + 1] = ARGV[a + 1]\n"
    "    i, a = i + 1, a + 3\n"
    "  until i > nl or KEYS[k + i] ~= key or ARGV[a + 2] ~= ARGV[a - 1] or ARGV[a + 3] ~= ARGV[a]\n"
    "    or #values == 100\n"
    "  if redis.call('LPUSH', key, unpack(values)) > tonumber(ARGV[a - 1]) + 1 then\n"
    "    redis.call('LTRIM', key, 0, ARGV[a - 1])\n"
    "  end\n"
    "  if ARGV[a] ~= '0' then redis.call('PEXPIRE', key, ARGV[a]) end\n"
    "end\n"
    "return 'ok'\n";

static int compare_edits(const void *a, const void *b)
{
    const struct store_index_edit *x = *(const struct store_index_edit *const *)a;
    const struct store_index_edit *y = *(const struct store_index_edit *const *)b;
    int order = strcmp(x->set, y->set);

    return order ?: (x > y) - (x < y);
}

/* Of each kind set by set (list by list), those of one in the order in which they are: the script
 * makes one command of them. */
static const struct store_index_edit **sorted_edits(struct redis_args *args,
                                                    const struct store_change *change)
{
    const struct store_index_edit **edits =
        arena_alloc(args->arena, (change->n_edits + 1) * sizeof(*edits));

    for (size_t i = 0; i < change->n_edits; i++)
        edits[i] = &change->edits[i];
    qsort(edits, change->n_edits, sizeof(*edits), compare_edits);
    return edits;
}

static int compare_lists(const void *a, const void *b)
{
    const struct store_list_edit *x = *(const struct store_list_edit *const *)a;
    const struct store_list_edit *y = *(const struct store_list_edit *const *)b;
    int order = strcmp(x->key, y->key);

    return order ?: (x > y) - (x < y);
}

static const struct store_list_edit **sorted_lists(struct redis_args *args,
                                                   const struct store_change *change)
{
    const struct store_list_edit **lists =
        arena_alloc(args->arena, (change->n_lists + 1) * sizeof(*lists));

    for (size_t i = 0; i < change->n_lists; i++)
        lists[i] = &change->lists[i];
    qsort(lists, change->n_lists, sizeof(*lists), compare_lists);
    return lists;
}

static void add_keys(struct redis_args *args, const struct store_change *change,
                     const struct store_index_edit *const *edits,
                     const struct store_list_edit *const *lists)
{
    redis_args_number(args, 4 + change->n_writes + change->n_edits + change->n_lists);
    redis_args_text(args, KEY_TERM);
    redis_args_text(args, KEY_OUTBOX);
    redis_args_text(args, KEY_OUTBOX_DATA);
    redis_args_text(args, KEY_VERSION);
    for (size_t i = 0; i < change->n_writes; i++)
        redis_args_text(args, change->writes[i].key);
    for (size_t i = 0; i < change->n_edits; i++)
        redis_args_text(args, edits[i]->set);
    for (size_t i = 0; i < change->n_lists; i++)
        redis_args_text(args, lists[i]->key);
}

static void add_write(struct redis_args *args, const struct store_write *write)
{
    bool delete = !write->value.data && !write->value.len;

    if (write->expected_version == UINT64_MAX)
        redis_args_text(args, "any");
    else
        redis_args_number(args, write->expected_version);
    redis_args_text(args, delete ? "del" : "set");
    redis_args_add(args, write->value.data, write->value.len);
    redis_args_number(args, write->expire_ms > 0 ? (uint64_t)write->expire_ms : 0);
}

static void add_outbox(struct redis_args *args, const struct store_outbox_entry *entry)
{
    _cleanup_buffer_ struct buffer data = {0};

    buffer_add_lp(&data, entry->subject, strlen(entry->subject));
    buffer_add_lp(&data, entry->type, strlen(entry->type));
    buffer_add_lp(&data, entry->payload.data, entry->payload.len);
    redis_args_text(args, entry->id);
    redis_args_add(args, arena_memdup(args->arena, data.data, data.size), data.size);
}

struct error *store_redis_commit(struct store *store, const struct store_change *change)
{
    _cleanup_args_ struct redis_args args;

    redis_args_init(&args);
    const struct store_index_edit **edits = sorted_edits(&args, change);
    const struct store_list_edit **lists = sorted_lists(&args, change);
    add_keys(&args, change, edits, lists);
    redis_args_number(&args, change->term);
    redis_args_number(&args, change->n_writes);
    redis_args_number(&args, change->n_edits);
    redis_args_number(&args, change->n_outbox);
    redis_args_number(&args, change->n_lists);
    for (size_t i = 0; i < change->n_writes; i++)
        add_write(&args, &change->writes[i]);
    for (size_t i = 0; i < change->n_edits; i++) {
        redis_args_text(&args, edits[i]->remove ? "rem" : "add");
        redis_args_text(&args, edits[i]->member);
    }
    for (size_t i = 0; i < change->n_outbox; i++)
        add_outbox(&args, &change->outbox[i]);
    for (size_t i = 0; i < change->n_lists; i++) {
        redis_args_add(&args, lists[i]->value.data, lists[i]->value.len);
        redis_args_number(&args, lists[i]->max_length - 1);
        redis_args_number(&args, lists[i]->expire_ms > 0 ? (uint64_t)lists[i]->expire_ms : 0);
    }
    return redis_run_script_ok(store, REDIS_SCRIPT_COMMIT, &args);
}
