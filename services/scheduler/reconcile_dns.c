/* The workload's name points to its host's public address. */
#include "services/scheduler/reconcile_private.h"
#include "shared/base/log.h"

enum { DNS_PAUSE_MS = 5000 };

static struct error *note_address(struct update *update, void *data)
{
    update->skip = !update->workload || strcmp(update->workload->dns_address, data) == 0;
    if (!update->skip)
        update->workload->dns_address = arena_strdup(update->arena, data);
    return NULL;
}

/* Only names below our zone are ours to write; a custom domain is the owner's. */
static bool name_is_ours(const struct scheduler *scheduler, const char *name)
{
    const char *zone = scheduler->config->dns_zone;
    size_t length = strlen(name);
    size_t tail = strlen(zone);

    return !tail || (length > tail && name[length - tail - 1] == '.' &&
                     strcmp(name + length - tail, zone) == 0);
}

/* A name server that is away delays certificates, not the start of VMs. */
struct error *reconcile_dns(struct pass *pass, Coffer__V1__Workload *workload)
{
    struct scheduler *scheduler = pass->scheduler;
    const Coffer__V1__Host *host = pass_host(pass, workload->host_id);
    const char *address = host && host->heartbeat ? host->heartbeat->public_address : "";
    int64_t now_ms = clock_monotonic_ms(scheduler->clock);

    if (!address[0] || strcmp(address, workload->dns_address) == 0 ||
        now_ms < scheduler->dns_retry_at_ms || !name_is_ours(scheduler, workload->domain))
        return NULL;
    struct error *err = dns_set(scheduler->dns, workload->domain, address);
    if (err) {
        scheduler->dns_retry_at_ms = now_ms + DNS_PAUSE_MS;
        log_failure(LOG_LEVEL_WARNING, "name not set",
                    error_wrap(err, "set '%s' to %s", workload->domain, address));
        return NULL;
    }
    return workload_update(scheduler, workload->workload_id, note_address, (void *)address,
                           pass->arena, NULL);
}
