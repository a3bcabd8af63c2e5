/* Quotas and money: who sets them, what the scheduler is told, and what an account burns. */
#include "services/api-gateway/test_scene.h"

#include "shared/base/alloc.h"
#include "shared/store/keys.h"

#define UPDATE "/api/v1/accounts/update"

static const json_t *quota_of(const struct answer *answer)
{
    return json_object_get(answer->json, "quota");
}

static json_int_t limit(const struct answer *answer, const char *name)
{
    const json_t *value = json_object_get(quota_of(answer), name);

    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static struct answer get_ours(const struct scene *scene, enum actor actor)
{
    return scene_call(scene, actor, "GET", "/api/v1/accounts/$OURS", NULL);
}

static void test_global_admin_sets_quotas(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_answer_ struct answer before = get_ours(scene, ACCOUNT_ADMIN);
    _cleanup_answer_ struct answer set =
        scene_call(scene, GLOBAL_ADMIN, "PUT", UPDATE,
                   "{\"accountId\":\"$OURS\",\"quota\":{\"maxWorkloads\":3,\"maxMemoryMb\":4096}}");
    _cleanup_answer_ struct answer named = scene_call(
        scene, ACCOUNT_ADMIN, "PUT", UPDATE, "{\"accountId\":\"$OURS\",\"name\":\"other\"}");
    _cleanup_answer_ struct answer after = get_ours(scene, ACCOUNT_ADMIN);
    _cleanup_answer_ struct answer audit =
        scene_call(scene, ACCOUNT_ADMIN, "GET", "/api/v1/audit?limit=2", NULL);

    assert_int_equal(limit(&before, "maxWorkloads"), 0);
    assert_int_equal(set.status, 200);
    assert_int_equal(named.status, 200);
    assert_string_equal(answer_text(&after, "name"), "other");
    assert_int_equal(limit(&after, "maxWorkloads"), 3);
    assert_int_equal(limit(&after, "maxMemoryMb"), 4096);
    assert_int_equal(limit(&after, "maxCpus"), 0);
    assert_int_equal(limit(&after, "maxDiskGb"), 0);
    assert_int_equal(limit(&after, "maxGpus"), 0);
    assert_non_null(strstr(buffer_text(&audit.body), "\"maxMemoryMb\":4096"));
}

/* What a new quota leaves out has no limit; a quota beside a name changes both. */
static void test_a_quota_is_replaced_as_a_whole(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _unused_ _cleanup_answer_ struct answer first =
        scene_call(scene, GLOBAL_ADMIN, "PUT", UPDATE,
                   "{\"accountId\":\"$OURS\",\"quota\":{\"maxWorkloads\":3,\"maxGpus\":1}}");
    _cleanup_answer_ struct answer second = scene_call(
        scene, GLOBAL_ADMIN, "PUT", UPDATE,
        "{\"accountId\":\"$OURS\",\"name\":\"both\",\"quota\":{\"maxGpus\":2,\"maxCpus\":0}}");

    assert_int_equal(limit(&second, "maxWorkloads"), 0);
    assert_int_equal(limit(&second, "maxGpus"), 2);
    assert_string_equal(answer_text(&second, "name"), "both");
}

static void test_others_and_wrong_ones_change_nothing(_unused_ void **state)
{
    static const struct {
        enum actor actor;
        const char *body;
        long status;
        const char *kind;
    } rows[] = {
        {ACCOUNT_ADMIN, "{\"accountId\":\"$OURS\",\"quota\":{}}", 401, "ACCESS_DENIED"},
        {ACCOUNT_ADMIN, "{\"accountId\":\"$OURS\",\"name\":\"n\",\"quota\":{\"maxGpus\":8}}", 401,
         "ACCESS_DENIED"},
        {AUDITOR, "{\"accountId\":\"$OURS\",\"quota\":{}}", 401, "ACCESS_DENIED"},
        {DEPLOYER, "{\"accountId\":\"$OURS\",\"quota\":{}}", 401, "ACCESS_DENIED"},
        {GLOBAL_ADMIN, "{\"accountId\":\"$OURS\",\"quota\":null}", 400, "INVALID_PAYLOAD"},
        {GLOBAL_ADMIN, "{\"accountId\":\"$OURS\",\"quota\":[]}", 400, "INVALID_PAYLOAD"},
        {GLOBAL_ADMIN, "{\"accountId\":\"$OURS\",\"quota\":5}", 400, "INVALID_PAYLOAD"},
        {GLOBAL_ADMIN, "{\"accountId\":\"$OURS\",\"quota\":{\"maxCpus\":-1}}", 400,
         "INVALID_PAYLOAD"},
        {GLOBAL_ADMIN, "{\"accountId\":\"$OURS\",\"quota\":{\"maxCpus\":1.5}}", 400,
         "INVALID_PAYLOAD"},
        {GLOBAL_ADMIN, "{\"accountId\":\"$OURS\",\"quota\":{\"maxCpus\":4294967296}}", 400,
         "INVALID_PAYLOAD"},
        {GLOBAL_ADMIN, "{\"accountId\":\"$OURS\",\"quota\":{\"maxCpus\":\"1\"}}", 400,
         "INVALID_PAYLOAD"},
        {GLOBAL_ADMIN, "{\"accountId\":\"$OURS\",\"quota\":{\"maxRam\":1}}", 400,
         "INVALID_PAYLOAD"},
    };
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_free_ char *before = scene_dump(scene);

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_answer_ struct answer answer =
            scene_call(scene, rows[i].actor, "PUT", UPDATE, rows[i].body);
        if (answer.status != rows[i].status ||
            strcmp(answer_text(&answer, "kind"), rows[i].kind) != 0)
            fail_msg("%s: %ld %s", rows[i].body, answer.status, buffer_text(&answer.body));
    }
    _cleanup_free_ char *after = scene_dump(scene);
    assert_string_equal(before, after);
}

