/* Reads out of memory: never older than one's own change, dropped by anybody's, with ETags and
 * long polls. What the store is asked is seen by changing it behind the gateway's back. */
#include "services/api-gateway/test_scene.h"

#include <time.h>

#include "schemas/catalog.pb-c.h"
#include "schemas/host.pb-c.h"
#include "services/api-gateway/api_keys.h"
#include "services/api-gateway/etag.h"
#include "services/api-gateway/read_cache.h"
#include "services/api-gateway/rendered.h"
#include "services/api-gateway/test_raw.h"
#include "shared/base/alloc.h"
#include "shared/store/keys.h"

#define PATH "/api/v1/workloads/" TEST_WORKLOAD

static void put_state(const struct fixture *f, Coffer__V1__WorkloadStatus status, uint64_t sequence)
{
    Coffer__V1__Workload workload = COFFER__V1__WORKLOAD__INIT;

    workload.workload_id = TEST_WORKLOAD;
    workload.account_id = "dev";
    workload.name = "one";
    workload.status = status;
    workload.host_id = TEST_HOST;
    workload.generation = 3;
    workload.event_sequence = sequence;
    workload.created_at_ms = 1700000000123;
    put_message(f, KEY_WORKLOAD TEST_WORKLOAD, &workload.base);
    index_add(f, KEY_WORKLOADS_OF "dev", TEST_WORKLOAD);
}

static void put_address(const struct fixture *f, const char *address)
{
    Coffer__V1__HostHeartbeat heartbeat = COFFER__V1__HOST_HEARTBEAT__INIT;
    Coffer__V1__Host host = COFFER__V1__HOST__INIT;
    static int64_t seen_ms;

    heartbeat.public_address = (char *)address;
    host.host_id = TEST_HOST;
    host.heartbeat = &heartbeat;
    host.last_seen_at_ms = ++seen_ms;
    put_message(f, KEY_HOST TEST_HOST, &host.base);
}

static char *tag_of(const struct answer *answer)
{
    const char *at = strcasestr(buffer_text(&answer->headers), "\netag: ");

    assert_non_null(at);
    at += strlen("\netag: ");
    return xstrndup(at, strcspn(at, "\r\n"));
}

static char *read_tag(const struct fixture *f, const char *path)
{
    _cleanup_answer_ struct answer answer = http_get(f, path);

    assert_int_equal(answer.status, 200);
    return tag_of(&answer);
}

/* Two headers in one: http_call takes one of its own. */
static struct answer get_if(const struct fixture *f, const char *path, const char *header,
                            const char *tag)
{
    _cleanup_free_ char *both = xasprintf("%s: %s\r\nAuthorization: Bearer " TEST_KEY, header, tag);

    return http_call(f, "GET", path, both, NULL);
}

static void assert_status_text(const struct fixture *f, const char *status)
{
    _cleanup_answer_ struct answer answer = http_get(f, PATH);
    _cleanup_answer_ struct answer list = http_get(f, "/api/v1/workloads/list");

    assert_int_equal(answer.status, 200);
    assert_string_equal(answer_text(&answer, "status"), status);
    const json_t *item = json_array_get(list.json, 0);
    assert_string_equal(json_string_value(json_object_get(item, "status")), status);
}

static bool is_kept(const struct fixture *f)
{
    _cleanup_(store_cached_unrefp) struct store_cached *value =
        rendered_now(f->gateway, TEST_WORKLOAD, true);

    return value != NULL;
}

static void test_a_read_is_kept_until_the_change(void **state)
{
    (void)state;
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    put_state(f, COFFER__V1__WORKLOAD_STATUS__STARTING, 1);
    assert_status_text(f, "starting");
    assert_true(is_kept(f));
    assert_status_text(f, "starting");
    put_state(f, COFFER__V1__WORKLOAD_STATUS__RUNNING, 2);
    assert_false(is_kept(f));
    assert_status_text(f, "running");
}

