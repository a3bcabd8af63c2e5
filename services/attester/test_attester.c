/* The whole attester but its main(): a real TLS proxy, real HTTP, the software processor. */
#include "services/attester/test_stand.h"

#include <curl/curl.h>
#include <jansson.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include "services/attester/batch.h"
#include "services/attester/door.h"
#include "services/attester/http.h"
#include "services/attester/standing.h"
#include "shared/attestation/binding.h"
#include "shared/attestation/tee_backends.h"
#include "shared/base/encode.h"
#include "shared/seal/seal.h"

static struct test_fleet fleet;
static struct test_attester stand;
static struct test_tee *tee;

static int set_up_all(void **state)
{
    (void)state;
    test_fleet_init(&fleet);
    return 0;
}

static int tear_down_all(void **state)
{
    (void)state;
    test_fleet_done(&fleet);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    test_attester_init(&stand, fleet.processors[0], NULL);
    tee = stand.tee;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_attester_done(&stand);
    return 0;
}

static size_t collect(char *data, size_t size, size_t n, void *to)
{
    buffer_add(to, data, size * n);
    return size * n;
}

struct http_reply {
    long status;
    struct buffer body;
    struct buffer headers;
};

static void http_reply_done(struct http_reply *reply)
{
    buffer_done(&reply->body);
    buffer_done(&reply->headers);
}

static void request(const char *method, const char *path, struct http_reply *reply)
{
    _cleanup_free_ char *url = xasprintf("http://127.0.0.1:%u%s", http_port(stand.http), path);
    CURL *curl = curl_easy_init();

    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &reply->body);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, collect);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &reply->headers);
    assert_int_equal(curl_easy_perform(curl), CURLE_OK);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply->status);
    curl_easy_cleanup(curl);
}

static void report_without_nonce_has_the_existing_form(void **state)
{
    (void)state;
    _cleanup_(http_reply_done) struct http_reply first = {}, second = {};
    uint8_t spki[32], report_data[BINDING_SIZE];

    request("GET", "/api/v2/report", &first);
    request("GET", "/api/v2/report", &second);
    assert_int_equal(first.status, 200);
    assert_string_equal(buffer_text(&first.body), buffer_text(&second.body));
    assert_int_equal(tee->finished, 1); /* cached */
    json_auto_t *answer = test_parse(&first.body);
    test_proxy_get_key(&stand.proxy, spki);
    binding_tls_static(spki, report_data);
    test_expect_hex(json_object_get(answer, "report"), "report_data", report_data, 64);
    assert_true(json_is_false(json_object_get(answer, "fresh")));
    assert_true(json_is_null(json_object_get(answer, "gpu_token")));
    assert_string_equal(test_text(json_object_get(answer, "binding"), "tag"), "static-v0");
    json_t *environment = json_object_get(answer, "environment");
    assert_string_equal(test_text(environment, "nilcc_version"), "0.1.0");
    assert_string_equal(test_text(environment, "vm_type"), "cpu");
    assert_int_equal(json_integer_value(json_object_get(environment, "cpu_count")), 2);
    assert_int_equal(strlen(test_text(answer, "raw_report")), 2 * TEE_REPORT_SIZE);
    assert_string_equal(test_text(answer, "manifest"), test_manifest);
    json_t *certificates = json_object_get(answer, "certificates");
    assert_non_null(strstr(test_text(certificates, "vcek"), "BEGIN CERTIFICATE"));
    assert_non_null(strstr(test_text(certificates, "ask"), "BEGIN CERTIFICATE"));
    assert_non_null(strstr(test_text(certificates, "ark"), "BEGIN CERTIFICATE"));
    assert_true(strlen(test_text(json_object_get(answer, "collateral"), "crl")) > 0);
    assert_non_null(strstr(buffer_text(&first.headers), "Access-Control-Allow-Origin: *"));
}

static void new_key_gives_a_new_report(void **state)
{
    (void)state;
    uint8_t spki[32], report_data[BINDING_SIZE];

    for (unsigned i = 0; i < 3; i++) {
        _cleanup_buffer_ struct buffer body = {};

        expect_ok(test_ask(stand.desks.standing, NULL, &body));
        json_auto_t *answer = test_parse(&body);
        test_proxy_get_key(&stand.proxy, spki);
        binding_tls_static(spki, report_data);
        test_expect_hex(json_object_get(answer, "report"), "report_data", report_data, 64);
        assert_int_equal(tee->finished, i + 1);
        test_proxy_new_key(&stand.proxy);
    }
}

