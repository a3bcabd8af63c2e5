/* Queues of webhooks in the store: once per event, leases, bounds. No sender is at work here.
 * WEBHOOK_TEST_REDIS: on a Redis server of each test's own; without redis-server skipped (77). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "services/api-gateway/json_record.h"
#include "services/api-gateway/webhook_queue.h"
#include "shared/base/alloc.h"
#include "shared/store/keys.h"
#include "shared/store/test_redis_server.h"

#define ID  "wh-1"
#define NOW INT64_C(1700000000000)

#ifdef WEBHOOK_TEST_REDIS
#define ON_REDIS true
#else
#define ON_REDIS false
#endif

struct scene {
    struct redis_server redis;
    struct store *store;
    struct arena *arena;
};

static void commit_webhook(const struct scene *scene, const struct webhook *webhook)
{
    struct store_write write = webhook_write(scene->arena, webhook);

    write.expected_version = UINT64_MAX;
    assert_null(
        store_commit(scene->store, &(struct store_change){.writes = &write, .n_writes = 1}));
}

static const struct webhook webhook = {
    .id = ID,
    .account = "dev",
    .url = "https://hooks.example/",
    .description = "",
    .events = {"*"},
    .n_events = 1,
    .active = true,
    .disabled_reason = "",
    .secret = "sealed",
    .previous_secret = "",
};

static void commit_account(const struct scene *scene, bool active)
{
    _cleanup_(json_decrefp) json_t *json =
        json_pack("{s:s, s:b}", "account", "dev", "active", active);
    const struct store_write write = {.key = KEY_ACCOUNT "dev",
                                      .expected_version = UINT64_MAX,
                                      .value = json_record_value(scene->arena, json)};

    assert_null(
        store_commit(scene->store, &(struct store_change){.writes = &write, .n_writes = 1}));
}

static struct scene scene_new(void)
{
    struct scene scene = {.arena = arena_new()};

    if (ON_REDIS)
        redis_server_start(&scene.redis);
    scene.store = ON_REDIS ? redis_server_open(&scene.redis) : store_memory_new();
    commit_account(&scene, true);
    commit_webhook(&scene, &webhook);
    return scene;
}

static void scene_done(struct scene *scene)
{
    store_free(scene->store);
    if (ON_REDIS)
        redis_server_end(&scene->redis);
    arena_free(scene->arena);
}
#define _cleanup_scene_ _cleanup_(scene_done)

static size_t add(const struct scene *scene, uint64_t sequence, size_t *ret_dropped)
{
    char name[DELIVERY_NAME_SIZE];
    const struct webhook *webhooks[] = {&webhook};
    const struct webhook_add what = {
        .delivery = {.name = name,
                     .event = "w-1.1",
                     .kind = "running",
                     .body = "{}",
                     .status = DELIVERY_PENDING,
                     .error = "",
                     .at_ms = NOW + (int64_t)sequence,
                     .next_ms = NOW},
        .webhooks = webhooks,
        .n = 1,
    };
    size_t added = 0;
    size_t dropped = 0;

    delivery_name_of_event(sequence, name);
    assert_null(webhook_queue_add(scene->store, &what, scene->arena, &added, &dropped));
    if (ret_dropped)
        *ret_dropped = dropped;
    return added;
}

static size_t claim(const struct scene *scene, int64_t now_ms, struct webhook_claim *ret_claims)
{
    size_t n = 0;
    size_t dropped = 0;

    assert_null(webhook_queue_claim(scene->store, ID, now_ms, WEBHOOK_AT_ONCE_MAX, scene->arena,
                                    ret_claims, &n, &dropped));
    return n;
}

static enum webhook_settled settle(const struct scene *scene, const struct webhook_claim *claimed,
                                   unsigned status, int64_t now_ms)
{
    const struct webhook_outcome outcome = {.delivered = status == 200, .response_status = status};
    enum webhook_settled settled = SETTLED_LOST;

    assert_null(
        webhook_queue_settle(scene->store, claimed, &outcome, now_ms, scene->arena, &settled));
    return settled;
}

static struct webhook_state state_of(const struct scene *scene)
{
    struct webhook_state result;

    assert_null(webhook_state_load(scene->store, ID, scene->arena, &result));
    return result;
}

static size_t count_due(const struct scene *scene, int64_t now_ms)
{
    struct webhook_due *due = NULL;
    size_t n = 0;

    assert_null(webhook_queues_due(scene->store, now_ms, scene->arena, &due, &n));
    return n;
}

static size_t count_members(const struct scene *scene, const char *set)
{
    const char **members = NULL;
    size_t n = 0;

    assert_null(store_members(scene->store, set, 10000, scene->arena, &members, &n));
    return n;
}

static void test_an_event_that_comes_again_makes_no_second_delivery(_unused_ void **state)
{
    _cleanup_scene_ struct scene scene = scene_new();
    struct webhook_claim claims[2];

    assert_int_equal(add(&scene, 7, NULL), 1);
    assert_int_equal(add(&scene, 7, NULL), 0);
    assert_int_equal(state_of(&scene).pending, 1);
    assert_int_equal(claim(&scene, NOW, claims), 1);
    assert_int_equal(add(&scene, 7, NULL), 0); /* on its way */
    assert_int_equal(settle(&scene, &claims[0], 200, NOW), SETTLED_DELIVERED);
    assert_int_equal(add(&scene, 7, NULL), 0); /* delivered */
    assert_int_equal(state_of(&scene).pending, 0);
    assert_int_equal(count_members(&scene, KEY_WEBHOOK_QUEUES), 0);
    assert_int_equal(add(&scene, 6, NULL), 1); /* an older one that comes late is another */
}

