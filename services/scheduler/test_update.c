/* Updates: what a new boot is made of, where it goes, and what is refused. */
#include "schemas/catalog.pb-c.h"
#include "services/scheduler/bundle.h"
#include "services/scheduler/reconcile.h"
#include "services/scheduler/secrets.h"
#include "services/scheduler/test_kit_update.h"

static Coffer__V1__Secrets *stored_secrets(struct kit *kit)
{
    Coffer__V1__Secrets *secrets;

    kit_ok(secrets_open(kit->scheduler, "w1", kit_input(kit, "w1")->sealed_secrets, kit->arena,
                        &secrets));
    return secrets;
}

static void test_update_starts_a_new_boot_with_the_new_configuration(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    struct kit_app app = kit_same_app;
    Coffer__V1__AttestReply *reply;
    kit_run_workload(kit, "w1", &guest);
    const Coffer__V1__AttestRequest *old_boot = kit_attest_request(kit, &guest);
    kit_ok(kit_attest(kit, &guest, old_boot, &reply));

    app.compose = "services:\n  web:\n    image: nginx:2\n";
    app.env[1] = "TOKEN";
    app.values[1] = "canary-token";
    app.name = "another name";
    Coffer__V1__UpdateWorkloadRequest *request = kit_update_request(kit, &app);
    kit_ok(kit_update_with(kit, request));
    const Coffer__V1__Workload *workload = kit_workload(kit, "w1");
    assert_int_equal(workload->status, STATUS_SCHEDULED);
    assert_int_equal(workload->generation, 2);
    assert_string_equal(workload->name, "another name");
    assert_string_equal(workload->host_id, "h1");
    assert_int_equal(workload->measurement.len, 0);
    uint8_t digest[SHA256_SIZE];
    manifest_hash(request->manifest.data, request->manifest.len, digest);
    assert_memory_equal(workload->manifest_sha256.data, digest, sizeof(digest));
    assert_true(bytes_equal(kit_input(kit, "w1")->compose, request->compose));
    const Coffer__V1__Secrets *secrets = stored_secrets(kit);
    assert_int_equal(secrets->n_environment, 2);
    assert_string_equal(secrets->environment[0]->value, "canary");
    assert_string_equal(secrets->environment[1]->value, "canary-token");

    /* The old boot gets nothing more and speaks for nothing. */
    kit_code(kit_attest(kit, &guest, old_boot, &reply), ERROR_ABORTED);
    assert_int_equal(kit_health(kit, &guest, true, true), BUS_TERM);
    kit_code(kit_challenge(kit, &guest), ERROR_FAILED_PRECONDITION);

    kit_tick(kit);
    assert_int_equal(kit->hosts[0].vms[0].generation, 2);
    assert_int_equal(kit->hosts[0].n_vms, 1);
    kit_guest_init(kit, &guest, "w1");
    kit_release(kit, &guest);
    assert_int_equal(kit_workload(kit, "w1")->measurement.len, 48);
    const Coffer__V1__WorkloadEvent *event = kit_last_event(kit, "w1", "updated");
    assert_string_equal(event->message, "new release: name; compose; env TOKEN (added)");
    assert_int_equal(event->generation, 2);
    assert_non_null(strstr(kit_events(kit, "w1"), "running updated scheduled warning starting"));
}

/* Between the evidence and the bundle an update may come: the bundle is for what was verified. */
static void test_no_bundle_for_what_was_verified_before_an_update(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    struct kit_app app = kit_same_app;
    Coffer__V1__AttestReply reply = COFFER__V1__ATTEST_REPLY__INIT;
    kit_run_workload(kit, "w1", &guest);
    const Coffer__V1__Workload *verified = kit_workload(kit, "w1");
    const Coffer__V1__AttestRequest *request = kit_attest_request(kit, &guest);
    kit_ok(bundle_make(kit->scheduler, verified, request, kit->arena, &reply));
    app.values[0] = "new value";
    kit_ok(kit_update(kit, &app));
    kit_code(bundle_make(kit->scheduler, verified, request, kit->arena, &reply), ERROR_ABORTED);
}

