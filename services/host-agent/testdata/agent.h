/* A host-agent on the in-memory bus, hypervisor and ingress, with one guest image and no threads:
 * what its worker and reporter do, the test does step by step. */
#pragma once

#include "schemas/common.pb-c.h"
#include "schemas/host.pb-c.h"
#include "services/host-agent/host_agent.h"
#include "services/host-agent/testdata/chip.h"
#include "services/host-agent/testdata/folder.h"
#include "services/host-agent/testdata/image.h"

struct test_agent {
    char *dir;
    char *images, *key_hex;
    struct sign_key release_key;
    struct host_agent_config config;
    struct clock_fake clock;
    struct bus *bus;
    struct hypervisor *machines; /* outlives the agent, as real ones do */
    struct host_agent *agent;
    struct arena *arena;
};

/* Fails the test on an error. */
static inline void test_ok(struct error *err)
{
    if (!err)
        return;
    fail_msg("%s: %s", error_origin(err), error_text(err));
    abort(); /* not reached: cmocka does not declare that a failure never returns */
}

/* Also a new start after kill -9: nothing but files and machines remain. */
static inline void test_agent_open(struct test_agent *t)
{
    const struct host_agent_ports ports = {
        .bus = t->bus, .clock = &t->clock.base, .hypervisor = t->machines};
    struct host_agent *agent = NULL;

    host_agent_free(TAKE_PTR(t->agent));
    test_ok(host_agent_new(&t->config, &ports, &agent));
    t->agent = agent;
}

static inline void test_agent_configure(struct test_agent *t)
{
    t->config = (struct host_agent_config){.host_id = (char *)"h1",
                                           .state_dir = t->dir,
                                           .images_dir = t->images,
                                           .release_key = t->key_hex,
                                           .libvirt_uri = (char *)"memory:",
                                           .kvm = (char *)"no",
                                           .network = (char *)"coffer",
                                           .leaf_url = (char *)"nats://192.0.2.1:4222",
                                           .public_address = (char *)"127.0.0.11",
                                           .cpus = 8,
                                           .memory_mib = 16384,
                                           .disk_gib = 100,
                                           .tee = (char *)"sev-snp",
                                           .tee_dir = (char *)TEST_CHIP_DIR,
                                           .cpu_model = (char *)"EPYC-v4",
                                           .sev_device = (char *)"/nonexistent",
                                           .kds_url = (char *)"offline",
                                           .kds_ca = (char *)"",
                                           .haproxy_dir = (char *)"memory:",
                                           .haproxy_socket = (char *)""};
#ifdef TEE_SOFTWARE
    t->config.tee = (char *)"software";
#endif
}

static inline struct test_agent *test_agent_new(void)
{
    struct test_agent *t = xnew(struct test_agent);
    struct hypervisor_options options = {.uri = "memory:", .kvm = "no"};

    t->dir = test_folder_new();
    t->images = xasprintf("%s/images", t->dir);
    test_ok(sign_key_generate(&t->release_key));
    t->key_hex = hex_encode_new(t->release_key.public, 32);
    test_image_make(t->images, "2026.1", &t->release_key);
    test_agent_configure(t);
    clock_fake_init(&t->clock, 1000000);
    t->bus = bus_memory_new();
    test_ok(bus_ensure_streams(t->bus));
    t->machines = hypervisor_memory_new(&options);
    t->arena = arena_new();
    test_agent_open(t);
    return t;
}

static inline void test_agent_free(struct test_agent *t)
{
    host_agent_free(t->agent);
    hypervisor_free(t->machines);
    bus_free(t->bus);
    arena_free(t->arena);
    test_folder_free(t->dir);
    free(t->images);
    free(t->key_hex);
    free(t);
}

