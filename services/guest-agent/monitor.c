#include "services/guest-agent/monitor.h"

#include <time.h>

#include "services/guest-agent/health.h"
#include "services/guest-agent/messages.h"
#include "shared/base/alloc.h"
#include "shared/base/log.h"

enum {
    TICK_MS = 1000,
    CONTAINERS_MS = 2000,
    SAMPLE_MS = 10 * 1000,
    CERTIFICATE_MS = 60 * 1000,
    RETRY_MS = 10 * 1000, /* after a look that found none */
    HEALTH_MS = 60 * 1000,
    LAST_LINES = 5,
    PROBE_TIMEOUT_MS = 3000,
};

struct monitor {
    struct monitor_options options;
    pthread_mutex_t lock; /* over what queries read */
    pthread_cond_t wake;
    pthread_t thread;
    bool has_thread;
    bool stopping;
    bool watching;
    char *domain;
    struct followers *followers;

    struct arena *seen; /* owns containers */
    struct engine_container *containers;
    size_t n_containers;
    char *engine_error;

    bool has_certificate;
    struct certificate certificate;
    char *certificate_error;
    unsigned certificate_misses;

    struct stats stats;
    int64_t sampled_ms; /* wall clock; 0: never */

    struct health_memory memory;
    struct health_verdict said; /* the verdict said last */
    char *said_key;             /* what it was made of */
    char *last_lines;           /* of the container that is down */
    int64_t containers_due, sample_due, certificate_due, health_due; /* monotonic ms */
};

struct monitor *monitor_new(const struct monitor_options *options)
{
    struct monitor *monitor = xnew(struct monitor);
    pthread_condattr_t attributes;

    monitor->options = *options;
    pthread_mutex_init(&monitor->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&monitor->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    monitor->followers = followers_new(options->engine, options->logs);
    return monitor;
}

void monitor_free(struct monitor *monitor)
{
    if (!monitor)
        return;
    if (monitor->has_thread) {
        pthread_mutex_lock(&monitor->lock);
        monitor->stopping = true;
        pthread_cond_signal(&monitor->wake);
        pthread_mutex_unlock(&monitor->lock);
        pthread_join(monitor->thread, NULL);
    }
    followers_free(monitor->followers);
    if (monitor->seen)
        arena_free(monitor->seen);
    stats_done(&monitor->stats);
    free(monitor->domain);
    free(monitor->engine_error);
    free(monitor->certificate_error);
    free(monitor->said_key);
    free(monitor->last_lines);
    pthread_cond_destroy(&monitor->wake);
    pthread_mutex_destroy(&monitor->lock);
    free(monitor);
}

void monitor_watch_project(struct monitor *monitor, const char *domain)
{
    pthread_mutex_lock(&monitor->lock);
    free(monitor->domain);
    monitor->domain = xstrdup(domain);
    monitor->watching = true;
    monitor->containers_due = 0;
    pthread_cond_signal(&monitor->wake);
    pthread_mutex_unlock(&monitor->lock);
}

void monitor_set_certificate(struct monitor *monitor, const struct certificate *certificate,
                             const char *problem)
{
    pthread_mutex_lock(&monitor->lock);
    if (certificate) {
        monitor->certificate = *certificate;
        monitor->has_certificate = true;
    }
    free(monitor->certificate_error);
    monitor->certificate_error = xstrdup(problem);
    monitor->certificate_misses = problem ? monitor->certificate_misses + 1 : 0;
    monitor->certificate_due = clock_monotonic_ms(monitor->options.clock) + CERTIFICATE_MS;
    pthread_mutex_unlock(&monitor->lock);
}

static bool due(struct monitor *monitor, int64_t *at, int64_t every_ms)
{
    int64_t now = clock_monotonic_ms(monitor->options.clock);

    if (now < *at)
        return false;
    *at = now + every_ms;
    return true;
}

static void look_at_containers(struct monitor *monitor)
{
    struct arena *arena = arena_new();
    struct engine_container *containers = NULL;
    size_t n = 0;
    struct error *err = engine_containers(monitor->options.engine, arena, &containers, &n);

    pthread_mutex_lock(&monitor->lock);
    free(monitor->engine_error);
    monitor->engine_error = err ? xstrdup(error_text(err)) : NULL;
    if (!err) {
        struct arena *old = monitor->seen;
        monitor->seen = TAKE_PTR(arena);
        monitor->containers = containers;
        monitor->n_containers = n;
        if (old)
            arena_free(old);
    }
    pthread_mutex_unlock(&monitor->lock);
    if (arena)
        arena_free(arena);
    /* Only this thread changes the list, so it may read it without the lock. */
    if (!err)
        followers_update(monitor->followers, containers, n);
    error_free(err);
}

static void look_at_certificate(struct monitor *monitor)
{
    struct certificate certificate;
    struct error *err = certificate_probe("127.0.0.1", monitor->options.https_port, monitor->domain,
                                          PROBE_TIMEOUT_MS, &certificate);

    monitor_set_certificate(monitor, err ? NULL : &certificate, err ? error_text(err) : NULL);
    error_free(err);
}

static void take_sample(struct monitor *monitor)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();

