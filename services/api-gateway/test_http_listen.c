/* The listening socket: where it listens, who is taken, and the end of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "services/api-gateway/http_listen.h"
#include "services/api-gateway/test_raw.h"

DEFINE_CLEANUP(struct http_listener *, http_listener_free)

struct taker {
    atomic_uint taken;
    atomic_bool full;
};

static void take(void *state, int fd, _unused_ const struct sockaddr *address,
                 _unused_ socklen_t size)
{
    struct taker *taker = state;

    atomic_fetch_add(&taker->taken, 1);
    (void)!write(fd, "hello", 5);
    close(fd);
}

static bool is_full(void *state)
{
    return atomic_load(&((struct taker *)state)->full);
}

static struct http_listener *listener_at(const char *where, struct taker *taker)
{
    const struct http_listener_calls calls = {take, is_full, taker};
    struct http_listener *listener = NULL;

    assert_null(http_listener_new(where, &listener));
    assert_null(http_listener_start(listener, &calls));
    return listener;
}

static void test_bad_addresses(_unused_ void **state)
{
    static const char *const wrong[] = {
        "", "127.0.0.1", "8080", "localhost:80", "127.0.0.1:http", "127.0.0.1:65536", "[::1:80",
    };

    for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
        struct http_listener *listener = NULL;
        struct error *err = http_listener_new(wrong[i], &listener);
        if (error_get_code(err) != ERROR_INVALID_ARGUMENT)
            fail_msg("'%s': %s", wrong[i], err ? error_text(err) : "taken");
        assert_non_null(strstr(error_text(err), wrong[i]));
        error_free(err);
    }
}

static void test_a_port_that_is_taken(_unused_ void **state)
{
    struct taker taker = {0};
    _cleanup_(http_listener_freep) struct http_listener *first = listener_at("127.0.0.1:0", &taker);
    struct http_listener *second = NULL;
    char where[32];

    snprintf(where, sizeof(where), "127.0.0.1:%u", http_listener_port(first));
    _cleanup_(error_freep) struct error *err = http_listener_new(where, &second);
    assert_int_equal(error_get_code(err), ERROR_UNAVAILABLE);
    assert_non_null(strstr(error_text(err), where));
}

static void expect_hello(uint16_t port)
{
    _cleanup_close_ int fd = raw_connect(port);
    _cleanup_buffer_ struct buffer seen = {0};

    assert_true(raw_read_to_end(fd, &seen));
    assert_string_equal(buffer_text(&seen), "hello");
}

/* Who comes while there is no room waits in the backlog, and is taken once there is. */
static void test_while_it_is_full_they_wait(_unused_ void **state)
{
    struct taker taker = {.full = true};
    _cleanup_(http_listener_freep) struct http_listener *listener =
        listener_at("127.0.0.1:0", &taker);
    _cleanup_close_ int fd = raw_connect(http_listener_port(listener));
    _cleanup_buffer_ struct buffer seen = {0};

    usleep(50000); /* it would be taken by now, or this has tested less */
    assert_int_equal(taker.taken, 0);
    atomic_store(&taker.full, false);
    assert_true(raw_read_to_end(fd, &seen));
    assert_string_equal(buffer_text(&seen), "hello");
    expect_hello(http_listener_port(listener));
}

static void test_after_the_end_nobody_is_taken(_unused_ void **state)
{
    static const char *const everywhere[] = {"127.0.0.1:0", "0.0.0.0:0", ":0"};

    for (size_t i = 0; i < ELEMENTSOF(everywhere); i++) {
        struct taker taker = {0};
        struct http_listener *listener = listener_at(everywhere[i], &taker);
        uint16_t port = http_listener_port(listener);
        if (i < 2) /* the last may be IPv6 alone */
            expect_hello(port);
        http_listener_stop(listener);
        assert_false(raw_is_listening(port));
        http_listener_stop(listener);
        http_listener_free(listener);
    }
    http_listener_free(NULL);
}

static void test_never_started(_unused_ void **state)
{
    struct http_listener *listener = NULL;

    assert_null(http_listener_new("127.0.0.1:0", &listener));
    assert_true(http_listener_port(listener) > 0);
    http_listener_free(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_addresses),
        cmocka_unit_test(test_a_port_that_is_taken),
        cmocka_unit_test(test_while_it_is_full_they_wait),
        cmocka_unit_test(test_after_the_end_nobody_is_taken),
        cmocka_unit_test(test_never_started),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