static void change_key(void *data)
{
    test_proxy_new_key(data);
}

/* The certificate is renewed just while the processor works: the old report is not handed out. */
static void key_that_changes_meanwhile_is_noticed(void **state)
{
    (void)state;
    uint8_t nonce[32] = {1};
    _cleanup_buffer_ struct buffer body = {}, other = {};

    tee->meanwhile = change_key;
    tee->meanwhile_data = &stand.proxy;
    expect_ok(test_ask(stand.desks.fresh, nonce, &body));
    assert_int_equal(tee->finished, 2);
    json_auto_t *answer = test_parse(&body);
    test_check_binding(&stand, answer, nonce);

    tee->meanwhile = change_key;
    expect_code(test_ask(stand.desks.standing, NULL, &other), ERROR_UNAVAILABLE);
    assert_int_equal(other.size, 0);
    expect_ok(test_ask(stand.desks.standing, NULL, &other));
}

static void report_with_nonce_is_bound_to_it(void **state)
{
    (void)state;
    _cleanup_(http_reply_done) struct http_reply reply = {};
    uint8_t nonce[32];

    memset(nonce, 0xab, sizeof(nonce));
    request("GET",
            "/api/v2/report?nonce="
            "ABababababababababababababababababababababababababababababababab",
            &reply);
    assert_int_equal(reply.status, 200);
    json_auto_t *answer = test_parse(&reply.body);
    test_check_binding(&stand, answer, nonce);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(answer, "binding"), "nonce_count")), 1);
}

/* 40 callers while the processor is busy: one more report serves them all. */
static void waiting_nonces_share_a_report(void **state)
{
    (void)state;
    struct test_caller callers[41] = {};

    test_tee_hold(tee, true);
    test_callers_start(stand.desks.fresh, callers, 1);
    test_tee_wait_asked(tee, 1);
    test_callers_start(stand.desks.fresh, callers + 1, 40);
    test_tee_hold(tee, false);
    for (size_t i = 0; i < 41; i++) {
        _cleanup_buffer_ struct buffer body = {};

        expect_ok(test_caller_wait(&callers[i], &body));
        json_auto_t *answer = test_parse(&body);
        test_check_binding(&stand, answer, callers[i].waiter.nonce);
    }
    assert_int_equal(tee->finished, 2);
}

/* The certificate is renewed in the middle of a batch: none of its callers gets the old binding. */
static void batch_of_a_key_that_changed_is_made_again(void **state)
{
    (void)state;
    struct test_caller callers[20] = {};

    tee->meanwhile = change_key;
    tee->meanwhile_data = &stand.proxy;
    test_callers_start(stand.desks.fresh, callers, 20);
    for (size_t i = 0; i < 20; i++) {
        _cleanup_buffer_ struct buffer body = {};

        expect_ok(test_caller_wait(&callers[i], &body));
        json_auto_t *answer = test_parse(&body);
        test_check_binding(&stand, answer, callers[i].waiter.nonce);
    }
    assert_true(tee->finished >= 2);
}

static void full_queue_is_refused(void **state)
{
    (void)state;
    enum { N = 1 + WAITLIST_MAX + 20 };
    struct test_caller *callers = xnew_array(struct test_caller, N);
    size_t refused = 0;

    test_tee_hold(tee, true);
    test_callers_start(stand.desks.fresh, callers, 1);
    test_tee_wait_asked(tee, 1);
    test_callers_start(stand.desks.fresh, callers + 1, N - 1);
    test_tee_hold(tee, false);
    for (size_t i = 0; i < N; i++) {
        _cleanup_buffer_ struct buffer body = {};
        struct error *err = test_caller_wait(&callers[i], &body);

        if (i > WAITLIST_MAX)
            expect_code(err, ERROR_UNAVAILABLE);
        else
            expect_ok(err);
        refused += i > WAITLIST_MAX;
    }
    assert_int_equal(refused, 20);
    free(callers);
}

/* Moved while the desk's threads read it. */
static int64_t now_ms;

