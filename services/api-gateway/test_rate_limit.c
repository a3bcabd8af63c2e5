/* How often one caller may ask, and how often one address may come with a wrong key. */
#include "services/api-gateway/test_scene.h"

#include "services/api-gateway/rate_limit.h"
#include "shared/base/alloc.h"

#define LIST "/api/v1/workloads/list"

static void set_limit(struct token_buckets *buckets, uint64_t per_minute, uint64_t burst)
{
    token_buckets_done(buckets);
    token_buckets_init(buckets, per_minute, burst);
}

/* A gateway whose keys have one request a second, three at once. */
static struct scene *limited_scene(void)
{
    struct scene *scene = scene_new();

    set_limit(&scene->f->gateway->key_rates, 60, 3);
    return scene;
}

static void check_header(const struct answer *answer, const char *name, const char *value)
{
    _cleanup_free_ char *given = answer_header(answer, name);

    if (!value != !given || (value && strcmp(value, given) != 0))
        fail_msg("%s: %s, not %s", name, given ?: "missing", value ?: "missing");
}

static void check_told(const struct answer *answer, const char *limit, const char *remaining,
                       const char *reset, const char *retry)
{
    check_header(answer, "RateLimit-Limit", limit);
    check_header(answer, "RateLimit-Remaining", remaining);
    check_header(answer, "RateLimit-Reset", reset);
    check_header(answer, "Retry-After", retry);
}

static long status_of(const struct scene *scene, enum actor actor)
{
    _cleanup_answer_ struct answer answer = scene_call(scene, actor, "GET", LIST, NULL);

    return answer.status;
}

static void test_a_key_has_its_share(_unused_ void **state)
{
    static const struct {
        int64_t after_ms;
        long status;
        const char *remaining;
        const char *reset;
        const char *retry;
    } rows[] = {
        {0, 200, "2", "1", NULL},    {0, 200, "1", "2", NULL},     {0, 200, "0", "3", NULL},
        {0, 429, "0", "3", "1"},     {500, 429, "0", "3", "1"},    {500, 200, "0", "3", NULL},
        {2000, 200, "1", "2", NULL}, {60000, 200, "2", "1", NULL},
    };
    _cleanup_(scene_freep) struct scene *scene = limited_scene();

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        clock_fake_advance(&scene->clock, rows[i].after_ms);
        _cleanup_answer_ struct answer answer = scene_call(scene, READER, "GET", LIST, NULL);
        assert_int_equal(answer.status, rows[i].status);
        check_told(&answer, "3", rows[i].remaining, rows[i].reset, rows[i].retry);
        if (answer.status == 429)
            assert_string_equal(answer_text(&answer, "kind"), "TOO_MANY_REQUESTS");
    }
}

static void test_others_keep_theirs(_unused_ void **state)
{
    static const enum actor others[] = {DEPLOYER, FOREIGN};
    _cleanup_(scene_freep) struct scene *scene = limited_scene();

    for (int i = 0; i < 3; i++)
        assert_int_equal(status_of(scene, READER), 200);
    assert_int_equal(status_of(scene, READER), 429);
    for (size_t i = 0; i < ELEMENTSOF(others); i++)
        assert_int_equal(status_of(scene, others[i]), 200);
    _cleanup_answer_ struct answer admin =
        scene_call(scene, GLOBAL_ADMIN, "GET", "/api/v1/accounts/list", NULL);
    assert_int_equal(admin.status, 200);
    check_told(&admin, "3", "2", "1", NULL);
}

/* Whatever the answer is, also to what the key may not do: that costs as much to find out. */
static void test_all_authenticated_answers_tell(_unused_ void **state)
{
    static const struct {
        enum actor actor;
        const char *method;
        const char *path;
        const char *body;
        long status;
        bool told;
    } rows[] = {
        {READER, "GET", "/api/v1/workloads/none", NULL, 404, true},
        {READER, "POST", "/api/v1/workloads/stop", "{}", 401, true}, /* ACCESS_DENIED */
        {READER, "GET", "/api/v1/accounts/list", NULL, 401, true},
        {READER, "GET", LIST, NULL, 429, true},
        {DEPLOYER, "POST", "/api/v1/workloads/stop", "no JSON", 400, true},
        {NOBODY, "GET", LIST, NULL, 401, false},
        {UNKNOWN, "GET", LIST, NULL, 401, false},
        {DEPLOYER, "GET", "/health", NULL, 200, false},
        {DEPLOYER, "GET", "/no/path", NULL, 404, false},
    };
    _cleanup_(scene_freep) struct scene *scene = limited_scene();

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_answer_ struct answer answer =
            scene_call(scene, rows[i].actor, rows[i].method, rows[i].path, rows[i].body);
        assert_int_equal(answer.status, rows[i].status);
        check_header(&answer, "RateLimit-Limit", rows[i].told ? "3" : NULL);
    }
}

