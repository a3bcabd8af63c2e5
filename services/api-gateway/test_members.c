/* Members and their roles: kept by owners, never without one, and in force at each request. */
#include "services/api-gateway/test_scene.h"

#include "services/api-gateway/api_keys.h"
#include "services/api-gateway/members.h"
#include "shared/base/alloc.h"
#include "shared/store/keys.h"

#define CREATE "/api/v1/members/create"
#define UPDATE "/api/v1/members/update"
#define DELETE "/api/v1/members/delete"

static struct answer call(const struct scene *scene, enum actor actor, const char *path,
                          const char *body)
{
    return scene_call(scene, actor, strstr(path, "update") ? "PUT" : "POST", path, body);
}

static void make(const struct scene *scene, const char *role, char ret_id[64])
{
    _cleanup_free_ char *body =
        xasprintf("{\"accountId\":\"$OURS\",\"name\":\"somebody\",\"role\":\"%s\"}", role);
    _cleanup_answer_ struct answer answer = call(scene, ACCOUNT_ADMIN, CREATE, body);

    assert_int_equal(answer.status, 200);
    snprintf(ret_id, 64, "%s", answer_text(&answer, "memberId"));
}

/* change: members of the body beside the id. */
static long change(const struct scene *scene, enum actor actor, const char *id, const char *fields)
{
    _cleanup_free_ char *body = xasprintf("{\"memberId\":\"%s\",%s}", id, fields);
    _cleanup_answer_ struct answer answer = call(scene, actor, UPDATE, body);

    return answer.status;
}

static long remove_member(const struct scene *scene, enum actor actor, const char *id)
{
    _cleanup_free_ char *body = xasprintf("{\"memberId\":\"%s\"}", id);
    _cleanup_answer_ struct answer answer = call(scene, actor, DELETE, body);

    return answer.status;
}

/* The actor's key becomes a new one of the member. */
static void make_key(struct scene *scene, enum actor actor, const char *member, const char *type)
{
    _cleanup_free_ char *body =
        xasprintf("{\"accountId\":\"$OURS\",\"type\":\"%s\",\"memberId\":\"%s\"}", type, member);
    _cleanup_answer_ struct answer answer =
        call(scene, ACCOUNT_ADMIN, "/api/v1/api-keys/create", body);

    assert_int_equal(answer.status, 200);
    assert_string_equal(answer_text(&answer, "memberId"), member);
    snprintf(scene->secrets[actor], sizeof(scene->secrets[actor]), "%s",
             answer_text(&answer, "id"));
    snprintf(scene->ids[actor], sizeof(scene->ids[actor]), "%s", answer_text(&answer, "keyId"));
}

static size_t count(const struct scene *scene)
{
    _cleanup_answer_ struct answer list =
        scene_call(scene, AUDITOR, "GET", "/api/v1/members/account/$OURS", NULL);

    assert_int_equal(list.status, 200);
    return json_array_size(list.json);
}

static void test_made_listed_changed_deleted(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    char id[64];
    char second[64];

    make(scene, "deployer", id);
    clock_fake_advance(&scene->clock, 1000);
    make(scene, "viewer", second);
    assert_int_equal(change(scene, ACCOUNT_ADMIN, id, "\"name\":\"ann\",\"active\":false"), 200);
    _cleanup_answer_ struct answer list =
        scene_call(scene, AUDITOR, "GET", "/api/v1/members/account/$OURS", NULL);
    json_t *listed = json_array_get(list.json, 0);
    assert_true(*json_string_value(json_object_get(listed, "etag")) == '"');
    json_object_del(listed, "etag");
    _cleanup_free_ char *text = json_dumps(listed, JSON_SORT_KEYS);
    _cleanup_free_ char *wanted = xasprintf(
        "{\"accountId\": \"%s\", \"active\": false, \"createdAt\": \"2023-11-14T22:43:20.000Z\", "
        "\"memberId\": \"%s\", \"name\": \"ann\", \"role\": \"deployer\", "
        "\"updatedAt\": \"2023-11-14T22:43:21.000Z\"}",
        scene->ours, id);
    assert_string_equal(text, wanted);
    assert_int_equal(json_array_size(list.json), 2);
    assert_int_equal(remove_member(scene, ACCOUNT_ADMIN, id), 200);
    assert_int_equal(remove_member(scene, ACCOUNT_ADMIN, id), 404);
    assert_int_equal(change(scene, ACCOUNT_ADMIN, id, "\"name\":\"bob\""), 404);
    assert_int_equal(count(scene), 1);
}