static int64_t read_clock(struct clock *clock)
{
    (void)clock;
    return __atomic_load_n(&now_ms, __ATOMIC_SEQ_CST);
}

static void advance(int64_t ms)
{
    __atomic_add_fetch(&now_ms, ms, __ATOMIC_SEQ_CST);
}

/* A processor that hangs: 503 for those that wait, at the end of their time and not of its. */
static void hanging_processor_is_unavailable(void **state)
{
    (void)state;
    static const struct clock_ops clock_ops = {read_clock, read_clock};
    struct clock clock = {&clock_ops};
    struct test_caller callers[3] = {};
    _cleanup_buffer_ struct buffer body = {};

    struct desk *desk = desk_new(batch_serve, &stand.batch, &clock);
    test_tee_hold(tee, true);
    test_callers_start(desk, callers, 1);
    advance(WAITLIST_WINDOW_MS);
    desk_wake(desk);
    test_tee_wait_asked(tee, 1);
    test_callers_start(desk, callers + 1, 1); /* waits behind it */
    advance(WAITLIST_ANSWER_MS);
    test_callers_start(desk, callers + 2, 1); /* has time left, and wakes the desk */
    expect_code(test_caller_wait(&callers[0], &body), ERROR_DEADLINE_EXCEEDED);
    expect_code(test_caller_wait(&callers[1], &body), ERROR_DEADLINE_EXCEEDED);
    desk_close(desk);
    expect_code(test_caller_wait(&callers[2], &body), ERROR_UNAVAILABLE);
    expect_code(test_ask(desk, callers[0].waiter.nonce, &body), ERROR_UNAVAILABLE);
    assert_int_equal(body.size, 0);
    test_tee_hold(tee, false);
    desk_free(desk);
}

static int connect_raw(const struct http *http, const char *text)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(http_port(http)),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    return fd;
}

/* Clients that never finish asking, never read, or are gone: others do not notice. */
static void slow_and_gone_clients_hold_nobody(void **state)
{
    (void)state;
    static const char whole[] = "GET /api/v2/report HTTP/1.1\r\nHost: a\r\n\r\n";
    _cleanup_(http_reply_done) struct http_reply reply = {};
    int slow[40], silent[40];

    for (size_t i = 0; i < 40; i++) {
        slow[i] = connect_raw(stand.http, "GET /api/v2/rep");
        silent[i] = connect_raw(stand.http, whole);
        close(connect_raw(stand.http, whole));
    }
    request("GET",
            "/api/v2/report?nonce="
            "0000000000000000000000000000000000000000000000000000000000000000",
            &reply);
    assert_int_equal(reply.status, 200);
    for (size_t i = 0; i < 40; i++) {
        close(slow[i]);
        close(silent[i]);
    }
}

/* All that comes until the server closes, which it must. */
static void read_to_end(int fd, struct buffer *ret_text)
{
    char part[4096];
    ssize_t n;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = 60},
               sizeof(struct timeval));
    while ((n = read(fd, part, sizeof(part))) > 0)
        buffer_add(ret_text, part, (size_t)n);
    if (n < 0 && errno == EAGAIN)
        fail_msg("the connection stays open");
    close(fd);
}

/* As whoever wants to stay would: libmicrohttpd's own timeout would never end this. */
static void trickle_to_end(int fd)
{
    char byte;

    for (int second = 0; second < 60; second++) {
        if (poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 1000) > 0) {
            assert_true(read(fd, &byte, 1) <= 0);
            close(fd);
            return;
        }
        send(fd, "x", 1, MSG_NOSIGNAL);
    }
    fail_msg("whoever sends a byte now and then may stay");
}

#define BODY "HTTP/1.1\r\nHost: a\r\n"
static const char *const unfinished_bodies[] = {
    "POST /api/v2/report " BODY "Content-Length: 1000000000\r\n\r\n",
    "POST /api/v2/report " BODY "Content-Length: 1\r\n\r\n",
    "POST /nothing " BODY "Content-Length: 10\r\nExpect: 100-continue\r\n\r\n",
    "GET /health " BODY "Content-Length: 10\r\n\r\nabc",
    "GET /health " BODY "Transfer-Encoding: chunked\r\n\r\n",
    "GET /api/v2/report " BODY "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
    "OPTIONS /health " BODY "Transfer-Encoding: chunked\r\n\r\n",
    "PUT /health " BODY "transfer-encoding: gzip, chunked\r\ncontent-length: 0\r\n\r\n",
};

