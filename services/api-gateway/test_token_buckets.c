/* Token buckets by name, with a clock of our own. */
#include "services/api-gateway/token_buckets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "shared/base/cleanup.h"

static unsigned take_all(struct token_buckets *buckets, const char *name, int64_t now_ms)
{
    struct token_state state;
    unsigned n = 0;

    while (n < 100000 && token_buckets_take(buckets, name, now_ms, &state))
        n++;
    return n;
}

static void test_a_burst_then_the_rate(_unused_ void **state)
{
    _cleanup_(token_buckets_done) struct token_buckets buckets;

    token_buckets_init(&buckets, 60, 10); /* one a second */
    assert_int_equal(take_all(&buckets, "a", 5000), 10);
    assert_int_equal(take_all(&buckets, "a", 5999), 0);
    assert_int_equal(take_all(&buckets, "a", 6000), 1);
    assert_int_equal(take_all(&buckets, "a", 8500), 2);
    assert_int_equal(take_all(&buckets, "a", 9000), 1); /* halves add up */
    assert_int_equal(take_all(&buckets, "a", INT64_MAX), 10);
}

static void test_what_is_told(_unused_ void **state)
{
    static const struct {
        int64_t at_ms;
        bool taken;
        struct token_state told;
    } rows[] = {
        {0, true, {3, 2, 2, 0}}, /* 30 a minute: one in two seconds */
        {0, true, {3, 1, 4, 0}},      {0, true, {3, 0, 6, 0}},     {0, false, {3, 0, 6, 2}},
        {999, false, {3, 0, 6, 2}},   {1001, false, {3, 0, 5, 1}}, {2000, true, {3, 0, 6, 0}},
        {600000, true, {3, 2, 2, 0}},
    };
    _cleanup_(token_buckets_done) struct token_buckets buckets;

    token_buckets_init(&buckets, 30, 3);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        struct token_state told;
        bool taken = token_buckets_take(&buckets, "a", rows[i].at_ms, &told);
        if (taken != rows[i].taken || told.limit != rows[i].told.limit ||
            told.remaining != rows[i].told.remaining || told.reset_s != rows[i].told.reset_s ||
            told.retry_after_s != rows[i].told.retry_after_s)
            fail_msg("row %zu: %d %d %d %d", i, taken, (int)told.remaining, (int)told.reset_s,
                     (int)told.retry_after_s);
    }
}

static void test_names_do_not_touch_each_other(_unused_ void **state)
{
    _cleanup_(token_buckets_done) struct token_buckets buckets;

    token_buckets_init(&buckets, 60, 5);
    assert_int_equal(take_all(&buckets, "a", 0), 5);
    assert_int_equal(take_all(&buckets, "b", 0), 5);
    assert_int_equal(take_all(&buckets, "a", 0), 0);
}

static void test_peeking_takes_nothing(_unused_ void **state)
{
    _cleanup_(token_buckets_done) struct token_buckets buckets;
    struct token_state told;

    token_buckets_init(&buckets, 60, 1);
    for (int i = 0; i < 10; i++)
        assert_true(token_buckets_peek(&buckets, "a", 0, &told));
    assert_int_equal(take_all(&buckets, "a", 0), 1);
    assert_false(token_buckets_peek(&buckets, "a", 0, &told));
    assert_int_equal(told.retry_after_s, 1);
}

/* Many at once peek, and then all are charged: what was too much is waited for. */
static void test_debts_are_paid_back(_unused_ void **state)
{
    _cleanup_(token_buckets_done) struct token_buckets buckets;
    struct token_state told;

    token_buckets_init(&buckets, 60, 2);
    for (int i = 0; i < 7; i++)
        token_buckets_charge(&buckets, "a", 0);
    assert_false(token_buckets_peek(&buckets, "a", 5000, &told));
    assert_int_equal(told.remaining, 0);
    assert_int_equal(told.retry_after_s, 1);
    assert_true(token_buckets_peek(&buckets, "a", 6000, &told));
    for (int i = 0; i < 1000; i++)
        token_buckets_charge(&buckets, "a", 6000);
    assert_false(token_buckets_peek(&buckets, "a", 6000, &told));
    assert_int_equal(told.retry_after_s, 21); /* ten full buckets, and the one that is wanted */
}

