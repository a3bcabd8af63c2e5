/* The stages up to the release: config, leaf, challenge, attest, release. */
#include "schemas/boot.pb-c.h"
#include "services/guest-agent/boot_internal.h"
#include "shared/attestation/binding.h"
#include "shared/base/alloc.h"
#include "shared/base/log.h"
#include "shared/bus/subject.h"
#include "shared/collateral/merge.h"

enum { CHALLENGE_TIMEOUT_MS = 4000, ATTEST_TIMEOUT_MS = 15 * 1000, CONNECT_WAIT_MS = 10 * 1000 };

static struct error *read_disk(struct boot *boot)
{
    _cleanup_buffer_ struct buffer copy = {0};
    _cleanup_free_ char *path = xstrdup(boot->ports.config_disk);
    struct error *err = NULL;

    if (!path[0]) {
        boot->code = "config_disk_missing";
        free(TAKE_PTR(path));
        /* The kernel may still be looking for disks. */
        err = error_recode(config_disk_find("/sys", &path), ERROR_UNAVAILABLE);
    }
    if (err)
        return err;
    boot->code = "config_disk_malformed";
    err = config_disk_read(path, &copy);
    if (!err)
        err = config_disk_parse(copy.data, copy.size, boot->arena, &boot->config);
    return err;
}

static struct error *check_image_version(struct boot *boot)
{
    const char *wanted = boot->config->manifest->image_version;

    boot->code = "image_version_mismatch";
    if (strcmp(wanted, boot->ports.image_version) == 0)
        return NULL;
    return error_new(ERROR_PERMISSION_DENIED, "manifest is for guest image '%s', this is '%s'",
                     wanted, boot->ports.image_version);
}

struct error *boot_config(struct boot *boot)
{
    struct error *err = NULL;

    boot_start_loader(boot);
    if (!boot->arena)
        boot->arena = arena_new();
    if (!boot->config) {
        err = read_disk(boot);
        if (err)
            return err;
        uplink_name(boot->ports.uplink, boot->config->host_id, boot->config->workload_id,
                    boot->config->generation);
    }
    err = config_check_hashes(boot->config, boot->arena, &boot->code);
    if (!err)
        err = config_check_host_data(boot->config, boot->ports.tee, &boot->code);
    if (!err)
        err = check_image_version(boot);
    boot->config_checked = err == NULL;
    return err;
}

struct error *boot_connect(struct boot *boot)
{
    _cleanup_free_ char *inbox =
        xasprintf("_INBOX.guest-agent-%s.%s", boot->config->host_id, boot->config->workload_id);
    const struct bus_options options = {
        .url = boot->config->leaf_url,
        .credentials = boot->config->leaf_credentials[0] ? boot->config->leaf_credentials : NULL,
        .credentials_are_content = true,
        .name = "guest-agent",
        .inbox_prefix = inbox,
    };

    if (boot->bus)
        return NULL;
    struct error *err = boot->ports.connect(boot->ports.data, &options, &boot->bus);
    if (!err)
        uplink_connect(boot->ports.uplink, boot->bus);
    return err;
}

struct error *boot_leaf(struct boot *boot)
{
    int64_t end = clock_monotonic_ms(boot->ports.clock) + CONNECT_WAIT_MS;
    struct error *err = boot_connect(boot);

    while (!err && !bus_is_connected(boot->bus)) {
        if (clock_monotonic_ms(boot->ports.clock) >= end ||
            !boot->ports.pause(boot->ports.data, 20))
            return error_new(ERROR_UNAVAILABLE, "no connection to '%s'", boot->config->leaf_url);
    }
    return err;
}

static struct error *call_scheduler(struct boot *boot, const char *step, const ProtobufCMessage *in,
                                    const ProtobufCMessageDescriptor *reply_type, int timeout_ms,
                                    struct arena *arena, void *ret_reply)
{
    char subject[SUBJECT_MAX];
    struct error *err = subject_build(subject, "boot", boot->config->host_id,
                                      boot->config->workload_id, step, NULL);

    if (err)
        return err;
    return bus_call(boot->bus, subject, in, reply_type, NULL, NULL, timeout_ms, arena, ret_reply,
                    NULL);
}

struct error *boot_challenge(struct boot *boot)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    Coffer__V1__ChallengeRequest request = COFFER__V1__CHALLENGE_REQUEST__INIT;
    Coffer__V1__ChallengeReply *reply;

    request.generation = boot->config->generation;
    struct error *err =
        call_scheduler(boot, "challenge", &request.base, &coffer__v1__challenge_reply__descriptor,
                       CHALLENGE_TIMEOUT_MS, arena, &reply);
    if (err)
        return err;
    if (reply->nonce.len != sizeof(boot->nonce))
        return error_new(ERROR_INVALID_ARGUMENT, "the challenge's nonce has %zu bytes, not 32",
                         reply->nonce.len);
    memcpy(boot->nonce, reply->nonce.data, sizeof(boot->nonce));
    boot->boot_number = reply->boot_number;
    uplink_set_boot_number(boot->ports.uplink, reply->boot_number);
    return NULL;
}

