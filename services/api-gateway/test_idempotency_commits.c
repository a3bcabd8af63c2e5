/* Repeats with an Idempotency-Key while a request is in progress, and after commits that were lost.
 */
#include "services/api-gateway/test_idempotency_kit.h"

#include "services/api-gateway/idempotency.h"
#include "shared/base/alloc.h"

#define WEBHOOKS "/api/v1/webhooks/"

static void *stop_it(void *state)
{
    struct answer *answer = xnew(struct answer);

    *answer = keyed_call(state, DEPLOYER, KEY "k", "POST", "/api/v1/workloads/stop",
                         "{\"workloadId\":\"w-1\"}");
    return answer;
}

/* The scheduler of the test does not answer while we hold its lock. */
static void test_meanwhile_the_key_is_in_use(_unused_ void **state)
{
    _cleanup_scene_ struct scene *scene = hooked_scene();
    void *first = NULL;
    pthread_t thread;

    put_workload(scene->f, "w-1", scene->ours, COFFER__V1__WORKLOAD_STATUS__RUNNING);
    pthread_mutex_lock(&scene->f->lock);
    assert_int_equal(pthread_create(&thread, NULL, stop_it, scene), 0);
    while (!atomic_load(&hook.records))
        usleep(1000);
    _cleanup_answer_ struct answer meanwhile = keyed_call(
        scene, DEPLOYER, KEY "k", "POST", "/api/v1/workloads/stop", "{\"workloadId\":\"w-1\"}");
    _cleanup_answer_ struct answer other = keyed_call(
        scene, DEPLOYER, KEY "k", "POST", "/api/v1/workloads/stop", "{\"workloadId\":\"w-2\"}");
    pthread_mutex_unlock(&scene->f->lock);
    pthread_join(thread, &first);
    check_refused(&meanwhile, 409, "IDEMPOTENCY_KEY_IN_USE");
    _cleanup_free_ char *retry = answer_header(&meanwhile, "Retry-After");
    assert_string_equal(retry, "1");
    check_refused(&other, 422, "IDEMPOTENCY_KEY_REUSED");
    _cleanup_answer_ struct answer again = keyed_call(
        scene, DEPLOYER, KEY "k", "POST", "/api/v1/workloads/stop", "{\"workloadId\":\"w-1\"}");
    check_same(first, &again);
    assert_int_equal(scene->f->commands, 1);
    answer_done(first);
    free(first);
}

/* Whoever claimed the key died. Others wait for as long as a claim lasts, not for a day. */
static void test_a_claim_without_an_end_expires(_unused_ void **state)
{
    _cleanup_scene_ struct scene *scene = hooked_scene();

    put_workload(scene->f, "w-1", scene->ours, COFFER__V1__WORKLOAD_STATUS__RUNNING);
    hook.drop_ends = true;
    _cleanup_answer_ struct answer lost = keyed_call(
        scene, DEPLOYER, KEY "k", "POST", "/api/v1/workloads/stop", "{\"workloadId\":\"w-1\"}");
    assert_int_equal(lost.status, 200); /* the scheduler did it: that is what is told */
    hook.drop_ends = false;
    clock_fake_advance(&scene->clock, IDEMPOTENCY_LEASE_MS - 1);
    _cleanup_answer_ struct answer early = keyed_call(
        scene, DEPLOYER, KEY "k", "POST", "/api/v1/workloads/stop", "{\"workloadId\":\"w-1\"}");
    check_refused(&early, 409, "IDEMPOTENCY_KEY_IN_USE");
    clock_fake_advance(&scene->clock, 1);
    _cleanup_answer_ struct answer retry = keyed_call(
        scene, DEPLOYER, KEY "k", "POST", "/api/v1/workloads/stop", "{\"workloadId\":\"w-1\"}");
    _cleanup_answer_ struct answer again = keyed_call(
        scene, DEPLOYER, KEY "k", "POST", "/api/v1/workloads/stop", "{\"workloadId\":\"w-1\"}");
    assert_int_equal(retry.status, 200);
    check_same(&retry, &again);
    assert_int_equal(scene->f->commands, 1); /* what the scheduler noted is not asked for again */
}

static const struct change {
    const char *method;
    const char *path;
    const char *body;
} changes[] = {
    {"POST", "/api/v1/accounts/create", "{\"name\":\"n\"}"},
    {"POST", "/api/v1/accounts/create",
     "{\"name\":\"n\",\"walletAddress\":\"0x00112233445566778899aabbccddeeff00112233\"}"},
    {"PUT", "/api/v1/accounts/update", "{\"accountId\":\"$OURS\",\"name\":\"n\"}"},
    {"POST", "/api/v1/accounts/add-balance", "{\"accountId\":\"$OURS\",\"balance\":0.1}"},
    {"POST", "/api/v1/members/create",
     "{\"accountId\":\"$OURS\",\"name\":\"n\",\"role\":\"viewer\"}"},
    {"POST", "/api/v1/api-keys/create", "{\"accountId\":\"$OURS\",\"type\":\"user\"}"},
    {"PUT", "/api/v1/api-keys/update", "{\"id\":\"$DEPLOYER\",\"active\":false}"},
    {"POST", "/api/v1/api-keys/delete", "{\"id\":\"$DEPLOYER\"}"},
};

