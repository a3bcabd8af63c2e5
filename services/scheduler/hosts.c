#include "services/scheduler/hosts.h"

#include <arpa/inet.h>
#include <inttypes.h>

enum { VMS_MAX = 1024, IMAGES_MAX = 64, UPDATE_ATTEMPTS = 8 };

static const char *status_kind(Coffer__V1__HostStatus status)
{
    switch (status) {
    case COFFER__V1__HOST_STATUS__READY:
        return "ready";
    case COFFER__V1__HOST_STATUS__SUSPECT:
        return "suspect";
    case COFFER__V1__HOST_STATUS__LOST:
        return "lost";
    default:
        return "joined";
    }
}

static void set_status(struct change *change, Coffer__V1__Host *host, Coffer__V1__HostStatus status,
                       const char *message)
{
    if (host->status == status)
        return;
    host->status = status;
    change_host_event(change, host, status_kind(status), message);
}

static struct error *check_heartbeat(struct scheduler *scheduler, const char *host_id,
                                     const Coffer__V1__HostHeartbeat *heartbeat)
{
    uint8_t chip_id[CHIP_ID_SIZE];
    struct in_addr address;

    if (strcmp(heartbeat->host_id, host_id) != 0) {
        scheduler_count(scheduler, COUNTER_FORGED_CLAIM, host_id, "heartbeat names another host");
        return error_new(ERROR_PERMISSION_DENIED, "heartbeat of '%s' names another host", host_id);
    }
    if (!authority_find_chip(&scheduler->authority, host_id, chip_id)) {
        scheduler_count(scheduler, COUNTER_UNKNOWN_HOST, host_id, "host is not enrolled");
        return error_new(ERROR_PERMISSION_DENIED, "host '%s' is not enrolled", host_id);
    }
    if (heartbeat->n_vms > VMS_MAX || heartbeat->n_images > IMAGES_MAX || !heartbeat->total)
        return error_new(ERROR_INVALID_ARGUMENT, "heartbeat of '%s' has too many or no parts",
                         host_id);
    if (heartbeat->public_address[0] &&
        inet_pton(AF_INET, heartbeat->public_address, &address) != 1)
        return error_new(ERROR_INVALID_ARGUMENT, "public address of '%s' is not IPv4", host_id);
    return NULL;
}

static Coffer__V1__Host *new_host(struct change *change, const char *host_id)
{
    Coffer__V1__Host *host = arena_alloc(change->arena, sizeof(*host));

    coffer__v1__host__init(host);
    host->host_id = arena_strdup(change->arena, host_id);
    host->eligible = true;
    host->first_seen_at_ms = clock_wall_ms(change->scheduler->clock);
    change_index(change, KEY_HOSTS, "", host_id, false);
    change->scheduler->host_ids.known = false;
    return host;
}

/* A heartbeat moves a host to ready, unless its TEE may not be used here. */
static void judge(struct change *change, Coffer__V1__Host *host)
{
    bool software = strcmp(host->heartbeat->tee, "sev-snp") != 0;

    if (software && !change->scheduler->config->allow_software_tee) {
        set_status(change, host, COFFER__V1__HOST_STATUS__JOINING,
                   "its TEE is not SEV-SNP, and a software TEE is not allowed here");
        return;
    }
    set_status(change, host, COFFER__V1__HOST_STATUS__READY, "");
}

static struct error *take_heartbeat(struct scheduler *scheduler, const char *host_id,
                                    const Coffer__V1__HostHeartbeat *heartbeat, struct arena *arena)
{
    struct change change;
    Coffer__V1__Host *host;
    uint64_t version;
    struct error *err = record_load(scheduler, KEY_HOST, host_id, &coffer__v1__host__descriptor,
                                    arena, &host, &version);

    if (err)
        return err;
    change_init(&change, scheduler, arena);
    if (!host)
        host = new_host(&change, host_id);
    host->heartbeat = (Coffer__V1__HostHeartbeat *)heartbeat;
    host->last_seen_at_ms = clock_wall_ms(scheduler->clock);
    if (!version)
        set_status(&change, host, COFFER__V1__HOST_STATUS__JOINING, "");
    judge(&change, host);
    change_put(&change, KEY_HOST, host_id, version, &host->base, 0);
    err = change_commit(&change);
    if (!err && change.n_outbox)
        scheduler_kick(scheduler);
    return err;
}

struct error *host_heartbeat(struct scheduler *scheduler, const char *host_id,
                             const Coffer__V1__HostHeartbeat *heartbeat, struct arena *arena)
{
    struct error *err = check_heartbeat(scheduler, host_id, heartbeat);

    if (err)
        return err;
    for (int i = 0; i < UPDATE_ATTEMPTS; i++) {
        error_free(err);
        err = take_heartbeat(scheduler, host_id, heartbeat, arena);
        if (error_get_code(err) != ERROR_ABORTED)
            break;
    }
    return err;
}

static Coffer__V1__HostStatus status_after_silence(const struct scheduler *scheduler,
                                                   const Coffer__V1__Host *host, int64_t silence_ms)
{
    if (host->status == COFFER__V1__HOST_STATUS__JOINING)
        return host->status;
    if (silence_ms >= (int64_t)scheduler->config->lost_after_ms)
        return COFFER__V1__HOST_STATUS__LOST;
    if (silence_ms >= (int64_t)scheduler->config->suspect_after_ms &&
        host->status == COFFER__V1__HOST_STATUS__READY)
        return COFFER__V1__HOST_STATUS__SUSPECT;
    return host->status;
}

int64_t host_silence_ms(const struct scheduler *scheduler, const Coffer__V1__Host *host)
{
    int64_t heard_ms = host->last_seen_at_ms > scheduler->started_at_ms ? host->last_seen_at_ms
                                                                        : scheduler->started_at_ms;

    return clock_wall_ms(scheduler->clock) - heard_ms;
}

static struct error *check_one(struct scheduler *scheduler, Coffer__V1__Host *host,
                               uint64_t version, struct arena *arena)
{
    int64_t silence_ms = host_silence_ms(scheduler, host);
    Coffer__V1__HostStatus status = status_after_silence(scheduler, host, silence_ms);
    struct change change;

    if (status == host->status)
        return NULL;
    change_init(&change, scheduler, arena);
    set_status(&change, host, status,
               arena_printf(arena, "not heard of for %" PRId64 " s", silence_ms / 1000));
    change_put(&change, KEY_HOST, host->host_id, version, &host->base, 0);
    struct error *err = change_commit(&change);
    if (!err)
        scheduler_kick(scheduler);
    /* A heartbeat came in between: then it is not silent. */
    if (error_get_code(err) != ERROR_ABORTED)
        return err;
    error_free(err);
    return NULL;
}

struct error *hosts_check_silence(struct scheduler *scheduler, struct arena *arena)
{
    void **hosts;
    uint64_t *versions;
    size_t n;
    struct error *err =
        records_load_all(scheduler, KEY_HOSTS, KEY_HOST, &coffer__v1__host__descriptor, HOSTS_MAX,
                         arena, &hosts, &versions, &n);

    for (size_t i = 0; !err && i < n; i++)
        err = check_one(scheduler, hosts[i], versions[i], arena);
    return err;
}

const Coffer__V1__Vm *host_find_vm(const Coffer__V1__Host *host, const char *workload_id)
{
    const Coffer__V1__HostHeartbeat *heartbeat = host->heartbeat;

    for (size_t i = 0; heartbeat && i < heartbeat->n_vms; i++)
        if (strcmp(heartbeat->vms[i]->workload_id, workload_id) == 0)
            return heartbeat->vms[i];
    return NULL;
}
