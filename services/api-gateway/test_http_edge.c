/* Methods, headers, origins, request ids, connections that are kept, and who waits for whom. */
#include "services/api-gateway/test_fixture.h"
#include "services/api-gateway/test_raw.h"

#include <stdatomic.h>
#include <sys/socket.h>

#include "schemas/guest.pb-c.h"
#include "services/api-gateway/http_cors.h"
#include "shared/base/alloc.h"

#define ORIGIN     "Origin: https://console.coffer.test"
#define AUTHORIZED "Host: x\r\nAuthorization: Bearer " TEST_KEY "\r\n"

static bool has_header(const struct answer *answer, const char *line)
{
    return strcasestr(buffer_text(&answer->headers), line) != NULL;
}

static void test_every_answer_has_the_security_headers(_unused_ void **state)
{
    static const char *const paths[] = {"/health", "/api/v1/nothing", "/api/v1/workloads/list"};
    static const char *const lines[] = {
        "Cache-Control: no-store\r\n",       "X-Content-Type-Options: nosniff\r\n",
        "X-Frame-Options: DENY\r\n",         "Referrer-Policy: no-referrer\r\n",
        "Content-Security-Policy: default-", "X-Request-Id: ",
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
        _cleanup_answer_ struct answer answer = http_call(f, "GET", paths[i], NULL, NULL);
        for (size_t k = 0; k < ELEMENTSOF(lines); k++)
            if (!has_header(&answer, lines[k]))
                fail_msg("%s: no %s", paths[i], lines[k]);
        assert_false(has_header(&answer, "Strict-Transport-Security"));
        assert_false(has_header(&answer, "Access-Control"));
    }
}

static void test_methods(_unused_ void **state)
{
    static const struct {
        const char *method;
        const char *path;
        long status;
        const char *allow; /* NULL: no such header */
    } rows[] = {
        {"HEAD", "/health", 200, NULL},
        {"HEAD", "/api/v1/workloads/list", 401, NULL},
        {"POST", "/health", 405, "Allow: GET, HEAD, OPTIONS\r\n"},
        {"BREW", "/health", 405, "Allow: GET, HEAD, OPTIONS\r\n"},
        {"GET", "/api/v1/accounts/update", 401, NULL}, /* an account called "update" */
        {"GET", "/api/v1/workloads/create/x", 404, NULL},
        {"DELETE", "/api/v1/workloads/create", 405, "Allow: POST, GET, HEAD, OPTIONS\r\n"},
        {"TRACE", "/api/v1/audit", 405, "Allow: GET, HEAD, OPTIONS\r\n"},
        {"OPTIONS", "/api/v1/audit", 204, "Allow: GET, HEAD, OPTIONS\r\n"},
        {"OPTIONS", "/api/v1/nothing", 404, NULL},
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_close_ int fd = raw_connect(http_server_port(f->gateway->http));
        _cleanup_buffer_ struct buffer seen = {0};
        _cleanup_free_ char *request = xasprintf(
            "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", rows[i].method, rows[i].path);
        raw_send(fd, request);
        assert_true(raw_read_to_end(fd, &seen));
        if (raw_status(&seen) != rows[i].status ||
            (rows[i].allow ? !raw_count(&seen, rows[i].allow) : raw_count(&seen, "Allow: ") != 0))
            fail_msg("%s %s: %s", rows[i].method, rows[i].path, buffer_text(&seen));
        if (strcmp(rows[i].method, "HEAD") == 0)
            assert_string_equal(strstr(buffer_text(&seen), "\r\n\r\n"), "\r\n\r\n");
    }
}

