/* The client against a key service that is good, slow, rude, wrong or away. */
#include "shared/collateral/test_stage.h"

#include <openssl/ui.h>

#include "shared/attestation/certificates.h"
#include "shared/attestation/dev_certificate.h"
#include "shared/collateral/check.h"
#include "shared/collateral/fetch.h"

static struct test_service service;
static struct test_stage stage;

static int start_service(void **state)
{
    (void)state;
    test_service_start(&service);
    return 0;
}

static int stop_service(void **state)
{
    (void)state;
    test_service_stop(&service);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    test_stage_init(&stage, &service);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_stage_done(&stage);
    return 0;
}

static struct error *get(struct collateral *ret)
{
    return collateral_get(stage.client, VEK_VCEK, &service.chips[0], ret);
}

static void expect_failure(enum error_code code)
{
    _cleanup_(collateral_done) struct collateral collateral = {};

    expect_code(get(&collateral), code);
}

static void expect_any_failure(void)
{
    _cleanup_(collateral_done) struct collateral collateral = {};
    _cleanup_(error_freep) struct error *err = get(&collateral);

    assert_non_null(err);
}

static void expect_complete(void)
{
    _cleanup_(collateral_done) struct collateral collateral = {};

    expect_ok(get(&collateral));
    assert_int_equal(collateral.vcek.size, service.vcek_sizes[0]);
    assert_memory_equal(collateral.vcek.data, service.vceks[0], service.vcek_sizes[0]);
    assert_true(collateral.ask.size > 0 && collateral.ark.size > 0 && collateral.crl.size > 0);
}

static void expect_asked(unsigned chain, unsigned vcek, unsigned crl)
{
    assert_int_equal(test_service_asked(&service, TEST_CHAIN), chain);
    assert_int_equal(test_service_asked(&service, TEST_VCEK), vcek);
    assert_int_equal(test_service_asked(&service, TEST_CRL), crl);
}

static void fail_with(enum test_object object, unsigned status, unsigned times)
{
    service.answers[object].status = status;
    service.answers[object].failures = times;
}

static void each_object_is_asked_for_once(void **state)
{
    (void)state;
    expect_complete();
    expect_complete();
    expect_asked(1, 1, 1);
    test_stage_restart(&stage, service.url);
    expect_complete();
    expect_asked(1, 1, 1);
}

static void table_carries_all_of_it(void **state)
{
    (void)state;
    _cleanup_(collateral_done) struct collateral collateral = {};
    _cleanup_buffer_ struct buffer bytes = {};
    struct certificate_table table;

    expect_ok(get(&collateral));
    collateral_write_table(&collateral, &bytes);
    expect_ok(certificate_table_parse(bytes.data, bytes.size, &table));
    assert_int_equal(table.vcek.size, collateral.vcek.size);
    assert_int_equal(table.ask.size, collateral.ask.size);
    assert_int_equal(table.ark.size, collateral.ark.size);
    assert_int_equal(table.crl.size, collateral.crl.size);
    assert_null(table.vlek.data);
}

static void offline_serves_what_the_cache_has_and_asks_nobody(void **state)
{
    (void)state;
    _cleanup_(collateral_done) struct collateral collateral = {};
    int64_t fetched_at = stage.clock.now_ms;

    test_stage_restart(&stage, NULL);
    expect_failure(ERROR_NOT_FOUND);
    test_stage_restart(&stage, service.url);
    expect_complete();
    test_stage_restart(&stage, NULL);
    clock_fake_advance(&stage.clock, COLLATERAL_CRL_MAX_AGE_MS + 1);
    expect_ok(get(&collateral));
    assert_true(collateral.crl_stale);
    assert_int_equal(collateral.crl_origin.at_ms, fetched_at);
    assert_non_null(strstr(collateral.crl_note, "offline"));
    expect_asked(1, 1, 1);
}