#define SIZES "\"memory\":1024,\"cpus\":2,\"disk\":10"
#define PROJECT                                                                                    \
    "\"name\":\"n\",\"artifactsVersion\":\"" TEST_IMAGE "\",\"dockerCompose\":\"services: {web: "  \
    "{image: a}}\",\"publicContainerName\":\"web\",\"publicContainerPort\":80"

/* Every request that may make an account use more; their messages, by their one field. */
static const struct {
    const char *verb;
    const char *body;
    const ProtobufCMessageDescriptor *type;
    size_t offset;
} askers[] = {
    {"create", "{\"workloadId\":\"w-1\"," PROJECT "," SIZES "}",
     &coffer__v1__create_workload_request__descriptor,
     offsetof(Coffer__V1__CreateWorkloadRequest, allowance)},
    {"plan", "{" PROJECT "," SIZES "}", &coffer__v1__plan_workload_request__descriptor,
     offsetof(Coffer__V1__PlanWorkloadRequest, allowance)},
    {"update", "{\"workloadId\":\"w-1\",\"name\":\"m\",\"confirmDataLoss\":true}",
     &coffer__v1__update_workload_request__descriptor,
     offsetof(Coffer__V1__UpdateWorkloadRequest, allowance)},
    {"restart", "{\"workloadId\":\"w-1\"}", &coffer__v1__restart_workload_request__descriptor,
     offsetof(Coffer__V1__RestartWorkloadRequest, allowance)},
    {"start", "{\"workloadId\":\"w-1\"}", &coffer__v1__workload_request__descriptor,
     offsetof(Coffer__V1__WorkloadRequest, allowance)},
};

static const Coffer__V1__Allowance *ask(const struct fixture *f, size_t i, struct arena *arena)
{
    _cleanup_free_ char *path = xasprintf("/api/v1/workloads/%s", askers[i].verb);
    _cleanup_answer_ struct answer answer = http_post(f, path, askers[i].body);

    if (answer.status != 200)
        fail_msg("%s: %s", path, buffer_text(&answer.body));
    const char *message = last_request(f, askers[i].type, arena);
    return *(Coffer__V1__Allowance *const *)(const void *)(message + askers[i].offset);
}

static void test_scheduler_is_told_the_quota(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _unused_ _cleanup_answer_ struct answer me = http_get(f, "/api/v1/accounts/me"); /* is made */
    _cleanup_answer_ struct answer set =
        http_admin(f, "PUT", UPDATE,
                   "{\"accountId\":\"dev\",\"quota\":{\"maxWorkloads\":1,\"maxCpus\":2,"
                   "\"maxMemoryMb\":3,\"maxDiskGb\":4,\"maxGpus\":5}}");

    assert_int_equal(set.status, 200);
    for (size_t i = 0; i < ELEMENTSOF(askers); i++) {
        const Coffer__V1__Allowance *allowance = ask(f, i, arena);
        assert_non_null(allowance);
        assert_int_equal(allowance->workloads, 1);
        assert_int_equal(allowance->cpus, 2);
        assert_int_equal(allowance->memory_mib, 3);
        assert_int_equal(allowance->disk_gib, 4);
        assert_int_equal(allowance->gpus, 5);
        assert_true(allowance->limits_cost);
    }
}