static void test_two_at_a_time_for_all_copies_together(_unused_ void **state)
{
    _cleanup_scene_ struct scene scene = scene_new();
    struct webhook_claim claims[2];
    struct webhook_claim more[2];

    for (uint64_t i = 1; i <= 5; i++)
        add(&scene, i, NULL);
    assert_int_equal(count_due(&scene, NOW), 1);
    assert_int_equal(claim(&scene, NOW, claims), 2);
    assert_string_not_equal(claims[0].delivery.name, claims[1].delivery.name);
    assert_int_equal(claim(&scene, NOW, more), 0);
    assert_int_equal(count_due(&scene, NOW), 0); /* nobody looks before one has ended */
    assert_int_equal(settle(&scene, &claims[0], 200, NOW), SETTLED_DELIVERED);
    assert_int_equal(count_due(&scene, NOW), 1);
    assert_int_equal(claim(&scene, NOW, more), 1);
    assert_string_equal(more[0].delivery.name, "e00000000000000000003"); /* the oldest first */
}

/* Copies of the gateway look at a queue over and over: one that writes its look down gets in the
 * way of those that have an outcome to tell. */
static void test_a_claim_that_finds_nothing_writes_nothing(_unused_ void **state)
{
    _cleanup_scene_ struct scene scene = scene_new();
    struct webhook_claim claims[2];

    for (uint64_t i = 1; i <= 3; i++)
        add(&scene, i, NULL);
    assert_int_equal(claim(&scene, NOW, claims), 2);
    uint64_t version = state_of(&scene).version;
    assert_int_equal(claim(&scene, NOW, claims), 0); /* all that may be are on their way */
    assert_int_equal(state_of(&scene).version, version);
    settle(&scene, &claims[0], 503, NOW);
    settle(&scene, &claims[1], 200, NOW);
    assert_int_equal(claim(&scene, NOW, claims), 1);
    settle(&scene, &claims[0], 200, NOW);
    version = state_of(&scene).version;
    assert_int_equal(claim(&scene, NOW, claims), 0); /* the one that is left waits for its time */
    assert_int_equal(state_of(&scene).version, version);
    assert_int_equal(claim(&scene, NOW + WEBHOOK_RETRY_FIRST_MS, claims), 1);
    settle(&scene, &claims[0], 200, NOW);
    version = state_of(&scene).version;
    assert_int_equal(claim(&scene, NOW, claims), 0); /* none is left */
    assert_int_equal(state_of(&scene).version, version);
}