/* Whoever says that a body will come is answered before it does, and holds nothing meanwhile. */
static void test_unfinished_bodies_do_not_hold_the_door(void **state)
{
    (void)state;
    enum { N = 2 * WAITLIST_MAX + 64 }; /* as many connections as there may be */
    _cleanup_(http_reply_done) struct http_reply reply = {};
    int *fds = xnew_array(int, N);

    for (size_t i = 0; i < N; i++)
        fds[i] = connect_raw(stand.http, unfinished_bodies[i % ELEMENTSOF(unfinished_bodies)]);
    request("GET", "/health", &reply);
    assert_int_equal(reply.status, 200);
    for (size_t i = 0; i < N; i++) {
        _cleanup_buffer_ struct buffer text = {};

        read_to_end(fds[i], &text);
        if (!strstr(buffer_text(&text), "HTTP/1.1 413") ||
            !strcasestr(buffer_text(&text), "Connection: close"))
            fail_msg("%s: %s", unfinished_bodies[i % ELEMENTSOF(unfinished_bodies)],
                     buffer_text(&text));
    }
    assert_int_equal(tee->asked, 0);
    free(fds);
}

/* A byte now and then does not buy time; after an answer the time for a request begins again. */
static void test_unfinished_requests_are_shown_out(void **state)
{
    (void)state;
    static const struct clock_ops clock_ops = {read_clock, read_clock};
    struct clock clock = {&clock_ops};
    struct http *http = NULL;
    char part[4096];
    int fds[40];

    expect_ok(http_start("127.0.0.1:0", &stand.desks, &clock, &http));
    for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
        fds[i] = connect_raw(http, i % 2 ? "GET /health HTTP/1.1\r\nHost: a\r\n\r\n" : "G");
        if (i % 2)
            assert_true(read(fds[i], part, sizeof(part)) > 0);
    }
    /* All have been let in, since the one after them has. */
    int last = connect_raw(http, "GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(read(last, part, sizeof(part)) > 0);
    advance(DOOR_REQUEST_MS - 1);
    http_wake(http);
    for (size_t i = 0; i < ELEMENTSOF(fds); i++)
        assert_int_equal(write(fds[i], "E", 1), 1);
    advance(1);
    http_wake(http);
    for (size_t i = 0; i < ELEMENTSOF(fds); i++)
        trickle_to_end(fds[i]);
    close(last);
    http_free(http);
}

#define NONCE "0000000000000000000000000000000000000000000000000000000000000000"

static int ask_as(const char *forwarded)
{
    _cleanup_free_ char *text =
        xasprintf("GET /api/v2/report?nonce=" NONCE " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                  "X-Forwarded-For: %s\r\n\r\n",
                  forwarded);

    return connect_raw(stand.http, text);
}

static size_t count_answered(const int *fds, size_t n)
{
    size_t answered = 0;

    for (size_t i = 0; i < n; i++)
        answered += poll(&(struct pollfd){.fd = fds[i], .events = POLLIN}, 1, 0) > 0;
    return answered;
}

static void count_statuses(int fd, const char *const *texts, size_t *counts, size_t n)
{
    _cleanup_buffer_ struct buffer text = {};

    read_to_end(fd, &text);
    for (size_t i = 0; i < n; i++)
        counts[i] += strstr(buffer_text(&text), texts[i]) != NULL;
}

/* Whatever it claims to forward, the address that Caddy saw has its share and no more; others come
 * in beside it. */
