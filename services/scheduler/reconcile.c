#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "services/scheduler/hosts.h"
#include "services/scheduler/outbox.h"
#include "services/scheduler/reconcile_private.h"
#include "shared/base/log.h"

/*
 * A full pass looks at everything, once a second at the most, and so seldom that it takes a tenth
 * of the time; what has changed is looked at at once, some at a time so that events do not wait.
 */
enum {
    TICK_MS = 1000,
    FULL_SHARE = 10,
    FULL_INTERVAL_MAX_MS = 10000,
    SOME = 64,
    PACE_MS = 5000,
    IMAGES_INTERVAL_MS = 30000,
};

Coffer__V1__Host *pass_host(const struct pass *pass, const char *host_id)
{
    for (size_t i = 0; i < pass->n_hosts; i++)
        if (strcmp(pass->hosts[i]->host_id, host_id) == 0)
            return pass->hosts[i];
    return NULL;
}

static bool *unreachable_flag(const struct pass *pass, const char *host_id)
{
    for (size_t i = 0; i < pass->n_hosts; i++)
        if (strcmp(pass->hosts[i]->host_id, host_id) == 0)
            return &pass->unreachable[i];
    return NULL;
}

bool pass_can_command(const struct pass *pass, const char *host_id)
{
    const Coffer__V1__Host *host = pass_host(pass, host_id);
    const bool *unreachable = unreachable_flag(pass, host_id);

    return host && host->status == COFFER__V1__HOST_STATUS__READY && !*unreachable;
}

bool pass_note_unreachable(struct pass *pass, const char *host_id, const struct error *err)
{
    enum error_code code = error_get_code(err);
    bool *unreachable = unreachable_flag(pass, host_id);

    if (code != ERROR_UNAVAILABLE && code != ERROR_DEADLINE_EXCEEDED)
        return false;
    if (unreachable)
        *unreachable = true;
    return true;
}

bool pacing_allows(struct scheduler *scheduler, const char *id)
{
    int64_t now_ms = clock_monotonic_ms(scheduler->clock);
    struct pacing *slot = NULL;

    for (size_t i = 0; i < PACING_SLOTS; i++) {
        struct pacing *at = &scheduler->pacing[i];
        if (at->id[0] && strcmp(at->id, id) == 0) {
            if (now_ms - at->at_ms < PACE_MS)
                return false;
            at->at_ms = now_ms;
            return true;
        }
        if (!at->id[0] || now_ms - at->at_ms >= PACE_MS)
            slot = at;
    }
    /* All slots busy: then rather once too often. */
    if (slot) {
        snprintf(slot->id, sizeof(slot->id), "%s", id);
        slot->at_ms = now_ms;
    }
    return true;
}

static struct error *apply(struct update *update, void *data)
{
    const struct step *step = data;
    Coffer__V1__Workload *workload = update->workload;

    if (!workload || workload->generation != step->generation ||
        !fsm_find(step->trigger, step->source, (enum status)workload->status)) {
        update->skip = true;
        return NULL;
    }
    if (step->plan_retry)
        workload_plan_retry(update->scheduler, workload);
    if (step->trigger == TRIGGER_RETRY)
        workload->restarts++;
    if (step->new_generation)
        workload_new_generation(workload);
    if (step->trigger == TRIGGER_LAUNCHED || step->trigger == TRIGGER_HOST_BACK)
        workload->launched_at_ms = clock_wall_ms(update->scheduler->clock);
    return workload_move(update, step->trigger, step->source, &step->detail);
}

struct error *step_apply(struct pass *pass, const Coffer__V1__Workload *workload,
                         const struct step *step)
{
    struct step own = *step;

    own.generation = workload->generation;
    return workload_update(pass->scheduler, workload->workload_id, apply, &own, pass->arena, NULL);
}

static struct error *check_leadership(struct scheduler *scheduler)
{
    uint64_t term;
    struct error *err = store_get_term(scheduler->store, &term);

    if (err || term <= scheduler->term)
        return err;
    scheduler->fenced = true;
    return error_new(ERROR_ABORTED, "term %" PRIu64 " is over: another scheduler has %" PRIu64,
                     scheduler->term, term);
}

static struct error *take_snapshot(struct pass *pass)
{
    struct scheduler *scheduler = pass->scheduler;
    uint64_t *versions;
    void **hosts;
    void **workloads;
    struct error *err =
        records_load_all(scheduler, KEY_HOSTS, KEY_HOST, &coffer__v1__host__descriptor, HOSTS_MAX,
                         pass->arena, &hosts, &versions, &pass->n_hosts);

