/* What is asked for twice happens once, whoever came between; and of two who change what they both
 * have read, one is refused. */
#include <pthread.h>

#include "schemas/catalog.pb-c.h"
#include "services/scheduler/done_request.h"
#include "services/scheduler/test_kit.h"
#include "services/scheduler/test_store.h"
#include "services/scheduler/tiers.h"

enum { ROUNDS = 40, WRITERS = 4 };

static Coffer__V1__WorkloadTier *tier(struct kit *kit, const char *id, uint64_t cost)
{
    Coffer__V1__WorkloadTier *made = arena_alloc(kit->arena, sizeof(*made));
    Coffer__V1__Resources *resources = arena_alloc(kit->arena, sizeof(*resources));

    coffer__v1__workload_tier__init(made);
    coffer__v1__resources__init(resources);
    resources->cpus = 2;
    resources->memory_mib = 1024;
    resources->disk_gib = 10;
    made->tier_id = (char *)id;
    made->name = (char *)"small";
    made->resources = resources;
    made->usd_micros_per_minute = cost;
    return made;
}

static struct error *tier_call(struct kit *kit, const char *verb,
                               const Coffer__V1__WorkloadTier *wanted,
                               Coffer__V1__WorkloadTier **ret_tier)
{
    return kit_call(kit, arena_printf(kit->arena, "svc.scheduler.tier.%s", verb), &wanted->base,
                    ret_tier);
}

static Coffer__V1__WorkloadTiers *tiers(struct kit *kit, Coffer__V1__TiersExpectation *ret_expected)
{
    Coffer__V1__WorkloadTiers *all;
    uint64_t version;

    kit_ok(record_load(kit->scheduler, KEY_TIERS, "", &coffer__v1__workload_tiers__descriptor,
                       kit->arena, &all, &version));
    if (ret_expected) {
        coffer__v1__tiers_expectation__init(ret_expected);
        ret_expected->version = version;
    }
    return all;
}

static uint64_t cost_of_first(struct kit *kit)
{
    return tiers(kit, NULL)->tiers[0]->usd_micros_per_minute;
}

/* One administrator of several, on a thread of his own. */
struct writer {
    struct scheduler *scheduler;
    pthread_barrier_t *start;
    const Coffer__V1__WorkloadTier *wanted;
    struct error *err;
};

static void *write_tier(void *data)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct writer *writer = data;
    Coffer__V1__WorkloadTier *changed;

    pthread_barrier_wait(writer->start);
    writer->err = tier_update(writer->scheduler, writer->wanted, arena, &changed);
    return NULL;
}

/* Returns the cost that won. */
static uint64_t race(struct kit *kit, struct writer writers[WRITERS])
{
    pthread_t threads[WRITERS];
    uint64_t won = 0;
    unsigned refused = 0;

    for (size_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_tier, &writers[i]), 0);
    for (size_t i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < WRITERS; i++) {
        if (!writers[i].err)
            won = writers[i].wanted->usd_micros_per_minute;
        else if (strcmp(error_reason(writers[i].err), "if_match") == 0)
            refused += error_get_code(writers[i].err) == ERROR_ABORTED;
        error_free(writers[i].err);
    }
    assert_int_equal(refused, WRITERS - 1);
    assert_int_equal(cost_of_first(kit), won);
    return won;
}

static void test_of_writers_at_once_one_wins(void **state)
{
    struct kit *kit = *state;
    struct writer writers[WRITERS];
    Coffer__V1__TiersExpectation expected;
    pthread_barrier_t start;

    kit_ok(tier_call(kit, "create", tier(kit, "t-1", 1), NULL));
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        tiers(kit, &expected);
        pthread_barrier_init(&start, NULL, WRITERS);
        for (uint64_t i = 0; i < WRITERS; i++) {
            Coffer__V1__WorkloadTier *wanted = tier(kit, "t-1", 10 * round + i);
            wanted->if_match = &expected;
            writers[i] = (struct writer){kit->scheduler, &start, wanted, NULL};
        }
        assert_true(race(kit, writers) >= 10 * round);
        pthread_barrier_destroy(&start);
    }
}