static void bad_answers_are_refused_and_not_kept(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        enum test_object object;
        unsigned status; /* 0: the body is bad */
        enum error_code code;
        unsigned asked;
    } rows[] = {
        {"not there", TEST_VCEK, 404, ERROR_NOT_FOUND, 1},
        {"bad request", TEST_VCEK, 400, ERROR_FAILED_PRECONDITION, 1},
        {"redirect", TEST_VCEK, 302, ERROR_FAILED_PRECONDITION, 1},
        {"rate limit", TEST_VCEK, 429, ERROR_UNAVAILABLE, FETCH_ATTEMPTS},
        {"broken", TEST_VCEK, 500, ERROR_UNAVAILABLE, FETCH_ATTEMPTS},
        {"overloaded", TEST_CHAIN, 503, ERROR_UNAVAILABLE, FETCH_ATTEMPTS},
        {"empty", TEST_VCEK, 0, ERROR_UNAVAILABLE, FETCH_ATTEMPTS},
        {"wrong chip", TEST_VCEK, 0, ERROR_PERMISSION_DENIED, 1},
        {"truncated", TEST_VCEK, 0, ERROR_INVALID_ARGUMENT, 1},
        {"with a tail", TEST_VCEK, 0, ERROR_INVALID_ARGUMENT, 1},
        {"bad signature", TEST_VCEK, 0, ERROR_PERMISSION_DENIED, 1},
        {"huge", TEST_VCEK, 0, ERROR_RESOURCE_EXHAUSTED, 1},
        {"a chain of one", TEST_CHAIN, 0, ERROR_INVALID_ARGUMENT, 1},
        {"a chain upside down", TEST_CHAIN, 0, ERROR_PERMISSION_DENIED, 1},
        {"no chain", TEST_CHAIN, 0, ERROR_INVALID_ARGUMENT, 1},
        {"a chain that starts badly", TEST_CHAIN, 0, ERROR_INVALID_ARGUMENT, 1},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_buffer_ struct buffer bad = {}, good = {};
        const char *what = rows[i].what;

        print_message("%s\n", what);
        test_stage_done(&stage);
        test_stage_init(&stage, &service);
        const struct buffer *body = &service.answers[rows[i].object].body;
        buffer_add(&good, body->data, body->size);
        const char *second = strstr(buffer_text(&good) + 1, "-----BEGIN");
        if (strcmp(what, "wrong chip") == 0)
            buffer_add(&bad, service.vceks[1], service.vcek_sizes[1]);
        else if (strcmp(what, "truncated") == 0)
            buffer_add(&bad, good.data, good.size - 1);
        else if (strcmp(what, "a chain of one") == 0)
            buffer_add(&bad, second, strlen(second));
        else if (strcmp(what, "a chain upside down") == 0)
            buffer_printf(&bad, "%s%.*s", second, (int)(second - buffer_text(&good)),
                          buffer_text(&good));
        else if (strcmp(what, "a chain that starts badly") == 0)
            buffer_printf(&bad, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n%s",
                          second);
        else if (strcmp(what, "no chain") == 0)
            buffer_add_text(&bad, "<html>maintenance</html>");
        else if (strcmp(what, "empty") != 0)
            buffer_add(&bad, good.data, good.size);
        if (strcmp(what, "with a tail") == 0)
            buffer_add_u8(&bad, 0);
        if (strcmp(what, "bad signature") == 0)
            bad.data[bad.size - 1] ^= 1;
        while (strcmp(what, "huge") == 0 && bad.size <= CERTIFICATE_SIZE_MAX)
            buffer_add_u8(&bad, 0);
        if (rows[i].status)
            fail_with(rows[i].object, rows[i].status, UINT32_MAX);
        else
            test_service_set_body(&service, rows[i].object, bad.data, bad.size);
        expect_failure(rows[i].code);
        expect_any_failure(); /* at once again: from memory */
        assert_int_equal(test_service_asked(&service, rows[i].object), rows[i].asked);
        test_stage_restart(&stage, NULL);
        expect_failure(ERROR_NOT_FOUND);
    }
}