/* balance >= cost x 5 + 0.01 USD, in whole millionths. */
static void test_scheduler_is_told_what_the_balance_pays(_unused_ void **state)
{
    static const struct {
        const char *add;
        uint64_t micros; /* the largest cost that still holds */
    } rows[] = {
        {"0", 0},        {"0.009999", 0},  {"0.000001", 0}, {"0.000004", 0},
        {"0.000001", 1}, {"0.99", 198001}, {"9", 1998001},
    };
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _unused_ _cleanup_answer_ struct answer me = http_get(f, "/api/v1/accounts/me");

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *body =
            xasprintf("{\"accountId\":\"dev\",\"balance\":%s}", rows[i].add);
        _cleanup_answer_ struct answer added =
            http_admin(f, "POST", "/api/v1/accounts/add-balance", body);
        assert_int_equal(added.status, 200);
        const Coffer__V1__Allowance *allowance = ask(f, 0, arena);
        assert_true(allowance->limits_cost);
        assert_int_equal(allowance->usd_micros_per_minute, rows[i].micros);
    }
}

static void test_refusals_of_create_and_start_have_kinds(_unused_ void **state)
{
    static const struct {
        const char *reason;
        const char *kind;
    } rows[] = {{"over_quota", "QUOTA_EXCEEDED"}, {"no_balance", "NOT_ENOUGH_BALANCE"}};
    static const size_t verbs[] = {0, 3, 4}; /* create, restart, start */
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    put_workload(f, "w-1", "dev", COFFER__V1__WORKLOAD_STATUS__STOPPED);
    f->answer_code = ERROR_FAILED_PRECONDITION;
    f->answer_text = "told";
    for (size_t i = 0; i < ELEMENTSOF(rows) * ELEMENTSOF(verbs); i++) {
        const size_t asker = verbs[i / ELEMENTSOF(rows)];
        _cleanup_free_ char *path = xasprintf("/api/v1/workloads/%s", askers[asker].verb);
        f->answer_reason = rows[i % ELEMENTSOF(rows)].reason;
        _cleanup_answer_ struct answer answer = http_post(f, path, askers[asker].body);
        assert_int_equal(answer.status, 412);
        assert_string_equal(answer_text(&answer, "kind"), rows[i % ELEMENTSOF(rows)].kind);
    }
}

static void put_priced(const struct fixture *f, const char *id, const char *account,
                       Coffer__V1__WorkloadStatus status, uint64_t micros)
{
    Coffer__V1__Workload workload = COFFER__V1__WORKLOAD__INIT;
    _cleanup_free_ char *key = xasprintf("%s%s", KEY_WORKLOAD, id);
    _cleanup_free_ char *set = xasprintf("%s%s", KEY_WORKLOADS_OF, account);

    workload.workload_id = (char *)id;
    workload.account_id = (char *)account;
    workload.status = status;
    workload.usd_micros_per_minute = micros;
    put_message(f, key, &workload.base);
    index_add(f, set, id);
}

static void test_burn_rate_is_of_what_runs(_unused_ void **state)
{
    static const enum actor actors[] = {ACCOUNT_ADMIN, GLOBAL_ADMIN};
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    const struct fixture *f = scene->f;

    put_priced(f, "a", scene->ours, COFFER__V1__WORKLOAD_STATUS__RUNNING, 100000);
    put_priced(f, "b", scene->ours, COFFER__V1__WORKLOAD_STATUS__WAITING, 20000);
    put_priced(f, "c", scene->ours, COFFER__V1__WORKLOAD_STATUS__ERROR, 3000);
    put_priced(f, "d", scene->ours, COFFER__V1__WORKLOAD_STATUS__STOPPED, 400000);
    put_priced(f, "e", scene->ours, COFFER__V1__WORKLOAD_STATUS__DELETED, 400000);
    put_priced(f, "f", scene->theirs, COFFER__V1__WORKLOAD_STATUS__RUNNING, 400000);
    _cleanup_answer_ struct answer me =
        scene_call(scene, ACCOUNT_ADMIN, "GET", "/api/v1/accounts/me", NULL);
    assert_non_null(strstr(buffer_text(&me.body), "\"burnRatePerMin\":0.123}"));
    for (size_t i = 0; i < ELEMENTSOF(actors); i++) {
        _cleanup_answer_ struct answer got = get_ours(scene, actors[i]);
        assert_true(json_equal(json_object_get(got.json, "burnRatePerMin"),
                               json_object_get(me.json, "burnRatePerMin")));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_global_admin_sets_quotas),
        cmocka_unit_test(test_a_quota_is_replaced_as_a_whole),
        cmocka_unit_test(test_others_and_wrong_ones_change_nothing),
        cmocka_unit_test(test_scheduler_is_told_the_quota),
        cmocka_unit_test(test_scheduler_is_told_what_the_balance_pays),
        cmocka_unit_test(test_refusals_of_create_and_start_have_kinds),
        cmocka_unit_test(test_burn_rate_is_of_what_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
