/* The end of a host's record. */
#include "services/scheduler/audit.h"
#include "services/scheduler/done_request.h"
#include "services/scheduler/hosts.h"
#include "shared/base/encode.h"
#include "shared/base/log.h"

struct removal {
    struct scheduler *scheduler;
    const char *host_id;
    struct asked asked;
    struct arena *arena;
    struct done_request before; /* it was removed by this very request */
    bool heard;                 /* the refusal is that it still speaks */
};

static struct error *check_free(const struct removal *removal)
{
    const char *set = arena_printf(removal->arena, "%s%s", KEY_WORKLOADS_ON, removal->host_id);
    const char **ids;
    size_t n;
    struct error *err =
        store_members(removal->scheduler->store, set, WORKLOADS_MAX, removal->arena, &ids, &n);

    if (err || n == 0)
        return err;
    return error_new(ERROR_FAILED_PRECONDITION, "host '%s' has %zu workload%s", removal->host_id, n,
                     n == 1 ? "" : "s");
}

/* Not by its status alone: a host that may not be used here is never ready, and comes back too. */
static struct error *check_silent(struct removal *removal, const Coffer__V1__Host *host)
{
    struct scheduler *scheduler = removal->scheduler;
    uint8_t chip_id[CHIP_ID_SIZE];

    if (host->status == COFFER__V1__HOST_STATUS__LOST ||
        host_silence_ms(scheduler, host) >= (int64_t)scheduler->config->lost_after_ms ||
        !authority_find_chip(&scheduler->authority, host->host_id, chip_id))
        return NULL;
    removal->heard = true;
    return error_new(ERROR_FAILED_PRECONDITION,
                     "host '%s' is not lost and would come back: take it out of "
                     "fleet.json, or stop its agent and wait until it is lost",
                     host->host_id);
}

/* A placement in between changes the host's record, so the commit fails and it is found here. */
static struct error *remove_once(void *data)
{
    struct removal *removal = data;
    struct change change;
    Coffer__V1__Host *host;
    uint64_t version;
    struct error *err =
        done_request_find(removal->scheduler, &removal->asked, removal->arena, &removal->before);

    if (err || removal->before.done)
        return err;
    err = record_load(removal->scheduler, KEY_HOST, removal->host_id, &coffer__v1__host__descriptor,
                      removal->arena, &host, &version);
    if (!err && !host)
        err = error_new(ERROR_NOT_FOUND, "no host '%s'", removal->host_id);
    err = err ?: check_free(removal);
    err = err ?: check_silent(removal, host);
    if (err)
        return err;
    change_init(&change, removal->scheduler, removal->arena);
    change_host_event(&change, host, "removed", "");
    change_delete(&change, KEY_HOST, removal->host_id, version);
    change_index(&change, KEY_HOSTS, "", removal->host_id, true);
    done_request_note(&change, &removal->asked, removal->host_id);
    return change_commit(&change);
}

struct error *host_remove(struct scheduler *scheduler, const Coffer__V1__HostRequest *request,
                          struct arena *arena, bool *ret_audited)
{
    const char *host_id = request->host_id;
    struct removal removal = {.scheduler = scheduler,
                              .host_id = host_id,
                              .asked = {request->request_id, request->audit},
                              .arena = arena};

    if (!name_is_valid(host_id))
        return error_new(ERROR_NOT_FOUND, "no host '%.63s'", host_id);
    struct error *err = audit_check(request->audit);
    err = err ?: change_repeat(remove_once, &removal);
    if (err)
        return removal.heard ? error_recode(err, ERROR_ABORTED) : err;
    *ret_audited = removal.before.done ? removal.before.audited : request->audit != NULL;
    if (removal.before.done)
        return NULL;
    log_info("host removed", "host", host_id);
    scheduler_kick(scheduler);
    return NULL;
}
