/*
 * Nothing old out of the cache, on a real Redis and in memory: one thread commits rising numbers
 * through a store and a cache of its own, others read through theirs, as several gateways would.
 *
 * What must hold: a writer never reads less than it wrote (its own cache, after it forgot); a
 * reader never goes back; and once writing has ended, every cache comes to the last number.
 */
#include <pthread.h>
#include <sched.h>

#include "shared/store/store_cache.h"
#include "shared/store/test_redis_server.h"

enum { KEYS = 3, WRITES = 1000, READERS = 2 };

static const char *const prefixes[] = {"t:n:"};

struct copy {
    struct store *store;
    struct store_cache *cache;
    struct error *failure;
    uint64_t from_cache;
    uint64_t went_back;
};

struct race {
    struct redis_server server;
    struct copy writer;
    struct copy reader;
    atomic_bool done;
};

static void key_of(char ret_key[16], int i)
{
    snprintf(ret_key, 16, "t:n:%d", i);
}

static struct error *read_number(struct copy *copy, const char *key, uint64_t *ret_number)
{
    _cleanup_(store_cached_unrefp) struct store_cached *value = store_cache_get(copy->cache, key);
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct store_record record;

    if (value) {
        memcpy(ret_number, value->data, sizeof(*ret_number));
        __atomic_fetch_add(&copy->from_cache, 1, __ATOMIC_RELAXED);
        return NULL;
    }
    struct store_ticket ticket = store_cache_ticket(copy->cache, key);
    struct error *err = store_get(copy->store, key, arena, &record);
    if (err)
        return err;
    value = store_cached_new(sizeof(*ret_number), record.version);
    if (record.value.len == sizeof(*ret_number))
        memcpy(value->data, record.value.data, sizeof(*ret_number));
    memcpy(ret_number, value->data, sizeof(*ret_number));
    store_cache_put(copy->cache, key, &ticket, value);
    return NULL;
}

static struct error *write_number(struct copy *copy, const char *key, uint64_t number)
{
    const struct store_write write = {.key = key,
                                      .expected_version = UINT64_MAX,
                                      .value = {.data = (uint8_t *)&number, .len = sizeof(number)}};
    struct error *err =
        store_commit(copy->store, &(struct store_change){.writes = &write, .n_writes = 1});

    store_cache_forget(copy->cache, key);
    return err;
}

/* Beside the writer, on its cache: may fill it with what is old just before the writer forgets. */
static void *read_on(void *state, struct copy *copy)
{
    struct race *race = state;
    uint64_t last[KEYS] = {0};
    struct error *err = NULL;
    char key[16];

    for (unsigned i = 0; !err && !atomic_load(&race->done); i++) {
        uint64_t number = 0;
        key_of(key, (int)(i % KEYS));
        err = read_number(copy, key, &number);
        if (number < last[i % KEYS])
            __atomic_fetch_add(&copy->went_back, 1, __ATOMIC_RELAXED);
        last[i % KEYS] = number;
        sched_yield(); /* the writer waits for the same locks */
    }
    return err;
}

static void *read_beside(void *state)
{
    return read_on(state, &((struct race *)state)->writer);
}

static void *read_elsewhere(void *state)
{
    return read_on(state, &((struct race *)state)->reader);
}

static void *write_all(void *state)
{
    struct race *race = state;
    struct error *err = NULL;
    uint64_t number = 0;
    char key[16];

    while (!__atomic_load_n(&race->writer.from_cache, __ATOMIC_RELAXED) ||
           !__atomic_load_n(&race->reader.from_cache, __ATOMIC_RELAXED))
        sched_yield(); /* until there is something that could be old */
    for (uint64_t i = 1; !err && i <= WRITES; i++) {
        key_of(key, (int)(i % KEYS));
        err = write_number(&race->writer, key, i);
        err = err ?: read_number(&race->writer, key, &number);
        if (!err && number != i)
            err = error_new(ERROR_INTERNAL, "read %d after own write %d", (int)number, (int)i);
    }
    atomic_store(&race->done, true);
    return err;
}