static void test_each_change_is_in_the_trail(_unused_ void **state)
{
    static const char *const actions[] = {"members/delete", "members/update", "members/create"};
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    char id[64];

    make(scene, "viewer", id);
    assert_int_equal(change(scene, ACCOUNT_ADMIN, id, "\"role\":\"deployer\""), 200);
    assert_int_equal(remove_member(scene, ACCOUNT_ADMIN, id), 200);
    _cleanup_answer_ struct answer audit =
        scene_call(scene, AUDITOR, "GET", "/api/v1/audit?limit=3", NULL);
    for (size_t i = 0; i < ELEMENTSOF(actions); i++) {
        const json_t *entry = json_array_get(json_object_get(audit.json, "entries"), i);
        const json_t *details = json_object_get(entry, "details");
        assert_string_equal(json_string_value(json_object_get(entry, "action")), actions[i]);
        assert_string_equal(json_string_value(json_object_get(entry, "object")), id);
        assert_string_equal(json_string_value(json_object_get(details, "role")),
                            i == 2 ? "viewer" : "deployer");
    }
}

static void test_bad_bodies(_unused_ void **state)
{
    static const struct {
        const char *path;
        const char *body;
        const char *where;
    } rows[] = {
        {CREATE, "{\"name\":\"n\",\"role\":\"owner\"}", "accountId"},
        {CREATE, "{\"accountId\":\"$OURS\",\"role\":\"owner\"}", "name"},
        {CREATE, "{\"accountId\":\"$OURS\",\"name\":\"n\"}", "role"},
        {CREATE, "{\"accountId\":\"$OURS\",\"name\":\"n\",\"role\":\"Owner\"}", "role"},
        {CREATE, "{\"accountId\":\"$OURS\",\"name\":\"n\",\"role\":\"admin\"}", "role"},
        {CREATE, "{\"accountId\":\"$OURS\",\"name\":\"n\",\"role\":1}", "role"},
        {CREATE, "{\"accountId\":\"$OURS\",\"name\":\"\\u001b[2J\",\"role\":\"owner\"}", "name"},
        {CREATE, "{\"accountId\":\"$OURS\",\"name\":\"n\",\"role\":\"owner\",\"active\":true}",
         "active"},
        {UPDATE, "{\"name\":\"n\"}", "memberId"},
        {UPDATE, "{\"memberId\":\"m\"}", "memberId"},
        {UPDATE, "{\"memberId\":\"m\",\"role\":\"\"}", "role"},
        {UPDATE, "{\"memberId\":\"m\",\"active\":\"no\"}", "active"},
        {UPDATE, "{\"memberId\":\"m\",\"accountId\":\"$THEIRS\"}", "accountId"},
        {DELETE, "{}", "memberId"},
        {DELETE, "{\"memberId\":\"m\",\"force\":true}", "force"},
    };
    _cleanup_(scene_freep) struct scene *scene = scene_new();

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_answer_ struct answer answer =
            call(scene, ACCOUNT_ADMIN, rows[i].path, rows[i].body);
        assert_int_equal(answer.status, 400);
        if (!has_finding(&answer, rows[i].where))
            fail_msg("row %zu: %s", i, buffer_text(&answer.body));
    }
    assert_int_equal(count(scene), 0);
}