static void test_time_that_goes_back_is_none(_unused_ void **state)
{
    _cleanup_(token_buckets_done) struct token_buckets buckets;

    token_buckets_init(&buckets, 60, 2);
    assert_int_equal(take_all(&buckets, "a", 10000), 2);
    assert_int_equal(take_all(&buckets, "a", 4000), 0);
    assert_int_equal(take_all(&buckets, "a", 10999), 0);
    assert_int_equal(take_all(&buckets, "a", 11000), 1);
}

static void test_extremes(_unused_ void **state)
{
    static const struct {
        uint64_t per_minute;
        uint64_t burst;
        unsigned at_once;
    } rows[] = {
        {0, 0, 100000},                   /* no limit */
        {0, 5, 100000},                   /* nor here */
        {1, 0, 1},                        /* nothing at all would be no limit but an end */
        {UINT64_MAX, UINT64_MAX, 100000}, /* no overflow */
        {1, UINT64_MAX, 100000},
        {UINT64_MAX, 3, 3},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(token_buckets_done) struct token_buckets buckets;
        token_buckets_init(&buckets, rows[i].per_minute, rows[i].burst);
        assert_int_equal(take_all(&buckets, "a", INT64_MAX), rows[i].at_once);
    }
}

/* However many names come, memory stays what it is, and one that keeps coming is kept. */
static void test_a_flood_of_names(_unused_ void **state)
{
    _cleanup_(token_buckets_done) struct token_buckets buckets;
    struct token_state told;
    char name[BUCKET_NAME_SIZE];

    token_buckets_init(&buckets, 1, 1000);
    for (int i = 0; i < 500; i++)
        assert_true(token_buckets_take(&buckets, "ours", 0, &told));
    for (int i = 0; i <= 40000; i++) {
        snprintf(name, sizeof(name), "other-%d", i);
        assert_true(token_buckets_take(&buckets, name, i, &told));
        if (i % 100 == 0)
            assert_true(token_buckets_take(&buckets, "ours", i, &told));
    }
    assert_true(token_buckets_peek(&buckets, "ours", 40001, &told));
    assert_int_equal(told.remaining, 1000 - 500 - 401);
}

static void test_a_long_name_counts_by_its_beginning(_unused_ void **state)
{
    _cleanup_(token_buckets_done) struct token_buckets buckets;
    char one[200];
    char other[200];

    memset(one, 'x', sizeof(one));
    one[sizeof(one) - 1] = '\0';
    memcpy(other, one, sizeof(one));
    other[150] = 'y';
    token_buckets_init(&buckets, 60, 4);
    assert_int_equal(take_all(&buckets, one, 0), 4);
    assert_int_equal(take_all(&buckets, other, 0), 0);
}

static void *take_many(void *state)
{
    size_t taken = 0;
    struct token_state told;

    for (int i = 0; i < 20000; i++)
        if (token_buckets_take(state, "shared", 0, &told))
            taken++;
    return (void *)taken;
}

static void test_threads_together_get_one_burst(_unused_ void **state)
{
    _cleanup_(token_buckets_done) struct token_buckets buckets;
    pthread_t threads[4];
    size_t taken = 0;

    token_buckets_init(&buckets, 60, 30000);
    for (size_t i = 0; i < ELEMENTSOF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_many, &buckets), 0);
    for (size_t i = 0; i < ELEMENTSOF(threads); i++) {
        void *one = NULL;
        pthread_join(threads[i], &one);
        taken += (size_t)one;
    }
    assert_int_equal(taken, 30000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_burst_then_the_rate),
        cmocka_unit_test(test_what_is_told),
        cmocka_unit_test(test_names_do_not_touch_each_other),
        cmocka_unit_test(test_peeking_takes_nothing),
        cmocka_unit_test(test_debts_are_paid_back),
        cmocka_unit_test(test_time_that_goes_back_is_none),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_a_flood_of_names),
        cmocka_unit_test(test_a_long_name_counts_by_its_beginning),
        cmocka_unit_test(test_threads_together_get_one_burst),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
