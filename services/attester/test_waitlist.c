/* Who waits how long, on a clock that the test moves: no thread, no second passes. */
#include "services/attester/waitlist.h"
#include "shared/attestation/test_attest.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/alloc.h"
#include "shared/base/encode.h"

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

        assert_int_equal(waitlist_add(list, &first, 0), WAITLIST_ADDED);
        run_round(&now_ms, &one); /* nobody of the 500 is in it */
        while (left > 0) {
            for (; next < 500; next++) {
                int64_t since_ms = (int64_t)next * arrive_within_ms[k] / 500 + 1;
                if (since_ms > now_ms)
                    break;
                assert_int_equal(waitlist_add(list, &waiters[next], since_ms), WAITLIST_ADDED);
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
    assert_int_equal(waitlist_add(list, &waiters[0], 100), WAITLIST_ADDED);
    assert_int_equal(waitlist_add(list, &waiters[1], 140), WAITLIST_ADDED);
    assert_int_equal(waitlist_ready_ms(list), 100 + WAITLIST_WINDOW_MS);
    waiters[1].nonce[0] = 7;
    assert_int_equal(waitlist_take(list, nonces), 2);
    assert_int_equal(nonces[1][0], 7);
    assert_int_equal(waitlist_add(list, &waiters[2], 150), WAITLIST_ADDED);
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
        assert_int_equal(waitlist_add(list, &waiters[i], 100), WAITLIST_ADDED);
    assert_int_equal(waitlist_add(list, &waiters[WAITLIST_MAX], 100), WAITLIST_FULL);
    assert_int_equal(waitlist_ready_ms(list), 100);
    assert_int_equal(waitlist_take(list, nonces), WAITLIST_MAX);
    assert_int_equal(waitlist_add(list, &waiters[WAITLIST_MAX], 100), WAITLIST_ADDED);
    free(waiters);
}

static void one_address_has_its_share_of_the_places(void **state)
{
    (void)state;
    struct waiter *waiters = xnew_array(struct waiter, WAITLIST_SHARE + 1);
    struct waiter other = {.is_known = true, .client = {1}}, unknown[2] = {};

    for (size_t i = 0; i <= WAITLIST_SHARE; i++)
        waiters[i] = (struct waiter){.is_known = true};
    for (size_t i = 0; i < WAITLIST_SHARE; i++)
        assert_int_equal(waitlist_add(list, &waiters[i], 100), WAITLIST_ADDED);
    assert_int_equal(waitlist_add(list, &waiters[WAITLIST_SHARE], 100), WAITLIST_OVER_SHARE);
    assert_int_equal(waitlist_add(list, &other, 100), WAITLIST_ADDED);
    assert_int_equal(waitlist_add(list, &unknown[0], 100), WAITLIST_ADDED);
    assert_int_equal(waitlist_take(list, nonces), WAITLIST_SHARE + 2);
    /* What is being answered takes no place of the next batch. */
    assert_int_equal(waitlist_add(list, &waiters[WAITLIST_SHARE], 100), WAITLIST_ADDED);
    free(waiters);
}

static void clients_are_told_apart_by_the_last_hop(void **state)
{
    (void)state;
    static const struct {
        const char *forwarded;
        const char *client; /* hex; NULL: nobody in particular */
    } cases[] = {
        {"203.0.113.9", "00000000000000000000ffffcb007109"},
        {"1.2.3.4, 203.0.113.9", "00000000000000000000ffffcb007109"},
        {"evil,, 203.0.113.9 ", "00000000000000000000ffffcb007109"},
        {"::ffff:203.0.113.9", "00000000000000000000ffffcb007109"},
        {"2001:db8:1:2:3:4:5:6", "20010db8000100020000000000000000"},
        {"2001:db8:1:2::9", "20010db8000100020000000000000000"},
        {"10.0.0.1", NULL},
        {"172.16.0.1", NULL},
        {"172.31.255.255", NULL},
        {"172.32.0.1", "00000000000000000000ffffac200001"},
        {"192.168.122.1", NULL},
        {"100.64.0.1", NULL},
        {"127.0.0.1", NULL},
        {"169.254.1.1", NULL},
        {"::1", NULL},
        {"fe80::1", NULL},
        {"fd00::1", NULL},
        {"::ffff:10.0.0.1", NULL},
        {"203.0.113.9, 10.0.0.1", NULL},
        {"203.0.113.9,", NULL},
        {"203.0.113.9 8", NULL},
        {"203.0.113.9:80", NULL},
        {"", NULL},
        {"unknown", NULL},
        {"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc", NULL},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        uint8_t client[CLIENT_SIZE], expected[CLIENT_SIZE];
        bool known = client_identify(NULL, cases[i].forwarded, client);

        if (known != (cases[i].client != NULL))
            fail_msg("'%s'", cases[i].forwarded);
        if (!known)
            continue;
        expect_ok(hex_decode(cases[i].client, expected, CLIENT_SIZE));
        assert_memory_equal(client, expected, CLIENT_SIZE);
    }
}

/* Nothing was forwarded: whoever is at the other end. */
static void peer_counts_where_nothing_was_forwarded(void **state)
{
    (void)state;
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xcb007109)};
    uint8_t by_peer[CLIENT_SIZE], by_text[CLIENT_SIZE];

    assert_true(client_identify((const struct sockaddr *)&peer, NULL, by_peer));
    assert_true(client_identify(NULL, "203.0.113.9", by_text));
    assert_memory_equal(by_peer, by_text, CLIENT_SIZE);
    assert_false(client_identify((const struct sockaddr *)&peer, "10.0.0.1", by_text));
    peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_false(client_identify((const struct sockaddr *)&peer, NULL, by_peer));
    assert_false(client_identify(NULL, NULL, by_peer));
}

/* Both those in the answer that is being made and those behind it. */
static void nobody_waits_longer_than_the_deadline(void **state)
{
    (void)state;
    struct waiter waiters[4] = {};
    const int64_t late[] = {0, 10, 20, 30};

    assert_int_equal(waitlist_add(list, &waiters[0], late[0]), WAITLIST_ADDED);
    assert_int_equal(waitlist_add(list, &waiters[1], late[1]), WAITLIST_ADDED);
    waitlist_take(list, nonces);
    assert_int_equal(waitlist_add(list, &waiters[2], late[2]), WAITLIST_ADDED);
    assert_int_equal(waitlist_add(list, &waiters[3], late[3]), WAITLIST_ADDED);
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
        TEST(one_address_has_its_share_of_the_places),
        TEST(clients_are_told_apart_by_the_last_hop),
        TEST(peer_counts_where_nothing_was_forwarded),
        TEST(nobody_waits_longer_than_the_deadline),
    };

    return cmocka_run_group_tests_name("waitlist", tests, NULL, NULL);
}
