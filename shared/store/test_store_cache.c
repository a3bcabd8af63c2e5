/* The cache over the memory store: what is kept, dropped and refused. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "shared/base/alloc.h"
#include "shared/base/clock.h"
#include "shared/store/backends.h"
#include "shared/store/store_cache.h"

static const char *const prefixes[] = {"t:a:", "t:b:"};

struct fixture {
    struct store *store;
    struct store_cache *cache;
};

static void must(struct error *err)
{
    if (err)
        fail_msg("%s", error_text(err));
}

/* A part of a thing is dropped under the name of the whole. */
static void name_of(const char *key, char *ret_name, size_t size)
{
    snprintf(ret_name, size, "t:a:%s", key + strlen("t:a:"));
}

static struct fixture *fixture_new(size_t max_bytes)
{
    struct fixture *f = xnew(struct fixture);
    const struct store_cache_options options = {.prefixes = prefixes,
                                                .n_prefixes = ELEMENTSOF(prefixes),
                                                .max_bytes = max_bytes,
                                                .name_of = name_of};

    f->store = store_memory_new();
    must(store_cache_new(f->store, &options, &f->cache));
    return f;
}

static void fixture_free(struct fixture *f)
{
    store_cache_free(f->cache);
    store_free(f->store);
    free(f);
}
DEFINE_CLEANUP(struct fixture *, fixture_free)

static void write_key(const struct fixture *f, const char *key)
{
    const struct store_write write = {
        .key = key, .expected_version = UINT64_MAX, .value = {.data = (uint8_t *)"x", .len = 1}};

    must(store_commit(f->store, &(struct store_change){.writes = &write, .n_writes = 1}));
}

static bool put_with(const struct fixture *f, const char *name, const struct store_ticket *ticket,
                     const char *text, size_t size)
{
    _cleanup_(store_cached_unrefp) struct store_cached *value = store_cached_new(size, 0);

    memcpy(value->data, text, strlen(text));
    return store_cache_put(f->cache, name, ticket, value);
}

static bool put(const struct fixture *f, const char *name, const char *text)
{
    const struct store_ticket ticket = store_cache_ticket(f->cache, name);

    return put_with(f, name, &ticket, text, strlen(text) + 1);
}

static bool has(const struct fixture *f, const char *name)
{
    _cleanup_(store_cached_unrefp) struct store_cached *value = store_cache_get(f->cache, name);

    return value != NULL;
}

static void test_keeps_until_a_change(void **state)
{
    (void)state;
    _cleanup_(fixture_freep) struct fixture *f = fixture_new(1 << 20);

    assert_false(has(f, "t:a:1"));
    assert_true(put(f, "t:a:1", "one"));
    assert_true(put(f, "t:a:2", "two"));
    _cleanup_(store_cached_unrefp) struct store_cached *value = store_cache_get(f->cache, "t:a:1");
    assert_string_equal((const char *)value->data, "one");
    write_key(f, "t:a:1");
    assert_false(has(f, "t:a:1"));
    assert_true(has(f, "t:a:2"));
    assert_string_equal((const char *)value->data, "one"); /* whoever holds it still may read it */
}

static void test_a_part_drops_the_whole(void **state)
{
    (void)state;
    _cleanup_(fixture_freep) struct fixture *f = fixture_new(1 << 20);

    assert_true(put(f, "t:a:1", "one"));
    write_key(f, "t:b:1");
    assert_false(has(f, "t:a:1"));
}

static void test_a_ticket_is_void_after_a_change(void **state)
{
    (void)state;
    _cleanup_(fixture_freep) struct fixture *f = fixture_new(1 << 20);
    const struct store_ticket ticket = store_cache_ticket(f->cache, "t:a:1");

    write_key(f, "t:b:1");
    assert_false(put_with(f, "t:a:1", &ticket, "old", 4));
    assert_false(has(f, "t:a:1"));
    assert_true(put(f, "t:a:1", "new"));
}

static void test_a_ticket_is_void_after_forget(void **state)
{
    (void)state;
    _cleanup_(fixture_freep) struct fixture *f = fixture_new(1 << 20);

    assert_true(put(f, "t:a:1", "one"));
    const struct store_ticket ticket = store_cache_ticket(f->cache, "t:a:1");
    store_cache_forget(f->cache, "t:a:1");
    assert_false(has(f, "t:a:1"));
    assert_false(put_with(f, "t:a:1", &ticket, "old", 4));
}

