#include "services/host-agent/host_agent.h"

#include <malloc.h>

#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "shared/base/log.h"
#include "shared/base/memory.h"

#define FILES_MAX        (17 * 1024 * 1024)
#define FETCH_TIMEOUT_MS 20000
#define RETRY_US         (500 * 1000)
#define LARGE_BLOCK      (128 * 1024)

#define ROW(name, type, member, preset, help)                                                      \
    {                                                                                              \
        name, type, offsetof(struct host_agent_config, member), preset, help                       \
    }

const struct config_row host_agent_config_rows[] = {
    ROW("HOST_AGENT_HOST_ID", CONFIG_NAME, host_id, NULL, "this host's name on the bus"),
    ROW("HOST_AGENT_STATE_DIR", CONFIG_PATH, state_dir, "/var/lib/coffer/host-agent",
        "folder for VMs' disks, consoles and the journal"),
    ROW("HOST_AGENT_IMAGES_DIR", CONFIG_PATH, images_dir, "/srv/coffer/images",
        "folder with guest images, one folder per version"),
    ROW("HOST_AGENT_RELEASE_KEY", CONFIG_STRING, release_key, "/etc/coffer/fleet/fleet.json",
        "public key that signs image.json: 64 hex digits, or the path of fleet.json"),
    ROW("HOST_AGENT_LIBVIRT_URI", CONFIG_STRING, libvirt_uri, "qemu:///system",
        "libvirt connection; memory: is a hypervisor without machines"),
    ROW("HOST_AGENT_KVM", CONFIG_STRING, kvm, "auto",
        "auto (where libvirt offers it), yes (or refuse) or no (emulate)"),
    ROW("HOST_AGENT_NETWORK", CONFIG_NAME, network, "coffer", "libvirt network of the guests"),
    ROW("HOST_AGENT_LEAF_URL", CONFIG_STRING, leaf_url, NULL,
        "bus address that guests use, for example nats://192.168.100.1:4222"),
    ROW("HOST_AGENT_PUBLIC_ADDRESS", CONFIG_STRING, public_address, NULL,
        "address that DNS gives for this host's workloads"),
    ROW("HOST_AGENT_CPUS", CONFIG_UINT, cpus, "0", "vCPUs to offer; 0: the machine's"),
    ROW("HOST_AGENT_MEMORY_MIB", CONFIG_UINT, memory_mib, "0",
        "memory to offer, MiB; 0: the machine's less a reserve"),
    ROW("HOST_AGENT_DISK_GIB", CONFIG_UINT, disk_gib, "0",
        "disk to offer, GiB; 0: the state folder's file system less a reserve"),
    ROW("HOST_AGENT_TEE", CONFIG_STRING, tee, "sev-snp",
        "sev-snp, or software (development builds only)"),
    ROW("HOST_AGENT_TEE_DIR", CONFIG_PATH, tee_dir, "/etc/coffer/fleet/tee",
        "with software: folder with the development chip's keys"),
    ROW("HOST_AGENT_CPU_MODEL", CONFIG_STRING, cpu_model, "EPYC-v4",
        "CPU model that launch measurements are made for"),
    ROW("HOST_AGENT_SEV_DEVICE", CONFIG_PATH, sev_device, CHIP_DEVICE,
        "with sev-snp: device of the security processor"),
    ROW("HOST_AGENT_KDS_URL", CONFIG_STRING, kds_url, COLLATERAL_KDS_URL,
        "with sev-snp: key service (or a mirror, https) for the chip's certificates; offline: "
        "none"),
    ROW("HOST_AGENT_KDS_CA", CONFIG_PATH, kds_ca, "",
        "PEM of who may sign that service's certificate; empty: the system's authorities"),
    ROW("HOST_AGENT_HAPROXY_DIR", CONFIG_PATH, haproxy_dir, "/var/lib/coffer/haproxy",
        "folder of haproxy.cfg; memory: no proxy"),
    ROW("HOST_AGENT_HAPROXY_SOCKET", CONFIG_PATH, haproxy_socket, "/run/haproxy/master.sock",
        "master socket of haproxy -W -S"),
    {0},
};

static struct error *fetch_files(void *data, const char *reference, struct arena *arena,
                                 const void **ret_files, size_t *ret_size)
{
    struct host_agent *agent = data;
    ProtobufCBinaryData files = {0};
    struct error *err =
        bus_object_get(agent->bus, reference, FILES_MAX, arena, &files, FETCH_TIMEOUT_MS);

    if (err)
        return error_wrap(err, "files '%s'", reference);
    *ret_files = files.data;
    *ret_size = files.len;
    return NULL;
}

