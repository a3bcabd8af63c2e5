/* Image versions and tiers: who may create what, and at what price. */
#include <unistd.h>

#include "schemas/catalog.pb-c.h"
#include "services/scheduler/reconcile.h"
#include "services/scheduler/test_kit.h"
#include "shared/base/alloc.h"

#define CREATE "svc.scheduler.workload.create"

static struct error *set_image(struct kit *kit, const char *verb, const char *version,
                               Coffer__V1__Artifact **ret_artifact)
{
    Coffer__V1__ArtifactRequest request = COFFER__V1__ARTIFACT_REQUEST__INIT;

    request.version = arena_strdup(kit->arena, version);
    return kit_call(kit, arena_printf(kit->arena, "svc.scheduler.artifact.%s", verb), &request.base,
                    ret_artifact);
}

static Coffer__V1__Artifact *artifact(struct kit *kit, const char *version)
{
    Coffer__V1__Artifact *found;
    uint64_t record_version;

    kit_ok(record_load(kit->scheduler, KEY_ARTIFACT, version, &coffer__v1__artifact__descriptor,
                       kit->arena, &found, &record_version));
    return found;
}

static struct error *create(struct kit *kit, const char *id)
{
    return kit_call(kit, CREATE, &kit_create_request(kit, id)->base, NULL);
}

/* cpus 2, 1024 MiB, 10 GiB: what kit_create_request() asks for. */
static Coffer__V1__WorkloadTier *tier(struct kit *kit)
{
    Coffer__V1__WorkloadTier *made = arena_alloc(kit->arena, sizeof(*made));
    Coffer__V1__Resources *resources = arena_alloc(kit->arena, sizeof(*resources));

    coffer__v1__workload_tier__init(made);
    coffer__v1__resources__init(resources);
    resources->cpus = 2;
    resources->memory_mib = 1024;
    resources->disk_gib = 10;
    made->name = arena_strdup(kit->arena, "small");
    made->resources = resources;
    made->usd_micros_per_minute = 1500;
    return made;
}

static struct error *tier_call(struct kit *kit, const char *verb,
                               const Coffer__V1__WorkloadTier *wanted,
                               Coffer__V1__WorkloadTier **ret_tier)
{
    return kit_call(kit, arena_printf(kit->arena, "svc.scheduler.tier.%s", verb), &wanted->base,
                    ret_tier);
}

static struct error *tier_delete(struct kit *kit, const char *id)
{
    Coffer__V1__WorkloadTierRequest request = COFFER__V1__WORKLOAD_TIER_REQUEST__INIT;

    request.tier_id = (char *)id;
    return kit_call(kit, "svc.scheduler.tier.delete", &request.base, NULL);
}

static size_t members(struct kit *kit, const char *set)
{
    const char **ids;
    size_t n;

    kit_ok(store_members(kit->store, set, 100, kit->arena, &ids, &n));
    return n;
}

static size_t count_tiers(struct kit *kit)
{
    Coffer__V1__WorkloadTiers *all;
    uint64_t version;

    kit_ok(record_load(kit->scheduler, KEY_TIERS, "", &coffer__v1__workload_tiers__descriptor,
                       kit->arena, &all, &version));
    return all ? all->n_tiers : 0;
}

static void test_images_of_the_start_are_enabled(void **state)
{
    struct kit *kit = *state;
    const Coffer__V1__Artifact *found = artifact(kit, KIT_IMAGE);

    assert_true(found->enabled);
    assert_true(found->built_at_ms > 0);
    assert_int_equal(members(kit, KEY_ARTIFACTS), 1);
}

static void test_a_disabled_image_takes_no_new_workload(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    Coffer__V1__Artifact *answer;
    kit_run_workload(kit, "w1", &guest);
    kit_ok(set_image(kit, "disable", KIT_IMAGE, &answer));
    assert_false(answer->enabled);
    kit_code(create(kit, "w2"), ERROR_NOT_FOUND);
    assert_null(kit_workload(kit, "w2"));
    assert_int_equal(kit_host_record(kit, "h1")->used->memory_mib, 1024);
    /* The one that runs is left alone, the same create again is answered, a restart works. */
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_RUNNING);
    kit_ok(create(kit, "w1"));
    kit_ok(kit_wish(kit, "restart", "w1"));
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_STARTING);
    kit_ok(set_image(kit, "enable", KIT_IMAGE, &answer));
    assert_true(answer->enabled);
    kit_ok(create(kit, "w2"));
}

