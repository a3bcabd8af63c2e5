/* The boot from the config disk to running, against a scheduler in memory and a fake engine. */
#include "services/guest-agent/boot.h"

#include <stdatomic.h>

#include "schemas/guest.pb-c.h"
#include "services/guest-agent/certificate.h"
#include "services/guest-agent/engine_fake.h"
#include "services/guest-agent/test_support.h"
#include "shared/attestation/binding.h"
#include "shared/base/file.h"

#define MERGED_MODEL                                                                               \
    "{\"name\":\"app\",\"services\":{\"web\":{\"image\":\"hello:1\",\"networks\":"                 \
    "{\"default\":null}},\"coffer-proxy\":{\"image\":\"coffer/platform:1.0\"},"                    \
    "\"coffer-attester\":{\"image\":\"coffer/platform:1.0\"}},"                                    \
    "\"networks\":{\"default\":{\"name\":\"app_default\"}}}"

enum { STAGES_MAX = 48 };

enum attack { NO_ATTACK, REPLAYED, FOREIGN_KEY, OTHER_GUEST, CUT_OFF };

/* As clock_fake, for the threads that follow logs. */
struct shared_clock {
    struct clock base;
    atomic_llong now_ms;
};

static int64_t shared_now_ms(struct clock *clock)
{
    return atomic_load(&((struct shared_clock *)clock)->now_ms);
}

static const struct clock_ops shared_clock_ops = {shared_now_ms, shared_now_ms};

struct world {
    struct support_fleet fleet;
    struct support_workload workload;
    struct support_tee tee;
    struct shared_clock clock;
    struct engine_fake engine;
    struct identity identity;
    struct logs *logs;
    struct uplink *uplink;
    struct monitor *monitor;
    struct boot *boot;
    char dir[64];
    char *disk;
    char *certs;

    /* the scheduler's side */
    struct bus *bus;
    struct bus *leaf; /* the guest's connection; the boot frees it */
    struct bus_subscription *subscriptions[3];
    uint64_t boot_number;
    uint8_t nonce[32];
    unsigned challenges, attests;
    unsigned away;          /* challenges that are not answered first */
    enum error_code refuse; /* attest's answer when not 0 */
    unsigned stale;         /* attests whose nonce is said to be old first */
    enum attack attack;
    struct buffer old_sealed; /* of an earlier boot */
    uint8_t old_signature[64];

    struct {
        char stage[16];
        bool failed;
        char code[32];
        char detail[512];
        bool is_signed;
        uint64_t boot_number;
    } stages[STAGES_MAX];
    size_t n_stages;

    unsigned probes_until_certificate;
    unsigned pauses, pauses_max;
    unsigned served;
};

static struct error *on_challenge(void *state, struct bus_call *call)
{
    struct world *world = state;
    Coffer__V1__ChallengeReply *reply = call->out;

    world->challenges++;
    if (world->away) {
        world->away--;
        return error_new(ERROR_UNAVAILABLE, "no leader");
    }
    world->boot_number++;
    memset(world->nonce, (int)world->boot_number, sizeof(world->nonce));
    reply->boot_number = world->boot_number;
    reply->nonce = arena_bytes(call->arena, world->nonce, sizeof(world->nonce));
    return NULL;
}

/* What a verifier does: recompute report_data from what was asked and what is on record. */
static bool evidence_binds(const struct world *world, const Coffer__V1__AttestRequest *request)
{
    uint8_t expected[BINDING_SIZE];
    const struct binding_boot binding = {
        .workload_id = SUPPORT_WORKLOAD,
        .boot_number = world->boot_number,
        .box_public = request->box_public.data,
        .sign_public = request->sign_public.data,
        .nonce = world->nonce,
        .manifest_sha256 = world->workload.manifest_sha256,
    };

    binding_boot(&binding, expected);
    return request->evidence->report.len == TEE_REPORT_SIZE &&
           memcmp(request->evidence->report.data + 0x50, expected, sizeof(expected)) == 0;
}

