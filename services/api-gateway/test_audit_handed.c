/* Entries that the scheduler writes for us, in the commit of what it changes: one for each change,
 * whatever becomes of the gateway once it has asked. */
#include "services/api-gateway/test_scene.h"

#include "shared/base/alloc.h"
#include "shared/store/keys.h"

/* The scene's store: it can refuse what the gateway writes after an answer, which is entries and
 * nothing else. Tests run one after another. */
static struct {
    struct store_ops ops;
    const struct store_ops *real;
    bool refuses;
    unsigned entries; /* that were to be written so */
} hook;

static struct error *on_commit(struct store *store, const struct store_change *change)
{
    const bool is_entry = change->n_lists && !change->n_writes;

    hook.entries += is_entry;
    if (is_entry && hook.refuses)
        return error_new(ERROR_UNAVAILABLE, "the gateway is dead by now");
    return hook.real->commit(store, change);
}

static const struct row {
    enum actor actor;
    const char *method;
    const char *action; /* also the path */
    const char *object; /* NULL: any */
    const char *body;
    bool is_noted; /* the fixture's scheduler notes it, and can lose the answer */
    bool is_new;   /* its id is made for it, so nobody knows it before */
} rows[] = {
    {DEPLOYER, "POST", "workloads/create", "w-new",
     "{\"workloadId\":\"w-new\",\"name\":\"hello\",\"artifactsVersion\":\"" TEST_IMAGE "\","
     "\"dockerCompose\":\"services:\\n  web:\\n    image: hello:1\\n\","
     "\"publicContainerName\":\"web\",\"publicContainerPort\":8080,"
     "\"memory\":1024,\"cpus\":2,\"disk\":10,\"gpus\":0}",
     false, false},
    {DEPLOYER, "POST", "workloads/stop", "w-new", "{\"workloadId\":\"w-new\"}", true, false},
    {DEPLOYER, "POST", "workloads/start", "w-new", "{\"workloadId\":\"w-new\"}", true, false},
    {DEPLOYER, "POST", "workloads/restart", "w-new", "{\"workloadId\":\"w-new\"}", true, false},
    {DEPLOYER, "POST", "workloads/update", "w-new",
     "{\"workloadId\":\"w-new\",\"name\":\"x\",\"confirmDataLoss\":true}", true, false},
    {DEPLOYER, "POST", "workloads/delete", "w-new", "{\"workloadId\":\"w-new\"}", true, false},
    {GLOBAL_ADMIN, "POST", "artifacts/enable", "0.2.0", "{\"version\":\"0.2.0\"}", false, false},
    {GLOBAL_ADMIN, "POST", "artifacts/disable", "0.2.0", "{\"version\":\"0.2.0\"}", false, false},
    {GLOBAL_ADMIN, "POST", "workload-tiers/create", NULL,
     "{\"name\":\"n\",\"cpus\":1,\"gpus\":0,\"memoryMb\":1024,\"diskGb\":10,\"cost\":0.1}", true,
     true},
    {GLOBAL_ADMIN, "PUT", "workload-tiers/update", "t-1",
     "{\"tierId\":\"t-1\",\"name\":\"n\",\"cpus\":1,\"gpus\":0,\"memoryMb\":1024,\"diskGb\":10,"
     "\"cost\":0.1}",
     true, false},
    {GLOBAL_ADMIN, "POST", "workload-tiers/delete", "t-1", "{\"tierId\":\"t-1\"}", true, false},
    {GLOBAL_ADMIN, "POST", "metal-instances/delete", TEST_HOST,
     "{\"metalInstanceId\":\"" TEST_HOST "\"}", false, false},
};

static struct answer ask_with(const struct scene *scene, const struct row *row,
                              const char *const *headers)
{
    _cleanup_free_ char *path = xasprintf("/api/v1/%s", row->action);

    return scene_call_with(scene, row->actor, row->method, path, headers, row->body);
}

static struct answer ask(const struct scene *scene, const struct row *row)
{
    static const char *const none[] = {NULL};