static void test_from_memory_and_from_the_store_are_the_same_bytes(void **state)
{
    (void)state;
    static const char *const paths[] = {PATH, "/api/v1/workloads/list"};
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    put_state(f, COFFER__V1__WORKLOAD_STATUS__RUNNING, 1);
    for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
        _cleanup_answer_ struct answer first = http_get(f, paths[i]);
        _cleanup_answer_ struct answer second = http_get(f, paths[i]);
        assert_non_null(first.json);
        assert_string_equal(buffer_text(&first.body), buffer_text(&second.body));
    }
}

static void test_heartbeats_drop_nothing_but_a_new_address_does(void **state)
{
    (void)state;
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    struct store_cache_stats before;
    struct store_cache_stats after;

    put_address(f, "192.0.2.7");
    put_state(f, COFFER__V1__WORKLOAD_STATUS__RUNNING, 1);
    _cleanup_free_ char *tag = read_tag(f, PATH);
    store_cache_stats(f->gateway->cache, &before);
    put_address(f, "192.0.2.7");
    _cleanup_(store_cached_unrefp) struct store_cached *kept =
        store_cache_get(f->gateway->cache, KEY_WORKLOAD TEST_WORKLOAD);
    assert_non_null(kept);
    _cleanup_free_ char *same = read_tag(f, PATH);
    assert_string_equal(tag, same);
    store_cache_stats(f->gateway->cache, &after);
    assert_int_equal(after.entries, before.entries);
    _cleanup_(store_cached_unrefp) struct store_cached *still =
        store_cache_get(f->gateway->cache, KEY_WORKLOAD TEST_WORKLOAD);
    assert_ptr_equal(kept, still); /* not rendered again */
    put_address(f, "192.0.2.8");
    _cleanup_answer_ struct answer answer = http_get(f, PATH);
    assert_string_equal(answer_text(&answer, "ingressAddress"), "192.0.2.8");
    _cleanup_free_ char *other = tag_of(&answer);
    assert_string_not_equal(tag, other);
}

static void test_foreign_and_missing_ones_stay_hidden(void **state)
{
    (void)state;
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    put_workload(f, "foreign", "other", COFFER__V1__WORKLOAD_STATUS__RUNNING);
    for (int i = 0; i < 2; i++) {
        _cleanup_answer_ struct answer foreign = http_get(f, "/api/v1/workloads/foreign");
        _cleanup_answer_ struct answer missing = http_get(f, "/api/v1/workloads/missing");
        assert_int_equal(foreign.status, 404);
        assert_int_equal(missing.status, 404);
    }
}

static void test_a_deleted_record_is_gone(void **state)
{
    (void)state;
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    const struct store_write write = {.key = KEY_WORKLOAD TEST_WORKLOAD,
                                      .expected_version = UINT64_MAX};

    put_state(f, COFFER__V1__WORKLOAD_STATUS__RUNNING, 1);
    assert_status_text(f, "running");
    assert_null(store_commit(f->store, &(struct store_change){.writes = &write, .n_writes = 1}));
    _cleanup_answer_ struct answer answer = http_get(f, PATH);
    _cleanup_answer_ struct answer list = http_get(f, "/api/v1/workloads/list");
    assert_int_equal(answer.status, 404);
    assert_int_equal(json_array_size(list.json), 0);
}

static void test_tags(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        bool strong;
        bool weak;
    } rows[] = {
        {"\"a-1\"", true, true},
        {"*", true, true},
        {"\"x\", \"a-1\"", true, true},
        {" \"x\" ,\t\"a-1\" ", true, true},
        {"W/\"a-1\"", false, true},
        {"\"x\",W/\"a-1\"", false, true},
        {"", false, false},
        {",,", false, false},
        {"a-1", false, false},
        {"\"a-1", false, false},
        {"\"a-11\"", false, false},
        {"\"A-1\"", false, false},
        {"w/\"a-1\"", false, false},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        assert_int_equal(etag_is_in(rows[i].header, "\"a-1\"", false), rows[i].strong);
        assert_int_equal(etag_is_in(rows[i].header, "\"a-1\"", true), rows[i].weak);
    }
}

