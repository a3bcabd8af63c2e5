/* The boot of a guest with GPUs: what it shows, when it uses them, and when it does not. */
#include <jansson.h>

#include "services/guest-agent/test_machine.h"
#include "services/guest-agent/test_world.h"
#include "shared/attestation/binding.h"
#include "shared/base/test_findings.h"

enum { GPUS = 2 };

static struct test_guest_gpus minted;
static struct fake_nvml honest;
static struct machine machine;
static struct gpus *gpus;
static unsigned shown; /* requests with evidence that holds */

static int group_setup(void **state)
{
    (void)state;
    test_guest_gpus_init(&minted, FAKE_NVML, GPUS);
    honest = *minted.fake;
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    test_guest_gpus_done(&minted);
    return 0;
}

/* As the release authority does, which has all reference values. */
static void judge(const struct world *world, const Coffer__V1__AttestRequest *request)
{
    const Coffer__V1__Evidence *evidence = request->evidence;
    struct binding_bytes devices[GPUS], rims[2];
    uint8_t nonces[GPUS][32], key_hash[32];
    _cleanup_buffer_ struct buffer driver = {0}, vbios = {0};
    struct verify_result result;

    if (!expect_that(evidence->n_devices == GPUS))
        return;
    binding_guest_keys(world->identity.box.public, world->identity.sign.public, key_hash);
    for (size_t i = 0; i < GPUS; i++) {
        devices[i] = (struct binding_bytes){evidence->devices[i].data, evidence->devices[i].len};
        binding_gpu_nonce(world->nonce, key_hash, (uint32_t)i, nonces[i]);
    }
    mint_driver_rim(&minted.mint, &driver);
    mint_vbios_rim(&minted.mint, &vbios);
    rims[0] = (struct binding_bytes){driver.data, driver.size};
    rims[1] = (struct binding_bytes){vbios.data, vbios.size};
    const struct gpu_policy policy = {
        .roots = &minted.mint.roots,
        .nonces = (const uint8_t(*)[32])nonces,
        .rims = rims,
        .n_rims = 2,
        .n_gpus = GPUS,
        .at_ms = MINT_NOW_MS,
        .accept_no_revocation = true,
    };
    verify_result_init(&result);
    expect_no_error(verify_gpus(&policy, devices, GPUS, &result));
    const struct verify_step *problem = verify_result_first_problem(&result);
    if (problem)
        finding(false, __FILE__, __LINE__, problem->actual);
    verify_result_done(&result);
}

static void on_attest(struct world *world, const Coffer__V1__AttestRequest *request)
{
    expect_that(minted.fake->ready == 0); /* nobody uses them yet */
    judge(world, request);
    shown++;
}

static int setup(void **state)
{
    world_setup(state);
    struct world *world = *state;

    *minted.fake = honest;
    shown = 0;
    machine_init(&machine, &minted, GPUS);
    support_check(gpus_new(&machine.options, &gpus));
    world_use_gpus(world, gpus);
    world->saw_attest = on_attest;
    atomic_store(&world->clock.now_ms, MINT_NOW_MS);
    return 0;
}

static int teardown(void **state)
{
    world_teardown(state);
    gpus_free(TAKE_PTR(gpus));
    machine_done(&machine);
    assert_int_equal(minted.fake->started, 0);
    return 0;
}

/* Of our compose file; caller decrefs. */
static json_t *load_overlay(const struct world *world)
{
    _cleanup_free_ char *path = xasprintf("%s/app/coffer.json", world->dir);
    json_t *json = json_load_file(path, 0, NULL);

    assert_non_null(json);
    return json;
}

static json_t *attester_of(json_t *overlay)
{
    return json_object_get(json_object_get(overlay, "services"), "coffer-attester");
}

static void test_gpus_are_shown_then_used_then_given_to_the_attester(void **state)
{
    struct world *world = *state;

    assert_true(world_run(world));
    assert_int_equal(shown, 1);
    assert_int_equal(minted.fake->ready, 1);
    json_auto_t *overlay = load_overlay(world);
    json_t *devices = json_object_get(attester_of(overlay), "devices");
    json_t *environment = json_object_get(attester_of(overlay), "environment");
    assert_int_equal(json_array_size(devices), 4); /* the TEE, two GPUs, their control */
    _cleanup_free_ char *first = xasprintf("%s/nvidia0:/dev/nvidia0:rw", machine.dev);
    assert_string_equal(json_string_value(json_array_get(devices, 1)), first);
    assert_string_equal(json_string_value(json_object_get(environment, "ATTESTER_GPUS")), "nvml");
}

static void test_each_boot_number_asks_them_anew(void **state)
{
    struct world *world = *state;

    world->stale = 2;
    assert_true(world_run(world));
    assert_int_equal(shown, 3);
    assert_int_equal(world->challenges, 3);
}

