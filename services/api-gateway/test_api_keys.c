/* API keys: made, used, listed, changed, deleted; the secret is told once. */
#include "services/api-gateway/test_scene.h"

#include "shared/base/alloc.h"
#include "shared/store/keys.h"

static const json_t *find_key(const struct answer *list, const char *id)
{
    const json_t *key;
    size_t i;

    json_array_foreach(list->json, i, key) if (strcmp(json_string_value(json_object_get(key, "id")),
                                                      id) == 0) return key;
    return NULL;
}

static long status_of(const struct scene *scene, const char *secret)
{
    _cleanup_answer_ struct answer answer =
        http_call(scene->f, "GET", "/api/v1/workloads/list", secret, NULL);

    return answer.status;
}

static void test_the_secret_is_told_once(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_answer_ struct answer made =
        scene_call(scene, ACCOUNT_ADMIN, "POST", "/api/v1/api-keys/create",
                   "{\"accountId\":\"$OURS\",\"type\":\"user\",\"name\":\"ci\"}");
    const char *secret = answer_text(&made, "id");
    const char *id = answer_text(&made, "keyId");

    assert_int_equal(made.status, 200);
    assert_memory_equal(secret, "coffer_", 7);
    assert_true(strlen(secret) >= 7 + 43);
    assert_int_equal(strlen(id), 36);
    assert_int_equal(status_of(scene, secret), 200);
    assert_int_equal(status_of(scene, id), 401); /* the public id opens nothing */
    _cleanup_answer_ struct answer list =
        scene_call(scene, AUDITOR, "GET", "/api/v1/api-keys/account/$OURS", NULL);
    assert_null(strstr(buffer_text(&list.body), secret));
    assert_non_null(find_key(&list, id));
    _cleanup_answer_ struct answer audit = scene_call(scene, AUDITOR, "GET", "/api/v1/audit", NULL);
    assert_null(strstr(buffer_text(&audit.body), secret));
    assert_non_null(strstr(buffer_text(&audit.body), id));
}

static void test_list_is_newest_first(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_answer_ struct answer made =
        scene_call(scene, ACCOUNT_ADMIN, "POST", "/api/v1/api-keys/create",
                   "{\"accountId\":\"$OURS\",\"type\":\"user\"}");
    _cleanup_answer_ struct answer list =
        scene_call(scene, ACCOUNT_ADMIN, "GET", "/api/v1/api-keys/account/$OURS", NULL);

    assert_int_equal(json_array_size(list.json), 7);
    const json_t *first = json_array_get(list.json, 0);
    assert_string_equal(json_string_value(json_object_get(first, "id")),
                        answer_text(&made, "keyId"));
    const json_t *expired = find_key(&list, scene->ids[EXPIRED]);
    assert_string_equal(json_string_value(json_object_get(expired, "expiresAt")),
                        "2023-11-14T22:30:00.000Z");
    const json_t *inactive = find_key(&list, scene->ids[INACTIVE]);
    assert_true(json_is_false(json_object_get(inactive, "active")));
}

/* As the existing client does: what it was given as `id` is all it has. */
static void test_update_and_delete_by_secret(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_answer_ struct answer off =
        scene_call(scene, ACCOUNT_ADMIN, "PUT", "/api/v1/api-keys/update",
                   "{\"id\":\"$SECRET\",\"active\":false}");

    assert_int_equal(off.status, 200);
    assert_string_equal(answer_text(&off, "id"), scene->ids[DEPLOYER]);
    assert_int_equal(status_of(scene, scene->secrets[DEPLOYER]), 401);
    _cleanup_answer_ struct answer gone =
        scene_call(scene, ACCOUNT_ADMIN, "POST", "/api/v1/api-keys/delete", "{\"id\":\"$SECRET\"}");
    assert_int_equal(gone.status, 200);
    assert_string_equal(buffer_text(&gone.body), "{}");
    _cleanup_answer_ struct answer again =
        scene_call(scene, ACCOUNT_ADMIN, "POST", "/api/v1/api-keys/delete", "{\"id\":\"$SECRET\"}");
    assert_int_equal(again.status, 404);
}