static void wait_on(struct store_cache *cache)
{
    int64_t give_up = clock_monotonic_ms(clock_system()) + 20000;

    while (!store_cache_is_on(cache)) {
        assert_true(clock_monotonic_ms(clock_system()) < give_up);
        nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL);
    }
}

static void open_cache(struct copy *copy)
{
    const struct store_cache_options options = {
        .prefixes = prefixes, .n_prefixes = ELEMENTSOF(prefixes), .max_bytes = 64 * 1024};

    assert_null(store_cache_new(copy->store, &options, &copy->cache));
    wait_on(copy->cache);
}

static void join(pthread_t thread)
{
    void *failure = NULL;

    pthread_join(thread, &failure);
    if (failure)
        fail_msg("%s", error_text(failure));
}

/* The news of the last write may still be on its way. */
static void comes_to(struct copy *copy, const char *key, uint64_t last)
{
    int64_t give_up = clock_monotonic_ms(clock_system()) + 20000;
    uint64_t number = 0;

    while (number != last) {
        assert_true(clock_monotonic_ms(clock_system()) < give_up);
        assert_null(read_number(copy, key, &number));
    }
}

static void run_race(struct race *race)
{
    pthread_t threads[2 * READERS + 1];
    char key[16];
    size_t n = 0;

    for (int i = 0; i < READERS; i++) {
        assert_int_equal(pthread_create(&threads[n++], NULL, read_beside, race), 0);
        assert_int_equal(pthread_create(&threads[n++], NULL, read_elsewhere, race), 0);
    }
    assert_int_equal(pthread_create(&threads[n++], NULL, write_all, race), 0);
    for (size_t i = 0; i < n; i++)
        join(threads[i]);
    for (uint64_t i = WRITES - KEYS + 1; i <= WRITES; i++) {
        key_of(key, (int)(i % KEYS));
        comes_to(&race->reader, key, i);
        comes_to(&race->writer, key, i);
    }
    assert_int_equal(race->writer.went_back, 0);
    assert_int_equal(race->reader.went_back, 0);
}

#ifdef STORE_TEST_REDIS

static void open_race(struct race *race)
{
    redis_server_start(&race->server);
    race->writer.store = redis_server_open(&race->server);
    race->reader.store = redis_server_open(&race->server);
}

static void close_race(struct race *race)
{
    store_free(race->reader.store);
    store_free(race->writer.store);
    redis_server_end(&race->server);
}

static void test_nothing_is_kept_while_the_server_is_away(void **state)
{
    (void)state;
    struct race race = {0};
    int64_t give_up = clock_monotonic_ms(clock_system()) + 20000;
    uint64_t number = 0;

    open_race(&race);
    open_cache(&race.writer);
    assert_null(write_number(&race.writer, "t:n:0", 7));
    comes_to(&race.writer, "t:n:0", 7);
    kill(race.server.pid, SIGKILL);
    while (store_cache_is_on(race.writer.cache))
        assert_true(clock_monotonic_ms(clock_system()) < give_up);
    assert_null(store_cache_get(race.writer.cache, "t:n:0"));
    assert_int_equal(
        error_get_code(race.writer.failure = read_number(&race.writer, "t:n:0", &number)),
        ERROR_UNAVAILABLE);
    error_free(race.writer.failure);
    const struct store_ticket ticket = store_cache_ticket(race.writer.cache, "t:n:0");
    _cleanup_(store_cached_unrefp) struct store_cached *value = store_cached_new(8, 1);
    assert_false(store_cache_put(race.writer.cache, "t:n:0", &ticket, value));
    store_cache_free(race.writer.cache);
    close_race(&race);
}

#else

static void open_race(struct race *race)
{
    race->writer.store = store_memory_new();
    race->reader.store = race->writer.store;
}

static void close_race(struct race *race)
{
    store_free(race->writer.store);
}

#endif

static void test_nothing_old_comes_out(void **state)
{
    (void)state;
    struct race race = {0};

    open_race(&race);
    open_cache(&race.writer);
    open_cache(&race.reader);
    run_race(&race);
    store_cache_free(race.writer.cache);
    store_cache_free(race.reader.cache);
    close_race(&race);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_old_comes_out),
#ifdef STORE_TEST_REDIS
        cmocka_unit_test(test_nothing_is_kept_while_the_server_is_away),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
