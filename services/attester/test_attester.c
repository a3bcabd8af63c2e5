/* The whole attester but its main(): a real TLS proxy, real HTTP, the software processor. */
#include "services/attester/test_stand.h"

#include <curl/curl.h>
#include <jansson.h>
#include <signal.h>

#include "services/attester/batch.h"
#include "services/attester/http.h"
#include "services/attester/standing.h"
#include "shared/attestation/binding.h"
#include "shared/base/encode.h"
#include "shared/seal/seal.h"

static const char manifest[] = "{\"schema\":\"coffer.manifest/v1\"}";

static struct test_fleet fleet;
static struct test_proxy proxy;
static struct test_tee *tee;
static struct evidence_maker *maker;
static struct live_key *key;
static struct standing *standing;
static struct batch *batch;
static struct http *http;

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
    const struct evidence_facts facts = {manifest, "0.1.0", "EPYC-v4", 2, NULL, 0};
    uint8_t hash[32];
    char address[32];

    sha256(manifest, strlen(manifest), hash);
    test_proxy_init(&proxy);
    snprintf(address, sizeof(address), "127.0.0.1:%u", proxy.port);
    tee = test_tee_new(fleet.processors[0], hash);
    maker = evidence_maker_new(&tee->base, &facts);
    expect_ok(live_key_open(address, "localhost", &key));
    standing = standing_new(maker, key);
    batch = batch_new(maker, key);
    expect_ok(http_start("127.0.0.1:0", batch, standing, &http));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    http_free(http);
    batch_free(batch);
    standing_free(standing);
    live_key_free(key);
    evidence_maker_free(maker);
    test_proxy_done(&proxy);
    return 0;
}

static size_t collect(char *data, size_t size, size_t n, void *to)
{
    buffer_add(to, data, size * n);
    return size * n;
}

struct reply {
    long status;
    struct buffer body;
    struct buffer headers;
};

static void reply_done(struct reply *reply)
{
    buffer_done(&reply->body);
    buffer_done(&reply->headers);
}

static void request(const char *method, const char *path, struct reply *reply)
{
    _cleanup_free_ char *url = xasprintf("http://127.0.0.1:%u%s", http_port(http), path);
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

static json_t *parse(const struct buffer *body)
{
    json_t *json = json_loadb(buffer_text(body), body->size, 0, NULL);

    assert_non_null(json);
    return json;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    if (!text)
        fail_msg("no text '%s'", name);
    return text;
}

static void expect_hex(const json_t *object, const char *name, const void *data, size_t size)
{
    _cleanup_free_ char *expected = hex_encode_new(data, size);

    assert_string_equal(text_of(object, name), expected);
}

/* Recomputes report_data as a verifier does, from the answer's own inputs. */
static void check_binding(const json_t *answer, const uint8_t nonce[32])
{
    json_t *binding = json_object_get(answer, "binding"), *path, *hash;
    uint8_t hashes[64][32], root[32], spki[32], manifest_hash[32], report_data[BINDING_SIZE];
    size_t i;

    path = json_object_get(binding, "merkle_path");
    json_array_foreach(path, i, hash) expect_ok(hex_decode(json_string_value(hash), hashes[i], 32));
    expect_ok(merkle_root_from_path(
        nonce, (size_t)json_integer_value(json_object_get(binding, "nonce_index")),
        (size_t)json_integer_value(json_object_get(binding, "nonce_count")),
        (const uint8_t(*)[32])hashes, json_array_size(path), root));
    expect_hex(binding, "nonce_root", root, 32);
    test_proxy_get_key(&proxy, spki);
    sha256(manifest, strlen(manifest), manifest_hash);
    const struct binding_tls in = {root, spki, manifest_hash, NULL};
    binding_tls(&in, report_data);
    expect_hex(json_object_get(answer, "report"), "report_data", report_data, 64);
    expect_hex(binding, "nonce", nonce, 32);
    assert_string_equal(text_of(binding, "tag"), "coffer/report-data/v1");
    assert_true(json_is_true(json_object_get(answer, "fresh")));
}

static void report_without_nonce_has_the_existing_form(void **state)
{
    (void)state;
    _cleanup_(reply_done) struct reply first = {}, second = {};
    uint8_t spki[32], report_data[BINDING_SIZE];

    request("GET", "/api/v2/report", &first);
    request("GET", "/api/v2/report", &second);
    assert_int_equal(first.status, 200);
    assert_string_equal(buffer_text(&first.body), buffer_text(&second.body));
    assert_int_equal(tee->finished, 1); /* cached */
    json_auto_t *answer = parse(&first.body);
    test_proxy_get_key(&proxy, spki);
    binding_tls_static(spki, report_data);
    expect_hex(json_object_get(answer, "report"), "report_data", report_data, 64);
    assert_true(json_is_false(json_object_get(answer, "fresh")));
    assert_true(json_is_null(json_object_get(answer, "gpu_token")));
    assert_string_equal(text_of(json_object_get(answer, "binding"), "tag"), "static-v0");
    json_t *environment = json_object_get(answer, "environment");
    assert_string_equal(text_of(environment, "nilcc_version"), "0.1.0");
    assert_string_equal(text_of(environment, "vm_type"), "cpu");
    assert_int_equal(json_integer_value(json_object_get(environment, "cpu_count")), 2);
    assert_int_equal(strlen(text_of(answer, "raw_report")), 2 * TEE_REPORT_SIZE);
    assert_string_equal(text_of(answer, "manifest"), manifest);
    json_t *certificates = json_object_get(answer, "certificates");
    assert_non_null(strstr(text_of(certificates, "vcek"), "BEGIN CERTIFICATE"));
    assert_non_null(strstr(text_of(certificates, "ask"), "BEGIN CERTIFICATE"));
    assert_non_null(strstr(text_of(certificates, "ark"), "BEGIN CERTIFICATE"));
    assert_true(strlen(text_of(json_object_get(answer, "collateral"), "crl")) > 0);
    assert_non_null(strstr(buffer_text(&first.headers), "Access-Control-Allow-Origin: *"));
}

static void new_key_gives_a_new_report(void **state)
{
    (void)state;
    uint8_t spki[32], report_data[BINDING_SIZE];

    for (unsigned i = 0; i < 3; i++) {
        _cleanup_buffer_ struct buffer body = {};
        uint8_t now[32];

        expect_ok(live_key_get(key, 0, now)); /* the key's age is not what this is about */
        expect_ok(standing_answer(standing, &body));
        json_auto_t *answer = parse(&body);
        test_proxy_get_key(&proxy, spki);
        binding_tls_static(spki, report_data);
        expect_hex(json_object_get(answer, "report"), "report_data", report_data, 64);
        assert_int_equal(tee->finished, i + 1);
        test_proxy_new_key(&proxy);
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
    tee->meanwhile_data = &proxy;
    expect_ok(batch_answer(batch, nonce, &body));
    assert_int_equal(tee->finished, 2);
    json_auto_t *answer = parse(&body);
    check_binding(answer, nonce);

    uint8_t now[32];
    expect_ok(live_key_get(key, 0, now));
    tee->meanwhile = change_key;
    expect_code(standing_answer(standing, &other), ERROR_UNAVAILABLE);
    assert_int_equal(other.size, 0);
    expect_ok(standing_answer(standing, &other));
}

static void report_with_nonce_is_bound_to_it(void **state)
{
    (void)state;
    _cleanup_(reply_done) struct reply reply = {};
    uint8_t nonce[32];

    memset(nonce, 0xab, sizeof(nonce));
    request("GET",
            "/api/v2/report?nonce="
            "ABababababababababababababababababababababababababababababababab",
            &reply);
    assert_int_equal(reply.status, 200);
    json_auto_t *answer = parse(&reply.body);
    check_binding(answer, nonce);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(answer, "binding"), "nonce_count")), 1);
}