static void test_nothing_changed_is_nothing_done(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    kit_run_workload(kit, "w1", &guest);
    kit_ok(kit_update(kit, &kit_same_app));
    kit_ok(kit_update(kit, &kit_same_app));
    assert_int_equal(kit_status(kit, "w1"), STATUS_RUNNING);
    assert_int_equal(kit_workload(kit, "w1")->generation, 1);
    assert_null(kit_last_event(kit, "w1", "updated"));
}

static void test_secrets_are_kept_replaced_and_forgotten(void **state)
{
    struct kit *kit = *state;
    struct kit_app app = kit_same_app;
    kit_tick(kit);
    kit_create(kit, "w1");
    app.env[1] = "TOKEN";
    app.values[1] = "canary-token";
    app.registry = "ghcr.io";
    app.give_registry = true;
    app.secret_file = "canary-key";
    app.give_file = true;
    kit_ok(kit_update(kit, &app));
    /* All is kept by a later one that brings nothing. */
    memset(app.values, 0, sizeof(app.values));
    app.give_registry = app.give_file = false;
    app.compose = "services: {}\n";
    kit_ok(kit_update(kit, &app));
    const Coffer__V1__Secrets *secrets = stored_secrets(kit);
    assert_int_equal(secrets->n_environment, 2);
    assert_string_equal(secrets->registries[0]->password, "canary-password");
    assert_memory_equal(secrets->files[0]->content.data, "canary-key", 10);
    /* One value is new, the rest is not named any more. */
    app.env[0] = "TOKEN";
    app.env[1] = NULL;
    app.values[0] = "canary-2";
    app.registry = NULL;
    app.secret_file = NULL;
    kit_ok(kit_update(kit, &app));
    secrets = stored_secrets(kit);
    assert_int_equal(secrets->n_environment, 1);
    assert_string_equal(secrets->environment[0]->value, "canary-2");
    assert_int_equal(secrets->n_registries + secrets->n_files, 0);
    kit_tick(kit);
    const char *message = kit_last_event(kit, "w1", "updated")->message;
    assert_string_equal(message, "new release: env TOKEN (changed), SECRET (removed); secret file "
                                 "key.pem (removed); registry ghcr.io (removed)");
    assert_null(strstr(message, "canary"));
    app.env[0] = NULL;
    app.values[0] = NULL;
    kit_ok(kit_update(kit, &app));
    assert_int_equal(kit_input(kit, "w1")->sealed_secrets.len, 0);
}

struct bad_update {
    const char *name;
    void (*spoil)(struct kit *kit, Coffer__V1__UpdateWorkloadRequest *request);
    struct kit_app app; /* what differs from an update that would do */
    enum error_code code;
    const char *words; /* in the text */
};

static void other_account(_unused_ struct kit *kit, Coffer__V1__UpdateWorkloadRequest *request)
{
    request->account_id = (char *)"mallory";
}

static void other_workload(_unused_ struct kit *kit, Coffer__V1__UpdateWorkloadRequest *request)
{
    request->workload_id = (char *)"w9";
}

static void other_compose(struct kit *kit, Coffer__V1__UpdateWorkloadRequest *request)
{
    request->compose = arena_bytes(kit->arena, "x", 1);
}

static void no_files(_unused_ struct kit *kit, Coffer__V1__UpdateWorkloadRequest *request)
{
    request->n_files = 0;
}

static void broken_manifest(struct kit *kit, Coffer__V1__UpdateWorkloadRequest *request)
{
    request->manifest = arena_bytes(kit->arena, "{}", 2);
}

static void long_name(struct kit *kit, Coffer__V1__UpdateWorkloadRequest *request)
{
    request->name = arena_printf(kit->arena, "%0129d", 1);
}

static void no_box(struct kit *kit, Coffer__V1__UpdateWorkloadRequest *request)
{
    request->sealed_secrets = arena_bytes(kit->arena, "canary", 6);
}