static struct error *tier_delete_if(struct kit *kit, Coffer__V1__TiersExpectation *expected,
                                    const char *request_id)
{
    Coffer__V1__WorkloadTierRequest request = COFFER__V1__WORKLOAD_TIER_REQUEST__INIT;

    request.tier_id = (char *)"t-1";
    request.if_match = expected;
    request.request_id = (char *)request_id;
    return kit_call(kit, "svc.scheduler.tier.delete", &request.base, NULL);
}

static struct error *tier_update_if(struct kit *kit, Coffer__V1__TiersExpectation *expected,
                                    const char *request_id)
{
    Coffer__V1__WorkloadTier *wanted = tier(kit, "t-1", 7);

    wanted->if_match = expected;
    wanted->request_id = (char *)request_id;
    return tier_call(kit, "update", wanted, NULL);
}

typedef struct error *(*tier_change)(struct kit *kit, Coffer__V1__TiersExpectation *expected,
                                     const char *request_id);
static const tier_change tier_changes[] = {tier_update_if, tier_delete_if};

static void refused_as_stale(struct error *err)
{
    assert_string_equal(error_reason(err), "if_match");
    kit_code(err, ERROR_ABORTED);
}

static void test_old_expectations_of_tiers(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__TiersExpectation none;
    Coffer__V1__TiersExpectation old;
    Coffer__V1__TiersExpectation now;

    tiers(kit, &none);
    kit_ok(tier_call(kit, "create", tier(kit, "t-1", 1), NULL));
    tiers(kit, &old);
    kit_ok(tier_call(kit, "update", tier(kit, "t-1", 2), NULL));
    for (size_t i = 0; i < ELEMENTSOF(tier_changes); i++) {
        tiers(kit, &now);
        refused_as_stale(tier_changes[i](kit, &none, ""));
        refused_as_stale(tier_changes[i](kit, &old, ""));
        kit_ok(tier_changes[i](kit, &now, ""));
    }
    assert_int_equal(tiers(kit, NULL)->n_tiers, 0);
}

static struct test_store *in_front(struct kit *kit, struct test_store *store)
{
    test_store_init(store, kit->store);
    store->data = kit;
    kit->scheduler->store = &store->base;
    return store;
}

/* Straight into the store: the one who comes between. */
static void touch_tiers(void *data)
{
    struct kit *kit = data;
    struct change change;
    Coffer__V1__TiersExpectation now;
    struct scheduler other = {.store = kit->store, .term = kit->scheduler->term};
    Coffer__V1__WorkloadTiers *all = tiers(kit, &now);

    change_init(&change, &other, kit->arena);
    change_put(&change, KEY_TIERS, "", now.version, &all->base, 0);
    kit_ok(change_commit(&change));
}

static void test_expectation_is_judged_on_the_tiers_that_are_changed(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__TiersExpectation now;
    struct test_store store;

    kit_ok(tier_call(kit, "create", tier(kit, "t-1", 1), NULL));
    tiers(kit, &now);
    in_front(kit, &store);
    for (size_t i = 0; i < ELEMENTSOF(tier_changes); i++) {
        store.before_commit = touch_tiers;
        refused_as_stale(tier_changes[i](kit, &now, "r"));
        tiers(kit, &now);
    }
    kit->scheduler->store = kit->store;
    assert_int_equal(cost_of_first(kit), 1);
}

/* Done, the answer lost, something else since: the retry has its answer, and undoes nothing. */
static void test_tiers_change_once(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__TiersExpectation before;
    Coffer__V1__WorkloadTier *wanted = tier(kit, "t-1", 1);
    Coffer__V1__WorkloadTier *again;
    struct test_store store;

    in_front(kit, &store)->lose_answer = true;
    wanted->request_id = (char *)"r-create";
    kit_code(tier_call(kit, "create", wanted, NULL), ERROR_UNAVAILABLE);
    kit_ok(tier_call(kit, "update", tier(kit, "t-1", 2), NULL));
    kit_ok(tier_call(kit, "create", wanted, &again));
    assert_int_equal(again->usd_micros_per_minute, 2);

    tiers(kit, &before);
    store.lose_answer = true;
    kit_code(tier_update_if(kit, &before, "r-update"), ERROR_UNAVAILABLE);
    refused_as_stale(tier_update_if(kit, &before, "")); /* nobody knows that it is the same */
    refused_as_stale(tier_update_if(kit, &before, "r-other"));
    kit_ok(tier_call(kit, "update", tier(kit, "t-1", 3), NULL));
    kit_ok(tier_update_if(kit, &before, "r-update"));
    assert_int_equal(cost_of_first(kit), 3);

    tiers(kit, &before);
    store.lose_answer = true;
    kit_code(tier_delete_if(kit, &before, "r-delete"), ERROR_UNAVAILABLE);
    kit_ok(tier_delete_if(kit, &before, "r-delete"));
    kit_code(tier_delete_if(kit, NULL, ""), ERROR_NOT_FOUND);
    kit_ok(tier_call(kit, "create", wanted, &again)); /* as it was asked for: it is gone */
    assert_string_equal(again->tier_id, "t-1");
    assert_int_equal(tiers(kit, NULL)->n_tiers, 0);
    kit->scheduler->store = kit->store;
}

