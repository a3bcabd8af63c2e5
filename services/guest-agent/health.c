#include "services/guest-agent/health.h"

#include <stdarg.h>

static void add_reason(struct health_verdict *verdict, const char *fmt, ...) _printf_(2, 3);
static void add_reason(struct health_verdict *verdict, const char *fmt, ...)
{
    size_t used = strlen(verdict->reason);
    va_list args;

    verdict->healthy = false;
    if (used && used + 2 < sizeof(verdict->reason)) {
        memcpy(verdict->reason + used, "; ", 3);
        used += 2;
    }
    va_start(args, fmt);
    vsnprintf(verdict->reason + used, sizeof(verdict->reason) - used, fmt, args);
    va_end(args);
}

bool health_is_lost(const struct engine_container *container)
{
    if (strcmp(container->state, "dead") == 0)
        return true;
    return strcmp(container->state, "exited") == 0 && container->exit_code != 0 &&
           !container->restarts_itself;
}

/* When it was last seen to have restarted; 0: never. */
static int64_t restarted_at(struct health_memory *memory, const struct engine_container *container,
                            int64_t now_ms)
{
    for (size_t i = 0; i < memory->n; i++) {
        if (strcmp(memory->containers[i].id, container->id) != 0)
            continue;
        if (container->restarts > memory->containers[i].restarts)
            memory->containers[i].restarted_ms = now_ms;
        memory->containers[i].restarts = container->restarts;
        return memory->containers[i].restarted_ms;
    }
    if (memory->n < ENGINE_CONTAINERS_MAX) {
        size_t at = memory->n++;
        snprintf(memory->containers[at].id, sizeof(memory->containers[at].id), "%s", container->id);
        memory->containers[at].restarts = container->restarts;
        memory->containers[at].restarted_ms = container->restarts ? now_ms : 0;
        return memory->containers[at].restarted_ms;
    }
    return 0;
}

/* True when the container is what is wrong. */
static bool judge_container(const struct engine_container *container, int64_t restarted_ms,
                            int64_t now_ms, struct health_verdict *verdict)
{
    const char *name = container->service;
    bool finished = strcmp(container->state, "exited") == 0 && container->exit_code == 0 &&
                    !container->restarts_itself;

    if (strcmp(container->state, "running") != 0 && !finished) {
        add_reason(verdict, "container '%s' is %s, exit code %d%s%s", name, container->state,
                   container->exit_code, container->error[0] ? ": " : "", container->error);
        return true;
    }
    if (restarted_ms && now_ms - restarted_ms < HEALTH_RESTART_MEMORY) {
        add_reason(verdict, "container '%s' restarted, %u times so far, last exit code %d", name,
                   container->restarts, container->exit_code);
        return true;
    }
    if (strcmp(container->health, "unhealthy") == 0) {
        add_reason(verdict, "container '%s' fails its health check", name);
        return true;
    }
    return false;
}

static void judge_certificate(const struct health_facts *facts, struct health_verdict *verdict)
{
    int64_t left = facts->certificate_not_after_ms - facts->now_ms;

    /* One slow handshake on a busy machine is not an outage. */
    if (facts->certificate_error && facts->certificate_misses >= HEALTH_CERTIFICATE_MISSES)
        add_reason(verdict, "certificate: %s", facts->certificate_error);
    else if (facts->certificate_not_after_ms && left < 0)
        add_reason(verdict, "certificate has expired");
    else if (facts->certificate_not_after_ms && left < HEALTH_CERTIFICATE_MARGIN)
        add_reason(verdict, "certificate expires in %lld hours", (long long)(left / 3600000));
}

void health_judge(const struct health_facts *facts, struct health_memory *memory,
                  struct health_verdict *ret_verdict)
{
    *ret_verdict = (struct health_verdict){.healthy = true};
    if (facts->engine_error)
        add_reason(ret_verdict, "docker: %s", facts->engine_error);
    for (size_t i = 0; i < facts->n_containers; i++) {
        const struct engine_container *container = &facts->containers[i];
        int64_t restarted_ms = restarted_at(memory, container, facts->now_ms);
        bool bad = judge_container(container, restarted_ms, facts->now_ms, ret_verdict);
        if (bad && !ret_verdict->worst)
            ret_verdict->worst = container;
    }
    judge_certificate(facts, ret_verdict);
}