/* A lost host's workload finds another place although its image was disabled meanwhile. */
static void test_a_disabled_image_can_still_move(void **state)
{
    struct kit *kit = *state;
    kit_tick(kit);
    kit_create(kit, "w1");
    kit_tick(kit);
    assert_string_equal(kit_workload(kit, "w1")->host_id, "h1");
    kit_ok(set_image(kit, "disable", KIT_IMAGE, NULL));
    for (int i = 0; i < 3; i++) {
        clock_fake_advance(&kit->clock, 30000);
        kit_heartbeat(kit, 1);
        kit_ok(reconcile_pass(kit->scheduler));
    }
    assert_int_equal(kit_status(kit, "w1"), STATUS_WAITING);
    kit_ok(kit_wish(kit, "restart", "w1"));
    assert_string_equal(kit_workload(kit, "w1")->host_id, "h2");
}

static void test_disabled_stays_disabled_over_a_restart(void **state)
{
    struct kit *kit = *state;
    kit_tick(kit);
    kit_ok(set_image(kit, "disable", KIT_IMAGE, NULL));
    kit_restart_scheduler(kit);
    assert_false(artifact(kit, KIT_IMAGE)->enabled);
    kit_code(create(kit, "w1"), ERROR_NOT_FOUND);
    kit_ok(set_image(kit, "enable", KIT_IMAGE, NULL));
    kit_restart_scheduler(kit);
    kit_ok(create(kit, "w1"));
}

static void test_what_is_so_already_is_not_written_again(void **state)
{
    struct kit *kit = *state;
    int64_t changed_ms = artifact(kit, KIT_IMAGE)->changed_at_ms;

    clock_fake_advance(&kit->clock, 1000);
    kit_ok(set_image(kit, "enable", KIT_IMAGE, NULL));
    assert_int_equal(artifact(kit, KIT_IMAGE)->changed_at_ms, changed_ms);
    kit_ok(set_image(kit, "disable", KIT_IMAGE, NULL));
    changed_ms = artifact(kit, KIT_IMAGE)->changed_at_ms;
    clock_fake_advance(&kit->clock, 1000);
    kit_ok(set_image(kit, "disable", KIT_IMAGE, NULL));
    assert_int_equal(artifact(kit, KIT_IMAGE)->changed_at_ms, changed_ms);
}

static void test_an_image_that_is_added_later_waits(void **state)
{
    struct kit *kit = *state;
    _cleanup_free_ char *path = xasprintf("%s/images/2.0.json", kit->dir);
    _cleanup_free_ char *third = xasprintf("%s/images/3.0.json", kit->dir);

    kit_add_image(kit, "2.0");
    kit_add_image(kit, "3.0");
    assert_null(artifact(kit, "2.0"));
    kit_ok(set_image(kit, "enable", "2.0", NULL));
    assert_true(artifact(kit, "2.0")->enabled);
    /* One can be disabled before it was ever enabled; then a start does not enable it. */
    kit_ok(set_image(kit, "disable", "3.0", NULL));
    kit_restart_scheduler(kit);
    assert_false(artifact(kit, "3.0")->enabled);
    /* Without its file it can be disabled, not enabled. */
    unlink(path);
    unlink(third);
    kit_ok(set_image(kit, "enable", KIT_IMAGE, NULL));
    kit_code(set_image(kit, "enable", "3.0", NULL), ERROR_NOT_FOUND);
    kit_code(set_image(kit, "enable", "2.0", NULL), ERROR_NOT_FOUND);
    kit_ok(set_image(kit, "disable", "2.0", NULL));
}