static void test_one_client_cannot_fill_the_waitlist(void **state)
{
    (void)state;
    enum { OVER = 6, N = WAITLIST_SHARE + OVER };
    static const char *const texts[] = {"HTTP/1.1 200", "HTTP/1.1 429", "Retry-After: "};
    size_t counts[ELEMENTSOF(texts)] = {}, others[ELEMENTSOF(texts)] = {};
    struct test_caller first = {};
    _cleanup_buffer_ struct buffer body = {};
    int fds[N];

    test_tee_hold(tee, true);
    test_callers_start(stand.desks.fresh, &first, 1);
    test_tee_wait_asked(tee, 1);
    for (int i = 0; i < N; i++) {
        _cleanup_free_ char *forwarded = xasprintf("198.51.100.%d, 203.0.113.9", i);
        fds[i] = ask_as(forwarded);
    }
    while (count_answered(fds, N) < OVER)
        tee_pause(1);
    int other = ask_as("203.0.113.9, 203.0.113.10");
    int stranger = ask_as("192.168.122.1"); /* the ingress: many clients, and nobody's share */
    test_tee_hold(tee, false);
    for (size_t i = 0; i < N; i++)
        count_statuses(fds[i], texts, counts, ELEMENTSOF(texts));
    count_statuses(other, texts, others, ELEMENTSOF(texts));
    count_statuses(stranger, texts, others, ELEMENTSOF(texts));
    assert_int_equal(counts[0], WAITLIST_SHARE);
    assert_int_equal(counts[1], OVER);
    assert_int_equal(counts[2], OVER);
    assert_int_equal(others[0], 2);
    expect_ok(test_caller_wait(&first, &body));
}

static void broken_processor_is_unavailable_and_recovers(void **state)
{
    (void)state;
    _cleanup_(http_reply_done) struct http_reply reply = {}, other = {}, well = {};

    tee->broken = true;
    request("GET", "/api/v2/report", &reply);
    assert_int_equal(reply.status, 503);
    assert_non_null(strstr(buffer_text(&reply.headers), "Retry-After"));
    request("GET",
            "/api/v2/report?nonce="
            "0000000000000000000000000000000000000000000000000000000000000000",
            &other);
    assert_int_equal(other.status, 503);
    tee->broken = false;
    request("GET", "/api/v2/report", &well);
    assert_int_equal(well.status, 200);
}

static void proxy_without_certificate_is_unavailable(void **state)
{
    (void)state;
    struct live_key *nobody = NULL;
    uint8_t spki[32];

    expect_ok(live_key_open("127.0.0.1:1", "localhost", &nobody));
    expect_code(live_key_get(nobody, spki), ERROR_UNAVAILABLE);
    live_key_free(nobody);
    expect_code(live_key_open("nonsense", "localhost", &nobody), ERROR_INVALID_ARGUMENT);
    expect_code(live_key_open(":443", "localhost", &nobody), ERROR_INVALID_ARGUMENT);
}

static void bad_requests_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path;
        long status;
    } cases[] = {
        {"GET", "/", 404},
        {"GET", "/api/v2/report/", 404},
        {"POST", "/api/v2/report", 405},
        {"DELETE", "/health", 405},
        {"OPTIONS", "/api/v2/report", 204},
        {"GET", "/api/v2/report?nonce=", 400},
        {"GET", "/api/v2/report?nonce=00", 400},
        {"GET",
         "/api/v2/report?nonce=000000000000000000000000000000000000000000000000000000000000000g",
         400},
        {"GET",
         "/api/v2/report?nonce=00000000000000000000000000000000000000000000000000000000000000000",
         400},
        {"GET", "/health", 200},
        {"GET", "/api/v1/about", 200},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(http_reply_done) struct http_reply reply = {};

        request(cases[i].method, cases[i].path, &reply);
        if (reply.status != cases[i].status)
            fail_msg("%s %s: %ld", cases[i].method, cases[i].path, reply.status);
    }
    assert_int_equal(tee->asked, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(report_without_nonce_has_the_existing_form),
        TEST(new_key_gives_a_new_report),
        TEST(key_that_changes_meanwhile_is_noticed),
        TEST(report_with_nonce_is_bound_to_it),
        TEST(waiting_nonces_share_a_report),
        TEST(batch_of_a_key_that_changed_is_made_again),
        TEST(full_queue_is_refused),
        TEST(hanging_processor_is_unavailable),
        TEST(slow_and_gone_clients_hold_nobody),
        TEST(test_unfinished_bodies_do_not_hold_the_door),
        TEST(test_unfinished_requests_are_shown_out),
        TEST(test_one_client_cannot_fill_the_waitlist),
        TEST(broken_processor_is_unavailable_and_recovers),
        TEST(proxy_without_certificate_is_unavailable),
        TEST(bad_requests_are_refused),
    };

    signal(SIGPIPE, SIG_IGN); /* as service_main() does */
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int failed = cmocka_run_group_tests_name("attester", tests, set_up_all, tear_down_all);
    curl_global_cleanup();
    return failed;
}