static void test_if_none_match(void **state)
{
    (void)state;
    static const char *const paths[] = {PATH, "/api/v1/workloads/list",
                                        "/api/v1/workload-tiers/list", "/api/v1/artifacts/list",
                                        "/api/v1/artifacts/list?limit=1"};
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    put_state(f, COFFER__V1__WORKLOAD_STATUS__RUNNING, 7);
    for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
        _cleanup_free_ char *tag = read_tag(f, paths[i]);
        _cleanup_answer_ struct answer same = get_if(f, paths[i], "If-None-Match", tag);
        _cleanup_answer_ struct answer other = get_if(f, paths[i], "If-None-Match", "\"other\"");
        assert_int_equal(same.status, 304);
        assert_int_equal(same.body.size, 0);
        _cleanup_free_ char *again = tag_of(&same);
        assert_string_equal(again, tag);
        assert_int_equal(other.status, 200);
    }
    _cleanup_free_ char *tag = read_tag(f, PATH);
    assert_int_equal(strncmp(tag, "\"3-7-", 5), 0);
    assert_int_equal(strlen(tag), 5 + 8 + 1);
    put_state(f, COFFER__V1__WORKLOAD_STATUS__ERROR, 8);
    _cleanup_answer_ struct answer changed = get_if(f, PATH, "If-None-Match", tag);
    assert_int_equal(changed.status, 200);
}

/* A key that was good is refused at the next request, from memory or not. */
static void test_keys_and_accounts_are_judged_anew(void **state)
{
    (void)state;
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    static const char list[] = "/api/v1/workloads/list";

    for (int i = 0; i < 2; i++) {
        _cleanup_answer_ struct answer good = scene_call(scene, DEPLOYER, "GET", list, NULL);
        _cleanup_answer_ struct answer expired = scene_call(scene, EXPIRED, "GET", list, NULL);
        _cleanup_answer_ struct answer unknown = scene_call(scene, UNKNOWN, "GET", list, NULL);
        assert_int_equal(good.status, 200);
        assert_int_equal(expired.status, 401);
        assert_int_equal(unknown.status, 401);
    }
    _cleanup_answer_ struct answer off =
        scene_call(scene, GLOBAL_ADMIN, "PUT", "/api/v1/api-keys/update",
                   "{\"id\":\"$DEPLOYER\",\"active\":false}");
    assert_int_equal(off.status, 200);
    _cleanup_answer_ struct answer refused = scene_call(scene, DEPLOYER, "GET", list, NULL);
    assert_int_equal(refused.status, 401);
    _cleanup_answer_ struct answer on =
        scene_call(scene, GLOBAL_ADMIN, "PUT", "/api/v1/api-keys/update",
                   "{\"id\":\"$DEPLOYER\",\"active\":true,\"expiresAt\":\"2023-11-15T00:00:00Z\"}");
    assert_int_equal(on.status, 200);
    _cleanup_answer_ struct answer good = scene_call(scene, DEPLOYER, "GET", list, NULL);
    assert_int_equal(good.status, 200);
    clock_fake_advance(&scene->clock, 24 * 3600 * 1000);
    _cleanup_answer_ struct answer late = scene_call(scene, DEPLOYER, "GET", list, NULL);
    assert_int_equal(late.status, 401);
}

