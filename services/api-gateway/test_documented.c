/* Failures that openapi.json tells of and that no other test meets. tests/openapi/check holds the
 * document against what all tests recorded. */
#include "services/api-gateway/test_scene.h"

#include <stdatomic.h>

#include "services/api-gateway/api_keys.h"
#include "services/api-gateway/test_fake_guest.h"
#include "shared/base/alloc.h"
#include "shared/store/keys.h"

#define A   "/api/v1/"
#define W   "{\"workloadId\":\"" TEST_WORKLOAD "\"}"
#define NEW "w-new"
#define CREATE_BODY                                                                                \
    "{\"workloadId\":\"" NEW "\",\"name\":\"n\",\"artifactsVersion\":\"" TEST_IMAGE                \
    "\",\"dockerCompose\":\"services: {web: {image: a}}\",\"publicContainerName\":\"web\","        \
    "\"publicContainerPort\":80,\"memory\":1024,\"cpus\":2,\"disk\":5}"
#define PLAN_BODY   "{\"workloadId\":\"" NEW "\",\"name\":\"m\"}"
#define UPDATE_BODY "{\"workloadId\":\"" NEW "\",\"name\":\"m\",\"confirmDataLoss\":true}"
#define TIER        "\"name\":\"n\",\"cpus\":2,\"gpus\":0,\"memoryMb\":2048,\"diskGb\":10,\"cost\":0.25}"
#define NEW_TIER    "{" TIER
#define OLD_TIER    "{\"tierId\":\"t-1\"," TIER
#define VERSION     "{\"version\":\"" TEST_IMAGE "\"}"

struct question {
    enum actor actor;
    const char *method;
    const char *path;
    const char *body;
};

/* What the gateway asks the scheduler for. */
static const struct question asking[] = {
    {DEPLOYER, "POST", A "workloads/create", CREATE_BODY},
    {DEPLOYER, "POST", A "workloads/update", UPDATE_BODY},
    {READER, "POST", A "workloads/plan", PLAN_BODY},
    {DEPLOYER, "POST", A "workloads/start", W},
    {DEPLOYER, "POST", A "workloads/stop", W},
    {DEPLOYER, "POST", A "workloads/restart", W},
    {DEPLOYER, "POST", A "workloads/delete", W},
    {GLOBAL_ADMIN, "POST", A "artifacts/enable", VERSION},
    {GLOBAL_ADMIN, "POST", A "artifacts/disable", VERSION},
    {GLOBAL_ADMIN, "POST", A "workload-tiers/create", NEW_TIER},
    {GLOBAL_ADMIN, "PUT", A "workload-tiers/update", OLD_TIER},
    {GLOBAL_ADMIN, "POST", A "workload-tiers/delete", "{\"tierId\":\"t-1\"}"},
    {GLOBAL_ADMIN, "POST", A "metal-instances/delete", "{\"metalInstanceId\":\"" TEST_HOST "\"}"},
};

static void check(const struct question *question, const struct answer *answer, long status,
                  const char *kind)
{
    if (answer->status != status || strcmp(answer_text(answer, "kind"), kind) != 0)
        fail_msg("%s %s: %ld %s", question->method, question->path, answer->status,
                 buffer_text(&answer->body));
}

static struct scene *scene_with_workloads(void)
{
    struct scene *scene = scene_new();
    _cleanup_answer_ struct answer made =
        scene_call(scene, DEPLOYER, "POST", A "workloads/create", CREATE_BODY);

    assert_int_equal(made.status, 200);
    put_workload(scene->f, TEST_WORKLOAD, scene->ours, COFFER__V1__WORKLOAD_STATUS__RUNNING);
    scene->f->answer_text = "told";
    return scene;
}

static void test_whoever_asks_the_scheduler_tells_when_it_fails(_unused_ void **state)
{
    static const struct {
        enum error_code code;
        long status;
        const char *kind;
    } rows[] = {
        {ERROR_UNAVAILABLE, 503, "UNAVAILABLE"},
        {ERROR_DEADLINE_EXCEEDED, 504, "DEADLINE_EXCEEDED"},
        {ERROR_INTERNAL, 500, "INTERNAL"},
        {ERROR_DATA_LOSS, 500, "INTERNAL"},
    };
    _cleanup_(scene_freep) struct scene *scene = scene_with_workloads();

    for (size_t i = 0; i < ELEMENTSOF(asking) * ELEMENTSOF(rows); i++) {
        const struct question *q = &asking[i / ELEMENTSOF(rows)];
        const size_t row = i % ELEMENTSOF(rows);
        scene->f->answer_code = rows[row].code;
        _cleanup_answer_ struct answer answer =
            scene_call(scene, q->actor, q->method, q->path, q->body);
        check(q, &answer, rows[row].status, rows[row].kind);
    }
}