static void make_bundle(const struct world *world, const Coffer__V1__AttestRequest *request,
                        const struct sign_key *authority, struct buffer *ret_sealed,
                        uint8_t ret_signature[64])
{
    struct identity guest = {0};
    const struct release_expectation expectation = {
        .workload_id = SUPPORT_WORKLOAD,
        .boot_number = request->boot_number,
        .nonce = request->nonce.data,
        .identity = &guest,
        .manifest = &world->workload.manifest,
    };

    memcpy(guest.box.public, request->box_public.data, 32);
    memcpy(guest.sign.public, request->sign_public.data, 32);
    if (world->attack == OTHER_GUEST)
        support_check(box_key_generate(&guest.box));
    support_bundle(&expectation, authority, NULL, ret_sealed, ret_signature);
}

/* What the config disk has goes along: this TEE gives no certificates. */
static void expect_collateral(const ProtobufCBinaryData *certificates)
{
    _cleanup_buffer_ struct buffer expected = {0};

    support_collateral(&expected);
    assert_int_equal(certificates->len, expected.size);
    assert_memory_equal(certificates->data, expected.data, expected.size);
}

static struct error *on_attest(void *state, struct bus_call *call)
{
    struct world *world = state;
    const Coffer__V1__AttestRequest *request = call->in;
    Coffer__V1__AttestReply *reply = call->out;
    _cleanup_buffer_ struct buffer sealed = {0};
    uint8_t signature[64];

    world->attests++;
    expect_collateral(&request->evidence->certificates);
    if (world->stale) {
        world->stale--;
        return error_new(ERROR_FAILED_PRECONDITION, "the nonce is too old");
    }
    if (world->refuse)
        return error_new(world->refuse, "the measurement is not in image.json");
    if (!evidence_binds(world, request))
        return error_new(ERROR_PERMISSION_DENIED, "report_data does not match");
    make_bundle(world, request,
                world->attack == FOREIGN_KEY ? &world->fleet.stranger : &world->fleet.authority,
                &sealed, signature);
    const struct buffer *sent = world->attack == REPLAYED ? &world->old_sealed : &sealed;
    if (world->attack == REPLAYED)
        memcpy(signature, world->old_signature, sizeof(signature));
    reply->sealed_bundle =
        arena_bytes(call->arena, sent->data, sent->size - (world->attack == CUT_OFF ? 1 : 0));
    reply->signature = arena_bytes(call->arena, signature, sizeof(signature));
    reply->domain = SUPPORT_DOMAIN;
    return NULL;
}

static struct error *on_stage(void *state, struct bus_call *call)
{
    struct world *world = state;
    const Coffer__V1__GuestStage *stage = call->in;

    assert_in_range(world->n_stages, 0, STAGES_MAX - 1);
    size_t i = world->n_stages++;
    snprintf(world->stages[i].stage, sizeof(world->stages[i].stage), "%s", stage->stage);
    snprintf(world->stages[i].code, sizeof(world->stages[i].code), "%s", stage->code);
    snprintf(world->stages[i].detail, sizeof(world->stages[i].detail), "%.500s", stage->detail);
    world->stages[i].failed = stage->failed;
    world->stages[i].boot_number = stage->boot_number;
    world->stages[i].is_signed = call->message->signature != NULL;
    assert_int_equal(stage->generation, 3);
    return NULL;
}

static const struct bus_handler rows[] = {
    {"challenge", &coffer__v1__challenge_request__descriptor,
     &coffer__v1__challenge_reply__descriptor, on_challenge, NULL},
    {"attest", &coffer__v1__attest_request__descriptor, &coffer__v1__attest_reply__descriptor,
     on_attest, NULL},
    {"stage", &coffer__v1__guest_stage__descriptor, NULL, on_stage, NULL},
};

static struct error *connect_leaf(void *data, const struct bus_options *options,
                                  struct bus **ret_bus)
{
    struct world *world = data;

    assert_string_equal(options->url, "memory:");
    *ret_bus = world->leaf = bus_memory_attach(world->bus);
    return NULL;
}

static struct error *probe(void *data, const char *domain, struct certificate *ret_certificate)
{
    struct world *world = data;

    assert_string_equal(domain, SUPPORT_DOMAIN);
    if (world->probes_until_certificate) {
        world->probes_until_certificate--;
        return error_new(ERROR_UNAVAILABLE, "no certificate yet");
    }
    *ret_certificate = (struct certificate){.not_after_ms = 1000};
    return NULL;
}