static void test_if_match_of_accounts_and_keys(void **state)
{
    (void)state;
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_answer_ struct answer account =
        scene_call(scene, GLOBAL_ADMIN, "GET", "/api/v1/accounts/$OURS", NULL);
    _cleanup_free_ char *tag = tag_of(&account);
    _cleanup_free_ char *headers = xasprintf("If-Match: %s\r\n" ADMIN, tag);
    _cleanup_free_ char *body =
        xasprintf("{\"accountId\":\"%s\",\"name\":\"renamed\"}", scene->ours);
    _cleanup_answer_ struct answer first =
        http_call(scene->f, "PUT", "/api/v1/accounts/update", headers, body);
    _cleanup_answer_ struct answer second =
        http_call(scene->f, "PUT", "/api/v1/accounts/update", headers, body);

    assert_int_equal(first.status, 200);
    assert_int_equal(second.status, 412);
    assert_string_equal(answer_text(&second, "kind"), "PRECONDITION_FAILED");
    _cleanup_answer_ struct answer keys =
        scene_call(scene, GLOBAL_ADMIN, "GET", "/api/v1/api-keys/account/$OURS?limit=1", NULL);
    const json_t *key = json_array_get(keys.json, 0);
    _cleanup_free_ char *key_headers =
        xasprintf("If-Match: %s\r\n" ADMIN, json_string_value(json_object_get(key, "etag")));
    _cleanup_free_ char *key_body = xasprintf("{\"id\":\"%s\",\"name\":\"renamed\"}",
                                              json_string_value(json_object_get(key, "keyId")));
    _cleanup_answer_ struct answer third =
        http_call(scene->f, "PUT", "/api/v1/api-keys/update", key_headers, key_body);
    _cleanup_answer_ struct answer fourth =
        http_call(scene->f, "PUT", "/api/v1/api-keys/update", key_headers, key_body);
    assert_int_equal(third.status, 200);
    assert_int_equal(fourth.status, 412);
}

static void put_price(const struct fixture *f, uint64_t micros)
{
    Coffer__V1__WorkloadTiers all = COFFER__V1__WORKLOAD_TIERS__INIT;
    Coffer__V1__WorkloadTier tier = COFFER__V1__WORKLOAD_TIER__INIT;
    Coffer__V1__WorkloadTier *places[] = {&tier};

    tier.tier_id = "t1";
    tier.name = "small";
    tier.usd_micros_per_minute = micros;
    all.n_tiers = 1;
    all.tiers = places;
    put_message(f, KEY_TIERS, &all.base);
}

static void test_tiers_are_kept_until_they_change(void **state)
{
    (void)state;
    static const char path[] = "/api/v1/workload-tiers/list";
    static const char body[] = "{\"tierId\":\"t1\",\"name\":\"small\",\"cpus\":1,\"memoryMb\":2048,"
                               "\"diskGb\":20,\"gpus\":0,\"cost\":0.5}";
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    put_price(f, 1000);
    _cleanup_free_ char *tag = read_tag(f, path);
    _cleanup_free_ char *again = read_tag(f, path);
    assert_string_equal(tag, again);
    put_price(f, 2000);
    _cleanup_answer_ struct answer changed = get_if(f, path, "If-None-Match", tag);
    assert_int_equal(changed.status, 200);
    _cleanup_free_ char *now = tag_of(&changed);
    _cleanup_free_ char *old_header = xasprintf("If-Match: %s\r\n" ADMIN, tag);
    _cleanup_free_ char *now_header = xasprintf("If-Match: %s\r\n" ADMIN, now);
    _cleanup_answer_ struct answer old =
        http_call(f, "PUT", "/api/v1/workload-tiers/update", old_header, body);
    assert_int_equal(old.status, 412);
    assert_int_equal(f->commands, 0);
    _cleanup_answer_ struct answer good =
        http_call(f, "PUT", "/api/v1/workload-tiers/update", now_header, body);
    assert_int_equal(good.status, 200);
}

static void test_artifacts_are_kept_until_one_changes(void **state)
{
    (void)state;
    static const char path[] = "/api/v1/artifacts/list";
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_free_ char *tag = read_tag(f, path);

    for (int i = 0; i < 2; i++) {
        _cleanup_answer_ struct answer same = get_if(f, path, "If-None-Match", tag);
        assert_int_equal(same.status, 304);
    }
    put_artifact(f, TEST_IMAGE, false, 1);
    _cleanup_answer_ struct answer changed = get_if(f, path, "If-None-Match", tag);
    assert_int_equal(changed.status, 200);
    assert_int_equal(json_array_size(changed.json), 0);
}

