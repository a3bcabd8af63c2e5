/* Several gateways over one Redis: what one changes, the others stop telling; what Redis cannot
 * tell of is not told from memory. */
#include "services/api-gateway/test_fixture.h"

#include <pthread.h>

#include "services/api-gateway/rendered.h"
#include "shared/base/alloc.h"
#include "shared/store/keys.h"
#include "shared/store/test_redis_server.h"

#define GET_PATH "/api/v1/workloads/" TEST_WORKLOAD
#define LIST     "/api/v1/workloads/list"
#define ADMIN    "x-api-key: " TEST_ADMIN

struct copies {
    struct redis_server server;
    struct fixture *f;      /* with the first */
    struct gateway *second; /* with a store of its own */
};

static void wait_watched(const struct gateway *gateway)
{
    int64_t give_up = clock_monotonic_ms(clock_system()) + 20000;

    while (!store_cache_is_on(gateway->cache)) {
        assert_true(clock_monotonic_ms(clock_system()) < give_up);
        nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL);
    }
}

static void copies_start(struct copies *copies)
{
    redis_server_start(&copies->server);
    copies->f = fixture_new_with(clock_system(), redis_server_open(&copies->server));
    assert_null(gateway_new(&copies->f->config, copies->f->bus, redis_server_open(&copies->server),
                            clock_system(), &copies->second));
    wait_watched(copies->f->gateway);
    wait_watched(copies->second);
}

static void copies_end(struct copies *copies)
{
    gateway_free(copies->second);
    fixture_free(copies->f);
    redis_server_end(&copies->server);
}

static struct answer call_second(const struct copies *copies, const char *path, const char *key)
{
    _cleanup_free_ char *url =
        xasprintf("http://127.0.0.1:%u%s", http_server_port(copies->second->http), path);

    return http_call(copies->f, "GET", url, key, NULL);
}

static long status_at_second(const struct copies *copies, const char *path, const char *key)
{
    _cleanup_answer_ struct answer answer = call_second(copies, path, key);

    return answer.status;
}

static void test_a_key_revoked_at_one_is_refused_at_the_other(void **state)
{
    (void)state;
    struct copies copies;
    int64_t give_up = clock_monotonic_ms(clock_system()) + 20000;
    long status = 200;

    copies_start(&copies);
    _cleanup_answer_ struct answer first = http_get(copies.f, LIST);
    assert_int_equal(first.status, 200); /* makes the bootstrap key */
    for (int i = 0; i < 3; i++)
        assert_int_equal(status_at_second(&copies, LIST, TEST_KEY), 200);
    _cleanup_answer_ struct answer off =
        http_call(copies.f, "PUT", "/api/v1/api-keys/update", ADMIN,
                  "{\"id\":\"" TEST_KEY "\",\"active\":false}");
    assert_int_equal(off.status, 200);
    _cleanup_answer_ struct answer own = http_get(copies.f, LIST);
    assert_int_equal(own.status, 401);
    while (status == 200) {
        assert_true(clock_monotonic_ms(clock_system()) < give_up);
        status = status_at_second(&copies, LIST, TEST_KEY);
    }
    assert_int_equal(status, 401);
    for (int i = 0; i < 10; i++) /* and stays so */
        assert_int_equal(status_at_second(&copies, LIST, TEST_KEY), 401);
    copies_end(&copies);
}

enum { ROUNDS = 300 };

/* event_sequence counts the rounds; it is in the ETag. */
static void put_round(const struct fixture *f, unsigned round)
{
    Coffer__V1__Workload workload = COFFER__V1__WORKLOAD__INIT;

    workload.workload_id = TEST_WORKLOAD;
    workload.account_id = "dev";
    workload.status = COFFER__V1__WORKLOAD_STATUS__RUNNING;
    workload.event_sequence = round;
    workload.generation = 1;
    put_message(f, KEY_WORKLOAD TEST_WORKLOAD, &workload.base);
}

static unsigned round_at_second(const struct copies *copies)
{
    _cleanup_answer_ struct answer answer = call_second(copies, GET_PATH, TEST_KEY);
    const char *tag = strcasestr(buffer_text(&answer.headers), "\netag: \"1-");

    assert_int_equal(answer.status, 200);
    assert_non_null(tag);
    return (unsigned)atoi(tag + strlen("\netag: \"1-"));
}

struct writing {
    struct copies *copies;
    atomic_uint round; /* that was committed */
};

static void *write_rounds(void *state)
{
    struct writing *writing = state;

    for (unsigned round = 2; round <= ROUNDS; round++) {
        put_round(writing->copies->f, round);
        atomic_store(&writing->round, round);
    }
    return NULL;
}

static void test_reads_go_forward_and_come_to_the_last_change(void **state)
{
    (void)state;
    struct copies copies;
    struct writing writing = {.copies = &copies};
    int64_t give_up = clock_monotonic_ms(clock_system()) + 60000;
    unsigned last = 0;
    pthread_t thread;

    copies_start(&copies);
    put_round(copies.f, 1);
    _cleanup_answer_ struct answer made = http_get(copies.f, LIST); /* the bootstrap key */
    assert_int_equal(made.status, 200);
    assert_int_equal(pthread_create(&thread, NULL, write_rounds, &writing), 0);
    while (last < ROUNDS) {
        unsigned round = round_at_second(&copies);
        assert_true(round >= last);
        last = round;
        assert_true(clock_monotonic_ms(clock_system()) < give_up);
    }
    pthread_join(thread, NULL);
    copies_end(&copies);
}

static void test_without_redis_nothing_is_told_from_memory(void **state)
{
    (void)state;
    struct copies copies;
    int64_t give_up = clock_monotonic_ms(clock_system()) + 20000;

    copies_start(&copies);
    put_round(copies.f, 1);
    _cleanup_answer_ struct answer made = http_get(copies.f, LIST); /* the bootstrap key */
    assert_int_equal(made.status, 200);
    assert_int_equal(status_at_second(&copies, GET_PATH, TEST_KEY), 200);
    redis_server_kill(&copies.server);
    while (store_cache_is_on(copies.second->cache))
        assert_true(clock_monotonic_ms(clock_system()) < give_up);
    assert_int_equal(status_at_second(&copies, GET_PATH, TEST_KEY), 503);
    redis_server_run(&copies.server);
    wait_watched(copies.second);
    while (status_at_second(&copies, GET_PATH, TEST_KEY) != 200)
        assert_true(clock_monotonic_ms(clock_system()) < give_up);
    store_free(redis_server_open(&copies.server)); /* up again before it is ended */
    copies_end(&copies);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_key_revoked_at_one_is_refused_at_the_other),
        cmocka_unit_test(test_reads_go_forward_and_come_to_the_last_change),
        cmocka_unit_test(test_without_redis_nothing_is_told_from_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