static void test_who_may(_unused_ void **state)
{
    static const struct {
        enum actor actor;
        long create;
        long list;
    } rows[] = {
        {NOBODY, 401, 401},       {UNKNOWN, 401, 401}, {READER, 401, 401},
        {DEPLOYER, 401, 401},     {AUDITOR, 401, 200}, {ACCOUNT_ADMIN, 200, 200},
        {GLOBAL_ADMIN, 200, 200}, {FOREIGN, 404, 404},
    };
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    char id[64];

    make(scene, "viewer", id);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        enum actor actor = rows[i].actor;
        _cleanup_answer_ struct answer create = call(
            scene, actor, CREATE, "{\"accountId\":\"$OURS\",\"name\":\"n\",\"role\":\"viewer\"}");
        _cleanup_answer_ struct answer list =
            scene_call(scene, actor, "GET", "/api/v1/members/account/$OURS", NULL);
        assert_int_equal(create.status, rows[i].create);
        assert_int_equal(list.status, rows[i].list);
        assert_int_equal(change(scene, actor, id, "\"name\":\"n\""), rows[i].create);
    }
    assert_int_equal(remove_member(scene, FOREIGN, id), 404);
    assert_int_equal(remove_member(scene, DEPLOYER, id), 401);
    assert_int_equal(remove_member(scene, GLOBAL_ADMIN, id), 200);
}

static void test_a_key_is_for_a_member_of_its_account(_unused_ void **state)
{
    static const struct {
        enum actor actor;
        const char *body;
        long status;
    } rows[] = {
        {ACCOUNT_ADMIN, "{\"accountId\":\"$OURS\",\"type\":\"user\",\"memberId\":\"%s\"}", 200},
        {FOREIGN, "{\"accountId\":\"$THEIRS\",\"type\":\"user\",\"memberId\":\"%s\"}", 404},
        {GLOBAL_ADMIN, "{\"accountId\":\"$THEIRS\",\"type\":\"user\",\"memberId\":\"%s\"}", 404},
        {ACCOUNT_ADMIN, "{\"accountId\":\"$OURS\",\"type\":\"user\",\"memberId\":\"no%s\"}", 404},
        {ACCOUNT_ADMIN, "{\"accountId\":\"$OURS\",\"type\":\"user\",\"memberId\":\"/%s\"}", 404},
    };
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    char id[64];

    make(scene, "viewer", id);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const char *hole = strstr(rows[i].body, "%s");
        _cleanup_free_ char *body =
            xasprintf("%.*s%s%s", (int)(hole - rows[i].body), rows[i].body, id, hole + 2);
        _cleanup_answer_ struct answer answer =
            call(scene, rows[i].actor, "/api/v1/api-keys/create", body);
        assert_int_equal(answer.status, rows[i].status);
    }
}

static void test_keys_say_whose_they_are(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    char id[64];
    size_t of_member = 0;
    const json_t *key;
    size_t i;

    make(scene, "deployer", id);
    make_key(scene, DEPLOYER, id, "user");
    _cleanup_answer_ struct answer renamed =
        scene_call(scene, ACCOUNT_ADMIN, "PUT", "/api/v1/api-keys/update",
                   "{\"id\":\"$DEPLOYER\",\"name\":\"n\"}");
    assert_int_equal(renamed.status, 200);
    _cleanup_answer_ struct answer list =
        scene_call(scene, AUDITOR, "GET", "/api/v1/api-keys/account/$OURS", NULL);
    json_array_foreach(list.json, i, key)
    {
        const json_t *member = json_object_get(key, "memberId");
        assert_true(json_is_null(member) || strcmp(json_string_value(member), id) == 0);
        of_member += json_is_string(member);
    }
    assert_int_equal(of_member, 1);
}

/* A key of the highest scope: the role alone decides, at each request. */
static void test_the_role_limits_the_key(_unused_ void **state)
{
    static const struct {
        const char *role;
        long read;   /* lists workloads */
        long deploy; /* stops one */
        long admin;  /* renames the account */
    } rows[] = {
        {"viewer", 200, 401, 401},
        {"owner", 200, 200, 200},
        {"deployer", 200, 200, 401},
        {"viewer", 200, 401, 401},
    };
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    char id[64];

    put_workload(scene->f, "w-1", scene->ours, COFFER__V1__WORKLOAD_STATUS__RUNNING);
    make(scene, "owner", id); /* so that the other is not the last */
    make(scene, "deployer", id);
    make_key(scene, DEPLOYER, id, "account-admin");
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *fields = xasprintf("\"role\":\"%s\"", rows[i].role);
        assert_int_equal(change(scene, ACCOUNT_ADMIN, id, fields), 200);
        _cleanup_answer_ struct answer read =
            scene_call(scene, DEPLOYER, "GET", "/api/v1/workloads/list", NULL);
        _cleanup_answer_ struct answer deploy = scene_call(
            scene, DEPLOYER, "POST", "/api/v1/workloads/stop", "{\"workloadId\":\"w-1\"}");
        _cleanup_answer_ struct answer admin =
            scene_call(scene, DEPLOYER, "PUT", "/api/v1/accounts/update",
                       "{\"accountId\":\"$OURS\",\"name\":\"n\"}");
        assert_int_equal(read.status, rows[i].read);
        assert_int_equal(deploy.status, rows[i].deploy);
        assert_int_equal(admin.status, rows[i].admin);
    }
}