static struct error *serve(void *data, struct bus *bus, const struct guest_config *config,
                           const struct release *release)
{
    struct world *world = data;

    assert_ptr_equal(bus, world->leaf);
    assert_string_equal(config->workload_id, SUPPORT_WORKLOAD);
    assert_true(release->has_gateway);
    world->served++;
    return NULL;
}

static bool pause_boot(void *data, int ms)
{
    struct world *world = data;

    atomic_fetch_add(&world->clock.now_ms, ms);
    monitor_tick(world->monitor);
    return ++world->pauses < world->pauses_max;
}

static void write_disk(struct world *world, void (*change)(Coffer__V1__ConfigDisk *))
{
    _cleanup_buffer_ struct buffer disk = {0};

    support_disk(&world->workload, change, &disk);
    support_check(file_write_atomic(world->disk, disk.data, disk.size, 0600));
}

static void make_guest(struct world *world)
{
    support_check(identity_init(&world->identity));
    world->logs = logs_new(&world->clock.base);
    world->uplink = uplink_new(&world->clock.base, &world->identity, world->logs);
    const struct monitor_options monitor = {
        .clock = &world->clock.base,
        .engine = &world->engine.base,
        .uplink = world->uplink,
        .logs = world->logs,
        .proc = "/proc",
        .https_port = 1,
    };
    world->monitor = monitor_new(&monitor);
    const struct boot_ports ports = {
        .clock = &world->clock.base,
        .engine = &world->engine.base,
        .tee = &world->tee.base,
        .tee_device = "/dev/vport1p1",
        .identity = &world->identity,
        .logs = world->logs,
        .uplink = world->uplink,
        .monitor = world->monitor,
        .config_disk = world->disk,
        .run_dir = world->dir,
        .certs_dir = world->certs,
        .images_dir = "/images",
        .image_version = "1.0",
        .connect = connect_leaf,
        .probe = probe,
        .serve = serve,
        .pause = pause_boot,
        .data = world,
    };
    world->boot = boot_new(&ports);
}

static void subscribe(struct world *world)
{
    static const char *const subjects[] = {
        "boot." SUPPORT_HOST "." SUPPORT_WORKLOAD ".challenge",
        "boot." SUPPORT_HOST "." SUPPORT_WORKLOAD ".attest",
        "src.guest." SUPPORT_HOST "." SUPPORT_WORKLOAD ".stage",
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++)
        support_check(
            bus_subscribe(world->bus, &rows[i], subjects[i], world, &world->subscriptions[i]));
}

static int setup(void **state)
{
    struct world *world = xnew(struct world);

    snprintf(world->dir, sizeof(world->dir), "/tmp/test_boot.XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    world->disk = xasprintf("%s/disk", world->dir);
    world->certs = xasprintf("%s/certs", world->dir);
    world->pauses_max = 200;
    support_fleet_init(&world->fleet);
    support_workload_init(&world->workload, &world->fleet);
    support_tee_init(&world->tee, world->workload.manifest_sha256);
    world->clock.base.ops = &shared_clock_ops;
    atomic_store(&world->clock.now_ms, 1000000);
    engine_fake_init(&world->engine);
    world->engine.user_model = SUPPORT_MODEL;
    world->engine.merged_model = MERGED_MODEL;
    world->bus = bus_memory_new();
    support_check(bus_ensure_streams(world->bus));
    subscribe(world);
    write_disk(world, NULL);
    make_guest(world);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    _cleanup_free_ char *clean = xasprintf("rm -r '%s'", world->dir);

    monitor_free(world->monitor);
    uplink_free(world->uplink);
    boot_free(world->boot);
    logs_free(world->logs);
    identity_done(&world->identity);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++)
        bus_unsubscribe(world->subscriptions[i]);
    bus_free(world->bus);
    engine_fake_done(&world->engine);
    support_workload_done(&world->workload);
    buffer_done(&world->old_sealed);
    free(world->disk);
    free(world->certs);
    assert_int_equal(system(clean), 0);
    free(world);
    return 0;
}