static void test_escapes(_unused_ void **state)
{
    static const struct {
        const char *path;
        long status;
    } rows[] = {
        {"/api/v1/workloads/%6cist", 200},
        {"/api/v1/workloads/%6Cist?name=%41+%62", 200},
        {"/api/v1/workloads/w%2D1", 200},
        {"/api/v1/workloads/w-1%00", 404}, /* and not w-1 */
        {"/api/v1/workloads/list%00x", 404},
        {"/health%00", 404},
        {"/api/v1/workloads/list?limit=1%00", 400},
        {"/api/v1/workloads/list?limit%00=1", 400},
        {"/api/v1/workloads/w%2", 404},
        {"/api/v1/workloads/w%zz", 404},
        {"/api/v1/workloads/%", 404},
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    put_workload(f, "w-1", "dev", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_answer_ struct answer answer = http_get(f, rows[i].path);
        if (answer.status != rows[i].status)
            fail_msg("%s: %ld %s", rows[i].path, answer.status, buffer_text(&answer.body));
    }
}

/* They are no part of it (RFC 9110, 5.5), though older libmicrohttpd leaves those behind it. */
static void test_blanks_around_the_value_of_a_header(_unused_ void **state)
{
    static const char *const rows[] = {
        "Authorization:\t Bearer " TEST_KEY "\r\n",
        "Authorization: Bearer " TEST_KEY " \t\r\n",
        "Authorization: Bearer   " TEST_KEY "\r\n",
        "x-api-key: \r\nAuthorization: Bearer " TEST_KEY "\r\n",
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_close_ int fd = raw_connect(http_server_port(f->gateway->http));
        _cleanup_buffer_ struct buffer seen = {0};
        _cleanup_free_ char *request =
            xasprintf("POST /api/v1/workloads/stop HTTP/1.1\r\nHost: x\r\n%sIdempotency-Key: k%zu "
                      "\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
                      rows[i], i);
        raw_send(fd, request);
        assert_true(raw_read_to_end(fd, &seen));
        if (raw_status(&seen) != 400 || !raw_count(&seen, "'workloadId' is missing"))
            fail_msg("%s: %s", rows[i], buffer_text(&seen));
    }
}

static void test_origins(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_answer_ struct answer preflight =
        http_call(f, "OPTIONS", "/api/v1/workloads/create", ORIGIN, NULL);
    _cleanup_answer_ struct answer foreign =
        http_call(f, "OPTIONS", "/api/v1/workloads/create", "Origin: https://other.test", NULL);
    _cleanup_answer_ struct answer refused =
        http_call(f, "GET", "/api/v1/workloads/list", ORIGIN, NULL);

    assert_int_equal(preflight.status, 204);
    assert_true(
        has_header(&preflight, "Access-Control-Allow-Origin: https://console.coffer.test\r\n"));
    assert_true(has_header(&preflight, "Access-Control-Allow-Headers: Authorization, "));
    assert_true(has_header(&preflight, "Idempotency-Key"));
    assert_true(has_header(&preflight, ", X-Api-Key"));
    assert_true(has_header(&preflight, "Access-Control-Allow-Methods: "));
    assert_false(has_header(&foreign, "Access-Control"));
    assert_true(has_header(&foreign, "Vary: Origin\r\n"));
    assert_int_equal(refused.status, 401); /* the page may see why */
    assert_true(has_header(&refused, "Access-Control-Allow-Origin: "));
    assert_true(has_header(&refused, "Access-Control-Expose-Headers: ETag, "));
}

static void test_origins_of_the_configuration(_unused_ void **state)
{
    static const struct {
        const char *text;
        bool good;
    } rows[] = {
        {"", true},
        {"*", true},
        {"https://a.test", true},
        {"https://a.test:8443, http://b.test", true},
        {"https://a.test/", false},
        {"a.test", false},
        {"https://", false},
        {"https://*.a.test", false},
        {"null", false},
        {"ftp://a.test", false},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        struct http_cors cors = {0};
        struct error *err = http_cors_init(&cors, rows[i].text);
        if ((err == NULL) != rows[i].good)
            fail_msg("'%s': %s", rows[i].text, err ? error_text(err) : "taken");
        error_free(err);
        http_cors_done(&cors);
    }
}

static void test_request_ids(_unused_ void **state)
{
    static const struct {
        const char *given;
        bool kept;
    } rows[] = {
        {"abc-DEF_1.2", true},
        {"0123456789012345678901234567890123456789012345678901234567890123", true},
        {"01234567890123456789012345678901234567890123456789012345678901234", false},
        {"a b", false},
        {"a;b", false},
        {"<script>", false},
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *header = xasprintf("X-Request-Id: %s", rows[i].given);
        _cleanup_free_ char *line = xasprintf("X-Request-Id: %s\r\n", rows[i].given);
        _cleanup_answer_ struct answer answer =
            http_call(f, "GET", "/api/v1/nothing", header, NULL);
        assert_int_equal(has_header(&answer, line), rows[i].kept);
        assert_int_equal(strcmp(answer_text(&answer, "requestId"), rows[i].given) == 0,
                         rows[i].kept);
    }
    _cleanup_answer_ struct answer one = http_call(f, "GET", "/api/v1/nothing", NULL, NULL);
    _cleanup_answer_ struct answer two = http_call(f, "GET", "/api/v1/nothing", NULL, NULL);
    assert_int_equal(strlen(answer_text(&one, "requestId")), 36);
    assert_string_not_equal(answer_text(&one, "requestId"), answer_text(&two, "requestId"));
}

static void test_connections_are_kept(_unused_ void **state)
{
    static const char *const requests[] = {
        "GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /api/v1/workloads/list HTTP/1.1\r\n" AUTHORIZED "\r\n",
        "GET /api/v1/workloads/list HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /api/v1/workloads/stop HTTP/1.1\r\n" AUTHORIZED "Content-Length: 2\r\n\r\n{}",
        "POST /api/v1/workloads/stop HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
        "POST /api/v1/workloads/stop HTTP/1.1\r\n" AUTHORIZED
        "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "GET /api/v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n",
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_close_ int fd = raw_connect(http_server_port(f->gateway->http));

    for (size_t i = 0; i < ELEMENTSOF(requests); i++) {
        _cleanup_buffer_ struct buffer seen = {0};
        raw_send(fd, requests[i]);
        if (!raw_read_until(fd, "\r\n\r\n", &seen))
            fail_msg("request %zu: the connection was not kept", i);
        const char *length = strstr(buffer_text(&seen), "Content-Length: ");
        assert_non_null(length);
        size_t size = strtoul(length + strlen("Content-Length: "), NULL, 10);
        size_t head = (size_t)(strstr(buffer_text(&seen), "\r\n\r\n") + 4 - buffer_text(&seen));
        while (seen.size < head + size) {
            char data[512];
            ssize_t n = recv(fd, data, sizeof(data), 0);
            assert_true(n > 0);
            buffer_add(&seen, data, (size_t)n);
        }
        assert_int_equal(raw_count(&seen, "Connection: close"), 0);
    }
}

/* All that may be, at once, over and over; and one more, which waits until another has ended. */
static void test_as_many_connections_as_there_may_be(_unused_ void **state)
{
    enum { ROUNDS = 30 };
    static const char ask[] = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    uint16_t port = http_server_port(f->gateway->http);
    int fds[64];

    assert_int_equal(f->config.max_connections, ELEMENTSOF(fds));
    for (int round = 0; round < ROUNDS; round++) {
        _cleanup_buffer_ struct buffer late = {0};
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
            fds[i] = raw_connect(port);
        _cleanup_close_ int more = raw_connect(port);
        raw_send(more, ask);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
            _cleanup_buffer_ struct buffer seen = {0};
            raw_send(fds[i], ask);
            assert_true(raw_read_until(fds[i], "OK", &seen));
        }
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
            close(fds[i]);
        assert_true(raw_read_until(more, "OK", &late));
    }
}

/* A guest that does not answer until it is let go. */
struct slow_guest {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool let_go;
};

static struct error *on_stats(void *state, _unused_ struct bus_call *call)
{
    struct slow_guest *guest = state;

    pthread_mutex_lock(&guest->lock);
    while (!guest->let_go)
        pthread_cond_wait(&guest->changed, &guest->lock);
    pthread_mutex_unlock(&guest->lock);
    return error_new(ERROR_UNAVAILABLE, "late");
}

static const struct bus_handler guest_row = {"cmd.guest.*.*.stats",
                                             &coffer__v1__guest_query__descriptor,
                                             &coffer__v1__guest_sample__descriptor, on_stats, NULL};

static void test_a_stalled_guest_does_not_hold_up_reads(_unused_ void **state)
{
    struct slow_guest guest = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    struct bus_subscription *subscription = NULL;
    int fds[64];

    put_workload(f, "w-1", "dev", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    assert_null(bus_subscribe(f->peer, &guest_row, guest_row.subject, &guest, &subscription));
    for (size_t i = 0; i < ELEMENTSOF(fds) - 8; i++) { /* more than there are workers */
        fds[i] = raw_connect(http_server_port(f->gateway->http));
        raw_send(fds[i], "POST /api/v1/workloads/stats HTTP/1.1\r\n" AUTHORIZED
                         "Content-Length: 20\r\n\r\n{\"workloadId\":\"w-1\"}");
    }
    for (int i = 0; i < 20; i++) {
        _cleanup_answer_ struct answer answer = http_get(f, "/api/v1/workloads/list");
        assert_int_equal(answer.status, 200);
    }
    pthread_mutex_lock(&guest.lock);
    assert_false(guest.let_go);
    guest.let_go = true;
    pthread_cond_broadcast(&guest.changed);
    pthread_mutex_unlock(&guest.lock);
    for (size_t i = 0; i < ELEMENTSOF(fds) - 8; i++) {
        _cleanup_buffer_ struct buffer seen = {0};
        assert_true(raw_read_until(fds[i], "\r\n\r\n", &seen));
        unsigned status = raw_status(&seen);
        assert_true(status == 503 || status == 429);
        assert_int_equal(raw_count(&seen, "Retry-After: "), 1);
        close(fds[i]);
    }
    bus_unsubscribe(subscription);
}

#define PLAN                                                                                       \
    "{\"name\":\"n\",\"artifactsVersion\":\"" TEST_IMAGE "\",\"dockerCompose\":\"services: {web: " \
    "{image: a}}\",\"publicContainerName\":\"web\",\"publicContainerPort\":80,\"memory\":1024,"    \
    "\"cpus\":1,\"disk\":10,\"gpus\":0}"

/* A plan changes nothing, but it waits as a change does. */
static void test_a_stalled_scheduler_does_not_hold_up_reads(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_free_ char *plan = xasprintf("POST /api/v1/workloads/plan HTTP/1.1\r\n" AUTHORIZED
                                          "Content-Length: %zu\r\n\r\n%s",
                                          strlen(PLAN), PLAN);
    int fds[48]; /* more than there are workers */

    put_artifact(f, TEST_IMAGE, true, 1700000000123);
    pthread_mutex_lock(&f->lock); /* the scheduler takes it for each command */
    for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
        fds[i] = raw_connect(http_server_port(f->gateway->http));
        raw_send(fds[i], plan);
    }
    for (int i = 0; i < 20; i++) {
        _cleanup_free_ char *path = xasprintf("/api/v1/workloads/w-%d", i);
        _cleanup_answer_ struct answer answer = http_get(f, path);
        assert_int_equal(answer.status, 404);
    }
    assert_int_equal(f->commands, 0);
    pthread_mutex_unlock(&f->lock);
    for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
        _cleanup_buffer_ struct buffer seen = {0};
        assert_true(raw_read_until(fds[i], "\r\n\r\n", &seen));
        assert_int_equal(raw_status(&seen), 200);
        close(fds[i]);
    }
}

