/* Idempotency-Key: what is asked for twice happens once, and has one answer. */
#include "services/api-gateway/test_idempotency_kit.h"

#include "services/api-gateway/idempotency.h"
#include "services/api-gateway/routes.h"
#include "shared/base/alloc.h"

static void test_which_keys_are_keys(_unused_ void **state)
{
    char longest[257];

    memset(longest, 'k', sizeof(longest) - 1);
    longest[256] = '\0';
    const struct {
        const char *text;
        bool valid;
    } rows[] = {
        {"a", true},           {"8c5a3f0e-2a3e-4f0e-9a55-0f3c6f0f9a11", true},
        {"\"quoted\"", true},  {"!~", true},
        {longest + 1, true}, /* 255 */
        {longest, false},      {"", false},
        {" ", false},          {"a b", false},
        {"a ", false},         {" a", false},
        {"a\tb", false},       {"a\nb", false},
        {"a\x01", false},      {"a\x7f", false},
        {"k\xc3\xa9y", false}, {"\xff", false},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++)
        if (idempotency_key_is_valid(rows[i].text) != rows[i].valid)
            fail_msg("row %zu: '%s'", i, rows[i].text);
}

static void test_bad_keys_are_refused_and_change_nothing(_unused_ void **state)
{
    static const char *const rows[][3] = {
        {"Idempotency-Key;", NULL}, /* curl's way to send an empty one */
        {KEY "two words", NULL},      {KEY "k\xc3\xa9y", NULL},
        {KEY "one", KEY "two", NULL}, {KEY "same", "idempotency-key: same", NULL},
    };
    _cleanup_scene_ struct scene *scene = hooked_scene();
    _cleanup_free_ char *before = scene_dump(scene);

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_answer_ struct answer answer = scene_call_with(
            scene, GLOBAL_ADMIN, "POST", "/api/v1/accounts/create", rows[i], "{\"name\":\"n\"}");
        check_refused(&answer, 400, "INVALID_IDEMPOTENCY_KEY");
    }
    _cleanup_free_ char *after = scene_dump(scene);
    assert_string_equal(before, after);
    assert_int_equal(atomic_load(&hook.records), 0);
}

/* Every route, so that none is forgotten: a bad key is refused exactly where keys count. */
static void test_which_routes_take_a_key(_unused_ void **state)
{
    static const char *const ignore[] = {
        "/api/v1/workloads/logs",           "/api/v1/workloads/stats",
        "/api/v1/workload-containers/list", "/api/v1/workload-containers/logs",
        "/api/v1/workload-events/list",     "/api/v1/workloads/plan",
    };
    _cleanup_scene_ struct scene *scene = hooked_scene();

    for (const struct route *route = gateway_routes; route->path; route++) {
        bool ignores = strcmp(route->method, "GET") == 0;
        if (ignores)
            continue;
        for (size_t i = 0; i < ELEMENTSOF(ignore); i++)
            ignores = ignores || strcmp(route->path, ignore[i]) == 0;
        enum actor actor = route->scope == SCOPE_ADMIN ? GLOBAL_ADMIN : ACCOUNT_ADMIN;
        _cleanup_answer_ struct answer answer =
            keyed_call(scene, actor, KEY "no key", route->method, route->path, "{}");
        if ((strcmp(answer_text(&answer, "kind"), "INVALID_IDEMPOTENCY_KEY") == 0) == ignores)
            fail_msg("%s %s: %ld", route->method, route->path, answer.status);
    }
}

static void test_the_first_answer_again(_unused_ void **state)
{
    _cleanup_scene_ struct scene *scene = hooked_scene();
    _cleanup_answer_ struct answer first = keyed_call(
        scene, GLOBAL_ADMIN, KEY "k", "POST", "/api/v1/accounts/create", "{\"name\":\"n\"}");
    _cleanup_free_ char *before = scene_dump(scene);

    assert_int_equal(first.status, 200);
    for (int i = 0; i < 3; i++) {
        clock_fake_advance(&scene->clock, 7 * HOUR_MS);
        _cleanup_answer_ struct answer again = keyed_call(
            scene, GLOBAL_ADMIN, KEY "k", "POST", "/api/v1/accounts/create", "{\"name\":\"n\"}");
        check_same(&first, &again);
    }
    _cleanup_free_ char *after = scene_dump(scene);
    assert_string_equal(before, after);
}

