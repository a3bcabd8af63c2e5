/* What no well-behaved client sends: each is refused, ended in time, and harms nobody else. */
#include "services/api-gateway/test_fixture.h"
#include "services/api-gateway/test_raw.h"

#include <errno.h>
#include <sys/socket.h>
#include <time.h>

#include "services/api-gateway/routes.h"
#include "shared/base/alloc.h"

#define AUTHORIZED "Host: x\r\nAuthorization: Bearer " TEST_KEY "\r\n"
#define STOP       "POST /api/v1/workloads/stop HTTP/1.1\r\n" AUTHORIZED
#define CLOSE      "Connection: close\r\n"
#define BODY       "{\"workloadId\":\"w-1\"}" /* 20 bytes, and good */
#define HEALTH     "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"

struct row {
    const char *what;
    const char *request;
    unsigned status; /* 0: the connection is closed without a word */
    bool or_closed;  /* libmicrohttpd's versions differ: without a word is fine too */
};

static const struct row rows[] = {
    {"no request line", "\r\n\r\n\r\nhello\r\n\r\n", 400, true},
    {"a request line of one word", "GET\r\nHost: x\r\n\r\n", 400, true},
    {"not HTTP", "SSH-2.0-OpenSSH_9.6\r\n\r\n", 400, true},
    {"an unknown version", "GET /health HTTP/9.9\r\nHost: x\r\n\r\n", 505, true},
    {"no host", "GET /health HTTP/1.1\r\n\r\n", 400, false},
    {"NUL in the path", "GET /api/v1/accounts/a%00b HTTP/1.1\r\n" AUTHORIZED CLOSE "\r\n", 400,
     false},
    {"parents in the path",
     "GET /api/v1/images/..%2f..%2fetc%2fpasswd HTTP/1.1\r\nHost: x\r\n" CLOSE "\r\n", 404, false},
    {"a length that is none", STOP "Content-Length: x\r\n\r\n" BODY, 400, false},
    {"a negative length", STOP "Content-Length: -1\r\n\r\n" BODY, 400, false},
    {"a length over all bounds", STOP "Content-Length: 99999999999999999999999\r\n\r\n" BODY, 413,
     false},
    {"two lengths", STOP "Content-Length: 20\r\nContent-Length: 21\r\n\r\n" BODY "x", 400, false},
    {"length and chunks",
     STOP "Content-Length: 20\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n" BODY "\r\n0\r\n\r\n",
     400, false},
    {"an unknown coding",
     STOP "Transfer-Encoding: gzip, chunked\r\n\r\n14\r\n" BODY "\r\n0\r\n\r\n", 400, false},
    {"a length with a sign", STOP "Content-Length: +20\r\n\r\n" BODY, 400, false},
    {"a length in hex", STOP "Content-Length: 0x14\r\n\r\n" BODY, 400, false},
    {"a list of lengths", STOP "Content-Length: 20, 20\r\n\r\n" BODY, 400, false},
    {"an empty length", STOP "Content-Length: \r\n\r\n" BODY, 400, false},
    {"a space before the colon", STOP "Content-Length : 20\r\n\r\n" BODY, 400, true},
    {"a header without a colon", STOP "Content-Length 20\r\n\r\n", 400, true},
    {"a header without a name", STOP ": 2\r\n\r\n", 400, true},
    {"a second coding",
     STOP "Transfer-Encoding: chunked\r\nTransfer-Encoding: "
          "identity\r\n\r\n14\r\n" BODY "\r\n0\r\n\r\n",
     400, false},
    {"a chunk size that is none",
     STOP "Transfer-Encoding: chunked\r\n\r\nzz\r\n" BODY "\r\n0\r\n\r\n", 400, true},
    {"a chunk size over all bounds",
     STOP "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n" BODY "\r\n0\r\n\r\n", 413,
     true},
    {"a body that is announced too large",
     STOP "Content-Length: 999999999\r\nExpect: "
          "100-continue\r\n\r\n",
     413, false},
};

static uint16_t port_of(const struct fixture *f)
{
    return http_server_port(f->gateway->http);
}

static void assert_served(const struct fixture *f)
{
    _cleanup_answer_ struct answer answer = http_call(f, "GET", "/health", NULL, NULL);

    assert_int_equal(answer.status, 200);
}