enum { LARGE = 256 * 1024 };

static _Thread_local bool may_be_slow; /* this thread is no event loop */
static atomic_uint large_elsewhere;

static void *watched_malloc(size_t size)
{
    if (size >= LARGE && !may_be_slow)
        atomic_fetch_add(&large_elsewhere, 1);
    return malloc(size);
}

static struct error *on_large(_unused_ struct request *request, struct response *ret_response)
{
    _cleanup_free_ char *text = xnew_array(char, 4 * LARGE + 1);

    may_be_slow = true;
    memset(text, 'x', 4 * LARGE);
    ret_response->json = json_pack("{s:s}", "text", text);
    return NULL;
}

/* The two loops are everybody's: texts are made by the worker that made the answer. */
static void test_answers_are_written_by_workers(_unused_ void **state)
{
    static const struct route routes[] = {
        {"GET", "/large", SCOPE_READ, on_large, 1024, NULL, SHARE_BY_ROUTE},
        {NULL, NULL, SCOPE_NONE, NULL, 0, NULL, SHARE_BY_ROUTE},
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    const struct http_options options = {
        .listen = "127.0.0.1:0", .routes = routes, .gateway = f->gateway, .max_connections = 4};
    struct http_server *server = NULL;

    may_be_slow = true; /* it reads the answer */
    assert_null(http_server_start(&options, &server));
    json_set_alloc_funcs(watched_malloc, free);
    _cleanup_free_ char *url = xasprintf("http://127.0.0.1:%u/large", http_server_port(server));
    _cleanup_answer_ struct answer answer = http_get(f, url);
    json_set_alloc_funcs(malloc, free);
    http_server_stop(server);
    assert_int_equal(answer.status, 200);
    assert_int_equal(strlen(answer_text(&answer, "text")), 4 * LARGE);
    assert_int_equal(atomic_load(&large_elsewhere), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_answer_has_the_security_headers),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_blanks_around_the_value_of_a_header),
        cmocka_unit_test(test_origins),
        cmocka_unit_test(test_origins_of_the_configuration),
        cmocka_unit_test(test_request_ids),
        cmocka_unit_test(test_connections_are_kept),
        cmocka_unit_test(test_as_many_connections_as_there_may_be),
        cmocka_unit_test(test_a_stalled_guest_does_not_hold_up_reads),
        cmocka_unit_test(test_a_stalled_scheduler_does_not_hold_up_reads),
        cmocka_unit_test(test_answers_are_written_by_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