static void box_of_another(struct kit *kit, Coffer__V1__UpdateWorkloadRequest *request)
{
    request->sealed_secrets = kit_create_request(kit, "w2")->sealed_secrets;
}

static void old_version(struct kit *kit, Coffer__V1__UpdateWorkloadRequest *request)
{
    request->if_match = arena_alloc(kit->arena, sizeof(*request->if_match));
    coffer__v1__expectation__init(request->if_match);
    request->if_match->generation = 1;
    request->if_match->event_sequence = 1;
}

static struct kit_app app_of(const struct bad_update *row)
{
    struct kit_app app = row->app;

    app.compose = "services: {}\n";
    app.name = "n";
    app.image_version = app.image_version ?: KIT_IMAGE;
    app.domain = app.domain ?: "w1." KIT_DOMAIN;
    return app;
}

static void test_bad_updates(void **state)
{
    struct kit *kit = *state;
    static const struct bad_update rows[] = {
        {"account", other_account, {0}, ERROR_NOT_FOUND, "w1"},
        {"workload", other_workload, {0}, ERROR_NOT_FOUND, "w9"},
        {"compose", other_compose, {0}, ERROR_INVALID_ARGUMENT, "compose"},
        {"files", no_files, {0}, ERROR_INVALID_ARGUMENT, "0 files"},
        {"manifest", broken_manifest, {0}, ERROR_INVALID_ARGUMENT, ""},
        {"name", long_name, {0}, ERROR_INVALID_ARGUMENT, "name"},
        {"no box", no_box, {0}, ERROR_INVALID_ARGUMENT, "not sealed"},
        {"box", box_of_another, {0}, ERROR_INVALID_ARGUMENT, "not sealed"},
        {"if_match", old_version, {0}, ERROR_ABORTED, "changed meanwhile"},
        {"domain", NULL, {.domain = "no host"}, ERROR_INVALID_ARGUMENT, "no host"},
        {"taken", NULL, {.domain = "w2." KIT_DOMAIN}, ERROR_ALREADY_EXISTS, "another"},
        {"image", NULL, {.image_version = "9.9"}, ERROR_NOT_FOUND, "9.9"},
        {"env", NULL, {.env = {"SECRET", "NEW"}}, ERROR_INVALID_ARGUMENT, "'NEW'"},
        {"registry", NULL, {.registry = "ghcr.io"}, ERROR_INVALID_ARGUMENT, "'ghcr.io'"},
        {"file", NULL, {.secret_file = "x"}, ERROR_INVALID_ARGUMENT, "'key.pem'"},
    };
    kit_tick(kit);
    kit_create(kit, "w1");
    kit_create(kit, "w2");
    const Coffer__V1__Workload *before = kit_workload(kit, "w1");
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const struct kit_app app = app_of(&rows[i]);
        Coffer__V1__UpdateWorkloadRequest *request = kit_update_request(kit, &app);
        if (rows[i].spoil)
            rows[i].spoil(kit, request);
        struct error *err = kit_update_with(kit, request);
        if (error_get_code(err) != rows[i].code || !strstr(error_text(err), rows[i].words) ||
            strstr(error_text(err), "canary"))
            fail_msg("%s: %s", rows[i].name, error_text(err));
        error_free(err);
    }
    assert_int_equal(kit_workload(kit, "w1")->event_sequence, before->event_sequence);
    assert_int_equal(kit_workload(kit, "w1")->generation, 1);
    assert_true(
        bytes_equal(kit_input(kit, "w1")->manifest, kit_create_request(kit, "w1")->manifest));
}