static void test_memory_is_bounded_and_the_unused_goes_first(void **state)
{
    (void)state;
    enum { MAX = 100 * 1024 };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new(MAX);
    struct store_cache_stats stats;
    char name[32];

    assert_true(put(f, "t:a:kept", "x"));
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "t:a:%d", i);
        const struct store_ticket ticket = store_cache_ticket(f->cache, name);
        assert_true(put_with(f, name, &ticket, "x", 1024));
        assert_true(has(f, "t:a:kept"));
    }
    store_cache_stats(f->cache, &stats);
    assert_true(stats.bytes <= MAX && stats.bytes > MAX / 2);
    assert_false(has(f, "t:a:0"));
    assert_true(has(f, "t:a:999"));
}

static void test_what_is_too_large_is_not_kept(void **state)
{
    (void)state;
    _cleanup_(fixture_freep) struct fixture *f = fixture_new(100 * 1024);
    const struct store_ticket ticket = store_cache_ticket(f->cache, "t:a:1");
    char name[STORE_CACHE_NAME_MAX + 1] = "";

    assert_false(put_with(f, "t:a:1", &ticket, "x", 64 * 1024));
    memset(name, 'x', sizeof(name) - 1);
    assert_false(put(f, name, "x"));
}

static bool put_version(const struct fixture *f, uint64_t version, const char *text)
{
    _cleanup_(store_cached_unrefp) struct store_cached *value =
        store_cached_new(strlen(text) + 1, version);
    const struct store_ticket ticket = store_cache_ticket(f->cache, "t:a:1");

    strcpy((char *)value->data, text);
    return store_cache_put(f->cache, "t:a:1", &ticket, value);
}

static void test_a_later_version_stays(void **state)
{
    (void)state;
    _cleanup_(fixture_freep) struct fixture *f = fixture_new(1 << 20);

    assert_true(put_version(f, 2, "two"));
    assert_false(put_version(f, 1, "one"));
    assert_true(put_version(f, 3, "three"));
    _cleanup_(store_cached_unrefp) struct store_cached *value = store_cache_get(f->cache, "t:a:1");
    assert_string_equal((const char *)value->data, "three");
}

static void test_without_versions_neither_of_two_stays(void **state)
{
    (void)state;
    _cleanup_(fixture_freep) struct fixture *f = fixture_new(1 << 20);

    assert_true(put_version(f, 0, "one"));
    assert_false(put_version(f, 0, "one"));
    assert_true(has(f, "t:a:1"));
    assert_false(put_version(f, 0, "two"));
    assert_false(has(f, "t:a:1"));
}

struct waiter {
    struct store_cache *cache;
    struct store_ticket ticket;
    bool news;
};

static void *wait_long(void *state)
{
    struct waiter *waiter = state;

    waiter->news = store_cache_wait(waiter->cache, "t:a:1", &waiter->ticket, 600 * 1000);
    return NULL;
}

static void test_wait_ends_by_a_change(void **state)
{
    (void)state;
    _cleanup_(fixture_freep) struct fixture *f = fixture_new(1 << 20);
    struct waiter waiter = {.cache = f->cache, .ticket = store_cache_ticket(f->cache, "t:a:1")};
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, wait_long, &waiter), 0);
    write_key(f, "t:b:1");
    pthread_join(thread, NULL);
    assert_true(waiter.news);
}

static void test_wait_ends_by_time_and_by_stop(void **state)
{
    (void)state;
    _cleanup_(fixture_freep) struct fixture *f = fixture_new(1 << 20);
    struct waiter waiter = {.cache = f->cache, .ticket = store_cache_ticket(f->cache, "t:a:1")};
    pthread_t thread;

    assert_false(store_cache_wait(f->cache, "t:a:1", &waiter.ticket, 1));
    assert_int_equal(pthread_create(&thread, NULL, wait_long, &waiter), 0);
    store_cache_stop(f->cache);
    pthread_join(thread, NULL);
    assert_false(waiter.news);
    assert_false(store_cache_wait(f->cache, "t:a:1", &waiter.ticket, 600 * 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps_until_a_change),
        cmocka_unit_test(test_a_part_drops_the_whole),
        cmocka_unit_test(test_a_ticket_is_void_after_a_change),
        cmocka_unit_test(test_a_ticket_is_void_after_forget),
        cmocka_unit_test(test_memory_is_bounded_and_the_unused_goes_first),
        cmocka_unit_test(test_what_is_too_large_is_not_kept),
        cmocka_unit_test(test_a_later_version_stays),
        cmocka_unit_test(test_without_versions_neither_of_two_stays),
        cmocka_unit_test(test_wait_ends_by_a_change),
        cmocka_unit_test(test_wait_ends_by_time_and_by_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
