/* Whether the workload is well, and in words what is not. Pure: facts in, verdict out. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "services/guest-agent/engine.h"

#define HEALTH_REASON_MAX         1024
#define HEALTH_CERTIFICATE_MISSES 3 /* looks in a row that may fail before it is said */
#define HEALTH_CERTIFICATE_MARGIN (24LL * 3600 * 1000) /* renewal must be done by then, ms */
#define HEALTH_RESTART_MEMORY     (60LL * 1000)        /* a restart counts as trouble so long, ms */

/* What is remembered between two looks. */
struct health_memory {
    struct {
        char id[65];
        unsigned restarts;
        int64_t restarted_ms; /* 0: not seen restarting */
    } containers[ENGINE_CONTAINERS_MAX];
    size_t n;
};

struct health_facts {
    const struct engine_container *containers;
    size_t n_containers;
    const char *engine_error;         /* NULL: the list above is good */
    const char *certificate_error;    /* NULL: there is one */
    unsigned certificate_misses;      /* looks in a row that ended in that error */
    int64_t certificate_not_after_ms; /* 0: none yet */
    int64_t now_ms;                   /* Unix time */
};

struct health_verdict {
    bool healthy;
    char reason[HEALTH_REASON_MAX];       /* "" when healthy */
    const struct engine_container *worst; /* the first that is down; NULL: none */
};

void health_judge(const struct health_facts *facts, struct health_memory *memory,
                  struct health_verdict *ret_verdict);

/* Ended for good with a failure: nothing will bring it back. */
bool health_is_lost(const struct engine_container *container);
