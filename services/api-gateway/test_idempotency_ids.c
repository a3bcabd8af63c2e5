/* A repeat with an Idempotency-Key asks the scheduler for the same as the first request did. */
#include "services/api-gateway/test_idempotency_kit.h"

#include "schemas/catalog.pb-c.h"

#define CREATE_BODY "{" CREATE_REST
#define CREATE_REST                                                                                \
    "\"name\":\"one\",\"dockerCompose\":\"services:\\n  web:\\n    image: "                        \
    "docker.io/library/nginx@sha256:"                                                              \
    "0000000000000000000000000000000000000000000000000000000000000001\\n    expose: [80]\\n\","    \
    "\"publicContainerName\":\"web\",\"publicContainerPort\":80,"                                  \
    "\"artifactsVersion\":\"" TEST_IMAGE "\",\"cpus\":1,\"memory\":1024,\"disk\":10,\"gpus\":0}"

#define SECRET_BODY                                                                                \
    "{\"secretFiles\":{\"a\":{\"content\":\"aGk=\"},\"b\":{\"content\":\"aGk=\"}},"                \
    "\"workloadId\":\"w-new\"," CREATE_REST

/* The scheduler knows a repeated create by its id. */
static void test_a_new_workloads_id_follows_from_the_key(_unused_ void **state)
{
    static const struct {
        enum actor actor;
        const char *key;
        bool same;
    } rows[] = {
        {DEPLOYER, KEY "k-1", true},
        {DEPLOYER, KEY "k-2", false},
        {FOREIGN, KEY "k-1", false},
        {DEPLOYER, NULL, false},
    };
    _cleanup_scene_ struct scene *scene = hooked_scene();

    scene->f->answer_code = ERROR_UNAVAILABLE;
    scene->f->answer_text = "away";
    _cleanup_answer_ struct answer lost =
        keyed_call(scene, DEPLOYER, KEY "k-1", "POST", "/api/v1/workloads/create", CREATE_BODY);
    assert_int_equal(lost.status, 503);
    Coffer__V1__CreateWorkloadRequest *asked = coffer__v1__create_workload_request__unpack(
        NULL, scene->f->last_payload.size, scene->f->last_payload.data);
    assert_non_null(asked);
    assert_int_equal(strlen(asked->workload_id), 36);
    assert_int_equal(asked->workload_id[14], '8');
    scene->f->answer_code = ERROR_OK;
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_answer_ struct answer answer = keyed_call(
            scene, rows[i].actor, rows[i].key, "POST", "/api/v1/workloads/create", CREATE_BODY);
        assert_int_equal(answer.status, 200);
        assert_int_equal(strcmp(answer_text(&answer, "workloadId"), asked->workload_id) == 0,
                         rows[i].same);
    }
    coffer__v1__create_workload_request__free_unpacked(asked, NULL);
}

/* The manifest of the create that the scheduler was asked for last. */
static void take_manifest(const struct scene *scene, struct buffer *ret_manifest)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    const Coffer__V1__CreateWorkloadRequest *asked =
        last_request(scene->f, &coffer__v1__create_workload_request__descriptor, arena);

    assert_non_null(asked);
    buffer_done(ret_manifest);
    buffer_add(ret_manifest, asked->manifest.data, asked->manifest.len);
}

/* By its manifest, too: a secret file without a salt of the owner's has the same one again. */
static void test_a_repeated_create_is_the_same_to_the_scheduler(_unused_ void **state)
{
    static const char path[] = "/api/v1/workloads/create";
    static const struct {
        enum actor actor;
        const char *key;
        bool same;
    } rows[] = {
        {DEPLOYER, KEY "k-1", true},
        {DEPLOYER, KEY "k-2", false},
        {ACCOUNT_ADMIN, KEY "k-3", false},
        {DEPLOYER, NULL, false},
    };
    _cleanup_scene_ struct scene *scene = hooked_scene();
    _cleanup_buffer_ struct buffer first = {0};
    _cleanup_buffer_ struct buffer next = {0};

    scene->f->answer_code = ERROR_DEADLINE_EXCEEDED;
    scene->f->answer_text = "late";
    _cleanup_answer_ struct answer lost =
        keyed_call(scene, DEPLOYER, KEY "k-1", "POST", path, SECRET_BODY);
    assert_int_equal(lost.status, 504);
    take_manifest(scene, &first);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_answer_ struct answer again =
            keyed_call(scene, rows[i].actor, rows[i].key, "POST", path, SECRET_BODY);
        assert_int_equal(again.status, 504);
        take_manifest(scene, &next);
        if ((strcmp(buffer_text(&next), buffer_text(&first)) == 0) != rows[i].same)
            fail_msg("row %zu: %s", i, buffer_text(&next));
    }
}

/* So it is with tiers. */
static void test_a_new_tiers_id_follows_from_the_key(_unused_ void **state)
{
    static const char body[] = "{\"name\":\"small\",\"cpus\":2,\"gpus\":0,\"memoryMb\":2048,"
                               "\"diskGb\":10,\"cost\":0.25}";
    _cleanup_scene_ struct scene *scene = hooked_scene();

    scene->f->answer_code = ERROR_DEADLINE_EXCEEDED;
    scene->f->answer_text = "late";
    _cleanup_answer_ struct answer lost =
        keyed_call(scene, GLOBAL_ADMIN, KEY "k", "POST", "/api/v1/workload-tiers/create", body);
    assert_int_equal(lost.status, 504);
    Coffer__V1__WorkloadTier *asked = coffer__v1__workload_tier__unpack(
        NULL, scene->f->last_payload.size, scene->f->last_payload.data);
    assert_non_null(asked);
    scene->f->answer_code = ERROR_OK;
    _cleanup_answer_ struct answer retry =
        keyed_call(scene, GLOBAL_ADMIN, KEY "k", "POST", "/api/v1/workload-tiers/create", body);
    _cleanup_answer_ struct answer other =
        keyed_call(scene, GLOBAL_ADMIN, NULL, "POST", "/api/v1/workload-tiers/create", body);
    assert_int_equal(retry.status, 200);
    assert_string_equal(answer_text(&retry, "tierId"), asked->tier_id);
    assert_string_not_equal(answer_text(&other, "tierId"), asked->tier_id);
    coffer__v1__workload_tier__free_unpacked(asked, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_workloads_id_follows_from_the_key),
        cmocka_unit_test(test_a_repeated_create_is_the_same_to_the_scheduler),
        cmocka_unit_test(test_a_new_tiers_id_follows_from_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