static struct error *on_changed(void *data, const struct vm_status *status, const char *tail)
{
    struct host_agent *agent = data;

    return report_change(agent->spool, agent->clock, status, tail);
}

/* The hypervisor is open before the VMs are there to wake. */
static void on_domain_changed(void *data, const char *workload_id)
{
    struct host_agent *agent = data;

    if (agent->vms)
        vms_wake(agent->vms, workload_id);
}

static bool is_software(const struct host_agent *agent)
{
    return strcmp(agent->config->tee, "software") == 0;
}

/* A host whose chip cannot be read still runs guests: their hypervisor may give certificates. */
static struct error *open_chip(struct host_agent *agent)
{
    const struct host_agent_config *c = agent->config;
    const struct host_collateral_options options = {.state_dir = c->state_dir,
                                                    .kds_url = c->kds_url,
                                                    .kds_ca = c->kds_ca,
                                                    .chip = &agent->chip,
                                                    .clock = agent->clock};
    struct error *err = chip_read(c->sev_device, "", chip_ioctl, &agent->chip);

    if (err) {
        log_failure(LOG_LEVEL_WARNING, "guests get no collateral from this host", err);
        return NULL;
    }
    agent->has_chip = true;
    return host_collateral_new(&options, &agent->collateral);
}

static struct error *open_tee(struct host_agent *agent)
{
    if (is_software(agent)) {
        log_info("the software TEE gives its own chain and CRL, no key service is asked");
        return sp_channel_open(agent->config->tee_dir, &agent->channel);
    }
    if (strcmp(agent->config->tee, "sev-snp") != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "HOST_AGENT_TEE '%s' is no TEE",
                         agent->config->tee);
    return open_chip(agent);
}

static const uint8_t *chip_id(const struct host_agent *agent)
{
    if (agent->channel)
        return sp_channel_chip_id(agent->channel);
    return agent->has_chip ? agent->chip.id : NULL;
}

static struct error *open_images(struct host_agent *agent)
{
    uint8_t release_public[32];
    struct error *err = image_release_key(agent->config->release_key, release_public);

    if (!err)
        agent->images = image_cache_new(agent->config->images_dir, release_public);
    return err;
}

static struct error *open_hypervisor(struct host_agent *agent)
{
    const struct host_agent_config *c = agent->config;
    const struct hypervisor_options options = {
        .uri = c->libvirt_uri, .kvm = c->kvm, .changed = on_domain_changed, .changed_data = agent};

    if (strcmp(c->kvm, "auto") != 0 && strcmp(c->kvm, "yes") != 0 && strcmp(c->kvm, "no") != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "HOST_AGENT_KVM '%s' is not auto, yes or no",
                         c->kvm);
    agent->ingress = strcmp(c->haproxy_dir, "memory:") == 0
                         ? ingress_memory_new()
                         : ingress_haproxy_new(c->haproxy_dir, c->haproxy_socket);
    return agent->hypervisor ? NULL : hypervisor_open(&options, &agent->hypervisor);
}

static struct error *open_vms(struct host_agent *agent)
{
    const struct host_agent_config *c = agent->config;
    const struct vms_options options = {
        .hypervisor = agent->hypervisor,
        .images = agent->images,
        .ingress = agent->ingress,
        .journal = agent->journal,
        .channel = agent->channel,
        .collateral = agent->collateral,
        .clock = agent->clock,
        .state_dir = c->state_dir,
        .host_id = c->host_id,
        .leaf_url = c->leaf_url,
        .network = c->network,
        .cpu_model = c->cpu_model,
        .sev_snp = !is_software(agent),
        .fetch_files = fetch_files,
        .changed = on_changed,
        .data = agent,
    };

    return vms_new(&options, &agent->vms);
}

static struct error *open_reporter(struct host_agent *agent)
{
    const struct host_agent_config *c = agent->config;
    const struct reporter_options options = {
        .bus = agent->bus,
        .spool = agent->spool,
        .vms = agent->vms,
        .images = agent->images,
        .hypervisor = agent->hypervisor,
        .clock = agent->clock,
        .host_id = c->host_id,
        .state_dir = c->state_dir,
        .public_address = c->public_address,
        .tee = c->tee,
        .chip_id = chip_id(agent),
        .cpu_model = c->cpu_model,
        .limits = {.cpus = c->cpus, .memory_mib = c->memory_mib, .disk_gib = c->disk_gib},
    };