static void test_update_and_delete_by_id(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_answer_ struct answer off =
        scene_call(scene, ACCOUNT_ADMIN, "PUT", "/api/v1/api-keys/update",
                   "{\"id\":\"$DEPLOYER\",\"active\":false}");
    assert_int_equal(off.status, 200);
    assert_int_equal(status_of(scene, scene->secrets[DEPLOYER]), 401);
    clock_fake_advance(&scene->clock, 1000);
    _cleanup_answer_ struct answer on =
        scene_call(scene, ACCOUNT_ADMIN, "PUT", "/api/v1/api-keys/update",
                   "{\"id\":\"$DEPLOYER\",\"active\":true,\"name\":\"x\",\"expiresAt\":\"2030-01-"
                   "01T00:00:00Z\"}");
    assert_int_equal(on.status, 200);
    assert_string_equal(answer_text(&on, "updatedAt"), "2023-11-14T22:43:21.000Z");
    assert_string_equal(answer_text(&on, "expiresAt"), "2030-01-01T00:00:00.000Z");
    assert_int_equal(status_of(scene, scene->secrets[DEPLOYER]), 200);
    _cleanup_answer_ struct answer gone = scene_call(
        scene, GLOBAL_ADMIN, "POST", "/api/v1/api-keys/delete", "{\"id\":\"$DEPLOYER\"}");
    assert_int_equal(gone.status, 200);
    assert_int_equal(status_of(scene, scene->secrets[DEPLOYER]), 401);
    _cleanup_answer_ struct answer list =
        scene_call(scene, ACCOUNT_ADMIN, "GET", "/api/v1/api-keys/account/$OURS", NULL);
    assert_null(find_key(&list, scene->ids[DEPLOYER]));
}

static void test_expiry(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();

    assert_int_equal(status_of(scene, scene->secrets[EXPIRED]), 401);
    _cleanup_answer_ struct answer later =
        scene_call(scene, ACCOUNT_ADMIN, "PUT", "/api/v1/api-keys/update",
                   "{\"id\":\"$READER\",\"expiresAt\":\"2023-11-14T22:43:20.001Z\"}");
    assert_int_equal(later.status, 200);
    assert_int_equal(status_of(scene, scene->secrets[READER]), 200);
    clock_fake_advance(&scene->clock, 1);
    assert_int_equal(status_of(scene, scene->secrets[READER]), 401);
    _cleanup_answer_ struct answer never =
        scene_call(scene, ACCOUNT_ADMIN, "PUT", "/api/v1/api-keys/update",
                   "{\"id\":\"$READER\",\"expiresAt\":null}");
    assert_int_equal(never.status, 200);
    assert_true(json_is_null(json_object_get(never.json, "expiresAt")));
    assert_int_equal(status_of(scene, scene->secrets[READER]), 200);
}

/* A change of type gives what the type gives, as there; scopes say otherwise. */
static void test_type_and_scopes(_unused_ void **state)
{
    static const struct {
        const char *change;
        long status;
        const char *scopes; /* afterwards */
    } rows[] = {
        {"\"type\":\"account-admin\"", 200, "[\"read\",\"deploy\",\"admin\"]"},
        {"\"scopes\":[\"read\"]", 200, "[\"read\"]"},
        {"\"type\":\"account-admin\",\"active\":true", 200, "[\"read\"]"}, /* is what it was */
        {"\"scopes\":[\"deploy\",\"read\"]", 200, "[\"read\",\"deploy\"]"},
        {"\"type\":\"user\"", 200, "[\"read\",\"deploy\"]"},
        {"\"scopes\":[\"admin\"]", 400, NULL},
        {"\"type\":\"user\",\"scopes\":[\"admin\"]", 400, NULL},
        {"\"type\":\"account-admin\",\"scopes\":[\"read\"]", 200, "[\"read\"]"},
    };
    _cleanup_(scene_freep) struct scene *scene = scene_new();

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *body = xasprintf("{\"id\":\"$READER\",%s}", rows[i].change);
        _cleanup_answer_ struct answer answer =
            scene_call(scene, ACCOUNT_ADMIN, "PUT", "/api/v1/api-keys/update", body);
        assert_int_equal(answer.status, rows[i].status);
        if (!rows[i].scopes)
            continue;
        _cleanup_free_ char *scopes =
            json_dumps(json_object_get(answer.json, "scopes"), JSON_COMPACT);
        assert_string_equal(scopes, rows[i].scopes);
    }
}

