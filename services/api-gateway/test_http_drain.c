/* A stop finishes what is in hand, takes nothing new, and tells streams to go on elsewhere. */
#include "services/api-gateway/test_fixture.h"
#include "services/api-gateway/test_raw.h"

#include <arpa/inet.h>
#include <sched.h>
#include <unistd.h>

#include "shared/base/alloc.h"

#define AUTHORIZED "Host: x\r\nAuthorization: Bearer " TEST_KEY "\r\n"

static void *stop_gateway(void *state)
{
    struct fixture *f = state;

    gateway_free(f->gateway);
    return NULL;
}

static void wait_until_not_ready(const struct fixture *f, const char *url)
{
    for (;;) {
        _cleanup_answer_ struct answer answer = http_call(f, "GET", url, NULL, NULL);
        if (answer.status == 503)
            return;
        sched_yield();
    }
}

static void test_a_stop_finishes_what_is_in_hand(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    uint16_t port = http_server_port(f->gateway->http);
    _cleanup_free_ char *ready =
        xasprintf("http://127.0.0.1:%u/readyz", http_server_port(f->gateway->metrics_http));
    _cleanup_close_ int stream = raw_connect(port);
    _cleanup_close_ int slow = raw_connect(port);
    _cleanup_close_ int kept = raw_connect(port);
    _cleanup_buffer_ struct buffer seen = {0};
    _cleanup_buffer_ struct buffer answer = {0};
    _cleanup_buffer_ struct buffer last = {0};
    pthread_t thread;

    put_workload(f, "w-1", "dev", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    raw_send(stream, "GET /api/v1/events HTTP/1.1\r\n" AUTHORIZED "\r\n");
    assert_true(raw_read_until(stream, "retry: 1000", &seen));
    pthread_mutex_lock(&f->lock); /* the scheduler of the test waits for it */
    raw_send(slow, "POST /api/v1/workloads/stop HTTP/1.1\r\n" AUTHORIZED
                   "Content-Length: 20\r\n\r\n{\"workloadId\":\"w-1\"}");
    raw_send(kept, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(raw_read_until(kept, "OK", &last));
    assert_int_equal(pthread_create(&thread, NULL, stop_gateway, f), 0);
    wait_until_not_ready(f, ready);
    assert_true(raw_read_until(stream, "event: reconnect\ndata: {}\n\n", &seen));
    assert_false(raw_is_listening(port));
    raw_send(kept, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(raw_read_to_end(kept, &last));
    assert_int_equal(raw_count(&last, "HTTP/1.1 200"), 2);
    assert_int_equal(raw_count(&last, "Connection: close"), 1);
    pthread_mutex_unlock(&f->lock);
    assert_true(raw_read_to_end(slow, &answer));
    assert_int_equal(raw_status(&answer), 200);
    assert_non_null(strstr(buffer_text(&answer), "stopping"));
    pthread_join(thread, NULL);
    f->gateway = NULL;
}

/* A client that never finishes its body does not hold up the end for ever. */
static void test_a_stop_ends_in_time(_unused_ void **state)
{
    struct fixture *f = fixture_new();
    _cleanup_close_ int fd = raw_connect(http_server_port(f->gateway->http));
    _cleanup_buffer_ struct buffer seen = {0};

    raw_send(fd, "POST /api/v1/workloads/stop HTTP/1.1\r\n" AUTHORIZED
                 "Expect: 100-continue\r\nContent-Length: 20\r\n\r\n");
    assert_true(raw_read_until(fd, "100 Continue", &seen));
    fixture_free(f);
    assert_true(raw_read_to_end(fd, &seen));
    assert_int_equal(raw_count(&seen, "HTTP/1.1 200"), 0);
}

enum { ROUNDS = 20, CALLERS = 3 };

/* Comes and goes until nobody listens any more; whether that is so is the kernel's word. */
struct caller {
    pthread_t thread;
    uint16_t port;
};

static void *come_and_go(void *state)
{
    const struct caller *caller = state;
    static const char ask[] = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
    char byte;

    for (;;) {
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons(caller->port),
                                      .sin_addr = {htonl(INADDR_LOOPBACK)}};
        _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
            return NULL;
        (void)!write(fd, ask, sizeof(ask) - 1);
        (void)!read(fd, &byte, 1);
    }
}

/* The event loops are at work when the order to stop listening comes: whatever they are just doing,
 * the program goes on. */
static void test_a_stop_under_load(_unused_ void **state)
{
    for (int i = 0; i < ROUNDS; i++) {
        _cleanup_(fixture_freep) struct fixture *f = fixture_new();
        struct caller callers[CALLERS];
        for (size_t k = 0; k < CALLERS; k++) {
            callers[k].port = http_server_port(f->gateway->http);
            assert_int_equal(pthread_create(&callers[k].thread, NULL, come_and_go, &callers[k]), 0);
        }
        usleep((useconds_t)(random() % 5000));
        http_server_drain(f->gateway->http);
        for (size_t k = 0; k < CALLERS; k++)
            pthread_join(callers[k].thread, NULL);
        assert_false(raw_is_listening(callers[0].port));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stop_finishes_what_is_in_hand),
        cmocka_unit_test(test_a_stop_ends_in_time),
        cmocka_unit_test(test_a_stop_under_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
