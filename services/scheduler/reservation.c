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

static void fleet_init(struct arena *arena, void **hosts, uint64_t *versions, size_t n,
                       struct fleet *ret_fleet)
{
    *ret_fleet = (struct fleet){
        .hosts = (Coffer__V1__Host **)hosts,
        .versions = versions,
        .n = n,
        .candidates = arena_alloc(arena, (n + 1) * sizeof(*ret_fleet->candidates)),
        .touched = arena_alloc(arena, n + 1),
    };
}

struct error *fleet_load(struct scheduler *scheduler, struct arena *arena, struct fleet *ret_fleet)
{
    void **hosts;
    uint64_t *versions;
    size_t n;
    struct error *err =
        records_load_all(scheduler, KEY_HOSTS, KEY_HOST, &coffer__v1__host__descriptor, HOSTS_MAX,
                         arena, &hosts, &versions, &n);

    if (!err)
        fleet_init(arena, hosts, versions, n, ret_fleet);
    return err;
}

struct error *fleet_read(const struct store_record *records, size_t n_records, struct arena *arena,
                         struct fleet *ret_fleet)
{
    void **hosts = arena_alloc(arena, (n_records + 1) * sizeof(*hosts));
    uint64_t *versions = arena_alloc(arena, (n_records + 1) * sizeof(*versions));
    struct error *err = NULL;
    size_t n = 0;

    for (size_t i = 0; !err && i < n_records; i++) {
        if (!records[i].version)
            continue;
        versions[n] = records[i].version;
        err = record_read(&records[i], &coffer__v1__host__descriptor, arena, &hosts[n++]);
    }
    if (!err)
        fleet_init(arena, hosts, versions, n, ret_fleet);
    return err;
}

static void place(struct fleet *fleet, const Coffer__V1__Resources *size, const char *image_version,
                  struct placement *ret_placement)
{
    const struct demand demand = {.needs = capacity_of(size), .image_version = image_version};

    for (size_t i = 0; i < fleet->n; i++)
        fleet->candidates[i] = candidate_of(fleet->hosts[i], image_version);
    placement_explain(fleet->candidates, fleet->n, &demand, ret_placement);
}

static struct error *fits_nowhere(const struct fleet *fleet, const struct placement *placement)
{
    _cleanup_buffer_ struct buffer reasons = {0};

    placement_words(placement, fleet->n, &reasons);
    struct error *err =
        error_new(ERROR_RESOURCE_EXHAUSTED, "no host can take it: %s", buffer_text(&reasons));
    return error_set_reason(err, "no_host");
}

struct error *fleet_reserve(struct fleet *fleet, struct change *change,
                            Coffer__V1__Workload *workload)
{
    struct placement placement;

    place(fleet, workload->resources, workload->image_version, &placement);
    if (placement.chosen == fleet->n)
        return fits_nowhere(fleet, &placement);
    Coffer__V1__Host *host = fleet->hosts[placement.chosen];
    Coffer__V1__Resources *used = used_of(change, host);
    const struct capacity needs = capacity_of(workload->resources);
    used->cpus += needs.cpus;
    used->memory_mib += needs.memory_mib;
    used->disk_gib += needs.disk_gib;
    used->gpus += needs.gpus;
    workload->host_id = host->host_id;
    change_index(change, KEY_WORKLOADS_ON, host->host_id, workload->workload_id, false);
    fleet->touched[placement.chosen] = true;
    return NULL;
}

void fleet_put(const struct fleet *fleet, struct change *change)
{
    for (size_t i = 0; i < fleet->n; i++)
        if (fleet->touched[i])
            change_put(change, KEY_HOST, fleet->hosts[i]->host_id, fleet->versions[i],
                       &fleet->hosts[i]->base, 0);
}

/* Takes the needs of a place off a host's sum. */
static void give_back(struct change *change, Coffer__V1__Host *host, Coffer__V1__Workload *workload)
{
    Coffer__V1__Resources *used = used_of(change, host);
    struct capacity left = capacity_less(capacity_of(used), capacity_of(workload->resources));

    used->cpus = left.cpus;
    used->memory_mib = left.memory_mib;
    used->disk_gib = left.disk_gib;
    used->gpus = left.gpus;
    change_index(change, KEY_WORKLOADS_ON, host->host_id, workload->workload_id, true);
}

static void fleet_release(struct fleet *fleet, struct change *change,
                          Coffer__V1__Workload *workload)
{
    for (size_t i = 0; i < fleet->n; i++) {
        if (strcmp(fleet->hosts[i]->host_id, workload->host_id) != 0)
            continue;
        give_back(change, fleet->hosts[i], workload);
        fleet->touched[i] = true;
    }
    workload->host_id = arena_strdup(change->arena, "");
}

/* Over one reading of the hosts: the old place may be the new one, and its room counts as free. */
struct error *reservation_move(struct change *change, Coffer__V1__Workload *workload)
{
    struct fleet fleet;
    struct error *err = fleet_load(change->scheduler, change->arena, &fleet);

    if (err)
        return err;
    fleet_release(&fleet, change, workload);
    err = fleet_reserve(&fleet, change, workload);
    if (!err)
        fleet_put(&fleet, change);
    return err;
}

struct error *reservation_survey(struct scheduler *scheduler, const Coffer__V1__Workload *workload,
                                 const char *image_version, struct arena *arena,
                                 struct placement *ret_placement, const char **ret_host_id)
{
    Coffer__V1__Workload moved = *workload;
    struct change unused;
    struct fleet fleet;
    struct error *err = fleet_load(scheduler, arena, &fleet);

    if (err)
        return err;
    change_init(&unused, scheduler, arena);
    fleet_release(&fleet, &unused, &moved);
    place(&fleet, workload->resources, image_version, ret_placement);
    *ret_host_id = "";
    if (ret_placement->chosen == fleet.n)
        return fits_nowhere(&fleet, ret_placement);
    *ret_host_id = fleet.hosts[ret_placement->chosen]->host_id;
    return NULL;
}

struct error *reservation_holds(struct scheduler *scheduler, const Coffer__V1__Workload *workload,
                                const char *image_version, struct arena *arena, bool *ret_holds)
{
    Coffer__V1__Host *host;
    uint64_t version;

    *ret_holds = false;
    if (!workload->host_id[0] || workload->status == COFFER__V1__WORKLOAD_STATUS__WAITING)
        return NULL;
    struct error *err = record_load(scheduler, KEY_HOST, workload->host_id,
                                    &coffer__v1__host__descriptor, arena, &host, &version);
    if (err || !host || host->status == COFFER__V1__HOST_STATUS__LOST)
        return err;
    *ret_holds = strcmp(workload->image_version, image_version) == 0 ||
                 (host->heartbeat && has_image(host->heartbeat, image_version));
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
        give_back(change, host, workload);
        change_put(change, KEY_HOST, host->host_id, version, &host->base, 0);
    }
    workload->host_id = arena_strdup(change->arena, "");
    return NULL;
}
