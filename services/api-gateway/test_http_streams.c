/* Many idle streams: what each costs, that all hear of an event, and what was missed. */
#include "services/api-gateway/test_fixture.h"
#include "services/api-gateway/test_raw.h"

#include <sys/resource.h>

#include "services/api-gateway/routes.h"
#include "shared/base/alloc.h"

enum { STREAMS = 1000, PATIENCE_S = 20, EXPIRED = 65536 + 3 };

#define EVENTS_LINE                                                                                \
    " /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " TEST_KEY "\r\n\r\n"
#define EVENTS "GET" EVENTS_LINE

static size_t streams_wanted(void)
{
    const char *text = getenv("COFFER_STREAMS"); /* for measuring */
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    return text ? strtoul(text, NULL, 10) : STREAMS;
}

static long resident_kib(void)
{
    _cleanup_fclose_ FILE *file = fopen("/proc/self/statm", "r");
    long size = 0;
    long pages = 0;

    assert_int_equal(fscanf(file, "%ld %ld", &size, &pages), 2);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static struct http_server *roomy(const struct fixture *f)
{
    const struct http_options options = {.listen = "127.0.0.1:0",
                                         .routes = gateway_routes,
                                         .gateway = f->gateway,
                                         .max_connections = 20000,
                                         .workers = 8};
    struct http_server *server = NULL;

    assert_null(http_server_start(&options, &server));
    return server;
}

static void open_streams(uint16_t port, int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        _cleanup_buffer_ struct buffer seen = {0};
        fds[i] = raw_connect(port);
        raw_send(fds[i], EVENTS);
        assert_true(raw_read_until(fds[i], "retry: 1000\n\n", &seen));
    }
}

static void test_idle_streams_cost_little_and_hear_all(_unused_ void **state)
{
    size_t n = streams_wanted();
    _cleanup_free_ int *fds = xnew_array(int, n);
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    struct http_server *server = roomy(f);

    limits_set_max(&f->gateway->limits, LIMIT_STREAMS, (unsigned)n + 2);
    open_streams(http_server_port(server), fds, 1); /* what all share is there */
    close(fds[0]);
    long before = resident_kib();
    open_streams(http_server_port(server), fds, n);
    assert_true(sse_hub_count(&f->gateway->streams) >= n);
    long after = resident_kib();
    print_message("%zu idle streams: %ld KiB resident, %.1f KiB each\n", n, after - before,
                  (double)(after - before) / (double)n);
    int64_t sent_ms = clock_monotonic_ms(clock_system());
    put_event(f, "w-1", "dev", 1, "created");
    for (size_t i = 0; i < n; i++) {
        _cleanup_buffer_ struct buffer seen = {0};
        if (!raw_read_until(fds[i], "\"w-1.1\"", &seen))
            fail_msg("stream %zu heard nothing", i);
    }
    print_message("all heard of an event after %d ms\n",
                  (int)(clock_monotonic_ms(clock_system()) - sent_ms));
    sse_hub_stop(&f->gateway->streams);
    for (size_t i = 0; i < n; i++) {
        _cleanup_buffer_ struct buffer seen = {0};
        assert_true(raw_read_until(fds[i], "event: reconnect\ndata: {}\n\n", &seen));
        close(fds[i]);
    }
    assert_true(sse_hub_wait(&f->gateway->streams, PATIENCE_S * 1000));
    http_server_stop(server);
}

static void test_clients_that_left_do_not_count(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    int fds[32]; /* as many as one account may have */

    for (int i = 0; i < 2; i++) {
        open_streams(http_server_port(f->gateway->http), fds, ELEMENTSOF(fds));
        for (size_t k = 0; k < ELEMENTSOF(fds); k++)
            close(fds[k]);
        assert_true(sse_hub_wait(&f->gateway->streams, PATIENCE_S * 1000));
    }
}