    return ask_with(scene, row, none);
}

/* With "w-new" there, but for its create. */
static struct scene *scene_for(const struct row *row)
{
    struct scene *scene = scene_new();

    if (strncmp(row->action, "workloads/", 10) == 0 && row != &rows[0]) {
        _cleanup_answer_ struct answer made = ask(scene, &rows[0]);
        assert_int_equal(made.status, 200);
    }
    memset(&hook, 0, sizeof(hook));
    hook.real = scene->f->store->ops;
    hook.ops = *hook.real;
    hook.ops.commit = on_commit;
    scene->f->store->ops = &hook.ops;
    return scene;
}

static const char *text_at(const json_t *entry, const char *name)
{
    return json_string_value(json_object_get(entry, name)) ?: "";
}

/* The entries of that action in a list of the store, newest first, as "result result". All are of
 * the object, and of the request, where these are given. */
static char *results_in(const struct scene *scene, const struct row *row, const char *key,
                        const struct answer *of)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    const char *results = "";
    ProtobufCBinaryData *items;
    size_t n;

    assert_null(store_list_range(scene->f->store, key, 1000, arena, &items, &n));
    for (size_t i = 0; i < n; i++) {
        _cleanup_(json_decrefp) json_t *entry =
            json_loadb((const char *)items[i].data, items[i].len, 0, NULL);
        if (strcmp(text_at(entry, "action"), row->action) != 0)
            continue;
        if (row->object)
            assert_string_equal(text_at(entry, "object"), row->object);
        if (of)
            assert_non_null(strstr(buffer_text(&of->headers), text_at(entry, "requestId")));
        results =
            arena_printf(arena, "%s%s%s", results, *results ? " " : "", text_at(entry, "result"));
    }
    return xstrdup(results);
}

/* In the fleet's list, and for who has an account also in that one's. */
static void trail_is(const struct scene *scene, const struct row *row, const struct answer *of,
                     const char *wanted)
{
    _cleanup_free_ char *key = xasprintf(KEY_AUDIT_OF "%s", scene->ours);
    _cleanup_free_ char *of_fleet = results_in(scene, row, KEY_AUDIT, of);
    _cleanup_free_ char *of_account = results_in(scene, row, key, of);

    if (strcmp(of_fleet, wanted) != 0)
        fail_msg("%s: '%s' instead of '%s'", row->action, of_fleet, wanted);
    assert_string_equal(of_account, row->actor == DEPLOYER ? wanted : "");
}

static void check_status(const struct row *row, const struct answer *answer, long status)
{
    if (answer->status != status)
        fail_msg("%s: %ld, %s", row->action, answer->status, buffer_text(&answer->body));
}

static void test_a_gateway_that_dies_has_its_entry(_unused_ void **state)
{
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(scene_freep) struct scene *scene = scene_for(&rows[i]);
        hook.refuses = true;
        _cleanup_answer_ struct answer answer = ask(scene, &rows[i]);
        check_status(&rows[i], &answer, 200);
        trail_is(scene, &rows[i], &answer, "ok");
        assert_int_equal(hook.entries, 0);
    }
}

/* Whoever reads the trail after an answer finds in it what every entry has. */
static void test_it_is_as_every_entry(_unused_ void **state)
{
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const struct row *row = &rows[i];
        _cleanup_(scene_freep) struct scene *scene = scene_for(row);
        _cleanup_answer_ struct answer answer = ask(scene, row);
        check_status(row, &answer, 200);
        _cleanup_answer_ struct answer audit =
            scene_call(scene, GLOBAL_ADMIN, "GET", "/api/v1/audit?limit=1", NULL);
        const json_t *entry = json_array_get(json_object_get(audit.json, "entries"), 0);
        const json_t *actor = json_object_get(entry, "actor");
        assert_string_equal(text_at(entry, "action"), row->action);
        assert_string_equal(text_at(entry, "object"),
                            row->object ?: answer_text(&answer, "tierId"));
        assert_string_equal(text_at(entry, "accountId"), row->actor == DEPLOYER ? scene->ours : "");
        assert_string_equal(text_at(entry, "at"), "2023-11-14T22:43:20.000Z");
        assert_string_equal(text_at(entry, "address"), "127.0.0.1");
        assert_int_equal(strlen(text_at(entry, "id")), 36);
        assert_string_equal(text_at(actor, "type"),
                            row->actor == DEPLOYER ? "user" : "global-admin");
        assert_string_equal(text_at(actor, "keyId"), scene->ids[row->actor]);
    }
}

