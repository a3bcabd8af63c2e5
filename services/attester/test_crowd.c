/* 500 verifiers at once over HTTP, each with an address of its own (one has only WAITLIST_SHARE
 * places), and a processor that answers once in two seconds. How long the
 * slowest one waits is printed: what it must be is test_waitlist.c's, on a clock that stands still.
 */
#include "services/attester/test_stand.h"

#include <curl/curl.h>
#include <signal.h>

#include "shared/base/clock.h"
#include "shared/base/encode.h"

#define VERIFIERS    500
#define PROCESSOR_MS 2000

static struct test_fleet fleet;
static struct test_attester stand;

struct verifier {
    CURL *curl;
    struct curl_slist *headers;
    uint8_t nonce[32];
    struct buffer body;
};

static size_t collect(char *data, size_t size, size_t n, void *to)
{
    buffer_add(to, data, size * n);
    return size * n;
}

static void start(struct verifier *verifier, size_t number, CURLM *crowd)
{
    memcpy(verifier->nonce, &number, sizeof(number));
    _cleanup_free_ char *nonce = hex_encode_new(verifier->nonce, 32);
    _cleanup_free_ char *url =
        xasprintf("http://127.0.0.1:%u/api/v2/report?nonce=%s", http_port(stand.http), nonce);

    _cleanup_free_ char *forwarded =
        xasprintf("X-Forwarded-For: 198.51.%zu.%zu", number / 250, number % 250);
    verifier->headers = curl_slist_append(NULL, forwarded);
    verifier->curl = curl_easy_init();
    curl_easy_setopt(verifier->curl, CURLOPT_HTTPHEADER, verifier->headers);
    curl_easy_setopt(verifier->curl, CURLOPT_URL, url);
    curl_easy_setopt(verifier->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(verifier->curl, CURLOPT_PROXY, "");
    curl_easy_setopt(verifier->curl, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(verifier->curl, CURLOPT_WRITEDATA, &verifier->body);
    assert_int_equal(curl_multi_add_handle(crowd, verifier->curl), CURLM_OK);
}

static void run(CURLM *crowd)
{
    int running = 1;

    while (running > 0) {
        assert_int_equal(curl_multi_perform(crowd, &running), CURLM_OK);
        if (running > 0)
            assert_int_equal(curl_multi_poll(crowd, NULL, 0, 1000, NULL), CURLM_OK);
    }
}

/* How long it took, in ms. */
static int64_t check(struct verifier *verifier, CURLM *crowd)
{
    curl_off_t time_us = 0;
    long status = 0;

    curl_easy_getinfo(verifier->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(verifier->curl, CURLINFO_TOTAL_TIME_T, &time_us);
    assert_int_equal(status, 200);
    json_auto_t *answer = test_parse(&verifier->body);
    test_check_binding(&stand, answer, verifier->nonce);
    curl_multi_remove_handle(crowd, verifier->curl);
    curl_easy_cleanup(verifier->curl);
    curl_slist_free_all(verifier->headers);
    buffer_done(&verifier->body);
    return time_us / 1000;
}

static void five_hundred_get_fresh_evidence(void **state)
{
    (void)state;
    struct verifier *verifiers = xnew_array(struct verifier, VERIFIERS);
    CURLM *crowd = curl_multi_init();
    int64_t slowest_ms = 0;

    stand.tee->delay_ms = PROCESSOR_MS;
    for (size_t i = 0; i < VERIFIERS; i++)
        start(&verifiers[i], i, crowd);
    run(crowd);
    for (size_t i = 0; i < VERIFIERS; i++) {
        int64_t ms = check(&verifiers[i], crowd);

        slowest_ms = ms > slowest_ms ? ms : slowest_ms;
    }
    print_message("%d verifiers, %u reports of %d ms each: the slowest waited %lld ms\n", VERIFIERS,
                  stand.tee->finished, PROCESSOR_MS, (long long)slowest_ms);
    curl_multi_cleanup(crowd);
    free(verifiers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(five_hundred_get_fresh_evidence)};

    signal(SIGPIPE, SIG_IGN); /* as service_main() does */
    curl_global_init(CURL_GLOBAL_DEFAULT);
    test_fleet_init(&fleet);
    test_attester_init(&stand, fleet.processors[0], NULL);
    int failed = cmocka_run_group_tests_name("a crowd of verifiers", tests, NULL, NULL);
    test_attester_done(&stand);
    test_fleet_done(&fleet);
    curl_global_cleanup();
    return failed;
}