/* The worst 503: it happened, and nobody knows. The retry has the first answer. */
static void test_a_lost_commit_happens_once(_unused_ void **state)
{
    _cleanup_scene_ struct scene *scene = hooked_scene();

    for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
        const struct change *c = &changes[i];
        _cleanup_free_ char *key = xasprintf(KEY "k-%zu", i);
        hook.lose_answers = true;
        _cleanup_answer_ struct answer lost =
            keyed_call(scene, GLOBAL_ADMIN, key, c->method, c->path, c->body);
        check_refused(&lost, 503, "UNAVAILABLE");
        hook.lose_answers = false;
        _cleanup_free_ char *before = scene_dump(scene);
        _cleanup_answer_ struct answer retry =
            keyed_call(scene, GLOBAL_ADMIN, key, c->method, c->path, c->body);
        assert_int_equal(retry.status, 200);
        assert_true(is_replayed(&retry));
        _cleanup_free_ char *after = scene_dump(scene);
        assert_string_equal(before, after);
    }
}

/* The same for what only an account has: webhooks. */
static void test_a_lost_change_of_a_webhook_happens_once(_unused_ void **state)
{
    static const char list_path[] = "/api/v1/webhooks/list";
    _cleanup_scene_ struct scene *scene = hooked_scene();
    _cleanup_answer_ struct answer made = keyed_call(
        scene, DEPLOYER, NULL, "POST", WEBHOOKS "create", "{\"url\":\"https://hooks.example/in\"}");
    _cleanup_free_ char *rotate =
        xasprintf("{\"webhookId\":\"%s\",\"rotateSecret\":true}", answer_text(&made, "webhookId"));
    _cleanup_free_ char *one = xasprintf("{\"webhookId\":\"%s\"}", answer_text(&made, "webhookId"));
    const struct change rows[] = {
        {"POST", WEBHOOKS "create", "{\"url\":\"https://hooks.example/in\"}"},
        {"PUT", WEBHOOKS "update", rotate},
        {"POST", WEBHOOKS "delete", one},
    };

    assert_int_equal(made.status, 200);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const struct change *c = &rows[i];
        _cleanup_free_ char *key = xasprintf(KEY "k-%zu", i);
        hook.lose_answers = true;
        _cleanup_answer_ struct answer lost =
            keyed_call(scene, DEPLOYER, key, c->method, c->path, c->body);
        check_refused(&lost, 503, "UNAVAILABLE");
        hook.lose_answers = false;
        _cleanup_answer_ struct answer before =
            keyed_call(scene, DEPLOYER, NULL, "GET", list_path, NULL);
        _cleanup_answer_ struct answer retry =
            keyed_call(scene, DEPLOYER, key, c->method, c->path, c->body);
        if (retry.status != 200 || !is_replayed(&retry))
            fail_msg("row %zu: %ld %s", i, retry.status, buffer_text(&retry.body));
        assert_int_equal(*answer_text(&retry, "secret") != '\0', i < 2);
        _cleanup_answer_ struct answer after =
            keyed_call(scene, DEPLOYER, NULL, "GET", list_path, NULL);
        assert_true(json_equal(before.json, after.json));
    }
}

static size_t deliveries(const struct scene *scene, const char *webhook)
{
    _cleanup_free_ char *path = xasprintf(WEBHOOKS "%s/deliveries", webhook);
    _cleanup_answer_ struct answer answer = keyed_call(scene, DEPLOYER, NULL, "GET", path, NULL);

    return json_array_size(json_object_get(answer.json, "deliveries"));
}

/* A test event is no record with an answer in its commit: it has a name that follows from the key.
 */
static void test_a_lost_test_of_a_webhook_happens_once(_unused_ void **state)
{
    _cleanup_scene_ struct scene *scene = hooked_scene();
    _cleanup_answer_ struct answer made = keyed_call(
        scene, DEPLOYER, NULL, "POST", WEBHOOKS "create", "{\"url\":\"https://hooks.example/in\"}");
    const char *id = answer_text(&made, "webhookId");
    _cleanup_free_ char *body = xasprintf("{\"webhookId\":\"%s\"}", id);
    const char *const keys[] = {KEY "k", KEY "k", KEY "other", NULL};
    const size_t wanted[] = {1, 1, 2, 3};

    for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
        hook.lose_answers = i == 0;
        _cleanup_answer_ struct answer answer =
            keyed_call(scene, DEPLOYER, keys[i], "POST", WEBHOOKS "test", body);
        hook.lose_answers = false;
        assert_int_equal(answer.status, i == 0 ? 503 : 200);
        assert_int_equal(deliveries(scene, id), wanted[i]);
    }
}