/* Also where nothing changes. */
static void test_a_scheduler_that_writes_none_leaves_it_to_us(_unused_ void **state)
{
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(scene_freep) struct scene *scene = scene_for(&rows[i]);
        scene->f->leaves_audit = true;
        _cleanup_answer_ struct answer answer = ask(scene, &rows[i]);
        check_status(&rows[i], &answer, 200);
        trail_is(scene, &rows[i], &answer, "ok");
        assert_int_equal(hook.entries, 1);
    }
}

static void test_what_is_refused_is_told_by_us(_unused_ void **state)
{
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(scene_freep) struct scene *scene = scene_for(&rows[i]);
        scene->f->answer_code = ERROR_INTERNAL;
        scene->f->answer_text = "no";
        _cleanup_answer_ struct answer answer = ask(scene, &rows[i]);
        check_status(&rows[i], &answer, 500);
        trail_is(scene, &rows[i], &answer, rows[i].is_new ? "" : "INTERNAL");
    }
}

/* Both are true: it was done, and the caller was told that nobody knows. */
static void test_a_lost_answer_has_two(_unused_ void **state)
{
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        if (!rows[i].is_noted)
            continue;
        _cleanup_(scene_freep) struct scene *scene = scene_for(&rows[i]);
        scene->f->lose_answer = true;
        _cleanup_answer_ struct answer answer = ask(scene, &rows[i]);
        check_status(&rows[i], &answer, 503);
        trail_is(scene, &rows[i], &answer, rows[i].is_new ? "ok" : "UNAVAILABLE ok");
    }
}

/* The answer is lost, but not what was done: the request ends well, and has its one entry. */
static void test_a_lost_answer_that_is_found_again_has_one(_unused_ void **state)
{
    static const char *const headers[] = {"Idempotency-Key: k", NULL};

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        if (!rows[i].is_noted || rows[i].is_new)
            continue;
        _cleanup_(scene_freep) struct scene *scene = scene_for(&rows[i]);
        scene->f->lose_answer = scene->f->note_first = true;
        _cleanup_answer_ struct answer answer = ask_with(scene, &rows[i], headers);
        check_status(&rows[i], &answer, 200);
        trail_is(scene, &rows[i], &answer, "ok");
        assert_int_equal(hook.entries, 0);
    }
}

/* A retry of the client's is another request, and told as such. */
static void test_a_retry_has_its_own(_unused_ void **state)
{
    static const char *const headers[] = {"Idempotency-Key: k", NULL};

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        if (!rows[i].is_noted || rows[i].is_new)
            continue;
        _cleanup_(scene_freep) struct scene *scene = scene_for(&rows[i]);
        scene->f->lose_answer = true;
        _cleanup_answer_ struct answer lost = ask_with(scene, &rows[i], headers);
        check_status(&rows[i], &lost, 503);
        note_lost(scene->f);
        _cleanup_answer_ struct answer again = ask_with(scene, &rows[i], headers);
        check_status(&rows[i], &again, 200);
        trail_is(scene, &rows[i], NULL, "ok UNAVAILABLE ok");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_gateway_that_dies_has_its_entry),
        cmocka_unit_test(test_it_is_as_every_entry),
        cmocka_unit_test(test_a_scheduler_that_writes_none_leaves_it_to_us),
        cmocka_unit_test(test_what_is_refused_is_told_by_us),
        cmocka_unit_test(test_a_lost_answer_has_two),
        cmocka_unit_test(test_a_lost_answer_that_is_found_again_has_one),
        cmocka_unit_test(test_a_retry_has_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
