/* Webhooks: who may do what, what is refused, and that the secret is told once. */
#include "services/api-gateway/test_scene.h"

#include "services/api-gateway/webhooks.h"
#include "shared/base/alloc.h"
#include "shared/store/keys.h"

#define URL       "https://hooks.example/in" /* a name that never has an address */
#define CREATE    "/api/v1/webhooks/create"
#define UPDATE    "/api/v1/webhooks/update"
#define MAKE_BODY "{\"url\":\"" URL "\"}"

static char *make(const struct scene *scene, enum actor actor, char **ret_secret)
{
    _cleanup_answer_ struct answer made = scene_call(scene, actor, "POST", CREATE, MAKE_BODY);

    assert_int_equal(made.status, 200);
    if (ret_secret)
        *ret_secret = xstrdup(answer_text(&made, "secret"));
    return xstrdup(answer_text(&made, "webhookId"));
}

static struct answer update(const struct scene *scene, const char *id, const char *rest)
{
    _cleanup_free_ char *body = xasprintf("{\"webhookId\":\"%s\"%s}", id, rest);

    return scene_call(scene, DEPLOYER, "PUT", UPDATE, body);
}

static struct answer get(const struct scene *scene, enum actor actor, const char *id)
{
    _cleanup_free_ char *path = xasprintf("/api/v1/webhooks/%s", id);

    return scene_call(scene, actor, "GET", path, NULL);
}

static void test_a_webhook_is_made_and_shown(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_answer_ struct answer made =
        scene_call(scene, DEPLOYER, "POST", CREATE,
                   "{\"url\":\"" URL "\",\"events\":[\"running\",\"error\"],"
                   "\"description\":\"pager\",\"active\":false}");
    _cleanup_answer_ struct answer got = get(scene, DEPLOYER, answer_text(&made, "webhookId"));
    _cleanup_answer_ struct answer list =
        scene_call(scene, ACCOUNT_ADMIN, "GET", "/api/v1/webhooks/list", NULL);
    const json_t *events = json_object_get(got.json, "events");

    assert_int_equal(made.status, 200);
    assert_int_equal(strlen(answer_text(&made, "secret")), WEBHOOK_SECRET_SIZE - 1);
    assert_int_equal(got.status, 200);
    assert_string_equal(answer_text(&got, "accountId"), scene->ours);
    assert_string_equal(answer_text(&got, "url"), URL);
    assert_string_equal(answer_text(&got, "description"), "pager");
    assert_true(json_is_false(json_object_get(got.json, "active")));
    assert_int_equal(json_array_size(events), 2);
    assert_string_equal(json_string_value(json_array_get(events, 1)), "error");
    assert_int_equal(json_integer_value(json_object_get(got.json, "pendingDeliveries")), 0);
    assert_int_equal(json_array_size(list.json), 1);
    assert_null(strstr(buffer_text(&list.body), "secret"));
}

static void test_without_events_it_wants_all(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_free_ char *id = make(scene, DEPLOYER, NULL);
    _cleanup_answer_ struct answer got = get(scene, DEPLOYER, id);

    assert_string_equal(json_string_value(json_array_get(json_object_get(got.json, "events"), 0)),
                        "*");
    assert_true(json_is_true(json_object_get(got.json, "active")));
}

/* Every place that something of ours is told or kept in. */
static void assert_nowhere(const struct scene *scene, const char *id, const char *secret)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct store_record record;
    _cleanup_free_ char *deliveries = xasprintf("/api/v1/webhooks/%s/deliveries", id);
    const char *const paths[] = {"/api/v1/webhooks/list", "/api/v1/audit?limit=1000", deliveries};

    for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
        _cleanup_answer_ struct answer told =
            scene_call(scene, ACCOUNT_ADMIN, "GET", paths[i], NULL);
        assert_int_equal(told.status, 200);
        assert_null(strstr(buffer_text(&told.body), secret));
    }
    assert_null(
        store_get(scene->f->store, arena_printf(arena, "%s%s", KEY_WEBHOOK, id), arena, &record));
    assert_true(record.version > 0);
    assert_null(memmem(record.value.data, record.value.len, secret + 6, strlen(secret + 6)));
}

