/* The audit trail: what is in it, who reads it, page by page. */
#include "services/api-gateway/test_scene.h"

#include "shared/base/alloc.h"
#include "shared/store/keys.h"

static const char *text_at(const json_t *entry, const char *name)
{
    return json_string_value(json_object_get(entry, name)) ?: "";
}

static const json_t *newest(const struct answer *audit)
{
    return json_array_get(json_object_get(audit->json, "entries"), 0);
}

static void test_a_change_is_told_with_all_its_facts(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_answer_ struct answer done =
        scene_call(scene, ACCOUNT_ADMIN, "PUT", "/api/v1/api-keys/update",
                   "{\"id\":\"$READER\",\"active\":false}");
    _cleanup_answer_ struct answer audit = scene_call(scene, AUDITOR, "GET", "/api/v1/audit", NULL);
    const json_t *entry = newest(&audit);
    const json_t *actor = json_object_get(entry, "actor");

    assert_int_equal(done.status, 200);
    assert_int_equal(audit.status, 200);
    assert_string_equal(text_at(entry, "action"), "api-keys/update");
    assert_string_equal(text_at(entry, "object"), scene->ids[READER]);
    assert_string_equal(text_at(entry, "accountId"), scene->ours);
    assert_string_equal(text_at(entry, "at"), "2023-11-14T22:43:20.000Z");
    assert_string_equal(text_at(entry, "address"), "127.0.0.1");
    assert_string_equal(text_at(entry, "result"), "ok");
    assert_non_null(strstr(buffer_text(&done.headers), text_at(entry, "requestId")));
    assert_string_equal(text_at(actor, "type"), "account-admin");
    assert_string_equal(text_at(actor, "accountId"), scene->ours);
    assert_string_equal(text_at(actor, "keyId"), scene->ids[ACCOUNT_ADMIN]);
    assert_true(json_is_false(json_object_get(json_object_get(entry, "details"), "active")));
}

static void test_money_is_told(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_answer_ struct answer done =
        scene_call(scene, GLOBAL_ADMIN, "POST", "/api/v1/accounts/add-balance",
                   "{\"accountId\":\"$OURS\",\"balance\":-2.5}");
    _cleanup_answer_ struct answer audit =
        scene_call(scene, ACCOUNT_ADMIN, "GET", "/api/v1/audit?limit=1", NULL);
    const json_t *details = json_object_get(newest(&audit), "details");

    assert_int_equal(done.status, 200);
    assert_true(json_number_value(json_object_get(details, "amount")) == -2.5);
    assert_true(json_number_value(json_object_get(details, "balance")) == 7.5);
    assert_string_equal(text_at(json_object_get(newest(&audit), "actor"), "type"), "global-admin");
}

static void test_workloads_are_in_it(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();

    put_workload(scene->f, "w-1", scene->ours, COFFER__V1__WORKLOAD_STATUS__RUNNING);
    _cleanup_answer_ struct answer done =
        scene_call(scene, DEPLOYER, "POST", "/api/v1/workloads/stop", "{\"workloadId\":\"w-1\"}");
    _cleanup_answer_ struct answer first = scene_call(scene, AUDITOR, "GET", "/api/v1/audit", NULL);
    assert_int_equal(done.status, 200);
    assert_string_equal(text_at(newest(&first), "action"), "workloads/stop");
    assert_string_equal(text_at(newest(&first), "object"), "w-1");
    assert_string_equal(text_at(newest(&first), "result"), "ok");
    scene->f->answer_code = ERROR_FAILED_PRECONDITION;
    scene->f->answer_text = "not now";
    _cleanup_answer_ struct answer refused =
        scene_call(scene, DEPLOYER, "POST", "/api/v1/workloads/start", "{\"workloadId\":\"w-1\"}");
    _cleanup_answer_ struct answer next = scene_call(scene, AUDITOR, "GET", "/api/v1/audit", NULL);
    assert_int_equal(refused.status, 412);
    assert_string_equal(text_at(newest(&next), "action"), "workloads/start");
    assert_string_equal(text_at(newest(&next), "result"), "FAILED_PRECONDITION");
    /* asking is no change, and neither is what was refused before anyone was asked */
    _cleanup_answer_ struct answer none =
        scene_call(scene, DEPLOYER, "POST", "/api/v1/workloads/stop", "{\"workloadId\":\"w-2\"}");
    _cleanup_answer_ struct answer last = scene_call(scene, AUDITOR, "GET", "/api/v1/audit", NULL);
    assert_int_equal(none.status, 404);
    assert_true(json_equal(last.json, next.json));
}

