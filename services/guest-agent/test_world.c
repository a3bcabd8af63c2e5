#include "services/guest-agent/test_world.h"

#include "schemas/guest.pb-c.h"
#include "services/guest-agent/certificate.h"
#include "shared/attestation/binding.h"
#include "shared/base/file.h"
#include "shared/base/test_findings.h"

static int64_t shared_now_ms(struct clock *clock)
{
    return atomic_load(&((struct shared_clock *)clock)->now_ms);
}

static const struct clock_ops shared_clock_ops = {shared_now_ms, shared_now_ms};

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
    const Coffer__V1__Evidence *evidence = request->evidence;
    struct binding_bytes devices[16];
    uint8_t expected[BINDING_SIZE], devices_hash[32];

    if (!expect_that(evidence->n_devices <= ELEMENTSOF(devices)))
        return false;
    for (size_t i = 0; i < evidence->n_devices; i++)
        devices[i] = (struct binding_bytes){evidence->devices[i].data, evidence->devices[i].len};
    const struct binding_boot binding = {
        .workload_id = SUPPORT_WORKLOAD,
        .boot_number = world->boot_number,
        .box_public = request->box_public.data,
        .sign_public = request->sign_public.data,
        .nonce = world->nonce,
        .manifest_sha256 = world->workload.manifest_sha256,
        .devices_hash = binding_devices(devices, evidence->n_devices, devices_hash),
    };

    binding_boot(&binding, expected);
    return request->evidence->report.len == TEE_REPORT_SIZE &&
           memcmp(request->evidence->report.data + 0x50, expected, sizeof(expected)) == 0;
}

void world_bundle(const struct world *world, const Coffer__V1__AttestRequest *request,
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
        expect_no_error(box_key_generate(&guest.box));
    support_bundle(&expectation, authority, NULL, ret_sealed, ret_signature);
}

/* What the config disk has goes along: this TEE gives no certificates. */
static void expect_collateral(const ProtobufCBinaryData *certificates)
{
    _cleanup_buffer_ struct buffer expected = {0};

    support_collateral(&expected);
    expect_that(certificates->len == expected.size &&
                memcmp(certificates->data, expected.data, expected.size) == 0);
}

static struct error *on_attest(void *state, struct bus_call *call)
{
    struct world *world = state;
    const Coffer__V1__AttestRequest *request = call->in;
    Coffer__V1__AttestReply *reply = call->out;
    _cleanup_buffer_ struct buffer sealed = {0};
    uint8_t signature[64];

    world->attests++;
    if (world->saw_attest)
        world->saw_attest(world, request);
    expect_collateral(&request->evidence->certificates);
    if (world->stale) {
        world->stale--;
        return error_new(ERROR_FAILED_PRECONDITION, "the nonce is too old");
    }
    if (world->refuse)
        return error_new(world->refuse, "the measurement is not in image.json");
    if (!evidence_binds(world, request))
        return error_new(ERROR_PERMISSION_DENIED, "report_data does not match");
    world_bundle(world, request,
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

    if (!expect_that(world->n_stages < WORLD_STAGES_MAX))
        return NULL;
    size_t i = world->n_stages++;
    snprintf(world->stages[i].stage, sizeof(world->stages[i].stage), "%s", stage->stage);
    snprintf(world->stages[i].code, sizeof(world->stages[i].code), "%s", stage->code);
    snprintf(world->stages[i].detail, sizeof(world->stages[i].detail), "%.500s", stage->detail);
    world->stages[i].failed = stage->failed;
    world->stages[i].boot_number = stage->boot_number;
    world->stages[i].is_signed = call->message->signature != NULL;
    expect_that(stage->generation == 3);
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

void world_write_disk(struct world *world, void (*change)(Coffer__V1__ConfigDisk *))
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
    world->ports = (struct boot_ports){
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
    world->boot = boot_new(&world->ports);
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

int world_setup(void **state)
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
    world->engine.merged_model = WORLD_MERGED_MODEL;
    world->bus = bus_memory_new();
    support_check(bus_ensure_streams(world->bus));
    subscribe(world);
    world_write_disk(world, NULL);
    make_guest(world);
    *state = world;
    return 0;
}

void world_use_gpus(struct world *world, struct gpus *gpus)
{
    boot_free(world->boot);
    world->ports.gpus = gpus;
    world->boot = boot_new(&world->ports);
}

int world_teardown(void **state)
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
    assert_no_findings();
    return 0;
}

bool world_run(struct world *world)
{
    bool running = boot_run(world->boot);

    uplink_pump(world->uplink);
    support_check(bus_drain(world->bus, 5000));
    return running;
}

void world_expect_failure(struct world *world, const char *stage, const char *code)
{
    if (world_run(world))
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