static void test_images_that_are_not_there(void **state)
{
    static const char *const versions[] = {
        "",
        ".",
        "..",
        "../1.0",
        "1.0/",
        "9.9",
        "1.0\n",
        "1.0.json",
        "0123456789012345678901234567890123456789012345678901234567890123456789"};
    static const char *const verbs[] = {"enable", "disable"};
    struct kit *kit = *state;

    for (size_t i = 0; i < ELEMENTSOF(versions); i++)
        for (size_t k = 0; k < ELEMENTSOF(verbs); k++)
            kit_code(set_image(kit, verbs[k], versions[i], NULL), ERROR_NOT_FOUND);
    assert_int_equal(members(kit, KEY_ARTIFACTS), 1);
    assert_true(artifact(kit, KIT_IMAGE)->enabled);
}

static void test_without_tiers_any_size_is_free(void **state)
{
    struct kit *kit = *state;
    kit_tick(kit);
    assert_int_equal(kit_create(kit, "w1")->usd_micros_per_minute, 0);
}

static void test_with_tiers_a_size_must_match_exactly(void **state)
{
    struct kit *kit = *state;
    kit_tick(kit);
    kit_ok(tier_call(kit, "create", tier(kit), NULL));
    assert_int_equal(kit_create(kit, "w1")->usd_micros_per_minute, 1500);
    for (int i = 0; i < 4; i++) {
        Coffer__V1__CreateWorkloadRequest *request = kit_create_request(kit, "w2");
        request->resources->cpus -= i == 0;
        request->resources->memory_mib -= i == 1;
        request->resources->disk_gib -= i == 2;
        request->resources->gpus += i == 3;
        kit_code(kit_call(kit, CREATE, &request->base, NULL), ERROR_OUT_OF_RANGE);
    }
    assert_null(kit_workload(kit, "w2"));
    assert_int_equal(kit_host_record(kit, "h1")->used->memory_mib, 1024);
}

static void test_a_later_price_does_not_reach_a_workload(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__WorkloadTier *made;
    kit_tick(kit);
    kit_ok(tier_call(kit, "create", tier(kit), &made));
    kit_create(kit, "w1");
    made->usd_micros_per_minute = 9;
    made->name = (char *)"cheap";
    clock_fake_advance(&kit->clock, 1000);
    kit_ok(tier_call(kit, "update", made, &made));
    assert_string_equal(made->name, "cheap");
    assert_true(made->updated_at_ms > made->created_at_ms);
    assert_int_equal(kit_workload(kit, "w1")->usd_micros_per_minute, 1500);
    assert_int_equal(kit_create(kit, "w2")->usd_micros_per_minute, 9);
    kit_ok(tier_delete(kit, made->tier_id));
    kit_ok(kit_wish(kit, "restart", "w1"));
    assert_int_equal(kit_workload(kit, "w1")->usd_micros_per_minute, 1500);
}

static void test_tiers_survive_a_restart(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__WorkloadTier *made;
    kit_tick(kit);
    kit_ok(tier_call(kit, "create", tier(kit), &made));
    kit_restart_scheduler(kit);
    Coffer__V1__CreateWorkloadRequest *request = kit_create_request(kit, "w1");
    request->resources->cpus = 1;
    kit_code(kit_call(kit, CREATE, &request->base, NULL), ERROR_OUT_OF_RANGE);
    assert_int_equal(kit_create(kit, "w1")->usd_micros_per_minute, 1500);
    /* The last one gone, any size is possible again. */
    kit_ok(tier_delete(kit, made->tier_id));
    kit_restart_scheduler(kit);
    request = kit_create_request(kit, "w2");
    request->resources->cpus = 1;
    kit_ok(kit_call(kit, CREATE, &request->base, NULL));
}

static void test_two_tiers_never_have_one_size(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__WorkloadTier *first;
    Coffer__V1__WorkloadTier *second;
    Coffer__V1__WorkloadTier *other = tier(kit);

    kit_ok(tier_call(kit, "create", tier(kit), &first));
    kit_code(tier_call(kit, "create", tier(kit), NULL), ERROR_ALREADY_EXISTS);
    other->resources->cpus = 3;
    kit_ok(tier_call(kit, "create", other, &second));
    second->resources->cpus = 2;
    kit_code(tier_call(kit, "update", second, NULL), ERROR_ALREADY_EXISTS);
    /* A tier that moves away leaves its size to others. */
    first->resources->cpus = 4;
    kit_ok(tier_call(kit, "update", first, NULL));
    kit_ok(tier_call(kit, "update", second, NULL));
    assert_int_equal(count_tiers(kit), 2);
    other->resources->cpus = 3;
    kit_ok(tier_call(kit, "create", other, NULL));
    assert_int_equal(count_tiers(kit), 3);
}