static size_t count_foreign(const struct answer *audit, const char *account)
{
    const json_t *entry;
    size_t foreign = 0;
    size_t i;

    json_array_foreach(json_object_get(audit->json, "entries"), i, entry) foreign +=
        strcmp(text_at(entry, "accountId"), account) != 0;
    return foreign;
}

static void test_everyone_reads_their_own(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_answer_ struct answer ours = scene_call(scene, AUDITOR, "GET", "/api/v1/audit", NULL);
    _cleanup_answer_ struct answer named =
        scene_call(scene, AUDITOR, "GET", "/api/v1/audit?accountId=$OURS", NULL);
    _cleanup_answer_ struct answer theirs =
        scene_call(scene, AUDITOR, "GET", "/api/v1/audit?accountId=$THEIRS", NULL);
    _cleanup_answer_ struct answer all =
        scene_call(scene, GLOBAL_ADMIN, "GET", "/api/v1/audit", NULL);
    _cleanup_answer_ struct answer one =
        scene_call(scene, GLOBAL_ADMIN, "GET", "/api/v1/audit?accountId=$THEIRS", NULL);

    assert_int_equal(json_array_size(json_object_get(ours.json, "entries")), 7);
    assert_int_equal(count_foreign(&ours, scene->ours), 0);
    assert_true(json_equal(ours.json, named.json));
    assert_int_equal(theirs.status, 404);
    assert_int_equal(json_array_size(json_object_get(all.json, "entries")), 9);
    assert_int_equal(json_array_size(json_object_get(one.json, "entries")), 2);
    assert_int_equal(count_foreign(&one, scene->theirs), 0);
}

/* Page by page gives what one page gives, also when entries come in between. */
static void test_pages(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_answer_ struct answer all = scene_call(scene, AUDITOR, "GET", "/api/v1/audit", NULL);
    const json_t *wanted = json_object_get(all.json, "entries");
    _cleanup_free_ char *path = xstrdup("/api/v1/audit?limit=2");
    size_t at = 0;

    assert_true(json_is_null(json_object_get(all.json, "nextCursor")));
    while (path) {
        _cleanup_answer_ struct answer page = scene_call(scene, AUDITOR, "GET", path, NULL);
        const json_t *entry;
        size_t i;
        json_array_foreach(json_object_get(page.json, "entries"), i, entry)
            assert_true(json_equal(entry, json_array_get(wanted, at++)));
        _cleanup_answer_ struct answer done =
            scene_call(scene, ACCOUNT_ADMIN, "PUT", "/api/v1/accounts/update",
                       "{\"accountId\":\"$OURS\",\"name\":\"again\"}");
        assert_int_equal(done.status, 200);
        const char *next = json_string_value(json_object_get(page.json, "nextCursor"));
        free(path);
        path = next ? xasprintf("/api/v1/audit?limit=2&cursor=%s", next) : NULL;
    }
    assert_int_equal(at, json_array_size(wanted));
}

static void test_a_cursor_that_fell_off_is_the_end(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_answer_ struct answer audit = scene_call(
        scene, AUDITOR, "GET", "/api/v1/audit?cursor=00000000-0000-4000-8000-000000000000", NULL);

    assert_int_equal(audit.status, 200);
    assert_int_equal(json_array_size(json_object_get(audit.json, "entries")), 0);
    assert_true(json_is_null(json_object_get(audit.json, "nextCursor")));
}

/* The entry is in the commit of the change: a store that refuses the one has not got the other. */
static void test_no_change_without_its_entry(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    ProtobufCBinaryData *items = NULL;
    struct store_record record;
    size_t n = 0;

    assert_null(store_get(scene->f->store, arena_printf(arena, KEY_ACCOUNT "%s", scene->ours),
                          arena, &record));
    uint64_t before = record.version;
    _cleanup_answer_ struct answer refused =
        scene_call(scene, GLOBAL_ADMIN, "POST", "/api/v1/accounts/add-balance",
                   "{\"accountId\":\"$OURS\",\"balance\":-11}");
    assert_int_equal(refused.status, 412);
    assert_null(store_get(scene->f->store, arena_printf(arena, KEY_ACCOUNT "%s", scene->ours),
                          arena, &record));
    assert_int_equal(record.version, before);
    assert_null(store_list_range(scene->f->store, KEY_AUDIT, 100, arena, &items, &n));
    assert_int_equal(n, 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_change_is_told_with_all_its_facts),
        cmocka_unit_test(test_money_is_told),
        cmocka_unit_test(test_workloads_are_in_it),
        cmocka_unit_test(test_everyone_reads_their_own),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_a_cursor_that_fell_off_is_the_end),
        cmocka_unit_test(test_no_change_without_its_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
