/* What a change asks of the store: its audit entry in the same commit, another try when somebody
 * was quicker, and nothing at all while the store is away. */
#include "services/api-gateway/test_scene.h"

#include "services/api-gateway/audit.h"
#include "shared/base/alloc.h"
#include "shared/store/keys.h"

/* The scene's store, with a commit of ours before its own. Tests run one after another. */
static struct {
    struct store_ops ops;
    const struct store_ops *real;
    enum error_code code; /* what commits of changes end with ... */
    unsigned times;       /* ... so many times */
    unsigned changes;
    unsigned without_entry;
} hook;

static bool begins(const struct store_change *change, const char *family)
{
    return change->n_writes == 1 && strncmp(change->writes[0].key, family, strlen(family)) == 0;
}

/* When a key was last used is no change. */
static bool is_aside(const struct store_change *change)
{
    return begins(change, KEY_API_KEY_USED);
}

static struct error *on_commit(struct store *store, const struct store_change *change)
{
    if (is_aside(change))
        return hook.real->commit(store, change);
    hook.changes++;
    if (change->n_lists != AUDIT_LISTS)
        hook.without_entry++;
    if (hook.times) {
        hook.times--;
        return error_new(hook.code, "as the test wants it");
    }
    return hook.real->commit(store, change);
}

static struct scene *hooked_scene(void)
{
    struct scene *scene = scene_new();

    memset(&hook, 0, sizeof(hook));
    hook.real = scene->f->store->ops;
    hook.ops = *hook.real;
    hook.ops.commit = on_commit;
    scene->f->store->ops = &hook.ops;
    return scene;
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
    {"POST", "/api/v1/accounts/add-balance", "{\"accountId\":\"$OURS\",\"balance\":1}"},
    {"POST", "/api/v1/members/create",
     "{\"accountId\":\"$OURS\",\"name\":\"n\",\"role\":\"owner\"}"},
    {"POST", "/api/v1/api-keys/create", "{\"accountId\":\"$OURS\",\"type\":\"user\"}"},
    {"PUT", "/api/v1/api-keys/update", "{\"id\":\"$DEPLOYER\",\"active\":false}"},
    {"POST", "/api/v1/api-keys/delete", "{\"id\":\"$DEPLOYER\"}"},
};

static void test_each_change_is_one_commit_with_its_entry(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = hooked_scene();

    for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
        _cleanup_answer_ struct answer answer =
            scene_call(scene, GLOBAL_ADMIN, changes[i].method, changes[i].path, changes[i].body);
        assert_int_equal(answer.status, 200);
        assert_int_equal(hook.changes, i + 1);
        assert_int_equal(hook.without_entry, 0);
    }
}

static void test_nothing_changes_while_the_store_is_away(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = hooked_scene();
    _cleanup_free_ char *before = scene_dump(scene);

    for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
        hook.code = ERROR_UNAVAILABLE;
        hook.times = 1; /* it is not asked twice: the first may have happened */
        _cleanup_answer_ struct answer answer =
            scene_call(scene, GLOBAL_ADMIN, changes[i].method, changes[i].path, changes[i].body);
        assert_int_equal(answer.status, 503);
        assert_string_equal(answer_text(&answer, "kind"), "UNAVAILABLE");
        assert_int_equal(hook.times, 0);
        _cleanup_free_ char *after = scene_dump(scene);
        assert_string_equal(before, after);
    }
}

/* Changes of what is there; a new record collides with nobody. */
static void test_who_was_slower_tries_again(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = hooked_scene();

    for (size_t i = 2; i < ELEMENTSOF(changes); i++) {
        if (strstr(changes[i].path, "create"))
            continue;
        hook.code = ERROR_ABORTED;
        hook.times = 5;
        _cleanup_answer_ struct answer answer =
            scene_call(scene, GLOBAL_ADMIN, changes[i].method, changes[i].path, changes[i].body);
        assert_int_equal(answer.status, 200);
        assert_int_equal(hook.times, 0);
    }
}

static void test_trying_again_has_an_end(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = hooked_scene();

    for (size_t i = 2; i < ELEMENTSOF(changes); i++) {
        if (strstr(changes[i].path, "create"))
            continue;
        hook.code = ERROR_ABORTED;
        hook.times = UINT32_MAX;
        _cleanup_answer_ struct answer answer =
            scene_call(scene, GLOBAL_ADMIN, changes[i].method, changes[i].path, changes[i].body);
        assert_int_equal(answer.status, 409);
        assert_string_equal(answer_text(&answer, "kind"), "CONFLICT");
    }
}

/* A scheduler that knows no entries did it, so the answer is what it said, whether or not the trail
 * could be written. */
static void test_a_workload_changes_without_its_entry(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = hooked_scene();

    put_workload(scene->f, "w-1", scene->ours, COFFER__V1__WORKLOAD_STATUS__RUNNING);
    scene->f->leaves_audit = true;
    hook.code = ERROR_UNAVAILABLE;
    hook.times = 1;
    _cleanup_answer_ struct answer answer =
        scene_call(scene, DEPLOYER, "POST", "/api/v1/workloads/stop", "{\"workloadId\":\"w-1\"}");
    assert_int_equal(answer.status, 200);
    assert_int_equal(hook.times, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_change_is_one_commit_with_its_entry),
        cmocka_unit_test(test_nothing_changes_while_the_store_is_away),
        cmocka_unit_test(test_who_was_slower_tries_again),
        cmocka_unit_test(test_trying_again_has_an_end),
        cmocka_unit_test(test_a_workload_changes_without_its_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