/* The salt or the content of a secret file is not what the manifest commits to. */
static void test_secret_file_must_be_the_manifests(void **state)
{
    struct kit *kit = *state;
    struct kit_app app = kit_same_app;
    kit_tick(kit);
    kit_create(kit, "w1");
    app.secret_file = "canary-1";
    app.give_file = true;
    kit_ok(kit_update(kit, &app));
    Coffer__V1__UpdateWorkloadRequest *request = kit_update_request(kit, &app);
    app.secret_file = "canary-2";
    request->sealed_secrets = kit_app_secrets(kit, &app);
    kit_code(kit_update_with(kit, request), ERROR_INVALID_ARGUMENT);
    /* The stored one is not it either. */
    app.give_file = false;
    kit_code(kit_update(kit, &app), ERROR_INVALID_ARGUMENT);
    app.give_file = true;
    kit_ok(kit_update(kit, &app));
    assert_memory_equal(stored_secrets(kit)->files[0]->content.data, "canary-2", 8);
}

static void test_stopped_stays_stopped(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    struct kit_app app = kit_same_app;
    kit_run_workload(kit, "w1", &guest);
    kit_ok(kit_wish(kit, "stop", "w1"));
    app.compose = "services: {}\n";
    kit_ok(kit_update(kit, &app));
    assert_int_equal(kit_status(kit, "w1"), STATUS_STOPPING);
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_STOPPED);
    app.compose = "services: {a: {}}\n";
    kit_ok(kit_update(kit, &app));
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_STOPPED);
    assert_int_equal(kit_workload(kit, "w1")->desired, COFFER__V1__DESIRED_STATE__DESIRED_STOPPED);
    kit_ok(kit_wish(kit, "start", "w1"));
    kit_tick(kit);
    kit_guest_init(kit, &guest, "w1");
    kit_release(kit, &guest);
    assert_non_null(strstr(kit_events(kit, "w1"), "stopping updated stopped updated scheduled"));
}

static void test_update_in_every_status(void **state)
{
    struct kit *kit = *state;
    struct kit_app app = kit_same_app;
    kit_tick(kit);
    kit->hosts[0].refuse = ERROR_INVALID_ARGUMENT;
    kit_create(kit, "w1");
    app.compose = "1\n"; /* scheduled */
    kit_ok(kit_update(kit, &app));
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_ERROR);
    kit->hosts[0].refuse = ERROR_OK;
    app.compose = "2\n";
    kit_ok(kit_update(kit, &app));
    assert_int_equal(kit_workload(kit, "w1")->restarts, 0);
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_STARTING);
    app.compose = "3\n";
    kit_ok(kit_update(kit, &app));
    assert_int_equal(kit_status(kit, "w1"), STATUS_SCHEDULED);
    kit_tick(kit);
    /* Lost host: the new boot goes elsewhere. */
    clock_fake_advance(&kit->clock, 60000);
    kit_heartbeat(kit, 1);
    kit_ok(reconcile_pass(kit->scheduler));
    assert_int_equal(kit_status(kit, "w1"), STATUS_WAITING);
    app.compose = "4\n";
    kit_ok(kit_update(kit, &app));
    assert_string_equal(kit_workload(kit, "w1")->host_id, "h2");
    assert_int_equal(kit_host_record(kit, "h1")->used->memory_mib, 0);
    kit_ok(kit_wish(kit, "delete", "w1"));
    app.compose = "5\n";
    kit_code(kit_update(kit, &app), ERROR_FAILED_PRECONDITION);
}

/* A host that is back before a pass has noticed: the place there is given up and taken again in one
 * change, and counts once. */
static void test_a_place_on_a_host_that_is_back_counts_once(void **state)
{
    struct kit *kit = *state;
    struct kit_app app = kit_same_app;
    kit_tick(kit);
    const uint64_t size = kit_create(kit, "w1")->resources->memory_mib;
    kit_tick(kit);
    for (int i = 0; i < 2; i++) {
        clock_fake_advance(&kit->clock, 60000);
        kit_heartbeat(kit, 1);
        kit_ok(reconcile_pass(kit->scheduler));
        assert_int_equal(kit_status(kit, "w1"), STATUS_WAITING);
        kit_heartbeat(kit, 0);
        app.compose = "services: {}\n";
        kit_ok(i == 0 ? kit_update(kit, &app) : kit_wish(kit, "restart", "w1"));
        assert_string_equal(kit_workload(kit, "w1")->host_id, "h1");
        assert_int_equal(kit_host_record(kit, "h1")->used->memory_mib, size);
        kit_tick(kit);
        assert_int_equal(kit_status(kit, "w1"), STATUS_STARTING);
    }
    kit_ok(kit_wish(kit, "delete", "w1"));
    kit_tick(kit);
    kit_tick(kit);
    assert_int_equal(kit_host_record(kit, "h1")->used->memory_mib, 0);
}