static void test_what_the_scheduler_refuses(_unused_ void **state)
{
    static const struct {
        struct question question;
        enum error_code code;
        long status;
        const char *kind;
    } rows[] = {
        {{DEPLOYER, "POST", A "workloads/create", CREATE_BODY}, ERROR_ABORTED, 409, "CONFLICT"},
        {{DEPLOYER, "POST", A "workloads/create", CREATE_BODY},
         ERROR_FAILED_PRECONDITION,
         412,
         "FAILED_PRECONDITION"},
        {{DEPLOYER, "POST", A "workloads/stop", W},
         ERROR_FAILED_PRECONDITION,
         412,
         "FAILED_PRECONDITION"},
        {{DEPLOYER, "POST", A "workloads/delete", W},
         ERROR_FAILED_PRECONDITION,
         412,
         "FAILED_PRECONDITION"},
        {{READER, "POST", A "workloads/plan", PLAN_BODY},
         ERROR_FAILED_PRECONDITION,
         412,
         "FAILED_PRECONDITION"},
        {{GLOBAL_ADMIN, "POST", A "workload-tiers/create", NEW_TIER},
         ERROR_ABORTED,
         409,
         "CONFLICT"},
        {{GLOBAL_ADMIN, "POST", A "workload-tiers/create", NEW_TIER},
         ERROR_FAILED_PRECONDITION,
         412,
         "FAILED_PRECONDITION"},
        {{GLOBAL_ADMIN, "PUT", A "workload-tiers/update", OLD_TIER},
         ERROR_ALREADY_EXISTS,
         409,
         "ALREADY_EXISTS"},
        {{GLOBAL_ADMIN, "PUT", A "workload-tiers/update", OLD_TIER},
         ERROR_ABORTED,
         409,
         "CONFLICT"},
    };
    _cleanup_(scene_freep) struct scene *scene = scene_with_workloads();

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const struct question *q = &rows[i].question;
        scene->f->answer_code = rows[i].code;
        _cleanup_answer_ struct answer answer =
            scene_call(scene, q->actor, q->method, q->path, q->body);
        check(q, &answer, rows[i].status, rows[i].kind);
    }
}

static void test_if_match_of_another_state(_unused_ void **state)
{
    static const char *const headers[] = {"If-Match: \"9-9-00000000\"", NULL};
    _cleanup_(scene_freep) struct scene *scene = scene_with_workloads();

    for (size_t i = 3; i <= 6; i++) { /* start, stop, restart, delete */
        const struct question *q = &asking[i];
        _cleanup_answer_ struct answer answer =
            scene_call_with(scene, q->actor, q->method, q->path, headers, q->body);
        check(q, &answer, 412, "PRECONDITION_FAILED");
    }
}

/* The gateway dies as soon as it has claimed the key: nothing is written after that. */
static struct {
    struct store_ops ops;
    const struct store_ops *real;
    atomic_bool claimed;
} dying;

static struct error *on_commit(struct store *store, const struct store_change *change)
{
    bool is_claim = change->n_writes == 1 && change->writes[0].expected_version == 0 &&
                    strncmp(change->writes[0].key, KEY_IDEMPOTENCY, strlen(KEY_IDEMPOTENCY)) == 0;

    if (atomic_load(&dying.claimed))
        return error_new(ERROR_UNAVAILABLE, "as the test wants it");
    if (is_claim)
        atomic_store(&dying.claimed, true);
    return dying.real->commit(store, change);
}

static void die_after_claim(struct store *store)
{
    dying.real = store->ops;
    dying.ops = *store->ops;
    dying.ops.commit = on_commit;
    atomic_store(&dying.claimed, false);
    store->ops = &dying.ops;
}

static void test_keys_that_are_in_use(_unused_ void **state)
{
    static const struct question rows[] = {
        {DEPLOYER, "POST", A "workloads/create", CREATE_BODY},
        {GLOBAL_ADMIN, "POST", A "workload-tiers/create", NEW_TIER},
        {GLOBAL_ADMIN, "PUT", A "workload-tiers/update", OLD_TIER},
        {GLOBAL_ADMIN, "POST", A "accounts/create", "{\"name\":\"n\"}"},
    };
    _cleanup_(scene_freep) struct scene *scene = scene_with_workloads();

    scene->f->answer_code = ERROR_UNAVAILABLE;
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const struct question *q = &rows[i];
        _cleanup_free_ char *key = xasprintf("Idempotency-Key: k-%zu", i);
        const char *const headers[] = {key, NULL};
        die_after_claim(scene->f->store);
        _cleanup_answer_ struct answer first =
            scene_call_with(scene, q->actor, q->method, q->path, headers, q->body);
        scene->f->store->ops = dying.real;
        _cleanup_answer_ struct answer again =
            scene_call_with(scene, q->actor, q->method, q->path, headers, q->body);
        check(q, &first, 503, "UNAVAILABLE");
        check(q, &again, 409, "IDEMPOTENCY_KEY_IN_USE");
    }
}