    pthread_mutex_lock(&monitor->lock);
    struct error *err = stats_read(&monitor->stats, monitor->options.proc);
    if (!err)
        monitor->sampled_ms = clock_wall_ms(monitor->options.clock);
    pthread_mutex_unlock(&monitor->lock);
    if (err) {
        log_failure(LOG_LEVEL_WARNING, "no sample", err);
        return;
    }
    uplink_say_sample(monitor->options.uplink,
                      message_of_sample(&monitor->stats, monitor->sampled_ms,
                                        uplink_boot_number(monitor->options.uplink), arena));
}

static bool collect_line(void *data, int64_t at_ns, bool standard_error, const char *text,
                         size_t size)
{
    struct buffer *lines = data;

    (void)at_ns, (void)standard_error;
    if (lines->size)
        buffer_add_text(lines, " | ");
    buffer_add(lines, text, size < 200 ? size : 200);
    return true;
}

/* "": nothing was written. Caller frees. */
static char *last_lines_of(struct monitor *monitor, const char *id)
{
    const struct engine_log_query query = {
        .id = id, .tail = LAST_LINES, .standard_output = true, .standard_error = true};
    struct buffer lines = {0};

    error_free(engine_logs(monitor->options.engine, &query, collect_line, &lines));
    return buffer_take_text(&lines);
}

/* Everything whose change is worth telling, as one text. */
static char *key_of(const struct monitor *monitor, const struct health_verdict *verdict)
{
    _cleanup_buffer_ struct buffer key = {0};

    buffer_printf(&key, "%d %s %lld", verdict->healthy, verdict->reason,
                  (long long)monitor->certificate.not_after_ms);
    for (size_t i = 0; i < monitor->n_containers; i++) {
        const struct engine_container *container = &monitor->containers[i];
        buffer_printf(&key, "\n%s %s %s %d %u", container->id, container->state, container->health,
                      container->exit_code, container->restarts);
    }
    return buffer_take_text(&key);
}

/* Judges under the lock, as the boot's thread may set the certificate meanwhile. */
static char *judge(struct monitor *monitor, struct health_verdict *ret_verdict)
{
    pthread_mutex_lock(&monitor->lock);
    const struct health_facts facts = {
        .containers = monitor->containers,
        .n_containers = monitor->n_containers,
        .engine_error = monitor->engine_error,
        .certificate_error = monitor->certificate_error,
        .certificate_misses = monitor->certificate_misses,
        .certificate_not_after_ms =
            monitor->has_certificate ? monitor->certificate.not_after_ms : 0,
        .now_ms = clock_wall_ms(monitor->options.clock),
    };

    health_judge(&facts, &monitor->memory, ret_verdict);
    char *key = key_of(monitor, ret_verdict);
    pthread_mutex_unlock(&monitor->lock);
    return key;
}

static void say_health(struct monitor *monitor, const struct health_verdict *verdict)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();

    pthread_mutex_lock(&monitor->lock);
    const struct message_health health = {
        .boot_number = uplink_boot_number(monitor->options.uplink),
        .containers = monitor->containers,
        .n_containers = monitor->n_containers,
        .certificate = monitor->has_certificate ? &monitor->certificate : NULL,
        .healthy = verdict->healthy,
        .reason = verdict->reason,
        .at_ms = clock_wall_ms(monitor->options.clock),
    };

    const ProtobufCMessage *message = message_of_health(&health, arena);
    pthread_mutex_unlock(&monitor->lock);
    uplink_say(monitor->options.uplink, "health", message);
}

/* Docker's exit code alone helps nobody: the container's own last words go with it. */
static void add_last_lines(struct monitor *monitor, struct health_verdict *verdict)
{
    size_t used = strlen(verdict->reason);

    free(monitor->last_lines);
    monitor->last_lines = last_lines_of(monitor, verdict->worst->id);
    if (monitor->last_lines[0])
        snprintf(verdict->reason + used, sizeof(verdict->reason) - used, "; its last lines: %s",
                 monitor->last_lines);
}