/* One message through the table of handlers. out may be NULL. */
static inline struct error *test_agent_send(struct test_agent *t, const char *verb,
                                            const void *data, size_t size, void **out)
{
    _cleanup_free_ char *subject = xasprintf("cmd.host.%%.%s", verb);
    const struct bus_message message = {.subject = subject, .data = data, .size = size};
    const struct bus_handler *row = host_agent_handlers;
    ProtobufCBinaryData reply = {0};

    while (strcmp(row->subject, subject) != 0)
        row++;
    struct error *err = bus_dispatch(row, t->agent, &message, t->arena, &reply);
    if (!err && out)
        test_ok(bus_unpack(row->reply, reply.data, reply.len, t->arena, out));
    return err;
}

static inline struct error *test_agent_call(struct test_agent *t, const char *verb,
                                            const ProtobufCMessage *in, void **out)
{
    size_t size = protobuf_c_message_get_packed_size(in);
    uint8_t *packed = arena_alloc(t->arena, size + 1);

    protobuf_c_message_pack(in, packed);
    return test_agent_send(t, verb, packed, size, out);
}

/* A start request that passes; the test bends it. */
struct test_start {
    Coffer__V1__StartVmRequest request;
    Coffer__V1__Resources resources;
};

static inline void test_start_init(struct test_start *start, const char *workload_id,
                                   uint64_t generation)
{
    coffer__v1__start_vm_request__init(&start->request);
    coffer__v1__resources__init(&start->resources);
    start->resources.cpus = 2;
    start->resources.memory_mib = 2048;
    start->resources.disk_gib = 10;
    start->request.resources = &start->resources;
    start->request.workload_id = (char *)workload_id;
    start->request.generation = generation;
    start->request.image_version = (char *)"2026.1";
    start->request.manifest = (ProtobufCBinaryData){.data = (uint8_t *)"{\"a\":1}", .len = 7};
    start->request.compose = (ProtobufCBinaryData){.data = (uint8_t *)"services:\n", .len = 10};
    start->request.domain = (char *)"w1.coffer.test";
    start->request.guest_credentials = (char *)"CREDENTIALS";
}

static inline struct error *test_agent_start(struct test_agent *t, const char *workload_id,
                                             uint64_t generation, Coffer__V1__Vm **ret_vm)
{
    struct test_start start;
    void *out = NULL;

    test_start_init(&start, workload_id, generation);
    struct error *err = test_agent_call(t, "start", &start.request.base, &out);
    if (!err && ret_vm)
        *ret_vm = ((Coffer__V1__VmReply *)out)->vm;
    return err;
}

static inline struct error *test_agent_end(struct test_agent *t, const char *verb,
                                           const char *workload_id, uint64_t generation,
                                           uint32_t grace_seconds, Coffer__V1__Vm **ret_vm)
{
    Coffer__V1__StopVmRequest request = COFFER__V1__STOP_VM_REQUEST__INIT;
    void *out = NULL;

    request.workload_id = (char *)workload_id;
    request.generation = generation;
    request.grace_seconds = grace_seconds;
    struct error *err = test_agent_call(t, verb, &request.base, &out);
    if (!err && ret_vm)
        *ret_vm = ((Coffer__V1__VmReply *)out)->vm;
    return err;
}

static inline Coffer__V1__ListVmsReply *test_agent_list(struct test_agent *t)
{
    void *out = NULL;

    test_ok(test_agent_send(t, "list", "", 0, &out));
    return out;
}

static inline void test_agent_work(struct test_agent *t)
{
    test_ok(vm_work(t->agent->vms));
}

/* The VM as the list has it; NULL: not there. */
static inline const Coffer__V1__Vm *test_agent_vm(struct test_agent *t, const char *workload_id)
{
    Coffer__V1__ListVmsReply *reply = test_agent_list(t);

    for (size_t i = 0; i < reply->n_vms; i++)
        if (strcmp(reply->vms[i]->workload_id, workload_id) == 0)
            return reply->vms[i];
    return NULL;
}

static inline bool test_agent_has_file(struct test_agent *t, const char *workload_id,
                                       const char *name)
{
    _cleanup_free_ char *path = xasprintf("%s/vms/%s/%s", t->dir, workload_id, name);

    return access(path, F_OK) == 0;
}