/* Runs the boot and lets everything it said arrive. */
static bool run(struct world *world)
{
    bool running = boot_run(world->boot);

    uplink_pump(world->uplink);
    support_check(bus_drain(world->bus, 5000));
    return running;
}

static void expect_failure(struct world *world, const char *stage, const char *code)
{
    if (run(world))
        fail_msg("boot ran, expected '%s' at '%s'", code, stage);
    assert_string_equal(boot_failure_code(world->boot), code);
    size_t told = 0;
    for (size_t i = 0; i < world->n_stages; i++) {
        if (!world->stages[i].failed)
            continue;
        told++;
        assert_string_equal(world->stages[i].stage, stage);
        assert_string_equal(world->stages[i].code, code);
        assert_true(world->stages[i].detail[0]);
    }
    assert_int_equal(told, 1); /* one event says which check failed */
}

static void test_all_stages_in_order_until_running(void **state)
{
    static const char *const expected[] = {"config",  "leaf",        "challenge", "attest",
                                           "release", "login",       "pull",      "lint",
                                           "up",      "certificate", "running"};
    struct world *world = *state;

    world->probes_until_certificate = 3;
    assert_true(run(world));
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

    assert_true(run(world));
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

    write_disk(world, evil_compose);
    expect_failure(world, "config", "config_hash_mismatch");
    assert_int_equal(world->challenges, 0);
    assert_int_equal(engine_fake_count(&world->engine, "up"), 0);
}

static void test_another_host_data_is_told_and_nothing_is_asked(void **state)
{
    struct world *world = *state;

    world->tee.host_data[0] ^= 1;
    expect_failure(world, "config", "host_data_mismatch");
    assert_int_equal(world->challenges, 0);
}

static void test_another_image_version_is_refused(void **state)
{
    struct world *world = *state;

    world->workload.manifest.image_version = "2.0";
    support_workload_write(&world->workload);
    memcpy(world->tee.host_data, world->workload.manifest_sha256, 32);
    write_disk(world, NULL);
    expect_failure(world, "config", "image_version_mismatch");
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

    teardown(state);
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        setup(state);
        struct world *world = *state;
        world->attack = table[i].attack;
        expect_failure(world, "release", table[i].code);
        assert_int_equal(world->served, 0);
        assert_int_equal(engine_fake_count(&world->engine, "login"), 0);
        assert_int_equal(engine_fake_count(&world->engine, "up"), 0);
        teardown(state);
    }
    setup(state);
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
    make_bundle(world, &earlier, &world->fleet.authority, &world->old_sealed, world->old_signature);
    world->boot_number = 1;
    world->attack = REPLAYED;
    expect_failure(world, "release", "bundle_signature");
}

static void test_it_waits_while_the_scheduler_is_away(void **state)
{
    struct world *world = *state;

    world->away = 12;
    assert_true(run(world));
    assert_int_equal(world->challenges, 13);
    for (size_t i = 0; i < world->n_stages; i++)
        assert_false(world->stages[i].failed);
}

static void test_an_old_challenge_is_asked_again(void **state)
{
    struct world *world = *state;

    world->stale = 2;
    assert_true(run(world));
    assert_int_equal(world->challenges, 3);
    assert_int_equal(world->attests, 3);
}

static void test_refused_evidence_ends_the_boot(void **state)
{
    struct world *world = *state;

    world->refuse = ERROR_PERMISSION_DENIED;
    expect_failure(world, "attest", "attest_refused");
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

    teardown(state);
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        setup(state);
        struct world *world = *state;
        world->engine.fail_call = table[i].call;
        world->engine.fail_code = table[i].code;
        world->engine.fail_text = table[i].words;
        world->engine.fail_times = -1;
        expect_failure(world, table[i].stage, table[i].told);
        assert_int_equal(engine_fake_count(&world->engine, table[i].call), table[i].tries);
        assert_non_null(strstr(world->stages[world->n_stages - 1].detail, table[i].words));
        assert_true(engine_fake_count(&world->engine, "forget") >= 1);
        teardown(state);
    }
    setup(state);
}

