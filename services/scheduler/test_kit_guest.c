/* The guest of the test kit: attests with the software processor, signs what it claims. */
#include <inttypes.h>
#include <time.h>

#include "services/scheduler/sources.h"
#include "services/scheduler/test_kit.h"
#include "shared/attestation/binding.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"

void kit_guest_init(struct kit *kit, struct kit_guest *guest, const char *workload_id)
{
    const Coffer__V1__Workload *workload = kit_workload(kit, workload_id);

    *guest = (struct kit_guest){.generation = workload->generation};
    snprintf(guest->workload_id, sizeof(guest->workload_id), "%s", workload_id);
    snprintf(guest->host_id, sizeof(guest->host_id), "%.15s", workload->host_id);
    kit_ok(box_key_generate(&guest->box));
    kit_ok(sign_key_generate(&guest->sign));
}

static struct error *call_as_guest(struct kit *kit, const struct kit_guest *guest, const char *step,
                                   const ProtobufCMessage *in,
                                   const ProtobufCMessageDescriptor *reply, void *ret_out)
{
    const char *subject =
        arena_printf(kit->arena, "boot.%s.%s.%s", guest->host_id, guest->workload_id, step);

    if (guest->bus)
        return bus_call(guest->bus, subject, in, reply, NULL, NULL, 20000, kit->arena, ret_out,
                        NULL);
    return kit_call(kit, subject, in, ret_out);
}

struct error *kit_challenge(struct kit *kit, struct kit_guest *guest)
{
    Coffer__V1__ChallengeRequest request = COFFER__V1__CHALLENGE_REQUEST__INIT;
    Coffer__V1__ChallengeReply *reply;

    request.generation = guest->generation;
    struct error *err = call_as_guest(kit, guest, "challenge", &request.base,
                                      &coffer__v1__challenge_reply__descriptor, &reply);
    if (err)
        return err;
    assert_int_equal(reply->nonce.len, 32);
    memcpy(guest->nonce, reply->nonce.data, 32);
    guest->boot_number = reply->boot_number;
    return NULL;
}

static const uint8_t *put_devices(struct kit *kit, const struct gpu_evidence_list *list,
                                  Coffer__V1__Evidence *evidence, uint8_t room[32])
{
    struct binding_bytes devices[GPU_DEVICES_MAX];

    if (!list)
        return NULL;
    evidence->n_devices = list->n;
    evidence->devices = arena_alloc(kit->arena, list->n * sizeof(*evidence->devices));
    for (size_t i = 0; i < list->n; i++) {
        devices[i] = (struct binding_bytes){list->devices[i].data, list->devices[i].size};
        evidence->devices[i] = arena_bytes(kit->arena, devices[i].data, devices[i].size);
    }
    return binding_devices(devices, list->n, room);
}

static void get_evidence(struct kit *kit, const struct kit_guest *guest,
                         Coffer__V1__Evidence *evidence)
{
    const Coffer__V1__Workload *workload = kit_workload(kit, guest->workload_id);
    struct processor_guest inside = {.policy = 0x30000, .report_id = {1}};
    struct tee_evidence got = {0};
    uint8_t report_data[BINDING_SIZE], room[32];

    memcpy(inside.measurement, kit->measurement, sizeof(inside.measurement));
    memcpy(inside.host_data, workload->manifest_sha256.data, 32);
    binding_boot(
        &(struct binding_boot){.workload_id = guest->workload_id,
                               .boot_number = guest->boot_number,
                               .box_public = guest->box.public,
                               .sign_public = guest->sign.public,
                               .nonce = guest->nonce,
                               .manifest_sha256 = workload->manifest_sha256.data,
                               .devices_hash = put_devices(kit, guest->devices, evidence, room)},
        report_data);
    kit_ok(processor_report(kit->processors[guest->host_id[1] - '1'], &inside, report_data, &got));
    evidence->tee = arena_strdup(kit->arena, got.tee);
    evidence->provider = arena_strdup(kit->arena, got.provider);
    evidence->report = arena_bytes(kit->arena, got.report, sizeof(got.report));
    evidence->certificates = arena_bytes(kit->arena, got.certificates.data, got.certificates.size);
    tee_evidence_done(&got);
}

Coffer__V1__AttestRequest *kit_attest_request(struct kit *kit, struct kit_guest *guest)
{
    Coffer__V1__AttestRequest *request = arena_alloc(kit->arena, sizeof(*request));

    coffer__v1__attest_request__init(request);
    request->boot_number = guest->boot_number;
    request->nonce = arena_bytes(kit->arena, guest->nonce, 32);
    request->box_public = arena_bytes(kit->arena, guest->box.public, 32);
    request->sign_public = arena_bytes(kit->arena, guest->sign.public, 32);
    request->evidence = arena_alloc(kit->arena, sizeof(*request->evidence));
    coffer__v1__evidence__init(request->evidence);
    get_evidence(kit, guest, request->evidence);
    return request;
}

struct error *kit_attest(struct kit *kit, const struct kit_guest *guest,
                         const Coffer__V1__AttestRequest *request,
                         Coffer__V1__AttestReply **ret_reply)
{
    return call_as_guest(kit, guest, "attest", &request->base,
                         &coffer__v1__attest_reply__descriptor, ret_reply);
}