static Coffer__V1__Expectation *expected(struct kit *kit)
{
    Coffer__V1__Expectation *expectation = arena_alloc(kit->arena, sizeof(*expectation));
    const Coffer__V1__Workload *workload = kit_workload(kit, "w1");

    coffer__v1__expectation__init(expectation);
    expectation->generation = workload->generation;
    expectation->event_sequence = workload->event_sequence;
    return expectation;
}

struct ask {
    const char *verb;
    const char *request_id;
    Coffer__V1__Expectation *if_match;
};

static struct error *update(struct kit *kit, const struct ask *ask)
{
    const Coffer__V1__CreateWorkloadRequest *as = kit_create_request(kit, "w1");
    Coffer__V1__UpdateWorkloadRequest request = COFFER__V1__UPDATE_WORKLOAD_REQUEST__INIT;

    request.workload_id = as->workload_id;
    request.manifest = as->manifest;
    request.compose = as->compose;
    request.files = as->files;
    request.n_files = as->n_files;
    request.image_version = as->image_version;
    request.domain = as->domain;
    request.name = (char *)"renamed";
    request.request_id = (char *)ask->request_id;
    request.if_match = ask->if_match;
    return kit_call(kit, "svc.scheduler.workload.update", &request.base, NULL);
}

static struct error *create(struct kit *kit, const struct ask *ask)
{
    Coffer__V1__CreateWorkloadRequest *request = kit_create_request(kit, "w1");

    request->request_id = (char *)ask->request_id;
    return kit_call(kit, "svc.scheduler.workload.create", &request->base, NULL);
}

static struct error *wish(struct kit *kit, const struct ask *ask)
{
    Coffer__V1__WorkloadRequest request = COFFER__V1__WORKLOAD_REQUEST__INIT;
    Coffer__V1__RestartWorkloadRequest restart = COFFER__V1__RESTART_WORKLOAD_REQUEST__INIT;
    const bool is_restart = strcmp(ask->verb, "restart") == 0;

    request.workload_id = restart.workload_id = (char *)"w1";
    request.request_id = restart.request_id = (char *)ask->request_id;
    request.if_match = restart.if_match = ask->if_match;
    return kit_call(kit, arena_printf(kit->arena, "svc.scheduler.workload.%s", ask->verb),
                    is_restart ? &restart.base : &request.base, NULL);
}

/* Without id and expectation. */
static void between(struct kit *kit, const char *verb)
{
    const struct ask ask = {verb, "", NULL};

    kit_ok(strcmp(verb, "update") == 0 ? update(kit, &ask) : wish(kit, &ask));
}

/* What somebody else does before the retry would be undone, or is in its way. */
static const struct row {
    const char *verb;
    struct error *(*call)(struct kit *kit, const struct ask *ask);
    const char *first;   /* what makes it a change; NULL: nothing */
    const char *between; /* NULL: nothing but events */
} rows[] = {
    {"restart", wish, NULL, NULL},       {"restart", wish, NULL, "stop"},
    {"restart", wish, NULL, "update"},   {"restart", wish, NULL, "restart"},
    {"restart", wish, NULL, "delete"},   {"stop", wish, NULL, NULL},
    {"stop", wish, NULL, "start"},       {"stop", wish, NULL, "delete"},
    {"start", wish, "stop", NULL},       {"start", wish, "stop", "stop"},
    {"start", wish, "stop", "delete"},   {"delete", wish, NULL, NULL},
    {"update", update, NULL, NULL},      {"update", update, NULL, "stop"},
    {"update", update, NULL, "restart"}, {"update", update, NULL, "delete"},
};