static void test_questions_to_guests(_unused_ void **state)
{
    static const struct question rows[] = {
        {READER, "POST", A "workloads/logs", W},
        {READER, "POST", A "workloads/stats", W},
        {READER, "POST", A "workload-containers/list", W},
        {READER, "POST", A "workload-containers/logs",
         "{\"workloadId\":\"" TEST_WORKLOAD "\",\"container\":\"web\"}"},
    };
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    struct sign_key other;
    struct guest guest;

    guest_start(scene->f, &guest, scene->ours);
    assert_null(sign_key_generate(&other));
    guest.key = &other;
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const struct question *q = &rows[i];
        _cleanup_answer_ struct answer forged =
            scene_call(scene, q->actor, q->method, q->path, q->body);
        _cleanup_answer_ struct answer foreign =
            scene_call(scene, FOREIGN, q->method, q->path, q->body);
        check(q, &forged, 502, "UNTRUSTED_ANSWER");
        check(q, &foreign, 404, "NOT_FOUND");
    }
    Coffer__V1__Workload workload = COFFER__V1__WORKLOAD__INIT;
    workload.workload_id = TEST_WORKLOAD;
    workload.account_id = scene->ours;
    put_message(scene->f, KEY_WORKLOAD TEST_WORKLOAD, &workload.base); /* on no host yet */
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const struct question *q = &rows[i];
        _cleanup_answer_ struct answer early =
            scene_call(scene, q->actor, q->method, q->path, q->body);
        check(q, &early, 412, "FAILED_PRECONDITION");
    }
}

static void test_an_account_has_room_for_so_many_keys(_unused_ void **state)
{
    static const struct question question = {ACCOUNT_ADMIN, "POST", A "api-keys/create",
                                             "{\"accountId\":\"$OURS\",\"type\":\"user\"}"};
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_free_ char *set = xasprintf("%s%s", KEY_API_KEYS_OF, scene->ours);

    for (size_t i = 0; i < API_KEYS_MAX; i++) {
        char hash[65];
        snprintf(hash, sizeof(hash), "%064zx", i);
        index_add(scene->f, set, hash);
    }
    _cleanup_answer_ struct answer answer =
        scene_call(scene, question.actor, question.method, question.path, question.body);
    check(&question, &answer, 412, "FAILED_PRECONDITION");
}

static void test_documents_have_etags(_unused_ void **state)
{
    static const char *const paths[] = {A "workloads/" NEW "/manifest", A "images/" TEST_IMAGE};
    _cleanup_(scene_freep) struct scene *scene = scene_with_workloads();

    for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
        _cleanup_answer_ struct answer got = scene_call(scene, READER, "GET", paths[i], NULL);
        _cleanup_free_ char *tag = answer_header(&got, "ETag");
        assert_non_null(tag);
        _cleanup_free_ char *header = xasprintf("If-None-Match: %s", tag);
        const char *const headers[] = {header, NULL};
        _cleanup_answer_ struct answer same =
            scene_call_with(scene, READER, "GET", paths[i], headers, NULL);
        assert_int_equal(got.status, 200);
        assert_int_equal(same.status, 304);
        assert_int_equal(same.body.size, 0);
    }
}

static void test_a_stream_cannot_resume_behind_what_is_no_event(_unused_ void **state)
{
    static const struct question rows[] = {
        {READER, "GET", A "events?lastEventId=x", NULL},
        {READER, "GET", A "events?until=then", NULL},
        {READER, "GET", A "workloads/" TEST_WORKLOAD "/events?lastEventId=-1", NULL},
        {READER, "GET", A "workloads/" TEST_WORKLOAD "/logs?lastEventId=0x1", NULL},
    };
    _cleanup_(scene_freep) struct scene *scene = scene_with_workloads();

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_answer_ struct answer answer =
            scene_call(scene, rows[i].actor, rows[i].method, rows[i].path, rows[i].body);
        check(&rows[i], &answer, 400, "INVALID_PAYLOAD");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whoever_asks_the_scheduler_tells_when_it_fails),
        cmocka_unit_test(test_what_the_scheduler_refuses),
        cmocka_unit_test(test_if_match_of_another_state),
        cmocka_unit_test(test_keys_that_are_in_use),
        cmocka_unit_test(test_questions_to_guests),
        cmocka_unit_test(test_an_account_has_room_for_so_many_keys),
        cmocka_unit_test(test_documents_have_etags),
        cmocka_unit_test(test_a_stream_cannot_resume_behind_what_is_no_event),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