static void test_the_secret_is_told_once(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_free_ char *secret = NULL;
    _cleanup_free_ char *id = make(scene, DEPLOYER, &secret);
    _cleanup_answer_ struct answer renamed = update(scene, id, ",\"description\":\"d\"");
    _cleanup_answer_ struct answer rotated = update(scene, id, ",\"rotateSecret\":true");
    const char *next = answer_text(&rotated, "secret");

    assert_int_equal(renamed.status, 200);
    assert_string_equal(answer_text(&renamed, "secret"), "");
    assert_int_equal(rotated.status, 200);
    assert_int_equal(strlen(next), WEBHOOK_SECRET_SIZE - 1);
    assert_string_not_equal(next, secret);
    assert_nowhere(scene, id, secret);
    assert_nowhere(scene, id, next);
}

static void test_what_is_not_given_stays(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_free_ char *id = make(scene, DEPLOYER, NULL);
    _cleanup_answer_ struct answer one = update(scene, id, ",\"events\":[\"stopped\"]");
    _cleanup_answer_ struct answer two = update(scene, id, ",\"active\":false");
    _cleanup_answer_ struct answer three =
        update(scene, id, ",\"url\":\"https://other.example.com/\"");

    assert_int_equal(one.status, 200);
    assert_int_equal(two.status, 200);
    assert_int_equal(three.status, 200);
    assert_string_equal(answer_text(&three, "url"), "https://other.example.com/");
    assert_true(json_is_false(json_object_get(three.json, "active")));
    assert_string_equal(json_string_value(json_array_get(json_object_get(three.json, "events"), 0)),
                        "stopped");
}

static void test_bad_bodies_are_refused(_unused_ void **state)
{
    static const struct {
        const char *rest; /* of a create with a good url, or of an update */
        const char *where;
    } rows[] = {
        {"\"url\":\"http://hooks.example.com/\"", "url"},
        {"\"url\":\"https://127.0.0.1/\"", "url"},
        {"\"url\":\"https://u:p@hooks.example.com/\"", "url"},
        {"\"url\":7", "url"},
        {"\"events\":[]", "events"},
        {"\"events\":\"running\"", "events"},
        {"\"events\":[7]", "events[0]"},
        {"\"events\":[\"running\",\"\"]", "events[1]"},
        {"\"events\":[\"a b\"]", "events[0]"},
        {"\"events\":[\"evt.>\"]", "events[0]"},
        {"\"events\":[\"**\"]", "events[0]"},
        {"\"description\":\"a\\nb\"", "description"},
        {"\"description\":7", "description"},
        {"\"active\":\"yes\"", "active"},
        {"\"secret\":\"whsec_mine\"", "secret"},
        {"\"accountId\":\"theirs\"", "accountId"},
        {"\"disabledReason\":\"x\"", "disabledReason"},
    };
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_free_ char *id = make(scene, DEPLOYER, NULL);

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const char *url = strncmp(rows[i].rest, "\"url\"", 5) == 0 ? "" : "\"url\":\"" URL "\",";
        _cleanup_free_ char *body = xasprintf("{%s%s}", url, rows[i].rest);
        _cleanup_free_ char *rest = xasprintf(",%s", rows[i].rest);
        _cleanup_answer_ struct answer made = scene_call(scene, DEPLOYER, "POST", CREATE, body);
        _cleanup_answer_ struct answer changed = update(scene, id, rest);
        if (made.status != 400 || !has_finding(&made, rows[i].where))
            fail_msg("create %s: %ld", body, made.status);
        if (changed.status != 400 || !has_finding(&changed, rows[i].where))
            fail_msg("update %s: %ld", rest, changed.status);
    }
    _cleanup_answer_ struct answer without = scene_call(scene, DEPLOYER, "POST", CREATE, "{}");
    assert_true(has_finding(&without, "url"));
    _cleanup_answer_ struct answer nothing = update(scene, id, "");
    assert_true(has_finding(&nothing, "webhookId"));
    _cleanup_answer_ struct answer rotate =
        scene_call(scene, DEPLOYER, "POST", CREATE, "{\"url\":\"" URL "\",\"rotateSecret\":true}");
    assert_true(has_finding(&rotate, "rotateSecret"));
    _cleanup_answer_ struct answer list =
        scene_call(scene, DEPLOYER, "GET", "/api/v1/webhooks/list", NULL);
    assert_int_equal(json_array_size(list.json), 1);
}