    err = err
              ?: records_load_all(scheduler, KEY_WORKLOADS, KEY_WORKLOAD,
                                  &coffer__v1__workload__descriptor, WORKLOADS_MAX, pass->arena,
                                  &workloads, &versions, &pass->n_workloads);
    if (err)
        return err;
    pass->hosts = (Coffer__V1__Host **)hosts;
    pass->workloads = (Coffer__V1__Workload **)workloads;
    pass->unreachable = arena_alloc(pass->arena, pass->n_hosts + 1);
    return NULL;
}

/* The store being away ends the pass; anything else is one workload's trouble. */
static struct error *settle(struct scheduler *scheduler, const char *workload_id, struct error *err)
{
    if (!err)
        return NULL;
    struct error *ping = store_ping(scheduler->store);
    if (ping) {
        error_free(ping);
        return err;
    }
    log_failure(LOG_LEVEL_WARNING, "workload not reconciled",
                error_wrap(err, "workload '%s'", workload_id));
    return NULL;
}

/* Events leave every now and then, however long it takes. */
static struct error *reconcile_workloads(struct pass *pass)
{
    struct scheduler *scheduler = pass->scheduler;
    struct error *err = NULL;

    for (size_t i = 0; !err && i < pass->n_workloads; i++) {
        Coffer__V1__Workload *workload = pass->workloads[i];
        if (i % SOME == 0)
            log_failure(LOG_LEVEL_WARNING, "events wait in the outbox", outbox_flush(scheduler));
        err = settle(scheduler, workload->workload_id, reconcile_workload(pass, workload));
    }
    return err;
}

struct error *reconcile_pass(struct scheduler *scheduler)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct pass pass = {.scheduler = scheduler, .arena = arena};
    struct error *err = check_leadership(scheduler);

    err = err ?: hosts_check_silence(scheduler, arena);
    err = err ?: take_snapshot(&pass);
    err = err ?: reconcile_workloads(&pass);
    err = err ?: reconcile_orphans(&pass);
    err = err ?: reconcile_leaving_names(&pass);
    return err ?: outbox_flush(scheduler);
}

/* These workloads and the hosts that they are on. */
static struct error *take_part(struct pass *pass, const char *const *ids, size_t n)
{
    const char **host_ids = arena_alloc(pass->arena, (n + 1) * sizeof(*host_ids));
    size_t n_hosts = 0;
    uint64_t *versions;
    void **hosts;
    void **workloads;
    struct error *err =
        records_load(pass->scheduler, KEY_WORKLOAD, ids, n, &coffer__v1__workload__descriptor,
                     pass->arena, &workloads, &versions, &pass->n_workloads);

    if (err)
        return err;
    pass->workloads = (Coffer__V1__Workload **)workloads;
    for (size_t i = 0; i < pass->n_workloads; i++) {
        size_t k = 0;
        while (k < n_hosts && strcmp(host_ids[k], pass->workloads[i]->host_id) != 0)
            k++;
        if (k == n_hosts && pass->workloads[i]->host_id[0])
            host_ids[n_hosts++] = pass->workloads[i]->host_id;
    }
    err = records_load(pass->scheduler, KEY_HOST, host_ids, n_hosts, &coffer__v1__host__descriptor,
                       pass->arena, &hosts, &versions, &pass->n_hosts);
    if (err)
        return err;
    pass->hosts = (Coffer__V1__Host **)hosts;
    pass->unreachable = arena_alloc(pass->arena, pass->n_hosts + 1);
    return NULL;
}

struct error *reconcile_some(struct scheduler *scheduler, const char *const *ids, size_t n)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct pass pass = {.scheduler = scheduler, .arena = arena};
    struct error *err = check_leadership(scheduler);

    err = err ?: take_part(&pass, ids, n);
    err = err ?: reconcile_workloads(&pass);
    if (!err && scheduler->names_leave)
        err = reconcile_leaving_names(&pass);
    return err ?: outbox_flush(scheduler);
}

/* What is due by the clock and not by a workload. */
static struct error *tick(struct scheduler *scheduler)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct error *err = check_leadership(scheduler);

    err = err ?: hosts_check_silence(scheduler, arena);
    return err ?: outbox_flush(scheduler);
}

void scheduler_kick_workload(struct scheduler *scheduler, const char *workload_id)
{
    struct changed *changed = &scheduler->changed;

    pthread_mutex_lock(&scheduler->job_lock);
    if (changed->n == CHANGED_MAX)
        changed->all = true;
    else
        snprintf(changed->ids[changed->n++], sizeof(changed->ids[0]), "%s", workload_id);
    pthread_cond_signal(&scheduler->job_wake);
    pthread_mutex_unlock(&scheduler->job_lock);
}

void scheduler_kick(struct scheduler *scheduler)
{
    pthread_mutex_lock(&scheduler->job_lock);
    scheduler->changed.all = true;
    pthread_cond_signal(&scheduler->job_wake);
    pthread_mutex_unlock(&scheduler->job_lock);
}

/* Under the lock: the oldest changes, each workload once; all of them when everything is looked at
 * anyway. */
