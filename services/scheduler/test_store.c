#include "services/scheduler/test_store.h"

#include <string.h>

#include "shared/store/keys.h"

static struct test_store *of(struct store *store)
{
    return (struct test_store *)store;
}

static struct store *read_through(struct store *store)
{
    of(store)->reads++;
    return of(store)->inner;
}

static struct error *get(struct store *store, const char *key, struct arena *arena,
                         struct store_record *ret_record)
{
    return store_get(read_through(store), key, arena, ret_record);
}

static struct error *get_many(struct store *store, const char *const *keys, size_t n,
                              struct arena *arena, struct store_record *ret_records)
{
    for (size_t i = 0; i < n; i++)
        of(store)->hosts_read += strncmp(keys[i], KEY_HOST, strlen(KEY_HOST)) == 0;
    return store_get_many(read_through(store), keys, n, arena, ret_records);
}

static struct error *members(struct store *store, const char *set, size_t max, struct arena *arena,
                             const char ***ret_members, size_t *ret_n)
{
    return store_members(read_through(store), set, max, arena, ret_members, ret_n);
}

static struct error *commit(struct store *store, const struct store_change *change)
{
    struct test_store *test = of(store);
    void (*before)(void *data) = test->before_commit;

    test->commits++;
    test->before_commit = NULL;
    if (before)
        before(test->data);
    if (test->aborts) {
        test->aborts--;
        return error_new(test->abort_code ?: ERROR_ABORTED, "somebody was quicker");
    }
    struct error *err = store_commit(test->inner, change);
    if (!err && test->lose_answer) {
        test->lose_answer = false;
        return error_new(ERROR_UNAVAILABLE, "the answer was lost");
    }
    return err;
}

static struct error *outbox_peek(struct store *store, size_t max, struct arena *arena,
                                 struct store_outbox_entry **ret_entries, size_t *ret_n)
{
    return store_outbox_peek(read_through(store), max, arena, ret_entries, ret_n);
}

static struct error *outbox_clear(struct store *store, const char *const *ids, size_t n)
{
    return store_outbox_clear(of(store)->inner, ids, n);
}

static struct error *get_term(struct store *store, uint64_t *ret_term)
{
    return store_get_term(read_through(store), ret_term);
}

static struct error *set_term(struct store *store, uint64_t term)
{
    return store_set_term(of(store)->inner, term);
}

static struct error *list_push(struct store *store, const char *key, const void *data, size_t size,
                               size_t max_length)
{
    of(store)->commits++;
    return store_list_push(of(store)->inner, key, data, size, max_length);
}

static struct error *list_range(struct store *store, const char *key, size_t max,
                                struct arena *arena, ProtobufCBinaryData **ret_items, size_t *ret_n)
{
    return store_list_range(read_through(store), key, max, arena, ret_items, ret_n);
}

static struct error *ping(struct store *store)
{
    return store_ping(of(store)->inner);
}

static void leave(struct store *store)
{
    (void)store;
}

static const struct store_ops ops = {
    .name = "test",
    .get = get,
    .get_many = get_many,
    .members = members,
    .commit = commit,
    .outbox_peek = outbox_peek,
    .outbox_clear = outbox_clear,
    .get_term = get_term,
    .set_term = set_term,
    .list_push = list_push,
    .list_range = list_range,
    .ping = ping,
    .free = leave,
};

void test_store_init(struct test_store *store, struct store *inner)
{
    *store = (struct test_store){.base = {.ops = &ops}, .inner = inner};
}