void kit_release(struct kit *kit, struct kit_guest *guest)
{
    Coffer__V1__AttestReply *reply;

    kit_ok(kit_challenge(kit, guest));
    kit_ok(kit_attest(kit, guest, kit_attest_request(kit, guest), &reply));
    assert_true(reply->sealed_bundle.len > 0);
}

/* As a spool does: until the stream has it. */
static void publish_patiently(struct bus *bus, const struct bus_message *claim)
{
    int64_t give_up = clock_monotonic_ms(clock_system()) + 60000;

    for (;;) {
        struct error *err = bus_publish_durable(bus, claim, 5000);
        if (!err)
            return;
        if (clock_monotonic_ms(clock_system()) > give_up)
            kit_ok(err);
        error_free(err);
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
}

enum bus_ack kit_claim(struct kit *kit, const char *subject, const ProtobufCMessage *message,
                       struct kit_guest *signer)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *data = arena_alloc(kit->arena, size + 1);
    _cleanup_buffer_ struct buffer bytes = {0};
    _cleanup_free_ char *signature = NULL;
    uint8_t raw[SIGN_SIZE];

    protobuf_c_message_pack(message, data);
    if (signer) {
        struct sign_key other;
        kit_ok(sign_key_generate(&other));
        bus_signed_bytes(subject, ++signer->counter, data, size, &bytes);
        kit_ok(sign_bytes(kit->sign_wrong ? &other : &signer->sign, bytes.data, bytes.size, raw));
        signature = base64_encode_new(raw, sizeof(raw));
        sign_key_done(&other);
    }
    const struct bus_message claim = {
        .subject = subject,
        .data = data,
        .size = size,
        .type = message->descriptor->name,
        .signature = signature,
        .counter = signer ? signer->counter : 0,
        .message_id = arena_printf(kit->arena, "claim.%" PRIu64, ++kit->claims),
    };
    if (!kit->gateway)
        return source_consume(kit->scheduler, &claim);
    publish_patiently(signer ? signer->bus : kit->hosts[0].bus, &claim);
    return BUS_ACK;
}

enum bus_ack kit_stage(struct kit *kit, struct kit_guest *guest, const char *stage,
                       const char *failed_code, bool sign)
{
    Coffer__V1__GuestStage claim = COFFER__V1__GUEST_STAGE__INIT;

    claim.boot_number = guest->boot_number;
    claim.generation = guest->generation;
    claim.stage = (char *)stage;
    claim.duration_ms = 12;
    claim.at_ms = clock_wall_ms(&kit->clock.base);
    claim.failed = failed_code != NULL;
    claim.code = (char *)(failed_code ? failed_code : "");
    claim.detail = (char *)(failed_code ? "the tool's own words" : "");
    return kit_claim(
        kit, arena_printf(kit->arena, "src.guest.%s.%s.stage", guest->host_id, guest->workload_id),
        &claim.base, sign ? guest : NULL);
}

enum bus_ack kit_health(struct kit *kit, struct kit_guest *guest, bool healthy, bool sign)
{
    Coffer__V1__GuestHealth claim = COFFER__V1__GUEST_HEALTH__INIT;
    Coffer__V1__Container web = COFFER__V1__CONTAINER__INIT;
    Coffer__V1__Container *containers[] = {&web};

    web.name = (char *)"cvm-web-1";
    web.state = (char *)(healthy ? "running" : "restarting");
    claim.boot_number = guest->boot_number;
    claim.containers = containers;
    claim.n_containers = 1;
    claim.healthy = healthy;
    claim.reason = (char *)(healthy ? "" : "cvm-web-1 is restarting");
    claim.certificate_not_after_ms = 1;
    claim.at_ms = clock_wall_ms(&kit->clock.base);
    return kit_claim(
        kit, arena_printf(kit->arena, "src.guest.%s.%s.health", guest->host_id, guest->workload_id),
        &claim.base, sign ? guest : NULL);
}

enum bus_ack kit_vm_changed(struct kit *kit, const char *host_id, const char *workload_id,
                            uint64_t generation, Coffer__V1__VmState vm_state)
{
    Coffer__V1__VmChanged claim = COFFER__V1__VM_CHANGED__INIT;
    Coffer__V1__Vm vm = COFFER__V1__VM__INIT;

    vm.workload_id = (char *)workload_id;
    vm.generation = generation;
    vm.state = vm_state;
    vm.reason = (char *)"qemu said no";
    claim.vm = &vm;
    claim.console_tail = (char *)"Kernel panic";
    return kit_claim(kit, arena_printf(kit->arena, "src.host.%s.vm", host_id), &claim.base, NULL);
}

void kit_run_workload(struct kit *kit, const char *id, struct kit_guest *ret_guest)
{
    static const char *const stages[] = {"release", "login", "pull", "lint", "up", "certificate"};

    kit_tick(kit);
    kit_create(kit, id);
    kit_tick(kit);
    kit_guest_init(kit, ret_guest, id);
    kit_release(kit, ret_guest);
    for (size_t i = 0; i < ELEMENTSOF(stages); i++) {
        clock_fake_advance(&kit->clock, 100);
        assert_int_equal(kit_stage(kit, ret_guest, stages[i], NULL, true), BUS_ACK);
    }
    assert_int_equal(kit_status(kit, id), STATUS_RUNNING);
    kit_tick(kit);
}