static void take_changed(struct scheduler *scheduler, bool full, struct arena *arena,
                         const char **ret_ids, size_t *ret_n, bool *ret_all)
{
    struct changed *changed = &scheduler->changed;
    size_t taken = full || changed->all ? changed->n : changed->n < SOME ? changed->n : SOME;
    size_t n = 0;

    *ret_all = full || changed->all;
    for (size_t i = 0; i < taken && !*ret_all; i++) {
        size_t k = 0;
        while (k < n && strcmp(ret_ids[k], changed->ids[i]) != 0)
            k++;
        if (k == n)
            ret_ids[n++] = arena_strdup(arena, changed->ids[i]);
    }
    changed->n -= taken;
    memmove(changed->ids, changed->ids + taken, changed->n * sizeof(changed->ids[0]));
    changed->all = false;
    *ret_n = n;
}

/* Until there is something to do or the time has come; false: stop. */
static bool wait_for_work(struct scheduler *scheduler, int64_t until_ms)
{
    const struct timespec until = {.tv_sec = until_ms / 1000,
                                   .tv_nsec = (until_ms % 1000) * 1000000};
    const struct changed *changed = &scheduler->changed;
    int rc = 0;

    pthread_mutex_lock(&scheduler->job_lock);
    while (!changed->n && !changed->all && !scheduler->job_stop && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&scheduler->job_wake, &scheduler->job_lock, &until);
    bool go_on = !scheduler->job_stop;
    pthread_mutex_unlock(&scheduler->job_lock);
    return go_on;
}

/* Images may be added while we run; the gateway reads them from the store. */
static void refresh_images(struct scheduler *scheduler)
{
    int64_t now_ms = clock_monotonic_ms(scheduler->clock);

    if (now_ms < scheduler->images_at_ms)
        return;
    scheduler->images_at_ms = now_ms + IMAGES_INTERVAL_MS;
    log_failure(LOG_LEVEL_WARNING, "images not published",
                images_publish(scheduler->images, scheduler->store, scheduler->term));
}

static int64_t monotonic_ms(void)
{
    return clock_monotonic_ms(clock_system());
}

static struct error *full_pass(struct scheduler *scheduler, int64_t *ret_next_ms)
{
    int64_t start_ms = monotonic_ms();
    struct error *err = reconcile_pass(scheduler);
    int64_t pause_ms = (monotonic_ms() - start_ms) * FULL_SHARE;

    pause_ms = pause_ms < TICK_MS ? TICK_MS : pause_ms;
    pause_ms = pause_ms > FULL_INTERVAL_MAX_MS ? FULL_INTERVAL_MAX_MS : pause_ms;
    *ret_next_ms = monotonic_ms() + pause_ms;
    return err;
}

static struct error *work(struct scheduler *scheduler, int64_t *full_at_ms, int64_t *tick_at_ms)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    const char *ids[SOME];
    size_t n;
    bool all;

    pthread_mutex_lock(&scheduler->job_lock);
    take_changed(scheduler, monotonic_ms() >= *full_at_ms, arena, ids, &n, &all);
    pthread_mutex_unlock(&scheduler->job_lock);
    bool due = all || monotonic_ms() >= *tick_at_ms;
    if (due)
        *tick_at_ms = monotonic_ms() + TICK_MS;
    if (all)
        return full_pass(scheduler, full_at_ms);
    struct error *err = due ? tick(scheduler) : NULL;
    if (!err && n)
        err = reconcile_some(scheduler, ids, n);
    /* What was taken off the list is found again by looking at everything. */
    if (err && *full_at_ms > *tick_at_ms)
        *full_at_ms = *tick_at_ms;
    return err;
}

static void *job_main(void *data)
{
    struct scheduler *scheduler = data;
    int64_t full_at_ms = 0;
    int64_t tick_at_ms = 0;

    do {
        log_failure(LOG_LEVEL_WARNING, "pass not finished",
                    work(scheduler, &full_at_ms, &tick_at_ms));
        refresh_images(scheduler);
        if (scheduler->fenced)
            service_request_stop();
    } while (!scheduler->fenced && wait_for_work(scheduler, tick_at_ms));
    return NULL;
}

struct error *reconcile_start(struct scheduler *scheduler)
{
    int rc = pthread_create(&scheduler->job_thread, NULL, job_main, scheduler);

    if (rc)
        return error_errno(rc, "start the job thread");
    scheduler->job_running = true;
    return NULL;
}

void reconcile_stop(struct scheduler *scheduler)
{
    if (!scheduler->job_running)
        return;
    pthread_mutex_lock(&scheduler->job_lock);
    scheduler->job_stop = true;
    pthread_cond_signal(&scheduler->job_wake);
    pthread_mutex_unlock(&scheduler->job_lock);
    pthread_join(scheduler->job_thread, NULL);
    scheduler->job_running = false;
}