/* An owner's key of scope deploy is still of scope deploy. */
static void test_the_scope_limits_the_role(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    char id[64];

    make(scene, "owner", id);
    make_key(scene, DEPLOYER, id, "user");
    _cleanup_answer_ struct answer admin =
        scene_call(scene, DEPLOYER, "PUT", "/api/v1/accounts/update",
                   "{\"accountId\":\"$OURS\",\"name\":\"n\"}");
    assert_int_equal(admin.status, 401);
}

static void test_a_disabled_or_deleted_members_keys_are_dead(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    static const char list[] = "/api/v1/workloads/list";
    char id[64];

    make(scene, "deployer", id);
    make_key(scene, DEPLOYER, id, "user");
    _cleanup_answer_ struct answer before = scene_call(scene, DEPLOYER, "GET", list, NULL);
    assert_int_equal(before.status, 200);
    assert_int_equal(change(scene, ACCOUNT_ADMIN, id, "\"active\":false"), 200);
    _cleanup_answer_ struct answer off = scene_call(scene, DEPLOYER, "GET", list, NULL);
    assert_int_equal(off.status, 401);
    assert_string_equal(answer_text(&off, "kind"), "UNAUTHORIZED"); /* as of an inactive key */
    assert_int_equal(change(scene, ACCOUNT_ADMIN, id, "\"active\":true"), 200);
    _cleanup_answer_ struct answer on = scene_call(scene, DEPLOYER, "GET", list, NULL);
    assert_int_equal(on.status, 200);
    assert_int_equal(remove_member(scene, ACCOUNT_ADMIN, id), 200);
    _cleanup_answer_ struct answer gone = scene_call(scene, DEPLOYER, "GET", list, NULL);
    assert_int_equal(gone.status, 401);
    assert_string_equal(answer_text(&gone, "kind"), "UNAUTHORIZED");
    /* To enable the key does not bring it back. */
    _cleanup_answer_ struct answer enabled =
        scene_call(scene, ACCOUNT_ADMIN, "PUT", "/api/v1/api-keys/update",
                   "{\"id\":\"$DEPLOYER\",\"active\":true}");
    assert_int_equal(enabled.status, 200);
    _cleanup_answer_ struct answer still = scene_call(scene, DEPLOYER, "GET", list, NULL);
    assert_int_equal(still.status, 401);
}

/* Ids do not follow from an Idempotency-Key: a deleted member's must never come back. */
static void test_a_deleted_member_does_not_come_back(_unused_ void **state)
{
    static const char *const headers[] = {"Idempotency-Key: k", NULL};
    static const char body[] = "{\"accountId\":\"$OURS\",\"name\":\"n\",\"role\":\"viewer\"}";
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_answer_ struct answer first =
        scene_call_with(scene, ACCOUNT_ADMIN, "POST", CREATE, headers, body);
    const char *id = answer_text(&first, "memberId");

    assert_int_equal(remove_member(scene, ACCOUNT_ADMIN, id), 200);
    clock_fake_advance(&scene->clock, INT64_C(25) * 3600 * 1000);
    _cleanup_answer_ struct answer second =
        scene_call_with(scene, ACCOUNT_ADMIN, "POST", CREATE, headers, body);
    assert_int_equal(second.status, 200);
    assert_string_not_equal(answer_text(&second, "memberId"), id);
}