/* With $ID for our webhook's id. */
static const struct {
    const char *method;
    const char *path;
    const char *body;
} routes[] = {
    {"GET", "/api/v1/webhooks/list", NULL},
    {"GET", "/api/v1/webhooks/$ID", NULL},
    {"GET", "/api/v1/webhooks/$ID/deliveries", NULL},
    {"PUT", "/api/v1/webhooks/update", "{\"webhookId\":\"$ID\",\"description\":\"x\"}"},
    {"POST", "/api/v1/webhooks/test", "{\"webhookId\":\"$ID\"}"},
    {"POST", "/api/v1/webhooks/delete", "{\"webhookId\":\"$ID\"}"},
    {"POST", "/api/v1/webhooks/create", MAKE_BODY},
};

static char *with_id(const char *text, const char *id)
{
    const char *at = text ? strstr(text, "$ID") : NULL;

    return at ? xasprintf("%.*s%s%s", (int)(at - text), text, id, at + 3) : xstrdup(text);
}

static struct answer call_route(const struct scene *scene, enum actor actor, size_t i,
                                const char *id)
{
    _cleanup_free_ char *path = with_id(routes[i].path, id);
    _cleanup_free_ char *body = with_id(routes[i].body, id);

    return scene_call(scene, actor, routes[i].method, path, body);
}

static void test_only_keys_that_may_deploy_come_in(_unused_ void **state)
{
    static const enum actor refused[] = {NOBODY, GLOBAL_ADMIN, ADMIN_BEARER, AUDITOR,
                                         READER, INACTIVE,     EXPIRED,      UNKNOWN};
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_free_ char *id = make(scene, DEPLOYER, NULL);

    for (size_t i = 0; i < ELEMENTSOF(routes); i++)
        for (size_t k = 0; k < ELEMENTSOF(refused); k++) {
            _cleanup_answer_ struct answer answer = call_route(scene, refused[k], i, id);
            if (answer.status != 401)
                fail_msg("actor %d on %s: %ld", refused[k], routes[i].path, answer.status);
        }
}

static void test_anothers_webhook_is_as_missing(_unused_ void **state)
{
    static const char *const ids[] = {NULL, "00000000-0000-4000-8000-000000000000", "A", "a.b",
                                      "coffer:webhook:x"};
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_free_ char *id = make(scene, DEPLOYER, NULL);

    for (size_t i = 1; i + 1 < ELEMENTSOF(routes); i++)
        for (size_t k = 0; k < ELEMENTSOF(ids); k++) {
            _cleanup_answer_ struct answer answer = call_route(scene, FOREIGN, i, ids[k] ?: id);
            if (answer.status != 404)
                fail_msg("%s with '%s': %ld", routes[i].path, ids[k] ?: id, answer.status);
        }
    _cleanup_answer_ struct answer list = call_route(scene, FOREIGN, 0, id);
    assert_int_equal(json_array_size(list.json), 0);
    _cleanup_answer_ struct answer got = get(scene, DEPLOYER, id);
    assert_string_equal(answer_text(&got, "description"), "");
}

static void test_a_deleted_one_is_gone(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_free_ char *id = make(scene, DEPLOYER, NULL);
    _cleanup_answer_ struct answer gone = call_route(scene, DEPLOYER, 5, id);

    assert_int_equal(gone.status, 200);
    assert_string_equal(buffer_text(&gone.body), "{}");
    for (size_t i = 1; i + 1 < ELEMENTSOF(routes); i++) {
        _cleanup_answer_ struct answer answer = call_route(scene, DEPLOYER, i, id);
        assert_int_equal(answer.status, 404);
    }
}