/* As another gateway would: by a commit that this one hears of. */
static void test_a_key_revoked_elsewhere_is_refused_here(void **state)
{
    (void)state;
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_answer_ struct answer good = http_get(f, "/api/v1/workloads/list");
    char hash[65];

    assert_int_equal(good.status, 200);
    api_key_hash(TEST_KEY, hash);
    _cleanup_free_ char *key = xasprintf("%s%s", KEY_API_KEY, hash);
    const struct store_write write = {.key = key, .expected_version = UINT64_MAX};
    assert_null(store_commit(f->store, &(struct store_change){.writes = &write, .n_writes = 1}));
    _cleanup_answer_ struct answer refused = http_get(f, "/api/v1/workloads/list");
    assert_int_equal(refused.status, 401);
}

struct poll_call {
    struct fixture *f;
    const char *path;
    const char *tag;
    struct answer answer;
};

static void *run_poll(void *state)
{
    struct poll_call *call = state;

    call->answer = get_if(call->f, call->path, "If-None-Match", call->tag);
    return NULL;
}

static void wait_held(struct fixture *f)
{
    struct limits *limits = &f->gateway->limits;
    int64_t give_up = clock_monotonic_ms(clock_system()) + 20000;

    for (unsigned held = 0; !held;) {
        assert_true(clock_monotonic_ms(clock_system()) < give_up);
        nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL);
        pthread_mutex_lock(&limits->lock);
        held = limits->total[LIMIT_WAITS];
        pthread_mutex_unlock(&limits->lock);
    }
}

static void test_a_long_poll_ends_by_the_change(void **state)
{
    (void)state;
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    struct poll_call call = {.f = f, .path = PATH "?wait=60"};
    pthread_t thread;

    put_state(f, COFFER__V1__WORKLOAD_STATUS__STARTING, 1);
    _cleanup_free_ char *tag = read_tag(f, PATH);
    call.tag = tag;
    assert_int_equal(pthread_create(&thread, NULL, run_poll, &call), 0);
    wait_held(f);
    put_state(f, COFFER__V1__WORKLOAD_STATUS__RUNNING, 2);
    pthread_join(thread, NULL);
    assert_int_equal(call.answer.status, 200);
    assert_string_equal(answer_text(&call.answer, "status"), "running");
    answer_done(&call.answer);
    assert_int_equal(f->gateway->limits.total[LIMIT_WAITS], 0);
}

static void test_a_long_poll_ends_when_the_client_leaves(void **state)
{
    (void)state;
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    struct limits *limits = &f->gateway->limits;
    int64_t give_up = clock_monotonic_ms(clock_system()) + 30000;
    int fd = raw_connect(http_server_port(f->gateway->http));

    put_state(f, COFFER__V1__WORKLOAD_STATUS__STARTING, 1);
    raw_send(fd, "GET " PATH "?wait=60 HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\n"
                 "Authorization: Bearer " TEST_KEY "\r\n\r\n");
    wait_held(f);
    close(fd);
    for (unsigned held = 1; held;) {
        assert_true(clock_monotonic_ms(clock_system()) < give_up);
        nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL);
        pthread_mutex_lock(&limits->lock);
        held = limits->total[LIMIT_WAITS];
        pthread_mutex_unlock(&limits->lock);
    }
}

static void test_a_long_poll_ends_by_time(void **state)
{
    (void)state;
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    put_state(f, COFFER__V1__WORKLOAD_STATUS__STARTING, 1);
    _cleanup_free_ char *tag = read_tag(f, PATH);
    _cleanup_answer_ struct answer over = get_if(f, PATH "?wait=1", "If-None-Match", tag);
    assert_int_equal(over.status, 304);
    _cleanup_answer_ struct answer at_once = get_if(f, PATH "?wait=60", "If-None-Match", "\"x\"");
    assert_int_equal(at_once.status, 200);
    _cleanup_answer_ struct answer without = http_get(f, PATH "?wait=60");
    assert_int_equal(without.status, 200);
}

