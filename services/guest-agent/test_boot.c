/* The boot from the config disk to running, against a scheduler in memory and a fake engine. */
#include "services/guest-agent/test_world.h"
#include "shared/base/file.h"

static void test_all_stages_in_order_until_running(void **state)
{
    static const char *const expected[] = {"config",  "leaf",        "challenge", "attest",
                                           "release", "login",       "pull",      "lint",
                                           "up",      "certificate", "running"};
    struct world *world = *state;

    world->probes_until_certificate = 3;
    assert_true(world_run(world));
    assert_int_equal(world->n_stages, ELEMENTSOF(expected));
    for (size_t i = 0; i < ELEMENTSOF(expected); i++) {
        assert_string_equal(world->stages[i].stage, expected[i]);
        assert_false(world->stages[i].failed);
    }
    assert_int_equal(world->served, 1);
    assert_int_equal(engine_fake_count(&world->engine, "load /images/platform.tar"), 1);
    assert_int_equal(
        engine_fake_count(&world->engine, "login registry.coffer.test:5000 coffer hunter2hunter2"),
        1);
    assert_int_equal(engine_fake_count(&world->engine, "forget"), 1);
    assert_int_equal(engine_fake_count(&world->engine, "up"), 1);
}

static void test_the_project_gets_exactly_what_was_released(void **state)
{
    struct world *world = *state;
    _cleanup_buffer_ struct buffer compose = {0};
    _cleanup_buffer_ struct buffer secret = {0};
    _cleanup_buffer_ struct buffer collateral = {0}, expected = {0};

    assert_true(world_run(world));
    assert_non_null(strstr(world->engine.environment, "TOKEN=canary-value\n"));
    assert_non_null(strstr(world->engine.environment, "COFFER_DOMAIN=" SUPPORT_DOMAIN "\n"));
    _cleanup_free_ char *path = xasprintf("%s/app/compose.yaml", world->dir);
    support_check(file_read(path, 4096, &compose));
    assert_string_equal(buffer_text(&compose), SUPPORT_COMPOSE);
    _cleanup_free_ char *secret_path = xasprintf("%s/app/files/keys/private", world->dir);
    support_check(file_read(secret_path, 4096, &secret));
    assert_string_equal(buffer_text(&secret), support_secret_file);
    _cleanup_free_ char *collateral_path = xasprintf("%s/app/collateral", world->dir);
    support_collateral(&expected);
    support_check(file_read(collateral_path, 4096, &collateral));
    assert_int_equal(collateral.size, expected.size);
    assert_memory_equal(collateral.data, expected.data, expected.size);
    /* An environment value is in no file. */
    _cleanup_free_ char *grep = xasprintf("grep -rq canary-value '%s'", world->dir);
    assert_int_not_equal(system(grep), 0);
}

static void evil_compose(Coffer__V1__ConfigDisk *disk)
{
    static char evil[] = "services: {web: {image: evil:1}}\n";

    disk->compose = (ProtobufCBinaryData){strlen(evil), (uint8_t *)evil};
}

static void test_a_changed_config_disk_is_told_and_nothing_is_asked(void **state)
{
    struct world *world = *state;

    world_write_disk(world, evil_compose);
    world_expect_failure(world, "config", "config_hash_mismatch");
    assert_int_equal(world->challenges, 0);
    assert_int_equal(engine_fake_count(&world->engine, "up"), 0);
}

static void test_another_host_data_is_told_and_nothing_is_asked(void **state)
{
    struct world *world = *state;

    world->tee.host_data[0] ^= 1;
    world_expect_failure(world, "config", "host_data_mismatch");
    assert_int_equal(world->challenges, 0);
}

static void test_another_image_version_is_refused(void **state)
{
    struct world *world = *state;

    world->workload.manifest.image_version = "2.0";
    support_workload_write(&world->workload);
    memcpy(world->tee.host_data, world->workload.manifest_sha256, 32);
    world_write_disk(world, NULL);
    world_expect_failure(world, "config", "image_version_mismatch");
}