static size_t list_gpus(const struct gpu_evidence_list *gpus,
                        struct binding_bytes ret_devices[GPU_DEVICES_MAX])
{
    for (size_t i = 0; i < gpus->n; i++)
        ret_devices[i] = (struct binding_bytes){gpus->devices[i].data, gpus->devices[i].size};
    return gpus->n;
}

static struct error *make_evidence(struct boot *boot, const struct gpu_evidence_list *gpus,
                                   struct tee_evidence *ret_evidence)
{
    struct binding_bytes devices[GPU_DEVICES_MAX];
    uint8_t report_data[BINDING_SIZE], devices_hash[32];
    const struct binding_boot binding = {
        .workload_id = boot->config->workload_id,
        .boot_number = boot->boot_number,
        .box_public = boot->ports.identity->box.public,
        .sign_public = boot->ports.identity->sign.public,
        .nonce = boot->nonce,
        .manifest_sha256 = boot->config->manifest_sha256,
        .devices_hash = binding_devices(devices, list_gpus(gpus, devices), devices_hash),
    };

    boot->code = "report_failed";
    binding_boot(&binding, report_data);
    struct error *err = tee_get_report(boot->ports.tee, report_data, ret_evidence);
    boot->code = err ? boot->code : NULL;
    return error_wrap(err, "get the report");
}

static struct error *ask_release(struct boot *boot, const struct gpu_evidence_list *gpus,
                                 const struct tee_evidence *made)
{
    ProtobufCBinaryData devices[GPU_DEVICES_MAX];
    Coffer__V1__AttestRequest request = COFFER__V1__ATTEST_REQUEST__INIT;
    Coffer__V1__Evidence evidence = COFFER__V1__EVIDENCE__INIT;
    struct identity *identity = boot->ports.identity;
    _cleanup_buffer_ struct buffer certificates = {0};
    Coffer__V1__AttestReply *reply;

    collateral_merge(made->report, &made->certificates, &boot->config->collateral, &certificates);

    evidence.tee = (char *)made->tee;
    evidence.provider = (char *)made->provider;
    evidence.report = (ProtobufCBinaryData){TEE_REPORT_SIZE, (uint8_t *)made->report};
    evidence.certificates = (ProtobufCBinaryData){certificates.size, certificates.data};
    for (size_t i = 0; i < gpus->n; i++)
        devices[i] = (ProtobufCBinaryData){gpus->devices[i].size, gpus->devices[i].data};
    evidence.devices = devices;
    evidence.n_devices = gpus->n;
    request.boot_number = boot->boot_number;
    request.nonce = (ProtobufCBinaryData){sizeof(boot->nonce), boot->nonce};
    request.box_public = (ProtobufCBinaryData){SEAL_KEY_SIZE, identity->box.public};
    request.sign_public = (ProtobufCBinaryData){SIGN_KEY_SIZE, identity->sign.public};
    request.evidence = &evidence;
    struct error *err =
        call_scheduler(boot, "attest", &request.base, &coffer__v1__attest_reply__descriptor,
                       ATTEST_TIMEOUT_MS, boot->answer_arena, &reply);
    if (err)
        return err;
    boot->answer = (struct release_answer){
        .sealed = reply->sealed_bundle.data,
        .sealed_size = reply->sealed_bundle.len,
        .signature = reply->signature.data,
        .signature_size = reply->signature.len,
        .domain = reply->domain,
    };
    return NULL;
}

struct error *boot_attest(struct boot *boot)
{
    _cleanup_(gpu_evidence_list_done) struct gpu_evidence_list gpus = {};
    struct tee_evidence evidence = {0};

    if (boot->answer_arena)
        arena_free(boot->answer_arena);
    boot->answer_arena = arena_new();
    struct error *err = boot_collect_gpus(boot, &gpus);
    if (!err)
        err = make_evidence(boot, &gpus, &evidence);
    if (!err) {
        err = ask_release(boot, &gpus, &evidence);
        /* A challenge that ran out meanwhile: ask for another one. */
        if (error_get_code(err) == ERROR_FAILED_PRECONDITION)
            err = error_recode(err, ERROR_ABORTED);
    }
    tee_evidence_done(&evidence);
    return err;
}

struct error *boot_release(struct boot *boot)
{
    const struct release_expectation expectation = {
        .workload_id = boot->config->workload_id,
        .boot_number = boot->boot_number,
        .nonce = boot->nonce,
        .identity = boot->ports.identity,
        .manifest = boot->config->manifest,
    };
    struct error *err = release_open(&expectation, &boot->answer, &boot->release, &boot->code);

    arena_free(TAKE_PTR(boot->answer_arena));
    boot->answer = (struct release_answer){0};
    if (!err)
        err = boot_allow_gpus(boot);
    if (err)
        return err;
    boot->code = "internal";
    boot->domain = xstrdup(boot->release->domain);
    err = app_create(boot->ports.run_dir, boot->config, boot->release, &boot->app);
    if (!err)
        err = app_write_registry_cas(boot->ports.certs_dir, boot->config->manifest);
    if (!err)
        err = boot->ports.serve(boot->ports.data, boot->bus, boot->config, boot->release);
    if (err)
        return err;
    uplink_set_released(boot->ports.uplink);
    err = boot_lint_text(boot);
    if (!err)
        boot_start_lint(boot);
    return err;
}
