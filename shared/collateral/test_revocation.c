/* CRLs: never backwards, stale rather than none, their age told. */
#include "shared/collateral/test_stage.h"

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

static void serve(uint64_t number, struct buffer *ret_crl)
{
    test_service_crl(&service, number, ret_crl);
    test_service_set_body(&service, TEST_CRL, ret_crl->data, ret_crl->size);
}

/* The first CRL, number 200, has been fetched and has become old. */
static struct buffer first;

static void get(struct collateral *ret)
{
    expect_ok(collateral_get(stage.client, VEK_VCEK, &service.chips[0], ret));
}

static int set_up(void **state)
{
    (void)state;
    _cleanup_(collateral_done) struct collateral collateral = {};

    test_stage_init(&stage, &service);
    serve(200, &first);
    get(&collateral);
    assert_int_equal(collateral.crl_origin.at_ms, stage.clock.now_ms);
    assert_false(collateral.crl_stale);
    clock_fake_advance(&stage.clock, COLLATERAL_CRL_MAX_AGE_MS);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buffer_done(&first);
    test_stage_done(&stage);
    return 0;
}

static void expect_crl(const struct buffer *expected, int64_t at_ms, bool stale, const char *note)
{
    _cleanup_(collateral_done) struct collateral collateral = {};

    get(&collateral);
    assert_int_equal(collateral.crl.size, expected->size);
    assert_memory_equal(collateral.crl.data, expected->data, expected->size);
    assert_int_equal(collateral.crl_origin.at_ms, at_ms);
    assert_int_equal(collateral.crl_stale, stale);
    if (note)
        assert_non_null(strstr(collateral.crl_note, note));
    else
        assert_null(collateral.crl_note);
}

static int64_t first_at(void)
{
    return stage.clock.now_ms - COLLATERAL_CRL_MAX_AGE_MS;
}

static void old_crl_is_asked_for_again(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer second = {};

    serve(201, &second);
    expect_crl(&second, stage.clock.now_ms, false, NULL);
    assert_int_equal(test_service_asked(&service, TEST_CRL), 2);
}

/* The service signs anew each time: other bytes with the same number are as good. */
static void same_number_signed_anew_is_taken(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer again = {};

    serve(200, &again);
    assert_memory_not_equal(again.data, first.data, first.size);
    expect_crl(&again, stage.clock.now_ms, false, NULL);
}

static void number_never_goes_back(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer older = {}, newer = {};

    serve(199, &older);
    expect_crl(&first, first_at(), true, "older");
    test_stage_restart(&stage, service.url); /* neither over a restart */
    expect_crl(&first, first_at(), true, "older");
    test_stage_restart(&stage, service.url);
    serve(201, &newer);
    expect_crl(&newer, stage.clock.now_ms, false, NULL);
}

static void bad_crls_leave_the_old_one_in_place(void **state)
{
    (void)state;
    static const char *const faults[] = {"truncated", "signature", "a certificate", "huge"};

    for (size_t i = 0; i < ELEMENTSOF(faults); i++) {
        _cleanup_buffer_ struct buffer bad = {};

        print_message("%s\n", faults[i]);
        test_service_crl(&service, 300, &bad);
        if (strcmp(faults[i], "truncated") == 0)
            bad.size--;
        else if (strcmp(faults[i], "signature") == 0)
            bad.data[bad.size - 1] ^= 1;
        else if (strcmp(faults[i], "huge") == 0)
            while (bad.size < 100 * 1024)
                buffer_add_u8(&bad, 0);
        if (strcmp(faults[i], "a certificate") == 0)
            test_service_set_body(&service, TEST_CRL, service.vceks[0], service.vcek_sizes[0]);
        else
            test_service_set_body(&service, TEST_CRL, bad.data, bad.size);
        test_stage_restart(&stage, service.url);
        expect_crl(&first, first_at(), true, "key service");
    }
}

static void service_away_gives_the_stale_one_with_its_age(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer second = {};
    int64_t at = first_at();

    service.answers[TEST_CRL].status = 503;
    service.answers[TEST_CRL].failures = UINT32_MAX;
    expect_crl(&first, at, true, "503");
    service.answers[TEST_CRL].failures = 0;
    serve(201, &second);
    expect_crl(&first, at, true, "just now"); /* not asked again at once */
    clock_fake_advance(&stage.clock, FETCH_FAILED_MS);
    expect_crl(&second, stage.clock.now_ms, false, NULL);
}

/* A clock that was set back must not make an old CRL look new for ever. */
static void crl_of_the_future_is_asked_for_again(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer second = {};

    clock_fake_advance(&stage.clock, -2 * COLLATERAL_CRL_MAX_AGE_MS);
    serve(201, &second);
    expect_crl(&second, stage.clock.now_ms, false, NULL);
}

/* Its own dates count beside the time of fetching, which is only the disk's word. */
static void a_list_past_its_next_update_is_asked_for_again(void **state)
{
    (void)state;
    const int64_t day_ms = 24 * 3600 * 1000LL;
    struct collateral_options options = test_stage_options(&stage);
    _cleanup_buffer_ struct buffer second = {};
    int64_t first_ms = first_at();

    options.crl_max_age_ms = 1000 * day_ms;
    collateral_client_free(stage.client);
    expect_ok(collateral_client_new(&options, &stage.client));
    serve(201, &second); /* good for a year from now on, like the first */
    clock_fake_advance(&stage.clock, 363 * day_ms);
    expect_crl(&first, first_ms, false, NULL);
    assert_int_equal(test_service_asked(&service, TEST_CRL), 1);
    clock_fake_advance(&stage.clock, 3 * day_ms);
    expect_crl(&second, stage.clock.now_ms, true, "next update");
    expect_crl(&second, stage.clock.now_ms, true, "just now"); /* not asked again at once */
    assert_int_equal(test_service_asked(&service, TEST_CRL), 2);
    clock_fake_advance(&stage.clock, FETCH_FAILED_MS);
    expect_crl(&second, stage.clock.now_ms, true, "next update");
    assert_int_equal(test_service_asked(&service, TEST_CRL), 3);
}

static void certificates_are_served_without_a_crl(void **state)
{
    (void)state;
    _cleanup_(collateral_done) struct collateral collateral = {};

    test_stage_done(&stage);
    test_stage_init(&stage, &service);
    service.answers[TEST_CRL].status = 404;
    service.answers[TEST_CRL].failures = 1;
    get(&collateral);
    assert_true(collateral.vcek.size > 0);
    assert_int_equal(collateral.crl.size, 0);
    assert_int_equal(collateral.crl_origin.at_ms, 0);
    assert_non_null(strstr(collateral.crl_note, "404"));
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(old_crl_is_asked_for_again),
        TEST(same_number_signed_anew_is_taken),
        TEST(number_never_goes_back),
        TEST(bad_crls_leave_the_old_one_in_place),
        TEST(service_away_gives_the_stale_one_with_its_age),
        TEST(crl_of_the_future_is_asked_for_again),
        TEST(a_list_past_its_next_update_is_asked_for_again),
        TEST(certificates_are_served_without_a_crl),
    };

    return cmocka_run_group_tests(tests, start_service, stop_service);
}