static void test_changes_are_in_the_audit_trail(_unused_ void **state)
{
    static const char *const actions[] = {"webhooks/delete", "webhooks/test", "webhooks/update",
                                          "webhooks/create"};
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_free_ char *id = make(scene, DEPLOYER, NULL);

    for (size_t i = 3; i < 6; i++) {
        _cleanup_answer_ struct answer answer = call_route(scene, DEPLOYER, i, id);
        assert_int_equal(answer.status, 200);
    }
    _cleanup_answer_ struct answer audit =
        scene_call(scene, ACCOUNT_ADMIN, "GET", "/api/v1/audit?limit=4", NULL);
    for (size_t i = 0; i < ELEMENTSOF(actions); i++) {
        const json_t *entry = json_array_get(json_object_get(audit.json, "entries"), i);
        assert_string_equal(json_string_value(json_object_get(entry, "action")), actions[i]);
        assert_string_equal(json_string_value(json_object_get(entry, "object")), id);
        assert_string_equal(json_string_value(json_object_get(entry, "result")), "ok");
    }
    assert_null(strstr(buffer_text(&audit.body), URL)); /* it may hold the receiver's token */
}

static void test_an_account_has_so_many(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();

    for (size_t i = 0; i < WEBHOOKS_MAX; i++) {
        _cleanup_free_ char *id = make(scene, DEPLOYER, NULL);
    }
    _cleanup_answer_ struct answer more = scene_call(scene, DEPLOYER, "POST", CREATE, MAKE_BODY);
    assert_int_equal(more.status, 412);
    _cleanup_free_ char *theirs = make(scene, FOREIGN, NULL); /* theirs are not ours */
}

static void *create_some(void *data)
{
    const struct scene *scene = data;

    for (int i = 0; i < 5; i++) {
        _cleanup_answer_ struct answer made =
            scene_call(scene, DEPLOYER, "POST", CREATE, MAKE_BODY);
        expect_that(made.status == 200 || made.status == 412);
    }
    return NULL;
}

static void test_nor_more_when_many_are_made_at_once(_unused_ void **state)
{
    enum { THREADS = 8 };
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    pthread_t threads[THREADS];

    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, create_some, scene), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    _cleanup_answer_ struct answer list =
        scene_call(scene, DEPLOYER, "GET", "/api/v1/webhooks/list", NULL);
    assert_int_equal(json_array_size(list.json), WEBHOOKS_MAX);
}

static void test_one_that_is_off_is_not_tried(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_free_ char *id = make(scene, DEPLOYER, NULL);
    _cleanup_answer_ struct answer off = update(scene, id, ",\"active\":false");
    _cleanup_answer_ struct answer tried = call_route(scene, DEPLOYER, 4, id);

    assert_int_equal(off.status, 200);
    assert_int_equal(tried.status, 412);
    assert_string_equal(answer_text(&tried, "kind"), "FAILED_PRECONDITION");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_webhook_is_made_and_shown),
        cmocka_unit_test(test_without_events_it_wants_all),
        cmocka_unit_test(test_the_secret_is_told_once),
        cmocka_unit_test(test_what_is_not_given_stays),
        cmocka_unit_test(test_bad_bodies_are_refused),
        cmocka_unit_test(test_only_keys_that_may_deploy_come_in),
        cmocka_unit_test(test_anothers_webhook_is_as_missing),
        cmocka_unit_test(test_a_deleted_one_is_gone),
        cmocka_unit_test(test_changes_are_in_the_audit_trail),
        cmocka_unit_test(test_an_account_has_so_many),
        cmocka_unit_test(test_nor_more_when_many_are_made_at_once),
        cmocka_unit_test(test_one_that_is_off_is_not_tried),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
