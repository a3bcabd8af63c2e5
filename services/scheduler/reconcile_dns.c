/* The workload's name points to its host's public address. */
#include "services/scheduler/reconcile_private.h"
#include "shared/base/log.h"

enum { DNS_PAUSE_MS = 5000 };

/* What was written to the name server, for which name. */
struct named {
    const char *domain;
    const char *address;
};

/* An update may have given the name up meanwhile: then it is one to remove. */
static void add_former(struct update *update, const char *domain)
{
    Coffer__V1__Workload *workload = update->workload;
    size_t n = workload->n_former_domains;
    char **former = arena_alloc(update->arena, (n + 1) * sizeof(*former));

    for (size_t i = 0; i < n; i++) {
        update->skip = update->skip || strcmp(workload->former_domains[i], domain) == 0;
        former[i] = workload->former_domains[i];
    }
    if (update->skip)
        return;
    former[n] = arena_strdup(update->arena, domain);
    workload->former_domains = former;
    workload->n_former_domains = n + 1;
}

static struct error *note_address(struct update *update, void *data)
{
    const struct named *named = data;
    Coffer__V1__Workload *workload = update->workload;

    update->skip = !workload;
    if (update->skip)
        return NULL;
    if (strcmp(workload->domain, named->domain) != 0) {
        add_former(update, named->domain);
        return NULL;
    }
    update->skip = strcmp(workload->dns_address, named->address) == 0;
    workload->dns_address = arena_strdup(update->arena, named->address);
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

/* A server that is away is left alone for a while. One that refuses a name, or is given an address
 * that is none, may well take the next one: whoever it belongs to waits alone. */
static void dns_failed(struct pass *pass, const Coffer__V1__Workload *workload, struct error *err)
{
    struct scheduler *scheduler = pass->scheduler;
    bool refused = error_get_code(err) == ERROR_PERMISSION_DENIED ||
                   error_get_code(err) == ERROR_INVALID_ARGUMENT;

    if (!refused)
        scheduler->dns_retry_at_ms = clock_monotonic_ms(scheduler->clock) + DNS_PAUSE_MS;
    if (!refused ||
        pacing_allows(scheduler, arena_printf(pass->arena, "dns %s", workload->workload_id)))
        log_failure(LOG_LEVEL_WARNING, "name not changed", err);
    else
        error_free(err);
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
        dns_failed(pass, workload, error_wrap(err, "set '%s' to %s", workload->domain, address));
        return NULL;
    }
    return workload_update(scheduler, workload->workload_id, note_address,
                           &(struct named){workload->domain, address}, pass->arena, NULL);
}

bool reconcile_dns_end(struct pass *pass, const Coffer__V1__Workload *workload)
{
    struct scheduler *scheduler = pass->scheduler;

    if (!workload->dns_address[0])
        return true;
    if (clock_monotonic_ms(scheduler->clock) < scheduler->dns_retry_at_ms)
        return false;
    struct error *err = dns_remove(scheduler->dns, workload->domain);
    if (!err)
        return true;
    dns_failed(pass, workload, error_wrap(err, "remove '%s'", workload->domain));
    return false;
}

static bool is_in(const char *text, char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], text) == 0)
            return true;
    return false;
}

struct names {
    char **items;
    size_t n;
};

/* data is the names that are gone. */
static struct error *forget_former(struct update *update, void *data)
{
    const struct names *gone = data;
    Coffer__V1__Workload *workload = update->workload;
    size_t n = 0;

    update->skip = !workload || !workload->n_former_domains;
    if (update->skip)
        return NULL;
    for (size_t i = 0; i < workload->n_former_domains; i++)
        if (!is_in(workload->former_domains[i], gone->items, gone->n))
            workload->former_domains[n++] = workload->former_domains[i];
    update->skip = n == workload->n_former_domains;
    workload->n_former_domains = n;
    return NULL;
}

/* A name that somebody has taken since is his to write. */
static struct error *remove_name(struct pass *pass, const char *domain)
{
    struct scheduler *scheduler = pass->scheduler;
    struct store_record owner;
    struct error *err =
        store_get(scheduler->store, arena_printf(pass->arena, "%s%s", KEY_DOMAIN, domain),
                  pass->arena, &owner);

    if (err || owner.version || !name_is_ours(scheduler, domain))
        return err;
    return error_wrap(dns_remove(scheduler->dns, domain), "remove '%s'", domain);
}

struct error *reconcile_former_domains(struct pass *pass, Coffer__V1__Workload *workload)
{
    struct scheduler *scheduler = pass->scheduler;
    size_t n = workload->n_former_domains;
    struct names gone = {.items = arena_alloc(pass->arena, (n + 1) * sizeof(char *))};

    for (size_t i = 0; i < n; i++) {
        if (clock_monotonic_ms(scheduler->clock) < scheduler->dns_retry_at_ms)
            break;
        struct error *err = remove_name(pass, workload->former_domains[i]);
        if (err)
            dns_failed(pass, workload, err);
        else
            gone.items[gone.n++] = workload->former_domains[i];
    }
    if (!gone.n)
        return NULL;
    return workload_update(scheduler, workload->workload_id, forget_former, &gone, pass->arena,
                           NULL);
}