static void test_wrong_waits(void **state)
{
    (void)state;
    static const char *const rows[] = {"0", "61", "-1", "", "1s", "1.5"};
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    put_state(f, COFFER__V1__WORKLOAD_STATUS__STARTING, 1);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *path = xasprintf(PATH "?wait=%s", rows[i]);
        _cleanup_answer_ struct answer answer = http_get(f, path);
        assert_int_equal(answer.status, 400);
    }
}

/* How many an account can hold until it is refused; all are given back. */
static unsigned hold_all(struct limits *limits, const char *account)
{
    struct error *err = NULL;
    unsigned held = 0;

    while (!(err = limits_enter(limits, account, LIMIT_WAITS)))
        assert_true(++held < 1000);
    assert_int_equal(error_get_code(err), ERROR_RESOURCE_EXHAUSTED);
    error_free(err);
    for (unsigned i = 0; i < held; i++)
        limits_leave(limits, account, LIMIT_WAITS);
    return held;
}

static void test_long_polls_hold_a_part_of_the_workers(void **state)
{
    (void)state;
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    struct limits *limits = &f->gateway->limits;

    put_state(f, COFFER__V1__WORKLOAD_STATUS__STARTING, 1);
    _cleanup_free_ char *tag = read_tag(f, PATH);
    /* beside the shares of changes and of questions to guests, when all are held */
    assert_true(limits->total_max[LIMIT_WAITS] + f->config.workers / 2 + f->config.workers / 4 <
                f->config.workers);
    assert_int_equal(hold_all(limits, "other"), limits->total_max[LIMIT_WAITS]);
    limits_set_total(limits, LIMIT_WAITS, 1);
    assert_null(limits_enter(limits, "other", LIMIT_WAITS));
    _cleanup_answer_ struct answer busy = get_if(f, PATH "?wait=60", "If-None-Match", tag);
    assert_int_equal(busy.status, 429);
    limits_leave(limits, "other", LIMIT_WAITS);
    limits_set_total(limits, LIMIT_WAITS, 0);
    assert_int_equal(hold_all(limits, "dev"), 8);
}

/* Wakes the poll by ending the gateway: that must not take its minute. */
static void test_the_end_does_not_wait_for_long_polls(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct poll_call call = {.f = f, .path = PATH "?wait=60"};
    pthread_t thread;

    put_state(f, COFFER__V1__WORKLOAD_STATUS__STARTING, 1);
    _cleanup_free_ char *tag = read_tag(f, PATH);
    call.tag = tag;
    assert_int_equal(pthread_create(&thread, NULL, run_poll, &call), 0);
    wait_held(f);
    store_cache_stop(f->gateway->cache);
    pthread_join(thread, NULL);
    assert_int_equal(call.answer.status, 304);
    answer_done(&call.answer);
    fixture_free(f);
}

static void put_listed_event(const struct fixture *f, uint64_t sequence)
{
    Coffer__V1__WorkloadEvent event = COFFER__V1__WORKLOAD_EVENT__INIT;
    uint8_t packed[256];

    event.workload_id = TEST_WORKLOAD;
    event.account_id = "dev";
    event.sequence = sequence;
    event.kind = "running";
    size_t size = coffer__v1__workload_event__pack(&event, packed);
    assert_null(store_list_push(f->store, KEY_EVENTS_OF TEST_WORKLOAD, packed, size, 1000));
}

