/* The contract of store.h, on every backend: what a watch tells. */
#include "shared/store/test_store_kit.h"

#include <pthread.h>

#include "shared/base/alloc.h"

/* What a watch told: counted, and the latest text. */
struct heard {
    pthread_mutex_t lock;
    const char *key; /* changes of this one are counted */
    unsigned changed;
    unsigned others;
    unsigned watched;
    unsigned unwatched;
};

static void on_news(void *state, enum store_news news, const char *text)
{
    struct heard *heard = state;

    pthread_mutex_lock(&heard->lock);
    if (news == STORE_WATCHED)
        heard->watched++;
    else if (news == STORE_UNWATCHED)
        heard->unwatched++;
    else if (strcmp(text, heard->key) == 0)
        heard->changed++;
    else
        heard->others++;
    pthread_mutex_unlock(&heard->lock);
}

static unsigned read_count(struct heard *heard, const unsigned *count)
{
    pthread_mutex_lock(&heard->lock);
    unsigned n = *count;
    pthread_mutex_unlock(&heard->lock);
    return n;
}

static void wait_count(struct heard *heard, const unsigned *count, unsigned least)
{
    int64_t give_up = clock_monotonic_ms(clock_system()) + 20000;

    while (read_count(heard, count) < least) {
        assert_true(clock_monotonic_ms(clock_system()) < give_up);
        nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL);
    }
}

static const char *const watched[] = {"t:watch:", "t:watched-set"};

static struct store_watch *watch_for(struct heard *heard, const char *key)
{
    struct store_watch *watch = NULL;

    *heard = (struct heard){.lock = PTHREAD_MUTEX_INITIALIZER, .key = key};
    assert_ok(store_watch(fixture.store, watched, ELEMENTSOF(watched), on_news, heard, &watch));
    wait_count(heard, &heard->watched, 1);
    return watch;
}

static void test_watch_tells_writes_and_deletes_of_its_prefixes(void **state)
{
    (void)state;
    struct heard heard;
    _cleanup_(store_unwatchp) struct store_watch *watch = watch_for(&heard, "t:watch:a");

    assert_ok(write_one("t:not-watched", 0, "x", 0));
    assert_ok(write_one("t:watch:a", 0, "one", 0));
    wait_count(&heard, &heard.changed, 1);
    unsigned before = read_count(&heard, &heard.changed);
    assert_ok(write_one("t:watch:a", UINT64_MAX, NULL, 0));
    wait_count(&heard, &heard.changed, before + 1);
    assert_int_equal(read_count(&heard, &heard.others), 0);
}

static void test_watch_tells_sets_and_lists(void **state)
{
    (void)state;
    const struct store_index_edit edit = {.set = "t:watched-set", .member = "m"};
    struct heard heard;
    _cleanup_(store_unwatchp) struct store_watch *watch = watch_for(&heard, "t:watched-set");

    assert_ok(store_commit(fixture.store, &(struct store_change){.edits = &edit, .n_edits = 1}));
    wait_count(&heard, &heard.changed, 1);
    assert_ok(store_list_push(fixture.store, "t:watch:list", "x", 1, 3));
    wait_count(&heard, &heard.others, 1);
}

static void test_watch_tells_expiry(void **state)
{
    (void)state;
    struct store_write write = {.key = "t:watch:short", .value = bytes("x"), .expire_ms = 30};
    struct heard heard;
    _cleanup_(store_unwatchp) struct store_watch *watch = watch_for(&heard, write.key);

    assert_ok(store_commit(fixture.store, &(struct store_change){.writes = &write, .n_writes = 1}));
    while (read_one(write.key).version)
        continue;
    wait_count(&heard, &heard.changed, 2);
}

static void test_nothing_is_told_after_unwatch(void **state)
{
    (void)state;
    struct heard heard;
    struct store_watch *watch = watch_for(&heard, "t:watch:after");

    store_unwatch(watch);
    assert_ok(write_one("t:watch:after", 0, "x", 0));
    assert_int_equal(read_count(&heard, &heard.changed), 0);
    store_unwatch(NULL);
}

#ifdef STORE_TEST_REDIS

static void test_watch_tells_of_others_and_of_a_new_connection(void **state)
{
    (void)state;
    _cleanup_(store_freep) struct store *other = NULL;
    const struct store_write write = {
        .key = "t:watch:other", .expected_version = UINT64_MAX, .value = bytes("x")};
    const struct store_change change = {.writes = &write, .n_writes = 1};
    struct heard heard;
    _cleanup_(store_unwatchp) struct store_watch *watch = watch_for(&heard, write.key);

    assert_ok(store_open(fixture.redis.url, NULL, &other));
    assert_ok(store_commit(other, &change));
    wait_count(&heard, &heard.changed, 1);
    redis_server_kill(&fixture.redis);
    wait_count(&heard, &heard.unwatched, 1);
    redis_server_run(&fixture.redis);
    redis_server_wait(&fixture.redis, fixture.store);
    wait_count(&heard, &heard.watched, 2);
    unsigned before = read_count(&heard, &heard.changed);
    assert_ok(store_commit(fixture.store, &change));
    wait_count(&heard, &heard.changed, before + 1);
    assert_int_equal(read_count(&heard, &heard.unwatched), 1); /* told once, not at every try */
}

static void test_watch_notices_a_silent_server(void **state)
{
    (void)state;
    struct heard heard;
    _cleanup_(store_unwatchp) struct store_watch *watch = watch_for(&heard, "t:watch:silent");

    kill(fixture.redis.pid, SIGSTOP);
    wait_count(&heard, &heard.unwatched, 1);
    kill(fixture.redis.pid, SIGCONT);
    wait_count(&heard, &heard.watched, 2);
    redis_server_wait(&fixture.redis, fixture.store);
}

static void test_watch_tells_that_all_was_flushed(void **state)
{
    (void)state;
    _cleanup_free_ char *command =
        xasprintf("redis-cli -s '%s/redis.sock' flushall >/dev/null", fixture.redis.dir);
    struct heard heard;
    _cleanup_(store_unwatchp) struct store_watch *watch = watch_for(&heard, "t:watch:x");

    assert_int_equal(system(command), 0);
    wait_count(&heard, &heard.watched, 2);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_watch_tells_writes_and_deletes_of_its_prefixes),
        cmocka_unit_test(test_watch_tells_sets_and_lists),
        cmocka_unit_test(test_watch_tells_expiry),
        cmocka_unit_test(test_nothing_is_told_after_unwatch),
#ifdef STORE_TEST_REDIS
        cmocka_unit_test(test_watch_tells_of_others_and_of_a_new_connection),
        cmocka_unit_test(test_watch_notices_a_silent_server),
        cmocka_unit_test(test_watch_tells_that_all_was_flushed), /* empties the store: last */
#endif
    };

    return cmocka_run_group_tests(tests, store_setup, store_teardown);
}