static void test_a_lease_ends_and_its_late_outcome_counts_for_nothing(_unused_ void **state)
{
    _cleanup_scene_ struct scene scene = scene_new();
    struct webhook_claim dead[2];
    struct webhook_claim claims[2];

    add(&scene, 1, NULL);
    assert_int_equal(claim(&scene, NOW, dead), 1);
    assert_int_equal(claim(&scene, NOW + WEBHOOK_LEASE_MS - 1, claims), 0);
    assert_int_equal(count_due(&scene, NOW + WEBHOOK_LEASE_MS - 1), 0);
    assert_int_equal(count_due(&scene, NOW + WEBHOOK_LEASE_MS), 1);
    assert_int_equal(claim(&scene, NOW + WEBHOOK_LEASE_MS, claims), 1);
    assert_int_equal(settle(&scene, &dead[0], 500, NOW + WEBHOOK_LEASE_MS), SETTLED_LOST);
    assert_int_equal(state_of(&scene).failures, 0);
    assert_int_equal(settle(&scene, &claims[0], 200, NOW + WEBHOOK_LEASE_MS), SETTLED_DELIVERED);
    assert_int_equal(settle(&scene, &claims[0], 200, NOW + WEBHOOK_LEASE_MS), SETTLED_LOST);
}

static void test_a_failed_one_waits_and_is_given_up_in_the_end(_unused_ void **state)
{
    _cleanup_scene_ struct scene scene = scene_new();
    struct webhook_claim claims[2];
    int64_t now_ms = NOW;

    add(&scene, 1, NULL);
    for (unsigned i = 1; i <= WEBHOOK_ATTEMPTS_MAX; i++) {
        assert_int_equal(claim(&scene, now_ms, claims), 1);
        assert_int_equal(claims[0].delivery.attempts, i - 1);
        enum webhook_settled settled = settle(&scene, &claims[0], 503, now_ms);
        assert_int_equal(settled, i < WEBHOOK_ATTEMPTS_MAX ? SETTLED_AGAIN : SETTLED_FAILED);
        if (i == WEBHOOK_ATTEMPTS_MAX)
            break;
        assert_int_equal(claim(&scene, now_ms, claims), 0);
        now_ms = state_of(&scene).next_ms;
        assert_true(now_ms > NOW);
    }
    assert_int_equal(state_of(&scene).pending, 0);
    assert_int_equal(state_of(&scene).failures, WEBHOOK_ATTEMPTS_MAX);
    _cleanup_(json_decrefp) json_t *list = NULL;
    assert_null(deliveries_list(scene.store, ID, scene.arena, &list));
    const json_t *item = json_array_get(list, 0);
    assert_string_equal(json_string_value(json_object_get(item, "status")), "failed");
    assert_int_equal(json_integer_value(json_object_get(item, "attempts")), WEBHOOK_ATTEMPTS_MAX);
    assert_int_equal(json_integer_value(json_object_get(item, "responseStatus")), 503);
}

static void test_fifty_failures_in_a_row_switch_it_off(_unused_ void **state)
{
    _cleanup_scene_ struct scene scene = scene_new();
    struct webhook_claim claims[2];
    struct webhook loaded;
    int64_t now_ms = NOW;

    for (uint64_t i = 0; i < WEBHOOK_FAILURES_MAX; i++) {
        add(&scene, i + 1, NULL);
        assert_int_equal(claim(&scene, now_ms, claims), i % 2 ? 2 : 2 - (i == 0));
        assert_null(webhook_load(scene.store, ID, scene.arena, &loaded));
        assert_true(loaded.active);
        settle(&scene, &claims[0], 500, now_ms);
        now_ms += WEBHOOK_LEASE_MS;
    }
    assert_null(webhook_load(scene.store, ID, scene.arena, &loaded));
    assert_false(loaded.active);
    assert_non_null(strstr(loaded.disabled_reason, "50"));
}

static void test_one_success_ends_the_row(_unused_ void **state)
{
    _cleanup_scene_ struct scene scene = scene_new();
    struct webhook_claim claims[2];

    add(&scene, 1, NULL);
    add(&scene, 2, NULL);
    assert_int_equal(claim(&scene, NOW, claims), 2);
    settle(&scene, &claims[0], 500, NOW);
    assert_int_equal(state_of(&scene).failures, 1);
    settle(&scene, &claims[1], 200, NOW);
    assert_int_equal(state_of(&scene).failures, 0);
}