static void test_events_after_a_sequence(void **state)
{
    (void)state;
    static const struct {
        const char *rest;
        unsigned status;
        size_t n;
        json_int_t first;
        json_int_t next; /* 0: none */
    } rows[] = {
        {"", 200, 5, 1, 0},
        {",\"afterSequence\":0", 200, 5, 1, 0},
        {",\"afterSequence\":2", 200, 3, 3, 0},
        {",\"afterSequence\":5", 200, 0, 0, 0},
        {",\"afterSequence\":5,\"wait\":1", 200, 0, 0, 0},
        {",\"limit\":2", 200, 2, 1, 2},
        {",\"limit\":2,\"afterSequence\":2", 200, 2, 3, 4},
        {",\"limit\":2,\"afterSequence\":3", 200, 2, 4, 0},
        {",\"limit\":null", 200, 5, 1, 0},
        {",\"limit\":0", 400, 0, 0, 0},
        {",\"limit\":1001", 400, 0, 0, 0},
        {",\"limit\":\"2\"", 400, 0, 0, 0},
        {",\"afterSequence\":-1", 400, 0, 0, 0},
        {",\"afterSequence\":1.5", 400, 0, 0, 0},
        {",\"wait\":0", 400, 0, 0, 0},
        {",\"wait\":61", 400, 0, 0, 0},
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    put_state(f, COFFER__V1__WORKLOAD_STATUS__RUNNING, 5);
    for (uint64_t i = 1; i <= 5; i++)
        put_listed_event(f, i);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *body =
            xasprintf("{\"workloadId\":\"" TEST_WORKLOAD "\"%s}", rows[i].rest);
        _cleanup_answer_ struct answer answer = http_post(f, "/api/v1/workload-events/list", body);
        const json_t *events = json_object_get(answer.json, "events");
        const json_t *first = json_array_get(events, 0);
        assert_int_equal(answer.status, rows[i].status);
        assert_int_equal(json_array_size(events), rows[i].n);
        assert_int_equal(json_integer_value(json_object_get(first, "sequence")), rows[i].first);
        assert_int_equal(json_integer_value(json_object_get(answer.json, "nextAfterSequence")),
                         rows[i].next);
    }
}

/* What one's own change answered is what one reads next, though the record was read before. */
static void test_reads_follow_ones_own_change(void **state)
{
    (void)state;
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    put_state(f, COFFER__V1__WORKLOAD_STATUS__RUNNING, 1);
    assert_status_text(f, "running");
    const struct store_ticket ticket =
        store_cache_ticket(f->gateway->cache, KEY_WORKLOAD TEST_WORKLOAD);
    _cleanup_answer_ struct answer stopped =
        http_post(f, "/api/v1/workloads/stop", "{\"workloadId\":\"" TEST_WORKLOAD "\"}");
    assert_int_equal(stopped.status, 200);
    assert_false(is_kept(f));
    _cleanup_(store_cached_unrefp) struct store_cached *old = store_cached_new(1, 1);
    assert_false(store_cache_put(f->gateway->cache, KEY_WORKLOAD TEST_WORKLOAD, &ticket, old));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_read_is_kept_until_the_change),
        cmocka_unit_test(test_from_memory_and_from_the_store_are_the_same_bytes),
        cmocka_unit_test(test_heartbeats_drop_nothing_but_a_new_address_does),
        cmocka_unit_test(test_foreign_and_missing_ones_stay_hidden),
        cmocka_unit_test(test_a_deleted_record_is_gone),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_if_none_match),
        cmocka_unit_test(test_keys_and_accounts_are_judged_anew),
        cmocka_unit_test(test_if_match_of_accounts_and_keys),
        cmocka_unit_test(test_tiers_are_kept_until_they_change),
        cmocka_unit_test(test_artifacts_are_kept_until_one_changes),
        cmocka_unit_test(test_a_key_revoked_elsewhere_is_refused_here),
        cmocka_unit_test(test_a_long_poll_ends_by_the_change),
        cmocka_unit_test(test_a_long_poll_ends_by_time),
        cmocka_unit_test(test_wrong_waits),
        cmocka_unit_test(test_a_long_poll_ends_when_the_client_leaves),
        cmocka_unit_test(test_long_polls_hold_a_part_of_the_workers),
        cmocka_unit_test(test_the_end_does_not_wait_for_long_polls),
        cmocka_unit_test(test_events_after_a_sequence),
        cmocka_unit_test(test_reads_follow_ones_own_change),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