static void test_a_day_later_it_is_a_new_request(_unused_ void **state)
{
    _cleanup_scene_ struct scene *scene = hooked_scene();
    _cleanup_answer_ struct answer first = keyed_call(
        scene, GLOBAL_ADMIN, KEY "k", "POST", "/api/v1/accounts/create", "{\"name\":\"n\"}");

    clock_fake_advance(&scene->clock, 24 * HOUR_MS);
    _cleanup_answer_ struct answer later = keyed_call(
        scene, GLOBAL_ADMIN, KEY "k", "POST", "/api/v1/accounts/create", "{\"name\":\"n\"}");
    assert_int_equal(later.status, 200);
    assert_false(is_replayed(&later));
    assert_string_not_equal(answer_text(&later, "accountId"), answer_text(&first, "accountId"));
}

/* One key stands for one request of one caller. */
static void test_a_key_is_not_for_another_request(_unused_ void **state)
{
    static const struct {
        enum actor actor;
        const char *method;
        const char *path;
        const char *body;
    } rows[] = {
        {ACCOUNT_ADMIN, "POST", "/api/v1/api-keys/create",
         "{\"accountId\":\"$OURS\",\"type\":\"user\",\"name\":\"other\"}"},
        {ACCOUNT_ADMIN, "POST", "/api/v1/api-keys/create",
         "{\"accountId\":\"$OURS\",\"type\":\"user\"} "}, /* not byte by byte */
        {ACCOUNT_ADMIN, "POST", "/api/v1/api-keys/delete",
         "{\"accountId\":\"$OURS\",\"type\":\"user\"}"},
        {ACCOUNT_ADMIN, "PUT", "/api/v1/api-keys/update",
         "{\"accountId\":\"$OURS\",\"type\":\"user\"}"},
        /* another key of the account must not get what was shown to the first once */
        {DEPLOYER, "POST", "/api/v1/workloads/stop", "{\"workloadId\":\"w-1\"}"},
    };
    _cleanup_scene_ struct scene *scene = hooked_scene();
    _cleanup_answer_ struct answer first =
        keyed_call(scene, ACCOUNT_ADMIN, KEY "k", "POST", "/api/v1/api-keys/create",
                   "{\"accountId\":\"$OURS\",\"type\":\"user\"}");

    assert_int_equal(first.status, 200);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_answer_ struct answer answer =
            keyed_call(scene, rows[i].actor, KEY "k", rows[i].method, rows[i].path, rows[i].body);
        check_refused(&answer, 422, "IDEMPOTENCY_KEY_REUSED");
    }
    assert_int_equal(scene->f->commands, 0);
}

static void test_a_secret_is_told_again_to_its_owner_only(_unused_ void **state)
{
    static const char body[] = "{\"accountId\":\"$OURS\",\"type\":\"account-admin\"}";
    _cleanup_scene_ struct scene *scene = hooked_scene();
    _cleanup_answer_ struct answer first =
        keyed_call(scene, ACCOUNT_ADMIN, KEY "k", "POST", "/api/v1/api-keys/create", body);
    _cleanup_answer_ struct answer again =
        keyed_call(scene, ACCOUNT_ADMIN, KEY "k", "POST", "/api/v1/api-keys/create", body);
    const char *secret = answer_text(&first, "id");

    check_same(&first, &again);
    snprintf(scene->secrets[FOREIGN], sizeof(scene->secrets[FOREIGN]), "%s", secret);
    _cleanup_answer_ struct answer other =
        keyed_call(scene, FOREIGN, KEY "k", "POST", "/api/v1/api-keys/create", body);
    check_refused(&other, 422, "IDEMPOTENCY_KEY_REUSED");
    assert_null(strstr(buffer_text(&other.body), secret));
}

