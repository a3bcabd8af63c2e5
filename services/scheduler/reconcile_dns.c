/* The workload's name points to its host's public address, and given up to nothing. */
#include "services/scheduler/names.h"
#include "services/scheduler/reconcile_private.h"
#include "shared/base/log.h"

enum { DNS_PAUSE_MS = 5000, DNS_REFUSED_MAX_MS = 3600 * 1000, DNS_REASON_MAX = 256 };

/* What was written to the name server, for which name. */
struct named {
    const char *domain;
    const char *address;
};

static struct error *note_address(struct update *update, void *data)
{
    const struct named *named = data;
    Coffer__V1__Workload *workload = update->workload;

    /* An update that gave the name up meanwhile has seen to its removal. */
    update->skip = !workload || strcmp(workload->domain, named->domain) != 0 ||
                   strcmp(workload->dns_address, named->address) == 0;
    if (!update->skip)
        workload->dns_address = arena_strdup(update->arena, named->address);
    return NULL;
}

static bool is_refusal(const struct error *err)
{
    enum error_code code = error_get_code(err);

    return code == ERROR_PERMISSION_DENIED || code == ERROR_INVALID_ARGUMENT;
}

static bool is_paused(const struct scheduler *scheduler)
{
    return clock_monotonic_ms(scheduler->clock) < scheduler->dns_retry_at_ms;
}

static void pause_all(struct scheduler *scheduler)
{
    scheduler->dns_retry_at_ms = clock_monotonic_ms(scheduler->clock) + DNS_PAUSE_MS;
}

/* A server that is away is left alone for a while. One that refuses a name, or is given an address
 * that is none, may well take the next one: whoever it belongs to waits alone. */
static void dns_failed(struct pass *pass, const Coffer__V1__Workload *workload, struct error *err)
{
    struct scheduler *scheduler = pass->scheduler;
    bool refused = is_refusal(err);

    if (!refused)
        pause_all(scheduler);
    if (!refused ||
        pacing_allows(scheduler, arena_printf(pass->arena, "dns %s", workload->workload_id)))
        log_failure(LOG_LEVEL_WARNING, "name not changed", err);
    else
        error_free(err);
}

/* A name server that is away delays certificates, not the start of VMs. The name may have been
 * given up since the snapshot; what is given up from here on, this thread removes after this. */
struct error *reconcile_dns(struct pass *pass, Coffer__V1__Workload *workload)
{
    struct scheduler *scheduler = pass->scheduler;
    const Coffer__V1__Host *host = pass_host(pass, workload->host_id);
    const char *address = host && host->heartbeat ? host->heartbeat->public_address : "";
    bool its;

    if (!address[0] || strcmp(address, workload->dns_address) == 0 || is_paused(scheduler) ||
        !name_is_ours(scheduler, workload->domain))
        return NULL;
    struct error *err =
        name_is_of(scheduler, workload->domain, workload->workload_id, pass->arena, &its);
    if (err || !its)
        return err;
    err = dns_set(scheduler->dns, workload->domain, address);
    if (err) {
        dns_failed(pass, workload, error_wrap(err, "set '%s' to %s", workload->domain, address));
        return NULL;
    }
    return workload_update(scheduler, workload->workload_id, note_address,
                           &(struct named){workload->domain, address}, pass->arena, NULL);
}

static struct error *warn_refused(struct update *update, void *data)
{
    const Coffer__V1__LeavingName *leaving = data;

    update->skip = !update->workload;
    if (update->skip)
        return NULL;
    if (update->workload->status == COFFER__V1__WORKLOAD_STATUS__DELETED)
        update->expire_ms = (int64_t)update->scheduler->config->tombstone_ms;
    change_workload_event(
        &update->change, update->workload, "warning", SOURCE_SCHEDULER,
        &(struct event_detail){.code = "name_not_removed", .message = leaving->reason});
    return NULL;
}

static int64_t back_off_ms(const Coffer__V1__LeavingName *leaving)
{
    int64_t ms = DNS_PAUSE_MS;

    for (uint32_t i = 1; i < leaving->attempts && ms < DNS_REFUSED_MAX_MS; i++)
        ms *= 2;
    return ms < DNS_REFUSED_MAX_MS ? ms : DNS_REFUSED_MAX_MS;
}

/* Whoever waits for the workload is told once that the server refuses; the record says why, and
 * the log each time. Takes err. */
static struct error *note_failure(struct pass *pass, Coffer__V1__LeavingName *leaving,
                                  uint64_t version, struct error *err)
{
    struct scheduler *scheduler = pass->scheduler;
    bool tell = is_refusal(err) && !leaving->told;
    struct change change;

    change_init(&change, scheduler, pass->arena);
    leaving->attempts++;
    leaving->next_attempt_at_ms =
        clock_wall_ms(scheduler->clock) + (is_refusal(err) ? back_off_ms(leaving) : DNS_PAUSE_MS);
    leaving->reason = arena_printf(pass->arena, "%.*s", DNS_REASON_MAX, error_text(err));
    leaving->told = leaving->told || tell;
    if (!is_refusal(err))
        pause_all(scheduler);
    log_failure(LOG_LEVEL_WARNING, "name not removed", err);
    change_put(&change, KEY_LEAVING_NAME, leaving->name, version, &leaving->base, 0);
    err = change_commit(&change);
    if (err || !tell)
        return err;
    return workload_update(scheduler, leaving->workload_id, warn_refused, leaving, pass->arena,
                           NULL);
}

/* Read anew, not from the list: who takes a name again, takes it before this or has its record set
 * by this thread, later. */
static struct error *remove_name(struct pass *pass, const char *name)
{
    struct scheduler *scheduler = pass->scheduler;
    Coffer__V1__LeavingName *leaving;
    uint64_t domain_version;
    uint64_t version;
    struct change change;
    struct error *err =
        name_leaving(scheduler, name, pass->arena, &leaving, &version, &domain_version);

    if (err || !leaving || clock_wall_ms(scheduler->clock) < leaving->next_attempt_at_ms)
        return err;
    err = dns_remove(scheduler->dns, name);
    if (err)
        return note_failure(pass, leaving, version, error_wrap(err, "remove '%s'", name));
    change_init(&change, scheduler, pass->arena);
    name_gone(&change, name, version, domain_version);
    return change_commit(&change);
}

/* Of one name: taken again meanwhile, or a record that cannot be read. The store being away is
 * everybody's. */
static struct error *settle(const char *name, struct error *err)
{
    if (error_get_code(err) == ERROR_UNAVAILABLE)
        return err;
    if (error_get_code(err) == ERROR_ABORTED)
        error_free(err);
    else
        log_failure(LOG_LEVEL_WARNING, "name not removed", error_wrap(err, "'%s'", name));
    return NULL;
}

struct error *reconcile_leaving_names(struct pass *pass)
{
    struct scheduler *scheduler = pass->scheduler;
    const char **names;
    size_t n;
    struct error *err = store_members(scheduler->store, KEY_LEAVING_NAMES, LEAVING_NAMES_MAX,
                                      pass->arena, &names, &n);

    scheduler->names_leave = false;
    for (size_t i = 0; !err && i < n && !is_paused(scheduler); i++)
        err = settle(names[i], remove_name(pass, names[i]));
    return err;
}