static void test_malformed_requests_are_refused_and_closed(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    put_workload(f, "w-1", "dev", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_close_ int fd = raw_connect(port_of(f));
        _cleanup_buffer_ struct buffer seen = {0};
        raw_send(fd, rows[i].request);
        shutdown(fd, SHUT_WR);
        if (!raw_read_to_end(fd, &seen))
            fail_msg("%s: not closed", rows[i].what);
        unsigned status = raw_status(&seen);
        if (status != rows[i].status && !(rows[i].or_closed && (status == 0 || status == 400)))
            fail_msg("%s: %u", rows[i].what, status);
        assert_true(raw_count(&seen, "HTTP/1.1 200") == 0);
    }
    assert_int_equal(f->commands, 0);
    assert_served(f);
}

static void test_headers_are_limited(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_buffer_ struct buffer request = {0};
    static const size_t counts[] = {40, 5000};

    for (size_t i = 0; i < ELEMENTSOF(counts); i++) {
        _cleanup_close_ int fd = raw_connect(port_of(f));
        _cleanup_buffer_ struct buffer seen = {0};
        buffer_done(&request);
        buffer_add_text(&request, "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
        for (size_t k = 0; k < counts[i]; k++)
            buffer_printf(&request, "X-Filler-%zu: 0123456789012345678901234567890123456789\r\n",
                          k);
        buffer_add_text(&request, "\r\n");
        raw_send_bytes(fd, request.data, request.size);
        shutdown(fd, SHUT_WR);
        assert_true(raw_read_to_end(fd, &seen));
        unsigned status = raw_status(&seen);
        if (counts[i] < 100)
            assert_int_equal(status, 200);
        else /* a reset may overtake the answer: we are still sending */
            assert_true(status == 431 || status == 413 || status == 0);
    }
    assert_served(f);
}

static void test_a_long_path_is_refused(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_close_ int fd = raw_connect(port_of(f));
    _cleanup_buffer_ struct buffer seen = {0};
    char path[8001];

    memset(path, 'a', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    raw_send(fd, "GET /");
    raw_send(fd, path);
    raw_send(fd, " HTTP/1.1\r\nHost: x\r\n\r\n");
    shutdown(fd, SHUT_WR);
    assert_true(raw_read_to_end(fd, &seen));
    unsigned status = raw_status(&seen);
    assert_true(status == 414 || status == 431 || status == 0);
    assert_served(f);
}

static void test_chunks_are_counted_while_they_come(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_close_ int fd = raw_connect(port_of(f));
    _cleanup_buffer_ struct buffer seen = {0};
    char chunk[4096 + 16];
    int head = snprintf(chunk, sizeof(chunk), "1000\r\n");

    memset(chunk + head, ' ', 4096);
    memcpy(chunk + head + 4096, "\r\n", 2);
    raw_send(fd, STOP "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 8; i++) /* 32 KiB; 16 are possible */
        raw_send_bytes(fd, chunk, (size_t)head + 4096 + 2);
    raw_send(fd, "0\r\n\r\n");
    assert_true(raw_read_until(fd, "PAYLOAD_TOO_LARGE", &seen));
    assert_int_equal(raw_status(&seen), 413);
    assert_int_equal(f->commands, 0);
}

/* Another server of the same gateway, which waits so long for heads and for transfers. */
static struct http_server *patient_for(const struct fixture *f, int ms)
{
    const struct http_options options = {
        .listen = "127.0.0.1:0",
        .routes = gateway_routes,
        .gateway = f->gateway,
        .max_connections = 64,
        .max_per_address = 8,
        .workers = 4,
        .times = {.headers_ms = ms, .transfer_ms = ms},
    };
    struct http_server *server = NULL;

    assert_null(http_server_start(&options, &server));
    return server;
}

/* Sends byte by byte for ever, until the other side has had enough. */
static bool is_ended_while_sending(int fd, const char *text)
{
    const struct timespec pause = {.tv_nsec = 20 * 1000000L};

    for (int i = 0; i < 1000; i++) {
        const char byte = text[(size_t)i % strlen(text)];
        if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1)
            return true;
        char data[256];
        ssize_t n = recv(fd, data, sizeof(data), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            return true;
        nanosleep(&pause, NULL);
    }
    return false;
}

static void test_slow_clients_are_ended(_unused_ void **state)
{
    static const char *const starts[] = {
        "",                                               /* the request line */
        "GET /health HTTP/1.1\r\nHost: x\r\nX: ",         /* a header */
        STOP "Content-Length: 10000\r\n\r\n",             /* the body */
        STOP "Transfer-Encoding: chunked\r\n\r\n800\r\n", /* a chunk */
        HEALTH "GET /health HTTP/1.1\r\nX: ",             /* the second request */
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_(http_server_stopp) struct http_server *server = patient_for(f, 500);

    for (size_t i = 0; i < ELEMENTSOF(starts); i++) {
        _cleanup_close_ int fd = raw_connect(http_server_port(server));
        raw_send(fd, starts[i]);
        if (!is_ended_while_sending(fd, "a"))
            fail_msg("start %zu: never ended", i);
    }
    assert_int_equal(f->commands, 0);
}

enum { WORKLOADS = 40, LISTS = 500, LOOKS = 20 };

/* Not only between two requests. */
static void wait_until_idle(struct http_server *server)
{
    const struct timespec pause = {.tv_nsec = 10 * 1000000L};

    for (int i = 0; i < LOOKS; i++) {
        assert_true(http_server_wait(server, 60000));
        nanosleep(&pause, NULL);
    }
}

/* Asks for much, and takes nothing until the server has had enough. */
static void test_a_client_that_takes_no_answers_is_ended(_unused_ void **state)
{
    static const char list[] = "GET /api/v1/workloads/list HTTP/1.1\r\n" AUTHORIZED "\r\n";
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_(http_server_stopp) struct http_server *server = patient_for(f, 2000);
    _cleanup_buffer_ struct buffer seen = {0};
    const int small = 4096;

    for (int i = 0; i < WORKLOADS; i++) {
        char id[16];
        snprintf(id, sizeof(id), "w-%d", i);
        put_workload(f, id, "dev", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    }
    _cleanup_close_ int fd = raw_connect(http_server_port(server)); /* its time begins */
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    for (int i = 0; i < LISTS; i++)
        raw_send_bytes(fd, list, sizeof(list) - 1);
    assert_true(raw_read_until(fd, "HTTP/1.1 200", &seen));
    wait_until_idle(server);
    (void)raw_read_to_end(fd, &seen);
    assert_true(raw_count(&seen, "HTTP/1.1 200") < LISTS);
}

static void test_connections_of_one_address_are_limited(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_(http_server_stopp) struct http_server *server = patient_for(f, 60000);
    int fds[24];
    size_t served = 0;

    for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
        fds[i] = raw_connect(http_server_port(server));
        raw_send(fds[i], HEALTH);
    }
    for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
        _cleanup_buffer_ struct buffer seen = {0};
        served += raw_read_until(fds[i], "OK", &seen);
    }
    assert_true(served >= 1 && served <= 8);
    for (size_t i = 0; i < ELEMENTSOF(fds); i++)
        close(fds[i]);
}

static void test_pipelined_requests_are_answered_in_order(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_close_ int fd = raw_connect(port_of(f));
    _cleanup_buffer_ struct buffer seen = {0};

    raw_send(fd, HEALTH "GET /api/v1/workloads/list HTTP/1.1\r\n" AUTHORIZED "\r\n" STOP
                        "Content-Length: 2\r\n\r\n{}"
                        "GET /api/v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(raw_read_until(fd, "no such path", &seen));
    const char *first = strstr(buffer_text(&seen), "OKHTTP/1.1 200");
    const char *second = strstr(buffer_text(&seen), "[]HTTP/1.1 400");
    assert_true(first && second && first < second);
    assert_int_equal(raw_count(&seen, "HTTP/1.1 "), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_malformed_requests_are_refused_and_closed),
        cmocka_unit_test(test_headers_are_limited),
        cmocka_unit_test(test_a_long_path_is_refused),
        cmocka_unit_test(test_chunks_are_counted_while_they_come),
        cmocka_unit_test(test_slow_clients_are_ended),
        cmocka_unit_test(test_a_client_that_takes_no_answers_is_ended),
        cmocka_unit_test(test_connections_of_one_address_are_limited),
        cmocka_unit_test(test_pipelined_requests_are_answered_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