static void test_a_full_queue_drops_its_oldest(_unused_ void **state)
{
    _cleanup_scene_ struct scene scene = scene_new();
    struct webhook_claim claims[2];
    size_t dropped = 0;

    for (uint64_t i = 1; i <= WEBHOOK_PENDING_MAX; i++)
        add(&scene, i, &dropped);
    assert_int_equal(dropped, 0);
    assert_int_equal(claim(&scene, NOW, claims), 2); /* 1 and 2 are on their way */
    assert_int_equal(add(&scene, 5000, &dropped), 1);
    assert_int_equal(dropped, 1);
    assert_int_equal(state_of(&scene).pending, WEBHOOK_PENDING_MAX);
    assert_int_equal(state_of(&scene).dropped, 1);
    assert_int_equal(count_members(&scene, KEY_WEBHOOK_QUEUE ID), WEBHOOK_PENDING_MAX);
    _cleanup_(json_decrefp) json_t *list = NULL;
    assert_null(deliveries_list(scene.store, ID, scene.arena, &list));
    assert_int_equal(json_array_size(list), WEBHOOK_HISTORY_MAX);
    ProtobufCBinaryData *ended = NULL;
    size_t n = 0;
    assert_null(store_list_range(scene.store, KEY_WEBHOOK_HISTORY ID, 10, scene.arena, &ended, &n));
    assert_int_equal(n, 1);
    assert_non_null(memmem(ended[0].data, ended[0].len, "e00000000000000000003", 21));
    assert_int_equal(add(&scene, 3, &dropped), 0); /* and it does not come back */
}

static void drain_all(const struct scene *scene)
{
    struct webhook_claim claims[2];

    for (int i = 0; i < 10 && count_due(scene, NOW); i++)
        assert_int_equal(claim(scene, NOW, claims), 0);
}

static void switch_off_webhook(const struct scene *scene)
{
    struct webhook off = webhook;

    off.active = false;
    commit_webhook(scene, &off);
}

static void disable_account(const struct scene *scene)
{
    commit_account(scene, false);
}

static void test_what_waits_ends_when_nothing_may_be_sent(_unused_ void **state)
{
    static const struct {
        void (*disable)(const struct scene *scene);
        const char *error;
    } rows[] = {
        {switch_off_webhook, "the webhook was switched off"},
        {disable_account, "the account is not active"},
    };

    for (size_t k = 0; k < ELEMENTSOF(rows); k++) {
        _cleanup_scene_ struct scene scene = scene_new();
        _cleanup_(json_decrefp) json_t *list = NULL;
        for (uint64_t i = 1; i <= 150; i++)
            add(&scene, i, NULL);
        rows[k].disable(&scene);
        drain_all(&scene);
        assert_int_equal(count_members(&scene, KEY_WEBHOOK_QUEUES), 0);
        assert_int_equal(count_members(&scene, KEY_WEBHOOK_QUEUE ID), 0);
        assert_null(deliveries_list(scene.store, ID, scene.arena, &list));
        assert_int_equal(json_array_size(list), WEBHOOK_HISTORY_MAX);
        const json_t *first = json_array_get(list, 0);
        assert_string_equal(json_string_value(json_object_get(first, "status")), "failed");
        assert_string_equal(json_string_value(json_object_get(first, "error")), rows[k].error);
    }
}

static void test_nothing_is_left_of_a_deleted_one(_unused_ void **state)
{
    _cleanup_scene_ struct scene scene = scene_new();
    const struct store_write gone = {.key = KEY_WEBHOOK ID, .expected_version = UINT64_MAX};
    struct store_record record;

    for (uint64_t i = 1; i <= 3; i++)
        add(&scene, i, NULL);
    assert_null(store_commit(scene.store, &(struct store_change){.writes = &gone, .n_writes = 1}));
    drain_all(&scene);
    assert_int_equal(count_members(&scene, KEY_WEBHOOK_QUEUES), 0);
    assert_int_equal(count_members(&scene, KEY_WEBHOOK_QUEUE ID), 0);
    assert_null(store_get(scene.store, KEY_WEBHOOK_STATE ID, scene.arena, &record));
    assert_int_equal(record.version, 0);
    assert_null(store_get(scene.store, delivery_key(scene.arena, ID, "e00000000000000000001"),
                          scene.arena, &record));
    assert_null(memmem(record.value.data, record.value.len, "{}", 2)); /* the body is gone */
}

enum { COPIES = 4, EVENTS = 60 };