static void tell_health(struct monitor *monitor)
{
    struct health_verdict verdict;

    _cleanup_free_ char *key = judge(monitor, &verdict);
    bool changed = !monitor->said_key || strcmp(key, monitor->said_key) != 0;
    if (!changed && !due(monitor, &monitor->health_due, HEALTH_MS))
        return;
    monitor->health_due = clock_monotonic_ms(monitor->options.clock) + HEALTH_MS;
    if (verdict.worst)
        add_last_lines(monitor, &verdict);
    if (changed && verdict.healthy != monitor->said.healthy)
        log_event(verdict.healthy ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "health changed", "reason",
                  verdict.reason, NULL);
    free(monitor->said_key);
    monitor->said_key = TAKE_PTR(key);
    monitor->said = verdict;
    monitor->said.worst = NULL;
    say_health(monitor, &verdict);
}

void monitor_tick(struct monitor *monitor)
{
    pthread_mutex_lock(&monitor->lock);
    bool watching = monitor->watching;
    bool has_certificate = monitor->has_certificate;
    pthread_mutex_unlock(&monitor->lock);

    if (due(monitor, &monitor->sample_due, SAMPLE_MS))
        take_sample(monitor);
    if (!watching)
        return;
    if (due(monitor, &monitor->containers_due, CONTAINERS_MS)) {
        look_at_containers(monitor);
        if (has_certificate && due(monitor, &monitor->certificate_due,
                                   monitor->certificate_misses ? RETRY_MS : CERTIFICATE_MS))
            look_at_certificate(monitor);
        tell_health(monitor);
    }
}

static void *monitor_loop(void *data)
{
    struct monitor *monitor = data;
    struct timespec until;

    pthread_mutex_lock(&monitor->lock);
    while (!monitor->stopping) {
        pthread_mutex_unlock(&monitor->lock);
        monitor_tick(monitor);
        pthread_mutex_lock(&monitor->lock);
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += TICK_MS / 1000;
        if (!monitor->stopping)
            pthread_cond_timedwait(&monitor->wake, &monitor->lock, &until);
    }
    pthread_mutex_unlock(&monitor->lock);
    return NULL;
}

struct error *monitor_start(struct monitor *monitor)
{
    int rc = pthread_create(&monitor->thread, NULL, monitor_loop, monitor);

    monitor->has_thread = rc == 0;
    return rc ? error_errno(rc, "start the monitor's thread") : NULL;
}

char *monitor_lost_container(struct monitor *monitor, const char *service)
{
    char id[65] = "";
    char *text = NULL;

    pthread_mutex_lock(&monitor->lock);
    for (size_t i = 0; i < monitor->n_containers && !text; i++) {
        const struct engine_container *container = &monitor->containers[i];
        bool counts = container->ours || strcmp(container->service, service) == 0;
        if (!counts || !health_is_lost(container))
            continue;
        snprintf(id, sizeof(id), "%s", container->id);
        text = xasprintf("container '%s' ended with exit code %d%s%s", container->service,
                         container->exit_code, container->error[0] ? ": " : "", container->error);
    }
    pthread_mutex_unlock(&monitor->lock);
    if (!text)
        return NULL;
    _cleanup_free_ char *head = text;
    _cleanup_free_ char *lines = last_lines_of(monitor, id);
    return lines[0] ? xasprintf("%s; its last lines: %s", head, lines) : xstrdup(head);
}

void monitor_containers(struct monitor *monitor, struct arena *arena,
                        struct engine_container **ret_containers, size_t *ret_n)
{
    pthread_mutex_lock(&monitor->lock);
    size_t n = monitor->n_containers;
    struct engine_container *copy = arena_alloc(arena, (n + 1) * sizeof(*copy));
    for (size_t i = 0; i < n; i++) {
        copy[i] = monitor->containers[i];
        copy[i].id = arena_strdup(arena, copy[i].id);
        copy[i].name = arena_strdup(arena, copy[i].name);
        copy[i].service = arena_strdup(arena, copy[i].service);
        copy[i].image = arena_strdup(arena, copy[i].image);
        copy[i].image_id = arena_strdup(arena, copy[i].image_id);
        copy[i].state = arena_strdup(arena, copy[i].state);
        copy[i].health = arena_strdup(arena, copy[i].health);
        copy[i].error = arena_strdup(arena, copy[i].error);
    }
    pthread_mutex_unlock(&monitor->lock);
    *ret_containers = copy;
    *ret_n = n;
}

bool monitor_sample(struct monitor *monitor, struct stats *ret_stats, int64_t *ret_at_ms)
{
    pthread_mutex_lock(&monitor->lock);
    bool has = monitor->sampled_ms != 0;
    if (has) {
        *ret_stats = monitor->stats;
        ret_stats->cpus =
            xmemdup(monitor->stats.cpus, monitor->stats.n_cpus * sizeof(*monitor->stats.cpus));
        *ret_at_ms = monitor->sampled_ms;
    }
    pthread_mutex_unlock(&monitor->lock);
    return has;
}