static void do_once(struct kit *kit, struct test_store *store, const struct row *row)
{
    const struct ask ask = {row->verb, "r-1", expected(kit)};
    const struct ask unknown = {row->verb, "", ask.if_match};

    store->lose_answer = true;
    kit_code(row->call(kit, &ask), ERROR_UNAVAILABLE);
    kit_ok(row->call(kit, &ask));
    if (row->between)
        between(kit, row->between);
    const Coffer__V1__Workload *before = kit_workload(kit, "w1");
    kit_ok(row->call(kit, &ask));
    refused_as_stale(row->call(kit, &unknown));
    const Coffer__V1__Workload *after = kit_workload(kit, "w1");
    if (before->generation != after->generation ||
        before->event_sequence != after->event_sequence || before->desired != after->desired)
        fail_msg("%s, then %s: done again", row->verb, row->between ?: "nothing");
}

static void test_workloads_change_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        struct test_store store;
        void *place = NULL;
        assert_int_equal(kit_setup(&place), 0);
        struct kit *kit = place;
        kit_tick(kit);
        kit_create(kit, "w1");
        if (rows[i].first)
            between(kit, rows[i].first);
        in_front(kit, &store);
        do_once(kit, &store, &rows[i]);
        kit->scheduler->store = kit->store;
        assert_int_equal(kit_teardown(&place), 0);
    }
}

/* Also when it was changed, and when it was deleted. */
static void test_a_workload_is_made_once(void **state)
{
    static const char *const changes[] = {"update", "delete"};
    struct kit *kit = *state;
    const struct ask ask = {"create", "r-1", NULL};
    const struct ask other = {"create", "r-2", NULL};
    struct test_store store;

    kit_tick(kit);
    in_front(kit, &store)->lose_answer = true;
    kit_code(create(kit, &ask), ERROR_UNAVAILABLE);
    for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
        kit_ok(create(kit, &ask));
        between(kit, changes[i]);
        const uint64_t generation = kit_workload(kit, "w1")->generation;
        kit_ok(create(kit, &ask));
        assert_int_equal(kit_workload(kit, "w1")->generation, generation);
    }
    kit_code(create(kit, &other), ERROR_ALREADY_EXISTS);
    kit->scheduler->store = kit->store;
}

/* A tombstone may be kept for less than the note. */
static void test_what_is_deleted_and_forgotten_is_not_made_again(void **state)
{
    struct kit *kit = *state;
    const struct ask ask = {"create", "r-1", NULL};

    kit_tick(kit);
    kit_ok(create(kit, &ask));
    between(kit, "delete");
    kit_tick(kit);
    kit_tick(kit);
    clock_fake_advance(&kit->clock, (int64_t)kit->config.tombstone_ms + 1);
    assert_null(kit_workload(kit, "w1"));
    kit_tick(kit);
    kit_code(create(kit, &ask), ERROR_ALREADY_EXISTS);
    assert_null(kit_workload(kit, "w1"));
}

/* The key of a nightly restart is the same every night. */
static void test_a_day_later_it_is_another_request(void **state)
{
    struct kit *kit = *state;
    const struct ask ask = {"restart", "r-1", NULL};

    kit_tick(kit);
    kit_create(kit, "w1");
    kit_ok(wish(kit, &ask));
    clock_fake_advance(&kit->clock, DONE_REQUEST_KEEP_MS - 1);
    kit_ok(wish(kit, &ask));
    assert_int_equal(kit_workload(kit, "w1")->generation, 2);
    clock_fake_advance(&kit->clock, 1);
    kit_ok(wish(kit, &ask));
    assert_int_equal(kit_workload(kit, "w1")->generation, 3);
}

/* What changed nothing was not done. */
static void test_what_was_refused_can_be_done_later(void **state)
{
    struct kit *kit = *state;
    struct ask ask = {"start", "r-1", NULL};
    Coffer__V1__Expectation *old;

    kit_tick(kit);
    kit_create(kit, "w1");
    old = expected(kit);
    kit_ok(wish(kit, &ask)); /* it runs already */
    between(kit, "stop");
    ask.if_match = old;
    refused_as_stale(wish(kit, &ask));
    ask.if_match = NULL;
    kit_ok(wish(kit, &ask));
    assert_int_equal(kit_workload(kit, "w1")->desired, COFFER__V1__DESIRED_STATE__DESIRED_RUNNING);
}