/* As after an answer that was lost: the same id and the same tier are the same request. */
static void test_a_repeated_create_makes_no_second_tier(void **state)
{
    static const struct {
        const char *id;
        const char *name;
        uint32_t cpus;
        uint64_t cost;
        enum error_code code;
    } rows[] = {
        {"t-1", "small", 2, 1500, ERROR_OK},
        {"t-1", "small", 2, 1500, ERROR_OK},
        {"t-1", "other", 2, 1500, ERROR_ALREADY_EXISTS},
        {"t-1", "small", 3, 1500, ERROR_ALREADY_EXISTS},
        {"t-1", "small", 2, 1501, ERROR_ALREADY_EXISTS},
        {"t-2", "small", 2, 1500, ERROR_ALREADY_EXISTS},
        {"T 1", "small", 4, 1500, ERROR_INVALID_ARGUMENT},
    };
    struct kit *kit = *state;

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Coffer__V1__WorkloadTier *wanted = tier(kit);
        Coffer__V1__WorkloadTier *made = NULL;
        wanted->tier_id = (char *)rows[i].id;
        wanted->name = (char *)rows[i].name;
        wanted->resources->cpus = rows[i].cpus;
        wanted->usd_micros_per_minute = rows[i].cost;
        kit_code(tier_call(kit, "create", wanted, &made), rows[i].code);
        if (rows[i].code == ERROR_OK)
            assert_string_equal(made->tier_id, "t-1");
        assert_int_equal(count_tiers(kit), 1);
    }
}

struct bad_tier {
    const char *name;
    uint32_t cpus;
    uint64_t memory_mib;
    uint64_t disk_gib;
    uint32_t gpus;
    uint64_t cost;
};

static const struct bad_tier bad_tiers[] = {
    {"", 2, 1024, 10, 0, 1},
    {"t", 0, 1024, 10, 0, 1},
    {"t", 65, 1024, 10, 0, 1},
    {"t", 2, 255, 10, 0, 1},
    {"t", 2, 4 * 1024 * 1024 + 1, 10, 0, 1},
    {"t", 2, 1024, 0, 0, 1},
    {"t", 2, 1024, 64 * 1024 + 1, 0, 1},
    {"t", 2, 1024, 10, 17, 1},
    {"t", 2, 1024, 10, 0, 0},
    {"t", 2, 1024, 10, 0, 1000000000001},
    {"0123456789012345678901234567890123456789012345678901234567890123456789"
     "0123456789012345678901234567890123456789012345678901234567890123456789",
     2, 1024, 10, 0, 1},
};

static void test_bad_tiers(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__WorkloadTier *made;

    kit_ok(tier_call(kit, "create", tier(kit), &made));
    for (size_t i = 0; i < ELEMENTSOF(bad_tiers); i++) {
        const struct bad_tier *row = &bad_tiers[i];
        Coffer__V1__WorkloadTier *bad = tier(kit);
        bad->tier_id = made->tier_id;
        bad->name = (char *)row->name;
        bad->resources->cpus = row->cpus;
        bad->resources->memory_mib = row->memory_mib;
        bad->resources->disk_gib = row->disk_gib;
        bad->resources->gpus = row->gpus;
        bad->usd_micros_per_minute = row->cost;
        kit_code(tier_call(kit, "create", bad, NULL), ERROR_INVALID_ARGUMENT);
        kit_code(tier_call(kit, "update", bad, NULL), ERROR_INVALID_ARGUMENT);
    }
    Coffer__V1__WorkloadTier *sizeless = tier(kit);
    sizeless->resources = NULL;
    kit_code(tier_call(kit, "create", sizeless, NULL), ERROR_INVALID_ARGUMENT);
    assert_int_equal(count_tiers(kit), 1);
    kit_tick(kit);
    assert_int_equal(kit_create(kit, "w1")->usd_micros_per_minute, 1500);
}