static void slow_answer_ends_at_the_limit(void **state)
{
    (void)state;
    struct collateral_options options = test_stage_options(&stage);

    options.timeout_ms = 200;
    collateral_client_free(stage.client);
    expect_ok(collateral_client_new(&options, &stage.client));
    test_service_hold(&service, TEST_CHAIN, true);
    expect_failure(ERROR_UNAVAILABLE);
    test_service_hold(&service, TEST_CHAIN, false);
}

static void service_that_is_not_there_is_unavailable(void **state)
{
    (void)state;
    test_stage_restart(&stage, "http://127.0.0.1:1");
    expect_failure(ERROR_UNAVAILABLE);
    assert_int_equal(stage.n_pauses, FETCH_ATTEMPTS - 1);
}

static void plain_http_is_refused_unless_asked_for(void **state)
{
    (void)state;
    struct collateral_options options = test_stage_options(&stage);

    options.allow_http = false;
    collateral_client_free(stage.client);
    expect_ok(collateral_client_new(&options, &stage.client));
    expect_failure(ERROR_INVALID_ARGUMENT);
    expect_asked(0, 0, 0);
}

static void chain_of_a_root_that_is_not_trusted_is_refused(void **state)
{
    (void)state;
    _cleanup_(trust_roots_freep) struct trust_roots *amd = NULL;
    struct collateral_options options = test_stage_options(&stage);

    expect_complete(); /* kept by a program that trusts it */
    expect_ok(trust_roots_amd(&amd));
    options.roots = amd;
    collateral_client_free(stage.client);
    expect_ok(collateral_client_new(&options, &stage.client));
    expect_failure(ERROR_PERMISSION_DENIED);
    test_stage_restart(&stage, NULL);
}

static void certificate_that_ran_out_is_refused(void **state)
{
    (void)state;
    expect_complete();
    clock_fake_advance(&stage.clock, 8 * 365 * 24 * 3600 * 1000LL);
    expect_failure(ERROR_PERMISSION_DENIED);
}

/* After a firmware update the service must not answer with the key of the level before. */
static void certificate_of_another_tcb_is_refused(void **state)
{
    (void)state;
    uint8_t *const levels[] = {&service.chips[0].tcb.bootloader, &service.chips[0].tcb.tee,
                               &service.chips[0].tcb.snp, &service.chips[0].tcb.microcode};

    for (size_t i = 0; i < ELEMENTSOF(levels); i++) {
        ++*levels[i];
        expect_failure(ERROR_PERMISSION_DENIED);
        --*levels[i];
    }
    expect_complete();
}

static void pauses_grow_and_are_jittered(void **state)
{
    (void)state;
    fail_with(TEST_VCEK, 429, FETCH_ATTEMPTS - 1);
    expect_complete();
    assert_int_equal(stage.n_pauses, FETCH_ATTEMPTS - 1);
    for (size_t i = 0; i < stage.n_pauses; i++) {
        int64_t most = (int64_t)FETCH_PAUSE_MS << i;

        assert_in_range(stage.pauses[i], most / 2, most);
    }
}

static void retry_after_is_honoured_within_bounds(void **state)
{
    (void)state;
    service.answers[TEST_VCEK].retry_after = "17";
    fail_with(TEST_VCEK, 429, 1);
    expect_complete();
    assert_int_equal(stage.n_pauses, 1);
    assert_int_equal(stage.pauses[0], 17000);
}

static void long_retry_after_ends_the_attempts_and_is_remembered(void **state)
{
    (void)state;
    service.answers[TEST_VCEK].retry_after = "600";
    fail_with(TEST_VCEK, 429, 1);
    expect_failure(ERROR_UNAVAILABLE);
    assert_int_equal(stage.n_pauses, 0);
    expect_failure(ERROR_UNAVAILABLE);
    clock_fake_advance(&stage.clock, 599 * 1000);
    expect_failure(ERROR_UNAVAILABLE);
    assert_int_equal(test_service_asked(&service, TEST_VCEK), 1);
    clock_fake_advance(&stage.clock, 1000);
    expect_complete();
    assert_int_equal(test_service_asked(&service, TEST_VCEK), 2);
}