/* Neither what is shown once, nor the key, nor what a body's plain hash would give away. */
static void test_the_store_learns_no_secret(_unused_ void **state)
{
    static const char body[] = "{\"accountId\":\"$OURS\",\"type\":\"user\",\"name\":\"word\"}";
    _cleanup_scene_ struct scene *scene = hooked_scene();
    _cleanup_free_ char *real = xasprintf("{\"accountId\":\"%s\",\"type\":\"user\",\"name\":"
                                          "\"word\"}",
                                          scene->ours);
    _cleanup_answer_ struct answer first = keyed_call(scene, ACCOUNT_ADMIN, KEY "open-sesame",
                                                      "POST", "/api/v1/api-keys/create", body);
    uint8_t digest[SHA256_SIZE];
    char hex[65];

    sha256(real, strlen(real), digest);
    hex_encode(digest, sizeof(digest), hex);
    const char *const unwanted[] = {answer_text(&first, "id"), scene->secrets[ACCOUNT_ADMIN],
                                    "open-sesame", "word", hex};
    assert_int_equal(first.status, 200);
    assert_int_equal(atomic_load(&hook.records), 2);
    for (size_t i = 0; i < ELEMENTSOF(unwanted); i++)
        assert_null(strstr(buffer_text(&hook.written), unwanted[i]));
}

static void test_accounts_have_their_own_keys(_unused_ void **state)
{
    _cleanup_scene_ struct scene *scene = hooked_scene();
    _cleanup_answer_ struct answer ours =
        keyed_call(scene, ACCOUNT_ADMIN, KEY "k", "POST", "/api/v1/api-keys/create",
                   "{\"accountId\":\"$OURS\",\"type\":\"user\"}");
    _cleanup_answer_ struct answer theirs =
        keyed_call(scene, FOREIGN, KEY "k", "POST", "/api/v1/api-keys/create",
                   "{\"accountId\":\"$THEIRS\",\"type\":\"user\"}");
    _cleanup_answer_ struct answer operators =
        keyed_call(scene, GLOBAL_ADMIN, KEY "k", "POST", "/api/v1/api-keys/create",
                   "{\"accountId\":\"$OURS\",\"type\":\"user\"}");

    assert_int_equal(ours.status, 200);
    assert_int_equal(theirs.status, 200);
    assert_int_equal(operators.status, 200);
    assert_false(is_replayed(&theirs) || is_replayed(&operators));
}

/* The operator's key is the same caller in either header. */
static void test_the_admin_may_change_the_header(_unused_ void **state)
{
    _cleanup_scene_ struct scene *scene = hooked_scene();
    _cleanup_answer_ struct answer first = keyed_call(
        scene, GLOBAL_ADMIN, KEY "k", "POST", "/api/v1/accounts/create", "{\"name\":\"n\"}");
    _cleanup_answer_ struct answer again = keyed_call(
        scene, ADMIN_BEARER, KEY "k", "POST", "/api/v1/accounts/create", "{\"name\":\"n\"}");

    check_same(&first, &again);
}

/* Questions may be asked again and again with whatever header. */
static void test_questions_ignore_the_key(_unused_ void **state)
{
    static const char *const ids[] = {"w-1", "w-2", "w-1"};
    _cleanup_scene_ struct scene *scene = hooked_scene();

    put_workload(scene->f, "w-1", scene->ours, COFFER__V1__WORKLOAD_STATUS__RUNNING);
    put_workload(scene->f, "w-2", scene->ours, COFFER__V1__WORKLOAD_STATUS__RUNNING);
    for (size_t i = 0; i < ELEMENTSOF(ids); i++) {
        _cleanup_free_ char *body = xasprintf("{\"workloadId\":\"%s\"}", ids[i]);
        _cleanup_answer_ struct answer answer =
            keyed_call(scene, READER, KEY "k", "POST", "/api/v1/workload-events/list", body);
        assert_int_equal(answer.status, 200);
        assert_false(is_replayed(&answer));
    }
    assert_int_equal(atomic_load(&hook.records), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_which_keys_are_keys),
        cmocka_unit_test(test_bad_keys_are_refused_and_change_nothing),
        cmocka_unit_test(test_which_routes_take_a_key),
        cmocka_unit_test(test_the_first_answer_again),
        cmocka_unit_test(test_a_day_later_it_is_a_new_request),
        cmocka_unit_test(test_a_key_is_not_for_another_request),
        cmocka_unit_test(test_a_secret_is_told_again_to_its_owner_only),
        cmocka_unit_test(test_the_store_learns_no_secret),
        cmocka_unit_test(test_accounts_have_their_own_keys),
        cmocka_unit_test(test_the_admin_may_change_the_header),
        cmocka_unit_test(test_questions_ignore_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