static void test_a_guest_without_gpus_shows_none(void **state)
{
    struct world *world = *state;

    world->saw_attest = NULL;
    machine_take_away(&machine, "sys/bus/pci/devices/0000:01:00.0");
    machine_take_away(&machine, "sys/bus/pci/devices/0000:02:00.0");
    assert_true(world_run(world));
    assert_int_equal(minted.fake->ready, 0);
    json_auto_t *overlay = load_overlay(world);
    json_t *environment = json_object_get(attester_of(overlay), "environment");
    assert_null(json_object_get(environment, "ATTESTER_GPUS"));
    assert_int_equal(json_array_size(json_object_get(attester_of(overlay), "devices")), 1);
}

static void no_driver(_unused_ struct world *world)
{
    minted.fake->init = 9;
}

static void no_evidence(_unused_ struct world *world)
{
    minted.fake->report = 15;
}

static void bad_evidence(_unused_ struct world *world)
{
    minted.fake->replay = true;
    minted.fake->report_of = NULL; /* answers what it was never asked */
    minted.fake->report_size = (unsigned int)minted.gpus[0].evidence.exchange.size;
    memcpy(minted.fake->exchange, minted.gpus[0].evidence.exchange.data,
           minted.gpus[0].evidence.exchange.size);
}

static void not_ready(_unused_ struct world *world)
{
    minted.fake->set_ready = 3;
}

static void no_nodes(_unused_ struct world *world)
{
    machine_take_away(&machine, "dev/nvidia1");
}

static void refused(struct world *world)
{
    world->refuse = ERROR_PERMISSION_DENIED;
}

static void forged_bundle(struct world *world)
{
    world->attack = FOREIGN_KEY;
}

/* No step is left out on the way to running, and without the release no program uses a GPU. */
static void test_boots_end_that_must_not_use_the_gpus(void **state)
{
    static const struct {
        void (*spoil)(struct world *world);
        const char *stage, *code, *words;
        unsigned shown;
        bool asks_driver; /* to let programs use them */
    } rows[] = {
        {no_driver, "attest", "gpu_failed", "nvml: start: error 9", 0, false},
        {no_evidence, "attest", "gpu_failed", "gpu 0: nvml: report", 0, false},
        {bad_evidence, "attest", "gpu_failed", "another nonce", 0, false},
        {refused, "attest", "attest_refused", "measurement", 1, false},
        {forged_bundle, "release", "bundle_signature", "", 1, false},
        {no_nodes, "release", "gpu_failed", "2 GPUs, and device nodes of 1", 1, false},
        {not_ready, "release", "gpu_failed", "ready state: error 3", 1, true},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        struct world *world = *state;

        rows[i].spoil(world);
        world_expect_failure(world, rows[i].stage, rows[i].code);
        assert_non_null(strstr(world->stages[world->n_stages - 1].detail, rows[i].words));
        assert_int_equal(shown, rows[i].shown);
        assert_int_equal(minted.fake->ready, rows[i].asks_driver);
        assert_int_equal(world->served, 0);
        assert_int_equal(engine_fake_count(&world->engine, "login"), 0);
        assert_int_equal(engine_fake_count(&world->engine, "up"), 0);
        teardown(state);
        setup(state);
    }
}

/* It starts while the boot waits: NVML's third try goes well. */
static bool pause_until_driver(void *data, int ms)
{
    struct world *world = data;

    atomic_fetch_add(&world->clock.now_ms, ms);
    if (++world->pauses == 3)
        minted.fake->init = 0;
    return true;
}

static void test_the_driver_may_be_late(void **state)
{
    struct world *world = *state;

    minted.fake->init = 9;
    world->ports.pause = pause_until_driver;
    world_use_gpus(world, gpus);
    assert_true(world_run(world));
    assert_int_equal(shown, 1);
    assert_int_equal(world->challenges, 1);
}

static bool pause_ends(_unused_ void *data, _unused_ int ms)
{
    return false;
}

/* The program ends while it waits: that is no failure to tell. */
static void test_waiting_for_the_driver_ends_with_the_program(void **state)
{
    struct world *world = *state;

    minted.fake->init = 9;
    world->ports.pause = pause_ends;
    world_use_gpus(world, gpus);
    assert_false(world_run(world));
    assert_null(boot_failure_code(world->boot));
    assert_int_equal(shown, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_gpus_are_shown_then_used_then_given_to_the_attester),
        TEST(test_each_boot_number_asks_them_anew),
        TEST(test_a_guest_without_gpus_shows_none),
        TEST(test_boots_end_that_must_not_use_the_gpus),
        TEST(test_the_driver_may_be_late),
        TEST(test_waiting_for_the_driver_ends_with_the_program),
    };

    return cmocka_run_group_tests_name("boot with gpus", tests, group_setup, group_teardown);
}
