/* The chip's collateral, from the key service to a guest's config disk. */
#include "shared/collateral/test_service.h"

#include "schemas/boot.pb-c.h"
#include "services/host-agent/testdata/agent.h"
#include "services/host-agent/vm_internal.h"
#include "shared/attestation/certificates.h"
#include "shared/base/reader.h"

static struct test_service service;

struct stage {
    char *dir;
    struct clock_fake clock;
    struct chip chip;
    struct host_collateral *collateral;
};

static int start_service(_unused_ void **state)
{
    test_service_start(&service);
    return test_chip_setup(state);
}

static int stop_service(_unused_ void **state)
{
    test_service_stop(&service);
    return 0;
}

static void open_collateral(struct stage *stage, const char *url)
{
    const struct host_collateral_options options = {
        .state_dir = stage->dir,
        .kds_url = url,
        .kds_ca = "",
        .chip = &stage->chip,
        .clock = &stage->clock.base,
        .roots = service.roots,
        .allow_http = true,
    };

    host_collateral_free(stage->collateral);
    expect_ok(host_collateral_new(&options, &stage->collateral));
}

static int set_up(void **state)
{
    struct stage *stage = xnew(struct stage);

    test_service_reset(&service);
    stage->dir = test_folder_new();
    clock_fake_init(&stage->clock, clock_wall_ms(clock_system()));
    stage->chip.kds = service.chips[0];
    open_collateral(stage, service.url);
    *state = stage;
    return 0;
}

static int tear_down(void **state)
{
    struct stage *stage = *state;

    host_collateral_free(stage->collateral);
    test_folder_free(stage->dir);
    free(stage);
    return 0;
}

/* false: no VCEK. */
static bool copy(struct stage *stage, struct certificate_table *ret_table, int64_t *ret_at_ms)
{
    static struct buffer bytes; /* the table points into it */

    buffer_done(&bytes);
    expect_ok(host_collateral_copy(stage->collateral, &bytes, ret_at_ms));
    expect_ok(certificate_table_parse(bytes.data, bytes.size, ret_table));
    bool there = ret_table->vcek.data != NULL;
    if (there)
        assert_memory_equal(ret_table->vcek.data, service.vceks[0], service.vcek_sizes[0]);
    else
        buffer_done(&bytes);
    return there;
}

static void test_table_is_complete_after_the_first_turn(void **state)
{
    struct stage *stage = *state;
    struct certificate_table table;
    int64_t at_ms = 0;

    expect_ok(host_collateral_refresh(stage->collateral));
    assert_true(copy(stage, &table, &at_ms));
    assert_non_null(table.ask.data);
    assert_non_null(table.ark.data);
    assert_non_null(table.crl.data);
    assert_int_equal(at_ms, stage->clock.now_ms);
}

static void test_starts_wait_for_the_first_turn_but_not_for_ever(void **state)
{
    struct stage *stage = *state;
    _cleanup_buffer_ struct buffer bytes = {0};
    struct certificate_table table;
    int64_t at_ms = 0;

    expect_code(host_collateral_copy(stage->collateral, &bytes, &at_ms), ERROR_UNAVAILABLE);
    clock_fake_advance(&stage->clock, HOST_COLLATERAL_WAIT_MS);
    assert_false(copy(stage, &table, &at_ms));
}

static void test_failed_turn_keeps_what_was_there(void **state)
{
    struct stage *stage = *state;
    struct certificate_table table;
    int64_t first_ms = stage->clock.now_ms, at_ms = 0;

    expect_ok(host_collateral_refresh(stage->collateral));
    clock_fake_advance(&stage->clock, HOST_COLLATERAL_REFRESH_MS);
    service.answers[TEST_CRL].status = 404;
    service.answers[TEST_CRL].failures = 1;
    expect_code(host_collateral_refresh(stage->collateral), ERROR_UNAVAILABLE);
    assert_true(copy(stage, &table, &at_ms));
    assert_non_null(table.crl.data);
    assert_int_equal(at_ms, first_ms); /* its age is told */
}

static void test_cache_serves_a_host_that_restarts_without_the_service(void **state)
{
    struct stage *stage = *state;
    struct certificate_table table;
    int64_t at_ms = 0;

    expect_ok(host_collateral_refresh(stage->collateral));
    open_collateral(stage, "offline");
    expect_ok(host_collateral_refresh(stage->collateral));
    assert_true(copy(stage, &table, &at_ms));
    assert_int_equal(test_service_asked(&service, TEST_VCEK), 1);
}

static void test_chip_that_the_service_does_not_know_is_said(void **state)
{
    struct stage *stage = *state;
    struct certificate_table table;
    int64_t at_ms = 0;

    service.answers[TEST_VCEK].status = 404;
    service.answers[TEST_VCEK].failures = 1;
    expect_code(host_collateral_refresh(stage->collateral), ERROR_NOT_FOUND);
    assert_false(copy(stage, &table, &at_ms)); /* settled: nobody waits for it */
}

static void test_thread_ends_while_the_service_is_slow(void **state)
{
    struct stage *stage = *state;

    service.answers[TEST_CHAIN].status = 503;
    service.answers[TEST_CHAIN].failures = UINT32_MAX;
    expect_ok(host_collateral_start(stage->collateral));
    while (test_service_asked(&service, TEST_CHAIN) == 0)
        sched_yield();
    host_collateral_free(stage->collateral); /* in the middle of its pauses */
    stage->collateral = NULL;
    assert_in_range(test_service_asked(&service, TEST_CHAIN), 1, 3);
}

static void test_config_disk_carries_the_table(void **state)
{
    struct stage *stage = *state;
    struct test_agent *t = test_agent_new();
    _cleanup_free_ char *path = xasprintf("%s/vms/w1/config.img", t->dir);
    _cleanup_buffer_ struct buffer disk = {0}, table = {0};
    struct reader in;
    int64_t at_ms = 0;

    t->agent->vms->options.collateral = stage->collateral;
    assert_null(test_agent_start(t, "w1", 1, NULL));
    struct error *err = vm_work(t->agent->vms); /* nothing fetched yet: the VM waits */
    error_free(err);
    assert_int_equal(access(path, F_OK), -1);
    expect_ok(host_collateral_refresh(stage->collateral));
    test_agent_work(t);
    expect_ok(host_collateral_copy(stage->collateral, &table, &at_ms));
    expect_ok(file_read(path, 1024 * 1024, &disk));
    reader_init(&in, disk.data, disk.size);
    reader_skip(&in, 12);
    uint32_t size = reader_u32be(&in);
    Coffer__V1__ConfigDisk *message =
        coffer__v1__config_disk__unpack(NULL, size, reader_view(&in, size));
    assert_int_equal(message->hints->collateral.len, table.size);
    assert_memory_equal(message->hints->collateral.data, table.data, table.size);
    assert_int_equal(message->hints->collateral_at_ms, at_ms);
    coffer__v1__config_disk__free_unpacked(message, NULL);
    test_agent_free(t);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_table_is_complete_after_the_first_turn),
        TEST(test_starts_wait_for_the_first_turn_but_not_for_ever),
        TEST(test_failed_turn_keeps_what_was_there),
        TEST(test_cache_serves_a_host_that_restarts_without_the_service),
        TEST(test_chip_that_the_service_does_not_know_is_said),
        TEST(test_thread_ends_while_the_service_is_slow),
        TEST(test_config_disk_carries_the_table),
    };

    return cmocka_run_group_tests(tests, start_service, stop_service);
}
