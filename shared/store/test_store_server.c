/* The store in Redis, when its server restarts, forgets its scripts, or stands still. */
#include "shared/store/test_store_kit.h"

#include "shared/base/alloc.h"

/* A commit that was answered survives kill -9; calls fail in time while the server is away. */
static void test_server_restart(void **state)
{
    (void)state;
    struct store_record record;

    assert_ok(write_one("t:durable", 0, "kept", 0));
    redis_server_kill(&fixture.redis);
    struct error *away = store_get(fixture.store, "t:durable", fixture.arena, &record);
    assert_string_equal(error_reason(away), STORE_AWAY);
    assert_code(away, ERROR_UNAVAILABLE);
    assert_code(write_one("t:durable", 0, "lost", 0), ERROR_UNAVAILABLE);
    redis_server_run(&fixture.redis);
    redis_server_wait(&fixture.redis, fixture.store);
    record = read_one("t:durable");
    assert_value(&record, "kept");
}

static void test_script_is_sent_again(void **state)
{
    (void)state;
    _cleanup_free_ char *command = xasprintf("redis-cli -s '%s/redis.sock' script flush "
                                             ">/dev/null",
                                             fixture.redis.dir);

    assert_int_equal(system(command), 0);
    assert_ok(write_one("t:noscript", 0, "x", 0));
}

static void test_stopped_server_meets_deadline(void **state)
{
    (void)state;
    int64_t start_ms = clock_monotonic_ms(clock_system());
    struct store_record record;

    kill(fixture.redis.pid, SIGSTOP);
    assert_code(store_get(fixture.store, "t:durable", fixture.arena, &record), ERROR_UNAVAILABLE);
    kill(fixture.redis.pid, SIGCONT);
    assert_true(clock_monotonic_ms(clock_system()) - start_ms <= 10 * STORE_DEADLINE_MS);
    redis_server_wait(&fixture.redis, fixture.store);
    record = read_one("t:durable");
    assert_value(&record, "kept");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server_restart),
        cmocka_unit_test(test_script_is_sent_again),
        cmocka_unit_test(test_stopped_server_meets_deadline),
    };

    return cmocka_run_group_tests(tests, store_setup, store_teardown);
}