static struct error *set_image(struct kit *kit, const char *verb, const char *request_id)
{
    Coffer__V1__ArtifactRequest request = COFFER__V1__ARTIFACT_REQUEST__INIT;

    request.version = (char *)KIT_IMAGE;
    request.request_id = (char *)request_id;
    return kit_call(kit, arena_printf(kit->arena, "svc.scheduler.artifact.%s", verb), &request.base,
                    NULL);
}

static void test_an_image_is_disabled_once(void **state)
{
    struct kit *kit = *state;
    struct test_store store;

    kit_tick(kit);
    in_front(kit, &store)->lose_answer = true;
    kit_code(set_image(kit, "disable", "r-1"), ERROR_UNAVAILABLE);
    kit_ok(set_image(kit, "enable", ""));
    kit_ok(set_image(kit, "disable", "r-1"));
    kit_create(kit, "w1"); /* it is enabled */
    kit->scheduler->store = kit->store;
}

static struct error *remove_host(struct kit *kit, const char *request_id)
{
    Coffer__V1__HostRequest request = COFFER__V1__HOST_REQUEST__INIT;

    request.host_id = (char *)"h1";
    request.request_id = (char *)request_id;
    return kit_call(kit, "svc.scheduler.host.delete", &request.base, NULL);
}

static void test_a_host_is_removed_once(void **state)
{
    struct kit *kit = *state;
    struct test_store store;

    kit_tick(kit);
    clock_fake_advance(&kit->clock, 60000);
    in_front(kit, &store)->lose_answer = true;
    kit_code(remove_host(kit, "r-1"), ERROR_UNAVAILABLE);
    kit_ok(remove_host(kit, "r-1"));
    kit_code(remove_host(kit, "r-2"), ERROR_NOT_FOUND);
    kit_heartbeat(kit, 0); /* it is back, and lost again */
    clock_fake_advance(&kit->clock, 60000);
    kit_ok(remove_host(kit, "r-1"));
    assert_non_null(kit_host_record(kit, "h1"));
    kit->scheduler->store = kit->store;
}

static void test_what_is_no_id(void **state)
{
    static const char *const ids[] = {
        "A",   "a b",  "a:b",
        "a\n", "../a", "0123456789012345678901234567890123456789012345678901234567890123x"};
    struct kit *kit = *state;

    kit_tick(kit);
    kit_create(kit, "w1");
    for (size_t i = 0; i < ELEMENTSOF(ids); i++) {
        const struct ask ask = {"restart", ids[i], NULL};
        kit_code(wish(kit, &ask), ERROR_INVALID_ARGUMENT);
        kit_code(update(kit, &ask), ERROR_INVALID_ARGUMENT);
        kit_code(create(kit, &ask), ERROR_INVALID_ARGUMENT);
        kit_code(tier_delete_if(kit, NULL, ids[i]), ERROR_INVALID_ARGUMENT);
        kit_code(set_image(kit, "disable", ids[i]), ERROR_INVALID_ARGUMENT);
        kit_code(remove_host(kit, ids[i]), ERROR_INVALID_ARGUMENT);
    }
    assert_int_equal(kit_workload(kit, "w1")->generation, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_of_writers_at_once_one_wins),
        KIT_TEST(test_old_expectations_of_tiers),
        KIT_TEST(test_expectation_is_judged_on_the_tiers_that_are_changed),
        KIT_TEST(test_tiers_change_once),
        cmocka_unit_test(test_workloads_change_once),
        KIT_TEST(test_a_workload_is_made_once),
        KIT_TEST(test_what_is_deleted_and_forgotten_is_not_made_again),
        KIT_TEST(test_a_day_later_it_is_another_request),
        KIT_TEST(test_what_was_refused_can_be_done_later),
        KIT_TEST(test_an_image_is_disabled_once),
        KIT_TEST(test_a_host_is_removed_once),
        KIT_TEST(test_what_is_no_id),
    };

    return cmocka_run_group_tests(tests, kit_group_setup, kit_group_teardown);
}