static void unknown_chip_is_not_asked_for_again_at_once(void **state)
{
    (void)state;
    fail_with(TEST_VCEK, 404, 1);
    expect_failure(ERROR_NOT_FOUND);
    clock_fake_advance(&stage.clock, FETCH_NOT_FOUND_MS - 1);
    expect_failure(ERROR_NOT_FOUND);
    assert_int_equal(test_service_asked(&service, TEST_VCEK), 1);
    clock_fake_advance(&stage.clock, 1);
    expect_complete();
}

/* Made-up chip ids must not make us hammer the service. */
static void failures_are_limited_in_number(void **state)
{
    (void)state;
    struct kds_chip chip = service.chips[0];
    _cleanup_(collateral_done) struct collateral collateral = {};

    expect_complete();
    fail_with(TEST_VCEK, 404, UINT32_MAX);
    for (int i = 0; i < FETCH_REMEMBERED_MAX; i++) {
        chip.hwid[0]++;
        expect_code(collateral_get(stage.client, VEK_VCEK, &chip, &collateral), ERROR_NOT_FOUND);
    }
    chip.hwid[0]++;
    expect_code(collateral_get(stage.client, VEK_VCEK, &chip, &collateral),
                ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(test_service_asked(&service, TEST_VCEK), FETCH_REMEMBERED_MAX + 1);
    expect_complete(); /* what is in the cache is still served */
}

static void *get_in_thread(void *ret_complete)
{
    _cleanup_(collateral_done) struct collateral collateral = {};
    struct error *err = get(&collateral);

    *(bool *)ret_complete = !err && collateral.vcek.size > 0 && collateral.crl.size > 0;
    error_free(err);
    return NULL;
}

static void equal_requests_at_the_same_time_become_one(void **state)
{
    (void)state;
    pthread_t threads[16];
    bool complete[ELEMENTSOF(threads)] = {};

    test_service_hold(&service, TEST_CHAIN, true);
    for (size_t i = 0; i < ELEMENTSOF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, get_in_thread, &complete[i]), 0);
    while (test_service_asked(&service, TEST_CHAIN) == 0)
        sched_yield();
    test_service_hold(&service, TEST_CHAIN, false);
    for (size_t i = 0; i < ELEMENTSOF(threads); i++) {
        pthread_join(threads[i], NULL);
        assert_true(complete[i]);
    }
    expect_asked(1, 1, 1);
}

static void chain_of_the_other_kind_is_refused(void **state)
{
    (void)state;
    _cleanup_(collateral_done) struct collateral collateral = {};

    /* The development ASK is of the other kind: a VCEK's chain is no VLEK's. */
    expect_code(collateral_get(stage.client, VEK_VLEK, &service.chips[0], &collateral),
                ERROR_PERMISSION_DENIED);
    expect_asked(1, 0, 0);
}

/* Who judges for another day still fetches today. */
static void time_judged_for_is_not_the_time_of_fetching(void **state)
{
    (void)state;
    const int64_t year_ms = 365 * 24 * 3600 * 1000LL;
    struct collateral_options options = test_stage_options(&stage);
    _cleanup_(collateral_done) struct collateral collateral = {};

    options.at_ms = stage.clock.now_ms + 2 * year_ms;
    collateral_client_free(stage.client);
    expect_ok(collateral_client_new(&options, &stage.client));
    expect_ok(get(&collateral));
    assert_int_equal(collateral.crl_origin.at_ms, stage.clock.now_ms);
    assert_int_equal(collateral.chain_origin.at_ms, stage.clock.now_ms);
    assert_false(collateral.crl_origin.cached || collateral.chain_origin.cached);
    test_stage_restart(&stage, service.url);
    expect_complete();
    clock_fake_advance(&stage.clock, COLLATERAL_CRL_MAX_AGE_MS);
    expect_complete();
    expect_asked(1, 1, 2);
    options.at_ms = stage.clock.now_ms + 8 * year_ms; /* a VCEK is good for seven */
    collateral_client_free(stage.client);
    expect_ok(collateral_client_new(&options, &stage.client));
    expect_failure(ERROR_PERMISSION_DENIED);
}