/* The only host that could take it has no room besides its own place there. */
static void test_a_place_that_is_given_up_can_be_taken_again(void **state)
{
    struct kit *kit = *state;
    kit->hosts[0].total.memory_mib = 4096;
    kit->hosts[1].total.memory_mib = 128;
    kit_tick(kit);
    Coffer__V1__CreateWorkloadRequest *request = kit_create_request(kit, "w1");
    request->resources->memory_mib = 4096;
    kit_ok(kit_call(kit, "svc.scheduler.workload.create", &request->base, NULL));
    kit_tick(kit);
    clock_fake_advance(&kit->clock, 60000);
    kit_ok(reconcile_pass(kit->scheduler));
    assert_int_equal(kit_status(kit, "w1"), STATUS_WAITING);
    kit_heartbeat(kit, 0);
    kit_ok(kit_wish(kit, "restart", "w1"));
    assert_string_equal(kit_workload(kit, "w1")->host_id, "h1");
}

static void enable(struct kit *kit, const char *version, bool enabled)
{
    Coffer__V1__ArtifactRequest request = COFFER__V1__ARTIFACT_REQUEST__INIT;

    request.version = (char *)version;
    kit_ok(kit_call(kit,
                    enabled ? "svc.scheduler.artifact.enable" : "svc.scheduler.artifact.disable",
                    &request.base, NULL));
}

static void test_new_image_may_need_another_host(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    struct kit_app app = kit_same_app;
    kit_add_image(kit, "2.0");
    kit_run_workload(kit, "w1", &guest);
    app.image_version = "2.0";
    kit_code(kit_update(kit, &app), ERROR_NOT_FOUND); /* not enabled */
    enable(kit, "2.0", true);
    struct error *err = kit_update(kit, &app);
    assert_string_equal(error_reason(err), "no_host");
    kit_code(err, ERROR_RESOURCE_EXHAUSTED);
    kit->hosts[1].extra_image = "2.0";
    kit_tick(kit);
    kit_ok(kit_update(kit, &app));
    assert_string_equal(kit_workload(kit, "w1")->host_id, "h2");
    kit_tick(kit);
    assert_int_equal(kit->hosts[1].n_vms, 1);
    kit_tick(kit);
    assert_int_equal(kit->hosts[0].n_vms, 0);
    assert_string_equal(kit_workload(kit, "w1")->image_version, "2.0");
    enable(kit, "2.0", false);
    app.compose = "x\n";
    kit_code(kit_update(kit, &app), ERROR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_update_starts_a_new_boot_with_the_new_configuration),
        KIT_TEST(test_no_bundle_for_what_was_verified_before_an_update),
        KIT_TEST(test_nothing_changed_is_nothing_done),
        KIT_TEST(test_secrets_are_kept_replaced_and_forgotten),
        KIT_TEST(test_bad_updates),
        KIT_TEST(test_secret_file_must_be_the_manifests),
        KIT_TEST(test_stopped_stays_stopped),
        KIT_TEST(test_update_in_every_status),
        KIT_TEST(test_a_place_on_a_host_that_is_back_counts_once),
        KIT_TEST(test_a_place_that_is_given_up_can_be_taken_again),
        KIT_TEST(test_new_image_may_need_another_host),
    };

    return cmocka_run_group_tests(tests, kit_group_setup, kit_group_teardown);
}