static void test_the_last_owner_stays(_unused_ void **state)
{
    static const char *const fields[] = {"\"role\":\"deployer\"", "\"role\":\"viewer\"",
                                         "\"active\":false", "\"role\":\"owner\",\"active\":false"};
    static const enum actor actors[] = {ACCOUNT_ADMIN, GLOBAL_ADMIN};
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    char owner[64];
    char other[64];

    make(scene, "viewer", other);
    assert_int_equal(remove_member(scene, ACCOUNT_ADMIN, other), 200); /* before there is one */
    make(scene, "owner", owner);
    make(scene, "owner", other);
    assert_int_equal(change(scene, ACCOUNT_ADMIN, other, "\"active\":false"), 200);
    for (size_t a = 0; a < ELEMENTSOF(actors); a++) {
        for (size_t i = 0; i < ELEMENTSOF(fields); i++)
            assert_int_equal(change(scene, actors[a], owner, fields[i]), 412);
        assert_int_equal(remove_member(scene, actors[a], owner), 412);
    }
    assert_int_equal(change(scene, ACCOUNT_ADMIN, owner, "\"name\":\"still here\""), 200);
    assert_int_equal(change(scene, ACCOUNT_ADMIN, other, "\"active\":true"), 200);
    assert_int_equal(remove_member(scene, ACCOUNT_ADMIN, owner), 200);
    assert_int_equal(remove_member(scene, ACCOUNT_ADMIN, other), 412);
}

enum { OWNERS = 6 };

struct removal {
    const struct scene *scene;
    char id[64];
    bool by_deleting;
    long status;
};

static void *remove_owner(void *state)
{
    struct removal *removal = state;

    removal->status =
        removal->by_deleting
            ? remove_member(removal->scene, ACCOUNT_ADMIN, removal->id)
            : change(removal->scene, ACCOUNT_ADMIN, removal->id, "\"role\":\"viewer\"");
    return NULL;
}

/* All owners at once, by deleting and by demoting: exactly one is left. */
static void test_owners_cannot_remove_each_other(_unused_ void **state)
{
    for (int round = 0; round < 5; round++) {
        _cleanup_(scene_freep) struct scene *scene = scene_new();
        struct removal removals[OWNERS];
        pthread_t threads[OWNERS];
        size_t refused = 0;
        for (size_t i = 0; i < OWNERS; i++) {
            removals[i] = (struct removal){.scene = scene, .by_deleting = i % 2};
            make(scene, "owner", removals[i].id);
        }
        for (size_t i = 0; i < OWNERS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, remove_owner, &removals[i]), 0);
        for (size_t i = 0; i < OWNERS; i++) {
            pthread_join(threads[i], NULL);
            assert_true(removals[i].status == 200 || removals[i].status == 412);
            refused += removals[i].status == 412;
        }
        assert_int_equal(refused, 1);
    }
}

static void test_so_many_and_no_more(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    char id[64];

    for (int i = 0; i < MEMBERS_MAX; i++)
        make(scene, "viewer", id);
    _cleanup_answer_ struct answer one_more =
        call(scene, ACCOUNT_ADMIN, CREATE,
             "{\"accountId\":\"$OURS\",\"name\":\"n\",\"role\":\"viewer\"}");
    assert_int_equal(one_more.status, 412);
    assert_int_equal(count(scene), MEMBERS_MAX);
    assert_int_equal(remove_member(scene, ACCOUNT_ADMIN, id), 200);
    make(scene, "viewer", id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_made_listed_changed_deleted),
        cmocka_unit_test(test_each_change_is_in_the_trail),
        cmocka_unit_test(test_bad_bodies),
        cmocka_unit_test(test_who_may),
        cmocka_unit_test(test_a_key_is_for_a_member_of_its_account),
        cmocka_unit_test(test_keys_say_whose_they_are),
        cmocka_unit_test(test_the_role_limits_the_key),
        cmocka_unit_test(test_the_scope_limits_the_role),
        cmocka_unit_test(test_a_disabled_or_deleted_members_keys_are_dead),
        cmocka_unit_test(test_a_deleted_member_does_not_come_back),
        cmocka_unit_test(test_the_last_owner_stays),
        cmocka_unit_test(test_owners_cannot_remove_each_other),
        cmocka_unit_test(test_so_many_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