static void test_last_use_is_seen(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    int64_t give_up = clock_monotonic_ms(clock_system()) + 20000;
    bool seen = false;

    assert_int_equal(status_of(scene, scene->secrets[READER]), 200);
    while (!seen) {
        _cleanup_answer_ struct answer list =
            scene_call(scene, GLOBAL_ADMIN, "GET", "/api/v1/api-keys/account/$OURS", NULL);
        const json_t *key = find_key(&list, scene->ids[READER]);
        seen = json_is_string(json_object_get(key, "lastUsedAt"));
        const json_t *other = find_key(&list, scene->ids[DEPLOYER]);
        assert_true(json_is_null(json_object_get(other, "lastUsedAt")));
        assert_true(clock_monotonic_ms(clock_system()) < give_up);
    }
}

/* Keys are told by their hash: there is no record that holds, or is named by, a secret. */
static void test_no_record_has_the_secret(_unused_ void **state)
{
    static const char *const families[] = {KEY_API_KEY, KEY_API_KEY_ID, KEY_API_KEY_USED};
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    const char *secret = scene->secrets[DEPLOYER];
    uint8_t digest[32];
    char hex[65];

    sha256(secret, strlen(secret), digest);
    hex_encode(digest, 32, hex);
    for (size_t i = 0; i < ELEMENTSOF(families); i++) {
        struct store_record record;
        assert_null(store_get(scene->f->store, arena_printf(arena, "%s%s", families[i], secret),
                              arena, &record));
        assert_int_equal(record.version, 0);
    }
    struct store_record record;
    assert_null(
        store_get(scene->f->store, arena_printf(arena, "%s%s", KEY_API_KEY, hex), arena, &record));
    assert_true(record.version > 0);
    assert_null(memmem(record.value.data, record.value.len, secret, strlen(secret)));
}

static void test_scopes_decide(_unused_ void **state)
{
    static const struct {
        enum actor actor;
        long read;   /* GET workloads/list */
        long deploy; /* POST workloads/stop of a workload that is not there */
        long me;
        long update; /* PUT accounts/update */
        long list;   /* GET accounts/list */
    } rows[] = {
        {GLOBAL_ADMIN, 401, 401, 401, 200, 200},  {ADMIN_BEARER, 401, 401, 401, 200, 200},
        {ACCOUNT_ADMIN, 200, 404, 200, 200, 401}, {AUDITOR, 200, 401, 200, 401, 401},
        {DEPLOYER, 200, 404, 401, 401, 401},      {READER, 200, 401, 401, 401, 401},
        {FOREIGN, 200, 404, 200, 404, 401},       {INACTIVE, 401, 401, 401, 401, 401},
        {EXPIRED, 401, 401, 401, 401, 401},       {UNKNOWN, 401, 401, 401, 401, 401},
        {NOBODY, 401, 401, 401, 401, 401},
    };
    _cleanup_(scene_freep) struct scene *scene = scene_new();

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        enum actor who = rows[i].actor;
        _cleanup_answer_ struct answer read =
            scene_call(scene, who, "GET", "/api/v1/workloads/list", NULL);
        _cleanup_answer_ struct answer deploy = scene_call(
            scene, who, "POST", "/api/v1/workloads/stop", "{\"workloadId\":\"nobodys\"}");
        _cleanup_answer_ struct answer me =
            scene_call(scene, who, "GET", "/api/v1/accounts/me", NULL);
        _cleanup_answer_ struct answer update =
            scene_call(scene, who, "PUT", "/api/v1/accounts/update",
                       "{\"accountId\":\"$OURS\",\"name\":\"x\"}");
        _cleanup_answer_ struct answer list =
            scene_call(scene, who, "GET", "/api/v1/accounts/list", NULL);
        if (read.status != rows[i].read || deploy.status != rows[i].deploy ||
            me.status != rows[i].me || update.status != rows[i].update ||
            list.status != rows[i].list)
            fail_msg("actor %d: %ld %ld %ld %ld %ld", (int)who, read.status, deploy.status,
                     me.status, update.status, list.status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_secret_is_told_once),
        cmocka_unit_test(test_list_is_newest_first),
        cmocka_unit_test(test_update_and_delete_by_secret),
        cmocka_unit_test(test_update_and_delete_by_id),
        cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_type_and_scopes),
        cmocka_unit_test(test_last_use_is_seen),
        cmocka_unit_test(test_no_record_has_the_secret),
        cmocka_unit_test(test_scopes_decide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
