/* Reservations: a host's `used` and the index of what is on it change with the workload's record
 * in one commit, so that two placements cannot both take the last free MiB. */
#include "services/scheduler/placement.h"
#include "services/scheduler/workloads.h"

static struct capacity capacity_of(const Coffer__V1__Resources *resources)
{
    if (!resources)
        return (struct capacity){0};
    return (struct capacity){
        .cpus = resources->cpus,
        .memory_mib = resources->memory_mib,
        .disk_gib = resources->disk_gib,
        .gpus = resources->gpus,
    };
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static struct capacity capacity_less(struct capacity a, struct capacity b)
{
    return (struct capacity){
        .cpus = (uint32_t)less(a.cpus, b.cpus),
        .memory_mib = less(a.memory_mib, b.memory_mib),
        .disk_gib = less(a.disk_gib, b.disk_gib),
        .gpus = (uint32_t)less(a.gpus, b.gpus),
    };
}

static bool has_image(const Coffer__V1__HostHeartbeat *heartbeat, const char *version)
{
    for (size_t i = 0; i < heartbeat->n_images; i++)
        if (heartbeat->images[i]->ready && strcmp(heartbeat->images[i]->version, version) == 0)
            return true;
    return false;
}

static struct candidate candidate_of(const Coffer__V1__Host *host, const char *image_version)
{
    const Coffer__V1__HostHeartbeat *heartbeat = host->heartbeat;
    struct candidate candidate = {
        .host_id = host->host_id,
        .ready = heartbeat && host->status == COFFER__V1__HOST_STATUS__READY,
        .eligible = host->eligible,
        .used = capacity_of(host->used),
    };

    if (heartbeat) {
        candidate.has_image = has_image(heartbeat, image_version);
        candidate.total =
            capacity_less(capacity_of(heartbeat->total), capacity_of(heartbeat->reserved));
    }
    return candidate;
}

static Coffer__V1__Resources *used_of(struct change *change, Coffer__V1__Host *host)
{
    if (!host->used) {
        host->used = arena_alloc(change->arena, sizeof(*host->used));
        coffer__v1__resources__init(host->used);
    }
    return host->used;
}

static void put_host(struct change *change, const Coffer__V1__Host *host, uint64_t version,
                     const char *workload_id, bool remove)
{
    change_put(change, KEY_HOST, host->host_id, version, &host->base, 0);
    change_index(change, KEY_WORKLOADS_ON, host->host_id, workload_id, remove);
}

static void reserve(struct change *change, Coffer__V1__Host *host, uint64_t version,
                    Coffer__V1__Workload *workload)
{
    Coffer__V1__Resources *used = used_of(change, host);
    const struct capacity needs = capacity_of(workload->resources);

    used->cpus += needs.cpus;
    used->memory_mib += needs.memory_mib;
    used->disk_gib += needs.disk_gib;
    used->gpus += needs.gpus;
    workload->host_id = host->host_id;
    put_host(change, host, version, workload->workload_id, false);
}

struct error *reservation_make(struct change *change, Coffer__V1__Workload *workload)
{
    _cleanup_buffer_ struct buffer reasons = {0};
    void **hosts;
    uint64_t *versions;
    size_t n;
    struct error *err =
        records_load_all(change->scheduler, KEY_HOSTS, KEY_HOST, &coffer__v1__host__descriptor,
                         HOSTS_MAX, change->arena, &hosts, &versions, &n);

    if (err)
        return err;
    struct candidate *candidates = arena_alloc(change->arena, (n + 1) * sizeof(*candidates));
    for (size_t i = 0; i < n; i++)
        candidates[i] = candidate_of(hosts[i], workload->image_version);
    const struct demand demand = {
        .needs = capacity_of(workload->resources),
        .image_version = workload->image_version,
    };
    size_t chosen = placement_choose(candidates, n, &demand, &reasons);
    if (chosen == n)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "no host can take it: %s",
                         buffer_text(&reasons));
    reserve(change, hosts[chosen], versions[chosen], workload);
    return NULL;
}

struct error *reservation_drop(struct change *change, Coffer__V1__Workload *workload)
{
    Coffer__V1__Host *host;
    uint64_t version;

    if (!workload->host_id[0])
        return NULL;
    struct error *err = record_load(change->scheduler, KEY_HOST, workload->host_id,
                                    &coffer__v1__host__descriptor, change->arena, &host, &version);
    if (err)
        return err;
    if (host) {
        Coffer__V1__Resources *used = used_of(change, host);
        struct capacity left = capacity_less(capacity_of(used), capacity_of(workload->resources));
        used->cpus = left.cpus;
        used->memory_mib = left.memory_mib;
        used->disk_gib = left.disk_gib;
        used->gpus = left.gpus;
        put_host(change, host, version, workload->workload_id, true);
    }
    workload->host_id = arena_strdup(change->arena, "");
    return NULL;
}