    return reporter_new(&options, &agent->reporter);
}

struct error *host_agent_new(const struct host_agent_config *config,
                             const struct host_agent_ports *ports, struct host_agent **ret_agent)
{
    _cleanup_(host_agent_freep) struct host_agent *agent = xnew(struct host_agent);

    agent->config = config;
    agent->bus = ports->bus;
    agent->clock = ports->clock;
    agent->hypervisor = ports->hypervisor;
    agent->hypervisor_is_ours = !ports->hypervisor;
    struct error *err = journal_open(config->state_dir, &agent->journal);
    if (!err)
        err = spool_open(config->state_dir, &agent->spool);
    if (!err)
        err = open_tee(agent);
    if (!err)
        err = open_images(agent);
    if (!err)
        err = open_hypervisor(agent);
    if (!err)
        err = open_vms(agent);
    if (!err)
        err = open_reporter(agent);
    if (err)
        return err;
    *ret_agent = TAKE_PTR(agent);
    return NULL;
}

static void *run_worker(void *data)
{
    struct host_agent *agent = data;
    char *last = NULL; /* a failure that repeats is said once */
    bool trimmed = false;

    while (!atomic_load(&agent->stopping)) {
        struct error *err = vm_work(agent->vms);
        bool failed = err != NULL;
        bool repeated = err && last && strcmp(last, error_text(err)) == 0;
        if (!repeated) {
            free(last);
            last = err ? xstrdup(error_text(err)) : NULL;
            log_failure(LOG_LEVEL_WARNING, "a pass over the VMs did not finish", err);
        } else {
            error_free(err);
        }
        if (failed) /* what fails at once must not be tried in a circle */
            usleep(RETRY_US);
        if (!failed && !trimmed) /* libvirt's libraries run much once */
            memory_trim();
        trimmed |= !failed;
        vms_wait(agent->vms);
    }
    free(last);
    return NULL;
}

struct error *host_agent_start_threads(struct host_agent *agent)
{
    int rc = pthread_create(&agent->worker, NULL, run_worker, agent);

    if (rc)
        return error_errno(rc, "start the worker thread");
    agent->worker_runs = true;
    struct error *err = agent->collateral ? host_collateral_start(agent->collateral) : NULL;
    return err ? err : reporter_start(agent->reporter);
}

void host_agent_free(struct host_agent *agent)
{
    if (!agent)
        return;
    reporter_stop(agent->reporter);
    atomic_store(&agent->stopping, true);
    if (agent->worker_runs) {
        vms_wake(agent->vms, NULL);
        pthread_join(agent->worker, NULL);
    }
    reporter_free(agent->reporter);
    if (agent->hypervisor_is_ours)
        hypervisor_free(agent->hypervisor); /* no more wake-ups after this */
    vms_free(agent->vms);
    ingress_free(agent->ingress);
    image_cache_free(agent->images);
    host_collateral_free(agent->collateral);
    sp_channel_free(agent->channel);
    spool_free(agent->spool);
    journal_free(agent->journal);
    free(agent);
}

static const char *host_id(const void *config)
{
    return ((const struct host_agent_config *)config)->host_id;
}

/* Firmware and config disks pass through the heap at each launch; without these the allocator keeps
 * their megabytes, once per thread. */
static void give_memory_back(void)
{
    mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK);
    mallopt(M_ARENA_MAX, 2);
}

static struct error *start(const void *config, struct bus *bus, void **ret_state)
{
    give_memory_back();
    _cleanup_(host_agent_freep) struct host_agent *agent = NULL;
    const struct host_agent_ports ports = {.bus = bus, .clock = clock_system()};
    struct error *err = host_agent_new(config, &ports, &agent);

    if (!err)
        err = host_agent_start_threads(agent);
    if (err)
        return err;
    *ret_state = TAKE_PTR(agent);
    return NULL;
}

static void stop(void *state)
{
    host_agent_free(state);
}

const struct service host_agent_service = {
    .name = "host-agent",
    .config = host_agent_config_rows,
    .config_size = sizeof(struct host_agent_config),
    .handlers = host_agent_handlers,
    .id = host_id,
    .start = start,
    .stop = stop,
};
