/* The service's state and settings: what main, handlers and tests share. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "services/host-agent/collateral.h"
#include "services/host-agent/report.h"
#include "shared/service/service.h"

struct host_agent_config {
    struct service_config service;
    char *host_id;
    char *state_dir;
    char *images_dir;
    char *release_key;
    char *libvirt_uri;
    char *kvm;
    char *network;
    char *leaf_url;
    char *public_address;
    uint64_t cpus;
    uint64_t memory_mib;
    uint64_t disk_gib;
    char *tee;
    char *tee_dir;
    char *cpu_model;
    char *sev_device;
    char *kds_url;
    char *kds_ca;
    char *haproxy_dir;
    char *haproxy_socket;
};

struct host_agent {
    const struct host_agent_config *config;
    struct bus *bus;
    struct clock *clock;
    struct journal *journal;
    struct spool *spool;
    struct hypervisor *hypervisor;
    bool hypervisor_is_ours;
    struct image_cache *images;
    struct ingress *ingress;
    struct sp_channel *channel; /* NULL without the software TEE */
    struct chip chip;           /* of real hardware, as far as it could be read */
    bool has_chip;
    struct host_collateral *collateral; /* NULL without a chip */
    struct vms *vms;
    struct reporter *reporter;

    pthread_t worker;
    bool worker_runs;
    atomic_bool stopping;
};

extern const struct config_row host_agent_config_rows[];
extern const struct bus_handler host_agent_handlers[];
extern const struct service host_agent_service;

/* The outside world as it is given; it stays the caller's. */
struct host_agent_ports {
    struct bus *bus;
    struct clock *clock;
    struct hypervisor *hypervisor; /* NULL: as the settings say */
};

/* Everything but the threads; tests drive vm_work() and the reporter themselves. */
struct error *host_agent_new(const struct host_agent_config *config,
                             const struct host_agent_ports *ports,
                             struct host_agent **ret_agent) _must_check_;
void host_agent_free(struct host_agent *agent);
DEFINE_CLEANUP(struct host_agent *, host_agent_free)
struct error *host_agent_start_threads(struct host_agent *agent) _must_check_;