static void test_bad_bundles_are_refused_and_no_secret_is_used(void **state)
{
    static const struct {
        enum attack attack;
        const char *code;
    } table[] = {
        {FOREIGN_KEY, "bundle_signature"},
        {OTHER_GUEST, "bundle_signature"},
        {CUT_OFF, "bundle_signature"},
    };

    world_teardown(state);
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        world_setup(state);
        struct world *world = *state;
        world->attack = table[i].attack;
        world_expect_failure(world, "release", table[i].code);
        assert_int_equal(world->served, 0);
        assert_int_equal(engine_fake_count(&world->engine, "login"), 0);
        assert_int_equal(engine_fake_count(&world->engine, "up"), 0);
        world_teardown(state);
    }
    world_setup(state);
}

/* The answer of a real earlier release of this same guest, played again at a later boot number. */
static void test_a_replayed_bundle_is_refused(void **state)
{
    struct world *world = *state;
    const Coffer__V1__AttestRequest earlier = {
        .base = PROTOBUF_C_MESSAGE_INIT(&coffer__v1__attest_request__descriptor),
        .boot_number = 1,
        .nonce = {32, world->nonce},
        .box_public = {32, world->identity.box.public},
        .sign_public = {32, world->identity.sign.public},
    };

    memset(world->nonce, 1, sizeof(world->nonce));
    world_bundle(world, &earlier, &world->fleet.authority, &world->old_sealed,
                 world->old_signature);
    world->boot_number = 1;
    world->attack = REPLAYED;
    world_expect_failure(world, "release", "bundle_signature");
}

static void test_it_waits_while_the_scheduler_is_away(void **state)
{
    struct world *world = *state;

    world->away = 12;
    assert_true(world_run(world));
    assert_int_equal(world->challenges, 13);
    for (size_t i = 0; i < world->n_stages; i++)
        assert_false(world->stages[i].failed);
}

static void test_an_old_challenge_is_asked_again(void **state)
{
    struct world *world = *state;

    world->stale = 2;
    assert_true(world_run(world));
    assert_int_equal(world->challenges, 3);
    assert_int_equal(world->attests, 3);
}

static void test_refused_evidence_ends_the_boot(void **state)
{
    struct world *world = *state;

    world->refuse = ERROR_PERMISSION_DENIED;
    world_expect_failure(world, "attest", "attest_refused");
    assert_int_equal(world->attests, 1);
    assert_non_null(strstr(world->stages[world->n_stages - 1].detail, "measurement"));
}

static void test_tools_failures_are_told_with_their_words(void **state)
{
    static const struct {
        const char *call;
        enum error_code code;
        const char *words;
        unsigned tries;
        const char *stage;
        const char *told;
    } table[] = {
        {"login", ERROR_UNAUTHENTICATED, "unauthorized: incorrect password", 1, "login",
         "login_failed"},
        {"pull", ERROR_NOT_FOUND, "manifest unknown", 1, "pull", "pull_failed"},
        {"pull", ERROR_UNAVAILABLE, "connection refused", 4, "pull", "pull_failed"},
        {"model", ERROR_INTERNAL, "yaml: line 3", 1, "lint", "compose_refused"},
        {"up", ERROR_INTERNAL, "exec: no such file", 1, "up", "up_failed"},
        {"load", ERROR_INTERNAL, "invalid tar header", 1, "up", "up_failed"},
    };

    world_teardown(state);
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        world_setup(state);
        struct world *world = *state;
        world->engine.fail_call = table[i].call;
        world->engine.fail_code = table[i].code;
        world->engine.fail_text = table[i].words;
        world->engine.fail_times = -1;
        world_expect_failure(world, table[i].stage, table[i].told);
        assert_int_equal(engine_fake_count(&world->engine, table[i].call), table[i].tries);
        assert_non_null(strstr(world->stages[world->n_stages - 1].detail, table[i].words));
        assert_true(engine_fake_count(&world->engine, "forget") >= 1);
        world_teardown(state);
    }
    world_setup(state);
}