static void test_there_is_a_most_of_tiers(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__WorkloadTier *wanted = tier(kit);
    Coffer__V1__WorkloadTier *last = NULL;

    for (int i = 0; i < 256; i++) {
        wanted->resources->disk_gib = (uint64_t)i + 1;
        kit_ok(tier_call(kit, "create", wanted, &last));
    }
    wanted->resources->disk_gib = 1000;
    kit_code(tier_call(kit, "create", wanted, NULL), ERROR_FAILED_PRECONDITION);
    assert_int_equal(count_tiers(kit), 256);
    kit_ok(tier_delete(kit, last->tier_id));
    kit_ok(tier_call(kit, "create", wanted, NULL));
    kit_tick(kit);
    assert_int_equal(kit_create(kit, "w1")->usd_micros_per_minute, 1500);
}

static void test_tiers_that_are_not_there(void **state)
{
    static const char *const ids[] = {"", "x", "../tier", "a:b"};
    struct kit *kit = *state;

    for (size_t i = 0; i < ELEMENTSOF(ids); i++) {
        Coffer__V1__WorkloadTier *wanted = tier(kit);
        wanted->tier_id = (char *)ids[i];
        kit_code(tier_call(kit, "update", wanted, NULL), ERROR_NOT_FOUND);
        kit_code(tier_delete(kit, ids[i]), ERROR_NOT_FOUND);
    }
    assert_int_equal(count_tiers(kit), 0);
}

static void test_an_old_leader_is_fenced(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__WorkloadTier *made;
    Coffer__V1__WorkloadTier *wanted = tier(kit);
    uint64_t term;

    kit_ok(tier_call(kit, "create", tier(kit), &made));
    kit_ok(store_get_term(kit->store, &term));
    kit_ok(store_set_term(kit->store, term + 1));
    wanted->resources->cpus = 3;
    kit_code(tier_call(kit, "create", wanted, NULL), ERROR_UNAVAILABLE);
    kit_code(tier_call(kit, "create", made, NULL), ERROR_UNAVAILABLE); /* also a repeated one */
    wanted->tier_id = made->tier_id;
    kit_code(tier_call(kit, "update", wanted, NULL), ERROR_UNAVAILABLE);
    kit_code(tier_delete(kit, made->tier_id), ERROR_UNAVAILABLE);
    kit_code(set_image(kit, "disable", KIT_IMAGE, NULL), ERROR_UNAVAILABLE);
    assert_int_equal(count_tiers(kit), 1);
    assert_true(artifact(kit, KIT_IMAGE)->enabled);
    kit_restart_scheduler(kit);
    kit_tick(kit);
    assert_int_equal(kit_create(kit, "w1")->usd_micros_per_minute, 1500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_images_of_the_start_are_enabled),
        KIT_TEST(test_a_disabled_image_takes_no_new_workload),
        KIT_TEST(test_a_disabled_image_can_still_move),
        KIT_TEST(test_disabled_stays_disabled_over_a_restart),
        KIT_TEST(test_what_is_so_already_is_not_written_again),
        KIT_TEST(test_an_image_that_is_added_later_waits),
        KIT_TEST(test_images_that_are_not_there),
        KIT_TEST(test_without_tiers_any_size_is_free),
        KIT_TEST(test_with_tiers_a_size_must_match_exactly),
        KIT_TEST(test_a_later_price_does_not_reach_a_workload),
        KIT_TEST(test_tiers_survive_a_restart),
        KIT_TEST(test_two_tiers_never_have_one_size),
        KIT_TEST(test_a_repeated_create_makes_no_second_tier),
        KIT_TEST(test_bad_tiers),
        KIT_TEST(test_there_is_a_most_of_tiers),
        KIT_TEST(test_tiers_that_are_not_there),
        KIT_TEST(test_an_old_leader_is_fenced),
    };

    return cmocka_run_group_tests(tests, kit_group_setup, kit_group_teardown);
}
