/* The table of handlers under any bytes: the first says which row, the rest are the message. */
#include <assert.h>

#include "services/host-agent/host_agent.h"
#include "services/host-agent/testdata/folder.h"
#include "shared/base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct host_agent_config config = {
    .host_id = (char *)"h1",
    .images_dir = (char *)"/nonexistent",
    .release_key = (char *)"0000000000000000000000000000000000000000000000000000000000000000",
    .libvirt_uri = (char *)"memory:",
    .kvm = (char *)"no",
    .network = (char *)"coffer",
    .leaf_url = (char *)"nats://192.0.2.1:4222",
    .public_address = (char *)"192.0.2.1",
    .tee = (char *)"sev-snp",
    .sev_device = (char *)"/nonexistent",
    .kds_url = (char *)"offline",
    .kds_ca = (char *)"",
    .tee_dir = (char *)"",
    .cpu_model = (char *)"EPYC-v4",
    .haproxy_dir = (char *)"memory:",
    .haproxy_socket = (char *)"",
};

static void handle(struct host_agent *agent, const struct bus_handler *row, const uint8_t *data,
                   size_t size)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    const struct bus_message message = {.subject = row->subject, .data = data, .size = size};
    ProtobufCBinaryData reply;

    error_free(bus_dispatch(row, agent, &message, arena, &reply));
    error_free(vm_work(agent->vms));
}

/* A fresh agent for each input: what one leaves behind must not be another's finding. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct host_agent_ports ports = {.clock = clock_system()};
    struct host_agent *agent = NULL;
    size_t n = 0;

    if (!size)
        return 0;
    while (host_agent_handlers[n].subject)
        n++;
    assert(n);
    log_init("fuzz", LOG_LEVEL_ERROR);
    config.state_dir = test_folder_new();
    ports.bus = bus_memory_new();
    struct error *err = host_agent_new(&config, &ports, &agent);
    assert(!err);
    handle(agent, &host_agent_handlers[data[0] % n], data + 1, size - 1);
    host_agent_free(agent);
    bus_free(ports.bus);
    test_folder_free(config.state_dir);
    return 0;
}