/* Without a claim nothing is asked of anybody. */
static void test_without_the_store_nothing_happens(_unused_ void **state)
{
    _cleanup_scene_ struct scene *scene = hooked_scene();

    put_workload(scene->f, "w-1", scene->ours, COFFER__V1__WORKLOAD_STATUS__RUNNING);
    hook.away = true;
    _cleanup_answer_ struct answer answer = keyed_call(
        scene, DEPLOYER, KEY "k", "POST", "/api/v1/workloads/stop", "{\"workloadId\":\"w-1\"}");
    hook.away = false;
    check_refused(&answer, 503, "UNAVAILABLE");
    assert_int_equal(scene->f->commands, 0);
}

/* Also when no commit is answered: the claim is known by its owner. */
static void test_a_lost_claim_holds_nobody_up(_unused_ void **state)
{
    _cleanup_scene_ struct scene *scene = hooked_scene();

    for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
        const struct change *c = &changes[i];
        _cleanup_free_ char *key = xasprintf(KEY "k-%zu", i);
        hook.lose_all_answers = true;
        _cleanup_answer_ struct answer lost =
            keyed_call(scene, GLOBAL_ADMIN, key, c->method, c->path, c->body);
        _cleanup_answer_ struct answer retry =
            keyed_call(scene, GLOBAL_ADMIN, key, c->method, c->path, c->body);
        hook.lose_all_answers = false;
        check_refused(&lost, 503, "UNAVAILABLE");
        assert_int_equal(retry.status, 200);
        assert_true(is_replayed(&retry));
    }
}

static void test_what_is_replayed_is_what_is_there(_unused_ void **state)
{
    _cleanup_scene_ struct scene *scene = hooked_scene();
    static const char add[] = "{\"accountId\":\"$OURS\",\"balance\":0.1}";

    hook.lose_answers = true;
    _cleanup_answer_ struct answer lost =
        keyed_call(scene, GLOBAL_ADMIN, KEY "k", "POST", "/api/v1/accounts/add-balance", add);
    hook.lose_answers = false;
    _cleanup_answer_ struct answer retry =
        keyed_call(scene, GLOBAL_ADMIN, KEY "k", "POST", "/api/v1/accounts/add-balance", add);
    _cleanup_answer_ struct answer account =
        keyed_call(scene, GLOBAL_ADMIN, NULL, "GET", "/api/v1/accounts/$OURS", NULL);
    json_object_del(account.json, "burnRatePerMin"); /* told by GET only */
    assert_true(json_equal(retry.json, account.json));
    assert_non_null(strstr(buffer_text(&retry.body), "\"balance\":10.1"));
}

/* A commit whose claim is gone changes nothing: another try may have been made since. */
static void test_who_lost_the_claim_changes_nothing(_unused_ void **state)
{
    _cleanup_scene_ struct scene *scene = hooked_scene();

    for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
        const struct change *c = &changes[i];
        _cleanup_free_ char *key = xasprintf(KEY "k-%zu", i);
        _cleanup_free_ char *before = scene_dump(scene);
        hook.drop_claims = true;
        _cleanup_answer_ struct answer late =
            keyed_call(scene, GLOBAL_ADMIN, key, c->method, c->path, c->body);
        check_refused(&late, 503, "UNAVAILABLE");
        hook.drop_claims = false;
        _cleanup_free_ char *after = scene_dump(scene);
        assert_string_equal(before, after);
        _cleanup_answer_ struct answer retry =
            keyed_call(scene, GLOBAL_ADMIN, key, c->method, c->path, c->body);
        assert_int_equal(retry.status, 200);
        assert_false(is_replayed(&retry));
    }
}

static void test_without_a_key_nothing_is_kept(_unused_ void **state)
{
    _cleanup_scene_ struct scene *scene = hooked_scene();

    for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
        _cleanup_answer_ struct answer answer = keyed_call(
            scene, GLOBAL_ADMIN, NULL, changes[i].method, changes[i].path, changes[i].body);
        assert_int_equal(answer.status, 200);
    }
    assert_int_equal(atomic_load(&hook.records), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meanwhile_the_key_is_in_use),
        cmocka_unit_test(test_a_claim_without_an_end_expires),
        cmocka_unit_test(test_a_lost_commit_happens_once),
        cmocka_unit_test(test_a_lost_change_of_a_webhook_happens_once),
        cmocka_unit_test(test_a_lost_test_of_a_webhook_happens_once),
        cmocka_unit_test(test_without_the_store_nothing_happens),
        cmocka_unit_test(test_a_lost_claim_holds_nobody_up),
        cmocka_unit_test(test_what_is_replayed_is_what_is_there),
        cmocka_unit_test(test_who_lost_the_claim_changes_nothing),
        cmocka_unit_test(test_without_a_key_nothing_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