static void test_a_short_trouble_of_the_registry_is_sat_out(void **state)
{
    struct world *world = *state;

    world->engine.fail_call = "pull";
    world->engine.fail_code = ERROR_UNAVAILABLE;
    world->engine.fail_text = "i/o timeout";
    world->engine.fail_times = 2;
    assert_true(run(world));
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
    assert_true(run(world));
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
         MERGED_MODEL},
        {"{\"name\":\"app\",\"services\":{\"web\":{\"image\":\"hello:1\"},"
         "\"coffer-attester\":{\"image\":\"evil:1\"}}}",
         MERGED_MODEL},
        {"{\"name\":\"app\",\"services\":{\"web\":{\"image\":\"other:1\"}}}", MERGED_MODEL},
        {"{\"name\":\"app\",\"services\":{\"web\":{\"image\":\"hello:1\"},"
         "\"more\":{\"image\":\"hello:1\"}}}",
         MERGED_MODEL},
        {"{\"name\":\"app\",\"services\":{\"other\":{\"image\":\"hello:1\"}}}", MERGED_MODEL},
        {SUPPORT_MODEL, "{\"name\":\"app\",\"services\":{\"web\":{\"image\":\"hello:1\","
                        "\"devices\":[\"/dev/vport1p1\"]}}}"},
        {"not json", MERGED_MODEL},
        {SUPPORT_MODEL, "[]"},
    };

    teardown(state);
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        setup(state);
        struct world *world = *state;
        world->engine.user_model = table[i].user;
        world->engine.merged_model = table[i].merged;
        expect_failure(world, "lint", "compose_refused");
        assert_int_equal(engine_fake_count(&world->engine, "up"), 0);
        teardown(state);
    }
    setup(state);
}

static void test_a_pinned_image_must_have_its_digest(void **state)
{
#define DIGEST "sha256:0123456789012345678901234567890123456789012345678901234567890123"
    struct world *world = *state;

    world->workload.services[0].digest = DIGEST;
    support_workload_write(&world->workload);
    memcpy(world->tee.host_data, world->workload.manifest_sha256, 32);
    write_disk(world, NULL);
    world->engine.digests[0] = "sha256:"
                               "ff";
    world->engine.n_digests = 1;
    expect_failure(world, "pull", "digest_mismatch");

    teardown(state);
    setup(state);
    world = *state;
    world->workload.services[0].digest = DIGEST;
    support_workload_write(&world->workload);
    memcpy(world->tee.host_data, world->workload.manifest_sha256, 32);
    write_disk(world, NULL);
    world->engine.digests[0] = "sha256:ff";
    world->engine.digests[1] = DIGEST;
    world->engine.n_digests = 2;
    assert_true(run(world));
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
    expect_failure(world, "up", "container_exited");
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
    assert_false(run(world));
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
    assert_true(run(world));
    assert_int_equal(world->n_stages, 11);
    for (size_t i = 0; i < world->n_stages; i++) {
        assert_true(world->stages[i].is_signed);
        /* Also those that were noted before there was a number. */
        assert_int_equal(world->stages[i].boot_number, 42);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_all_stages_in_order_until_running),
        TEST(test_the_project_gets_exactly_what_was_released),
        TEST(test_a_changed_config_disk_is_told_and_nothing_is_asked),
        TEST(test_another_host_data_is_told_and_nothing_is_asked),
        TEST(test_another_image_version_is_refused),
        TEST(test_bad_bundles_are_refused_and_no_secret_is_used),
        TEST(test_a_replayed_bundle_is_refused),
        TEST(test_it_waits_while_the_scheduler_is_away),
        TEST(test_an_old_challenge_is_asked_again),
        TEST(test_refused_evidence_ends_the_boot),
        TEST(test_tools_failures_are_told_with_their_words),
        TEST(test_a_short_trouble_of_the_registry_is_sat_out),
        TEST(test_our_image_is_loaded_again_when_docker_was_late),
        TEST(test_compose_findings_refuse_the_project),
        TEST(test_a_pinned_image_must_have_its_digest),
        TEST(test_a_container_that_ends_at_once_is_told_with_its_last_lines),
        TEST(test_a_certificate_that_does_not_come_is_told_once_with_caddys_words),
        TEST(test_every_claim_is_signed_and_of_this_boot),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