static void test_head_of_a_stream_is_no_stream(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_close_ int fd = raw_connect(http_server_port(f->gateway->http));
    _cleanup_buffer_ struct buffer seen = {0};

    raw_send(fd, "HEAD" EVENTS_LINE);
    assert_true(raw_read_until(fd, "text/event-stream", &seen));
    assert_true(sse_hub_wait(&f->gateway->streams, PATIENCE_S * 1000));
    raw_send(fd, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(raw_read_until(fd, "\r\n\r\nOK", &seen));
    const char *next = strstr(buffer_text(&seen), "\r\n\r\n") + 4;
    if (strncmp(next, "HTTP/1.1 200 ", 13) != 0) /* nothing between them */
        fail_msg("%s", buffer_text(&seen));
}

/* A client that reads nothing holds up no other, and a stop neither. */
static void test_a_client_that_does_not_read(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_close_ int fd = raw_connect(http_server_port(f->gateway->http));
    _cleanup_buffer_ struct buffer seen = {0};

    for (uint64_t i = 1; i <= 5000; i++)
        put_event(f, "w-1", "dev", i, "stage");
    raw_send(fd, EVENTS);
    assert_true(http_stream_until(f, "/api/v1/events", NULL, "\"w-1.5000\"", PATIENCE_S, &seen));
    assert_int_equal(raw_count(&seen, "event: stage"), 5000);
}

/* An id that the stream has not come to yet was given by one before it, which is gone. */
static void test_an_id_of_a_stream_before_this_one(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_close_ int fd = raw_connect(http_server_port(f->gateway->http));
    _cleanup_buffer_ struct buffer later = {0};
    _cleanup_buffer_ struct buffer empty = {0};

    put_workload(f, "w-1", "dev", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    raw_send(fd, "GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " TEST_KEY
                 "\r\nLast-Event-ID: 77\r\n\r\n");
    assert_true(raw_read_until(fd, "retry: 1000\n\n", &empty));
    put_event(f, "w-1", "dev", 1, "created");
    put_event(f, "w-1", "dev", 2, "starting");
    assert_true(raw_read_until(fd, "\"w-1.2\"", &empty));
    assert_true(http_stream_until(f, "/api/v1/workloads/w-1/events", "77", "\"w-1.1\"", PATIENCE_S,
                                  &later));
}

static void test_an_empty_header_hides_no_argument(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_close_ int fd = raw_connect(http_server_port(f->gateway->http));
    _cleanup_buffer_ struct buffer seen = {0};

    put_event(f, "w-1", "dev", 1, "created");
    put_event(f, "w-1", "dev", 2, "starting");
    raw_send(fd, "GET /api/v1/events?lastEventId=1 HTTP/1.1\r\nHost: x\r\n"
                 "Last-Event-ID: \r\nAuthorization: Bearer " TEST_KEY "\r\n\r\n");
    assert_true(raw_read_until(fd, "\"w-1.2\"", &seen));
    assert_int_equal(raw_count(&seen, "\"w-1.1\""), 0);
}

static void test_what_has_expired_is_told(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    Coffer__V1__WorkloadEvent event = COFFER__V1__WORKLOAD_EVENT__INIT;
    static const struct {
        const char *last;
        const char *gap; /* NULL: none */
    } rows[] = {
        {"1", "event: gap\ndata: {\"from\":2,\"to\":3}\n\n"},
        {"2", "event: gap\ndata: {\"from\":3,\"to\":3}\n\n"},
        {"3", NULL},
        {"65000", NULL},
        {NULL, NULL}, /* nothing was asked for */
    };

    event.workload_id = "w-1";
    event.account_id = "other";
    event.kind = "stage";
    for (uint64_t i = 1; i < EXPIRED; i++) /* the stream keeps 65536: the first three go */
        assert_null(bus_send(f->peer, "evt.workload.w-1.stage", &event.base, NULL, NULL, 1000));
    put_event(f, "w-2", "dev", 1, "created");
    put_workload(f, "w-2", "dev", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_buffer_ struct buffer seen = {0};
        assert_true(http_stream_until(f, "/api/v1/workloads/w-2/events", rows[i].last, "\"w-2.1\"",
                                      PATIENCE_S, &seen));
        if (rows[i].gap ? !strstr(buffer_text(&seen), rows[i].gap)
                        : strstr(buffer_text(&seen), "event: gap") != NULL)
            fail_msg("after %s: %s", rows[i].last ?: "nothing", buffer_text(&seen));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle_streams_cost_little_and_hear_all),
        cmocka_unit_test(test_clients_that_left_do_not_count),
        cmocka_unit_test(test_head_of_a_stream_is_no_stream),
        cmocka_unit_test(test_a_client_that_does_not_read),
        cmocka_unit_test(test_an_id_of_a_stream_before_this_one),
        cmocka_unit_test(test_an_empty_header_hides_no_argument),
        cmocka_unit_test(test_what_has_expired_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