static void test_a_short_trouble_of_the_registry_is_sat_out(void **state)
{
    struct world *world = *state;

    world->engine.fail_call = "pull";
    world->engine.fail_code = ERROR_UNAVAILABLE;
    world->engine.fail_text = "i/o timeout";
    world->engine.fail_times = 2;
    assert_true(world_run(world));
    assert_int_equal(engine_fake_count(&world->engine, "pull"), 3);
    for (size_t i = 0; i < world->n_stages; i++)
        assert_false(world->stages[i].failed);
}

static void test_our_image_is_loaded_again_when_docker_was_late(void **state)
{
    struct world *world = *state;

    world->engine.fail_call = "load";
    world->engine.fail_code = ERROR_UNAVAILABLE;
    world->engine.fail_text = "docker does not answer";
    world->engine.fail_times = 2;
    assert_true(world_run(world));
    assert_int_equal(engine_fake_count(&world->engine, "load"), 3); /* two failed */
    assert_int_equal(engine_fake_count(&world->engine, "up"), 1);
}

static void test_compose_findings_refuse_the_project(void **state)
{
    static const struct {
        const char *user;
        const char *merged;
    } table[] = {
        {"{\"name\":\"app\",\"services\":{\"web\":{\"image\":\"hello:1\",\"privileged\":true}}}",
         WORLD_MERGED_MODEL},
        {"{\"name\":\"app\",\"services\":{\"web\":{\"image\":\"hello:1\"},"
         "\"coffer-attester\":{\"image\":\"evil:1\"}}}",
         WORLD_MERGED_MODEL},
        {"{\"name\":\"app\",\"services\":{\"web\":{\"image\":\"other:1\"}}}", WORLD_MERGED_MODEL},
        {"{\"name\":\"app\",\"services\":{\"web\":{\"image\":\"hello:1\"},"
         "\"more\":{\"image\":\"hello:1\"}}}",
         WORLD_MERGED_MODEL},
        {"{\"name\":\"app\",\"services\":{\"other\":{\"image\":\"hello:1\"}}}", WORLD_MERGED_MODEL},
        {SUPPORT_MODEL, "{\"name\":\"app\",\"services\":{\"web\":{\"image\":\"hello:1\","
                        "\"devices\":[\"/dev/vport1p1\"]}}}"},
        {"not json", WORLD_MERGED_MODEL},
        {SUPPORT_MODEL, "[]"},
    };

    world_teardown(state);
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        world_setup(state);
        struct world *world = *state;
        world->engine.user_model = table[i].user;
        world->engine.merged_model = table[i].merged;
        world_expect_failure(world, "lint", "compose_refused");
        assert_int_equal(engine_fake_count(&world->engine, "up"), 0);
        world_teardown(state);
    }
    world_setup(state);
}

static void test_a_pinned_image_must_have_its_digest(void **state)
{
#define DIGEST "sha256:0123456789012345678901234567890123456789012345678901234567890123"
    struct world *world = *state;

    world->workload.services[0].digest = DIGEST;
    support_workload_write(&world->workload);
    memcpy(world->tee.host_data, world->workload.manifest_sha256, 32);
    world_write_disk(world, NULL);
    world->engine.digests[0] = "sha256:"
                               "ff";
    world->engine.n_digests = 1;
    world_expect_failure(world, "pull", "digest_mismatch");

    world_teardown(state);
    world_setup(state);
    world = *state;
    world->workload.services[0].digest = DIGEST;
    support_workload_write(&world->workload);
    memcpy(world->tee.host_data, world->workload.manifest_sha256, 32);
    world_write_disk(world, NULL);
    world->engine.digests[0] = "sha256:ff";
    world->engine.digests[1] = DIGEST;
    world->engine.n_digests = 2;
    assert_true(world_run(world));
}