struct caller {
    pthread_t thread;
    uint8_t nonce[32];
    struct buffer body;
    struct error *err;
};

static void *call(void *data)
{
    struct caller *caller = data;

    struct error *err = batch_answer(batch, caller->nonce, &caller->body);
    __atomic_store_n(&caller->err, err, __ATOMIC_RELEASE); /* read while others still run */
    return NULL;
}

static void start_callers(struct caller *callers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        callers[i].nonce[0] = (uint8_t)i;
        callers[i].nonce[1] = (uint8_t)(i >> 8);
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
    }
}

/* 40 callers while the processor is busy: one more report serves them all. */
static void waiting_nonces_share_a_report(void **state)
{
    (void)state;
    struct caller first[1] = {}, callers[40] = {};

    test_tee_hold(tee, true);
    start_callers(first, 1);
    test_tee_wait_asked(tee, 1);
    start_callers(callers, 40);
    usleep(200000); /* not asserted on: fewer may share, the check below allows it */
    test_tee_hold(tee, false);
    pthread_join(first[0].thread, NULL);
    expect_ok(first[0].err);
    buffer_done(&first[0].body);
    for (size_t i = 0; i < 40; i++) {
        pthread_join(callers[i].thread, NULL);
        expect_ok(callers[i].err);
        json_auto_t *answer = parse(&callers[i].body);
        check_binding(answer, callers[i].nonce);
        buffer_done(&callers[i].body);
    }
    assert_true(tee->finished < 20);
}

static size_t count_refused(struct caller *callers, size_t n)
{
    size_t refused = 0;

    for (size_t i = 0; i < n; i++)
        refused += __atomic_load_n(&callers[i].err, __ATOMIC_ACQUIRE) != NULL;
    return refused;
}

static void full_queue_is_refused(void **state)
{
    (void)state;
    enum { N = BATCH_NONCES_MAX + 20 };
    struct caller first[1] = {};
    struct caller *callers = xnew_array(struct caller, N);
    size_t refused = 0;

    test_tee_hold(tee, true);
    start_callers(first, 1);
    test_tee_wait_asked(tee, 1);
    start_callers(callers, N);
    while (refused < 20) { /* they return while the processor is held; a hang is the failure */
        usleep(1000);
        refused = count_refused(callers, N);
    }
    assert_int_equal(refused, 20);
    test_tee_hold(tee, false);
    pthread_join(first[0].thread, NULL);
    expect_ok(first[0].err);
    buffer_done(&first[0].body);
    for (size_t i = 0; i < N; i++) {
        pthread_join(callers[i].thread, NULL);
        if (callers[i].err)
            expect_code(callers[i].err, ERROR_RESOURCE_EXHAUSTED);
        buffer_done(&callers[i].body);
    }
    free(callers);
}

static void broken_processor_is_unavailable_and_recovers(void **state)
{
    (void)state;
    _cleanup_(reply_done) struct reply reply = {}, other = {}, well = {};

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
    expect_code(live_key_get(nobody, 0, spki), ERROR_UNAVAILABLE);
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
        _cleanup_(reply_done) struct reply reply = {};

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
        TEST(full_queue_is_refused),
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