static void what_is_not_to_be_had_does_not_hold_up_the_rest(void **state)
{
    (void)state;
    for (int wanted = 0; wanted < 2; wanted++) {
        _cleanup_(collateral_done) struct collateral collateral = {};

        fail_with(TEST_VCEK, 404, 1);
        expect_ok(collateral_get_some(stage.client, VEK_VCEK, DEV_PRODUCT,
                                      wanted ? &service.chips[0] : NULL, &collateral));
        assert_true(collateral.ask.size > 0 && collateral.ark.size > 0 && collateral.crl.size > 0);
        assert_int_equal(collateral.vcek.size, 0);
        assert_int_equal(wanted, collateral.vcek_note && strstr(collateral.vcek_note, "404"));
        assert_int_equal(wanted, collateral.chain_origin.cached && collateral.crl_origin.cached);
        expect_asked(1, (unsigned)wanted, 1);
    }
}

static int questions;

static int count_question(_unused_ UI *ui)
{
    questions++;
    return 0;
}

/* OpenSSL's own way of asking, which waits for whoever sits at the terminal. */
static void an_encrypted_chain_asks_nobody_for_its_pass_phrase(void **state)
{
    (void)state;
    static const char line[] = "-----BEGIN CERTIFICATE-----\n";
    const struct buffer *good = &service.answers[TEST_CHAIN].body;
    _cleanup_(check_chain_done) struct check_chain chain = {};
    _cleanup_buffer_ struct buffer bad = {};
    UI_METHOD *method = UI_create_method("counts");

    buffer_printf(&bad,
                  "%sProc-Type: 4,ENCRYPTED\n"
                  "DEK-Info: AES-256-CBC,00112233445566778899AABBCCDDEEFF\n\n%s",
                  line, strstr(buffer_text(good), line) + strlen(line));
    UI_method_set_opener(method, count_question);
    UI_set_default_method(method);
    expect_code(check_chain_parse(service.roots, DEV_PRODUCT, VEK_VCEK, stage.clock.now_ms,
                                  bad.data, bad.size, &chain),
                ERROR_INVALID_ARGUMENT);
    assert_int_equal(questions, 0);
    UI_set_default_method(UI_OpenSSL());
    UI_destroy_method(method);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(each_object_is_asked_for_once),
        TEST(table_carries_all_of_it),
        TEST(offline_serves_what_the_cache_has_and_asks_nobody),
        TEST(bad_answers_are_refused_and_not_kept),
        TEST(slow_answer_ends_at_the_limit),
        TEST(service_that_is_not_there_is_unavailable),
        TEST(plain_http_is_refused_unless_asked_for),
        TEST(chain_of_a_root_that_is_not_trusted_is_refused),
        TEST(certificate_that_ran_out_is_refused),
        TEST(certificate_of_another_tcb_is_refused),
        TEST(pauses_grow_and_are_jittered),
        TEST(retry_after_is_honoured_within_bounds),
        TEST(long_retry_after_ends_the_attempts_and_is_remembered),
        TEST(unknown_chip_is_not_asked_for_again_at_once),
        TEST(failures_are_limited_in_number),
        TEST(equal_requests_at_the_same_time_become_one),
        TEST(chain_of_the_other_kind_is_refused),
        TEST(time_judged_for_is_not_the_time_of_fetching),
        TEST(what_is_not_to_be_had_does_not_hold_up_the_rest),
        TEST(an_encrypted_chain_asks_nobody_for_its_pass_phrase),
    };

    return cmocka_run_group_tests(tests, start_service, stop_service);
}