static void add_container(struct world *world, const char *id, const char *service,
                          const char *container_state, int exit_code, bool restarts)
{
    world->engine.containers[world->engine.n_containers++] = (struct engine_container){
        .id = id,
        .name = service,
        .service = service,
        .image = "hello:1",
        .image_id = "sha256:1",
        .state = container_state,
        .health = "",
        .error = "",
        .exit_code = exit_code,
        .restarts_itself = restarts,
    };
}

static void test_a_container_that_ends_at_once_is_told_with_its_last_lines(void **state)
{
    struct world *world = *state;

    world->probes_until_certificate = 100000;
    add_container(world, "c1", "web", "exited", 3, false);
    world->engine.log_lines[0] = "panic: no configuration";
    world->engine.n_log_lines = 1;
    world_expect_failure(world, "up", "container_exited");
    const char *detail = world->stages[world->n_stages - 1].detail;
    assert_non_null(strstr(detail, "'web'"));
    assert_non_null(strstr(detail, "exit code 3"));
    assert_non_null(strstr(detail, "panic: no configuration"));
}

static void test_a_certificate_that_does_not_come_is_told_once_with_caddys_words(void **state)
{
    struct world *world = *state;

    world->probes_until_certificate = 100000;
    world->pauses_max = 5000;
    add_container(world, "c1", "coffer-proxy", "running", 0, true);
    world->engine.log_lines[0] =
        "{\"level\":\"error\",\"msg\":\"could not get certificate from issuer\","
        "\"error\":\"acme: 403 unauthorized\"}";
    world->engine.n_log_lines = 1;
    assert_false(world_run(world));
    size_t told = 0;
    for (size_t i = 0; i < world->n_stages; i++) {
        if (!world->stages[i].failed)
            continue;
        told++;
        assert_string_equal(world->stages[i].code, "certificate_failed");
        assert_non_null(strstr(world->stages[i].detail, "acme: 403 unauthorized"));
    }
    assert_int_equal(told, 1);
}

static void test_every_claim_is_signed_and_of_this_boot(void **state)
{
    struct world *world = *state;

    world->boot_number = 41;
    assert_true(world_run(world));
    assert_int_equal(world->n_stages, 11);
    for (size_t i = 0; i < world->n_stages; i++) {
        assert_true(world->stages[i].is_signed);
        /* Also those that were noted before there was a number. */
        assert_int_equal(world->stages[i].boot_number, 42);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_all_stages_in_order_until_running),
        WORLD_TEST(test_the_project_gets_exactly_what_was_released),
        WORLD_TEST(test_a_changed_config_disk_is_told_and_nothing_is_asked),
        WORLD_TEST(test_another_host_data_is_told_and_nothing_is_asked),
        WORLD_TEST(test_another_image_version_is_refused),
        WORLD_TEST(test_bad_bundles_are_refused_and_no_secret_is_used),
        WORLD_TEST(test_a_replayed_bundle_is_refused),
        WORLD_TEST(test_it_waits_while_the_scheduler_is_away),
        WORLD_TEST(test_an_old_challenge_is_asked_again),
        WORLD_TEST(test_refused_evidence_ends_the_boot),
        WORLD_TEST(test_tools_failures_are_told_with_their_words),
        WORLD_TEST(test_a_short_trouble_of_the_registry_is_sat_out),
        WORLD_TEST(test_our_image_is_loaded_again_when_docker_was_late),
        WORLD_TEST(test_compose_findings_refuse_the_project),
        WORLD_TEST(test_a_pinned_image_must_have_its_digest),
        WORLD_TEST(test_a_container_that_ends_at_once_is_told_with_its_last_lines),
        WORLD_TEST(test_a_certificate_that_does_not_come_is_told_once_with_caddys_words),
        WORLD_TEST(test_every_claim_is_signed_and_of_this_boot),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
