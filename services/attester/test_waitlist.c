/* Who waits how long, on a clock that the test moves: no thread, no second passes. */
#include "services/attester/waitlist.h"
#include "shared/attestation/test_attest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/alloc.h"

#define PROCESSOR_MS 2000 /* the processor answers once in two seconds */

static struct waitlist *list;
static uint8_t nonces[WAITLIST_MAX][32];
static struct waiter *out[2 * WAITLIST_MAX];

static int set_up(void **state)
{
    (void)state;
    list = xnew(struct waitlist);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(list);
    return 0;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* One round of the desk, from when it is free; how long the slowest of the round waited. */
static int64_t run_round(int64_t *now_ms, size_t *left)
{
    int64_t slowest_ms = 0;

    *now_ms = larger(*now_ms, waitlist_ready_ms(list));
    waitlist_take(list, nonces);
    *now_ms += PROCESSOR_MS;
    size_t n = waitlist_finish(list, out);
    for (size_t i = 0; i < n; i++) {
        assert_non_null(out[i]);
        slowest_ms = larger(slowest_ms, *now_ms - out[i]->since_ms);
    }
    *left -= n;
    return slowest_ms;
}

/* 500 at once, while the processor already makes an answer for somebody else: all within 6 s. */
static void five_hundred_are_answered_within_six_seconds(void **state)
{
    (void)state;
    static const int64_t arrive_within_ms[] = {0, 1, 40, 1000, 1999, 5000};

    for (size_t k = 0; k < ELEMENTSOF(arrive_within_ms); k++) {
        struct waiter first = {}, waiters[500] = {};
        int64_t now_ms = 0, slowest_ms = 0;
        size_t next = 0, left = 500, one = 1;

        assert_true(waitlist_add(list, &first, 0));
        run_round(&now_ms, &one); /* nobody of the 500 is in it */
        while (left > 0) {
            for (; next < 500; next++) {
                int64_t since_ms = (int64_t)next * arrive_within_ms[k] / 500 + 1;
                if (since_ms > now_ms)
                    break;
                assert_true(waitlist_add(list, &waiters[next], since_ms));
            }
            if (list->n_waiting == 0) {
                now_ms++;
                continue;
            }
            slowest_ms = larger(slowest_ms, run_round(&now_ms, &left));
        }
        assert_true(slowest_ms <= 6000);
        assert_int_equal(waitlist_deadline_ms(list), INT64_MAX);
    }
}

static void neighbours_are_gathered_for_a_window(void **state)
{
    (void)state;
    struct waiter waiters[3] = {};

    assert_int_equal(waitlist_ready_ms(list), INT64_MAX);
    assert_true(waitlist_add(list, &waiters[0], 100));
    assert_true(waitlist_add(list, &waiters[1], 140));
    assert_int_equal(waitlist_ready_ms(list), 100 + WAITLIST_WINDOW_MS);
    waiters[1].nonce[0] = 7;
    assert_int_equal(waitlist_take(list, nonces), 2);
    assert_int_equal(nonces[1][0], 7);
    assert_true(waitlist_add(list, &waiters[2], 150));
    assert_int_equal(waitlist_ready_ms(list), INT64_MAX); /* an answer is being made */
    assert_int_equal(waitlist_finish(list, out), 2);
    assert_ptr_equal(out[0], &waiters[0]);
    assert_ptr_equal(out[1], &waiters[1]);
    assert_int_equal(waitlist_ready_ms(list), 150 + WAITLIST_WINDOW_MS);
}

static void full_list_is_ready_at_once_and_takes_no_more(void **state)
{
    (void)state;
    struct waiter *waiters = xnew_array(struct waiter, WAITLIST_MAX + 1);

    for (size_t i = 0; i < WAITLIST_MAX; i++)
        assert_true(waitlist_add(list, &waiters[i], 100));
    assert_false(waitlist_add(list, &waiters[WAITLIST_MAX], 100));
    assert_int_equal(waitlist_ready_ms(list), 100);
    assert_int_equal(waitlist_take(list, nonces), WAITLIST_MAX);
    assert_true(waitlist_add(list, &waiters[WAITLIST_MAX], 100));
    free(waiters);
}

/* Both those in the answer that is being made and those behind it. */
static void nobody_waits_longer_than_the_deadline(void **state)
{
    (void)state;
    struct waiter waiters[4] = {};
    const int64_t late[] = {0, 10, 20, 30};

    assert_true(waitlist_add(list, &waiters[0], late[0]));
    assert_true(waitlist_add(list, &waiters[1], late[1]));
    waitlist_take(list, nonces);
    assert_true(waitlist_add(list, &waiters[2], late[2]));
    assert_true(waitlist_add(list, &waiters[3], late[3]));
    assert_int_equal(waitlist_expire(list, WAITLIST_ANSWER_MS - 1, out), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(waitlist_deadline_ms(list), late[i] + WAITLIST_ANSWER_MS);
        assert_int_equal(waitlist_expire(list, late[i] + WAITLIST_ANSWER_MS, out), 1);
        assert_ptr_equal(out[0], &waiters[i]);
    }
    assert_int_equal(waitlist_finish(list, out), 2); /* their places stay, for the tree */
    assert_null(out[0]);
    assert_null(out[1]);
    assert_int_equal(waitlist_take(list, nonces), 1);
    assert_int_equal(waitlist_expire(list, INT64_MAX, out), 1);
    assert_ptr_equal(out[0], &waiters[3]);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(five_hundred_are_answered_within_six_seconds),
        TEST(neighbours_are_gathered_for_a_window),
        TEST(full_list_is_ready_at_once_and_takes_no_more),
        TEST(nobody_waits_longer_than_the_deadline),
    };

    return cmocka_run_group_tests_name("waitlist", tests, NULL, NULL);
}
