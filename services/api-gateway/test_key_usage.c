/* The last use of a key: written by a thread, at most once a minute. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "services/api-gateway/json_record.h"
#include "services/api-gateway/key_usage.h"
#include "shared/base/alloc.h"
#include "shared/store/keys.h"

#define KEY "aaaa456789012345678901234567890123456789012345678901234567890123"

static int64_t stored_at(struct store *store, uint64_t *ret_version)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_(json_decrefp) json_t *json = NULL;

    assert_null(json_record_load(store, KEY_API_KEY_USED KEY, arena, &json, ret_version));
    return json_integer_value(json_object_get(json, "at_ms"));
}

/* One gateway's life: it notes, and stopping writes what is queued. */
static void note(struct store *store, struct clock *clock, unsigned times)
{
    _cleanup_free_ struct key_usage *usage = xnew(struct key_usage);

    assert_null(key_usage_start(usage, store, clock));
    for (unsigned i = 0; i < times; i++)
        key_usage_note(usage, KEY);
    key_usage_stop(usage);
}

static void test_is_written_once_a_minute(_unused_ void **state)
{
    struct clock_fake clock;
    _cleanup_(store_freep) struct store *store = store_memory_new();
    uint64_t first = 0;
    uint64_t second = 0;

    clock_fake_init(&clock, INT64_C(1700000000000));
    note(store, &clock.base, 1000);
    int64_t at_ms = stored_at(store, &first);
    assert_int_equal(at_ms, INT64_C(1700000000000));
    clock_fake_advance(&clock, KEY_USAGE_PERIOD_MS - 1);
    note(store, &clock.base, 1000); /* another gateway, which does not remember */
    assert_int_equal(stored_at(store, &second), at_ms);
    assert_int_equal(first, second);
    clock_fake_advance(&clock, 1);
    note(store, &clock.base, 1);
    assert_int_equal(stored_at(store, &second), at_ms + KEY_USAGE_PERIOD_MS);
}

static void test_many_keys_at_once_do_not_wait(_unused_ void **state)
{
    struct clock_fake clock;
    _cleanup_(store_freep) struct store *store = store_memory_new();
    _cleanup_free_ struct key_usage *usage = xnew(struct key_usage);

    clock_fake_init(&clock, INT64_C(1700000000000));
    assert_null(key_usage_start(usage, store, &clock.base));
    for (unsigned i = 0; i < 20 * KEY_USAGE_QUEUE; i++) {
        char key[65];
        snprintf(key, sizeof(key), "%064x", i);
        key_usage_note(usage, key);
    }
    key_usage_stop(usage);
    assert_int_equal(usage->n_queued, 0); /* whatever did not fit was left out */
}

static void test_stopping_what_never_started(_unused_ void **state)
{
    _cleanup_free_ struct key_usage *usage = xnew(struct key_usage);

    key_usage_stop(usage);
    assert_false(usage->running);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_written_once_a_minute),
        cmocka_unit_test(test_many_keys_at_once_do_not_wait),
        cmocka_unit_test(test_stopping_what_never_started),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