/* A copy of the gateway, with a connection of its own where there can be one. */
struct copy {
    struct scene scene;
    pthread_t thread;
    atomic_int *delivered; /* by event, and how many in all */
    atomic_int *done;
    atomic_int *flying;
    atomic_int *wrong; /* a thread of its own cannot end the test: its findings are counted */
};

static void expect(struct copy *copy, bool right)
{
    if (!right)
        atomic_fetch_add(copy->wrong, 1);
}

static void deliver(struct copy *copy, const struct webhook_claim *claimed)
{
    const struct webhook_outcome outcome = {.delivered = true, .response_status = 200};
    unsigned event = (unsigned)strtoul(claimed->delivery.name + 1, NULL, 10);
    enum webhook_settled settled = SETTLED_LOST;

    expect(copy, atomic_fetch_add(copy->flying, 1) < WEBHOOK_AT_ONCE_MAX);
    atomic_fetch_add(&copy->delivered[event], 1);
    sched_yield();
    atomic_fetch_sub(copy->flying, 1);
    struct error *err = webhook_queue_settle(copy->scene.store, claimed, &outcome, NOW,
                                             copy->scene.arena, &settled);
    expect(copy, !err && settled == SETTLED_DELIVERED);
    error_free(err);
    atomic_fetch_add(copy->done, 1);
}

static void *run_copy(void *data)
{
    struct copy *copy = data;
    struct webhook_claim claims[WEBHOOK_AT_ONCE_MAX];

    while (atomic_load(copy->done) < EVENTS) {
        size_t n = 0;
        size_t dropped = 0;
        struct error *err = webhook_queue_claim(copy->scene.store, ID, NOW, WEBHOOK_AT_ONCE_MAX,
                                                copy->scene.arena, claims, &n, &dropped);
        expect(copy, !err || error_get_code(err) == ERROR_ABORTED);
        error_free(err);
        for (size_t i = 0; i < n; i++)
            deliver(copy, &claims[i]);
    }
    return NULL;
}

static void test_copies_share_a_queue(_unused_ void **state)
{
    _cleanup_scene_ struct scene scene = scene_new();
    struct copy copies[COPIES];
    atomic_int delivered[EVENTS + 1] = {0};
    atomic_int done = 0;
    atomic_int flying = 0;
    atomic_int wrong = 0;

    for (uint64_t i = 1; i <= EVENTS; i++)
        add(&scene, i, NULL);
    for (size_t i = 0; i < COPIES; i++) {
        copies[i] = (struct copy){.scene = {.arena = arena_new()},
                                  .delivered = delivered,
                                  .done = &done,
                                  .flying = &flying,
                                  .wrong = &wrong};
        copies[i].scene.store = ON_REDIS ? redis_server_open(&scene.redis) : scene.store;
        assert_int_equal(pthread_create(&copies[i].thread, NULL, run_copy, &copies[i]), 0);
    }
    for (size_t i = 0; i < COPIES; i++) {
        pthread_join(copies[i].thread, NULL);
        arena_free(copies[i].scene.arena);
        if (ON_REDIS)
            store_free(copies[i].scene.store);
    }
    assert_int_equal(wrong, 0);
    for (size_t i = 1; i <= EVENTS; i++)
        assert_int_equal(delivered[i], 1);
    assert_int_equal(state_of(&scene).pending, 0);
    assert_int_equal(count_members(&scene, KEY_WEBHOOK_QUEUES), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_event_that_comes_again_makes_no_second_delivery),
        cmocka_unit_test(test_two_at_a_time_for_all_copies_together),
        cmocka_unit_test(test_a_claim_that_finds_nothing_writes_nothing),
        cmocka_unit_test(test_a_lease_ends_and_its_late_outcome_counts_for_nothing),
        cmocka_unit_test(test_a_failed_one_waits_and_is_given_up_in_the_end),
        cmocka_unit_test(test_fifty_failures_in_a_row_switch_it_off),
        cmocka_unit_test(test_one_success_ends_the_row),
        cmocka_unit_test(test_a_full_queue_drops_its_oldest),
        cmocka_unit_test(test_what_waits_ends_when_nothing_may_be_sent),
        cmocka_unit_test(test_nothing_is_left_of_a_deleted_one),
        cmocka_unit_test(test_copies_share_a_queue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