static void test_what_is_refused_does_nothing(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = limited_scene();
    const char *const headers[] = {"Idempotency-Key: k", NULL};

    put_workload(scene->f, "w-1", scene->ours, COFFER__V1__WORKLOAD_STATUS__RUNNING);
    for (int i = 0; i < 3; i++)
        assert_int_equal(status_of(scene, DEPLOYER), 200);
    _cleanup_answer_ struct answer refused = scene_call_with(
        scene, DEPLOYER, "POST", "/api/v1/workloads/stop", headers, "{\"workloadId\":\"w-1\"}");
    assert_int_equal(refused.status, 429);
    assert_int_equal(scene->f->commands, 0);
    clock_fake_advance(&scene->clock, 1000);
    _cleanup_answer_ struct answer later = scene_call_with(
        scene, DEPLOYER, "POST", "/api/v1/workloads/stop", headers, "{\"workloadId\":\"w-1\"}");
    assert_int_equal(later.status, 200); /* a 429 is nothing to keep */
    check_header(&later, "Idempotent-Replayed", NULL);
    assert_int_equal(scene->f->commands, 1);
}

static void test_without_a_limit_nothing_is_told(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();

    for (int i = 0; i < 50; i++) {
        _cleanup_answer_ struct answer answer = scene_call(scene, READER, "GET", LIST, NULL);
        assert_int_equal(answer.status, 200);
        check_told(&answer, NULL, NULL, NULL, NULL);
    }
}

static void test_guessing_is_slowed(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();

    set_limit(&scene->f->gateway->failure_rates, 6, 6); /* one in ten seconds */
    for (int i = 0; i < 6; i++)
        assert_int_equal(status_of(scene, i % 2 ? UNKNOWN : INACTIVE), 401);
    _cleanup_answer_ struct answer slowed = scene_call(scene, UNKNOWN, "GET", LIST, NULL);
    assert_int_equal(slowed.status, 429);
    assert_string_equal(answer_text(&slowed, "kind"), "TOO_MANY_REQUESTS");
    check_told(&slowed, NULL, NULL, NULL, "10");
    /* Nor does it help to guess right, with a key that this gateway has not seen of late. */
    assert_int_equal(status_of(scene, READER), 429);
    clock_fake_advance(&scene->clock, 10000);
    assert_int_equal(status_of(scene, READER), 200);
    assert_int_equal(status_of(scene, UNKNOWN), 401);
    assert_int_equal(status_of(scene, UNKNOWN), 429);
}

/* Nor what is open to anybody. */
static void test_what_is_allowed_or_denied_is_no_failure(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();

    set_limit(&scene->f->gateway->failure_rates, 6, 1);
    for (int i = 0; i < 10; i++) {
        _cleanup_answer_ struct answer denied =
            scene_call(scene, READER, "GET", "/api/v1/accounts/list", NULL);
        assert_int_equal(denied.status, 401);
        assert_string_equal(answer_text(&denied, "kind"), "ACCESS_DENIED");
        assert_int_equal(status_of(scene, DEPLOYER), 200);
    }
    assert_int_equal(status_of(scene, NOBODY), 401);
    assert_int_equal(status_of(scene, NOBODY), 429);
    _cleanup_answer_ struct answer open = scene_call(scene, NOBODY, "GET", "/health", NULL);
    assert_int_equal(open.status, 200);
}

/* Nobody need have a key for them, and each asks the store for much. */
static void test_an_address_has_its_share_without_a_key(_unused_ void **state)
{
    static const struct {
        int64_t after_ms;
        const char *path;
        long status;
    } rows[] = {
        {0, "/api/v1/fleet", 200},    {0, "/api/v1/images/" TEST_IMAGE, 200},
        {0, "/api/v1/fleet", 429},    {0, "/api/v1/images/" TEST_IMAGE, 429},
        {0, "/health", 200},          {0, "/openapi.json", 200},
        {1000, "/api/v1/fleet", 200}, {0, "/api/v1/fleet", 429},
    };
    _cleanup_(scene_freep) struct scene *scene = scene_new();

    set_limit(&scene->f->gateway->anybody_rates, 60, 2);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        clock_fake_advance(&scene->clock, rows[i].after_ms);
        _cleanup_answer_ struct answer answer =
            http_call(scene->f, "GET", rows[i].path, NULL, NULL);
        if (answer.status != rows[i].status)
            fail_msg("row %zu: %ld", i, answer.status);
        check_told(&answer, NULL, NULL, NULL, answer.status == 429 ? "1" : NULL);
    }
    assert_int_equal(status_of(scene, READER), 200);
}

static void test_networks(_unused_ void **state)
{
    static const char *const rows[][2] = {
        {"192.0.2.7", "192.0.2.7"},
        {"::ffff:192.0.2.7", "::ffff:192.0.2.7"},
        {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
        {"2001:db8:1:2::ffff", "2001:db8:1:2::"},
        {"2001:db8:1:3::ffff", "2001:db8:1:3::"},
        {"::1", "::"},
        {"fe80::1%eth0", "fe80::1%eth0"},
        {"", ""},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        char network[BUCKET_NAME_SIZE];
        rate_limit_network(rows[i][0], network);
        assert_string_equal(network, rows[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_key_has_its_share),
        cmocka_unit_test(test_others_keep_theirs),
        cmocka_unit_test(test_all_authenticated_answers_tell),
        cmocka_unit_test(test_what_is_refused_does_nothing),
        cmocka_unit_test(test_without_a_limit_nothing_is_told),
        cmocka_unit_test(test_guessing_is_slowed),
        cmocka_unit_test(test_what_is_allowed_or_denied_is_no_failure),
        cmocka_unit_test(test_an_address_has_its_share_without_a_key),
        cmocka_unit_test(test_networks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
