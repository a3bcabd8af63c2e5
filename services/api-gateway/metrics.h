/* Counters for Prometheus: requests by route and status class, and what was refused. */
#pragma once

#include <pthread.h>
#include <stdint.h>

#include "shared/base/buffer.h"

#define METRICS_ROUTES_MAX 128

struct metrics_row {
    const char *route;    /* static */
    uint64_t by_class[6]; /* status / 100 */
    uint64_t duration_ms;
};

struct metrics {
    pthread_mutex_t lock;
    struct metrics_row rows[METRICS_ROUTES_MAX];
    size_t n_rows;
    uint64_t untrusted_answers; /* of guests: not signed, or not by the attested key */
    uint64_t untrusted_logs;
    uint64_t webhook_ok;        /* attempts that were answered with 2xx */
    uint64_t webhook_failures;  /* and the others */
    uint64_t webhook_delivered; /* deliveries that have ended well */
    uint64_t webhook_given_up;
    uint64_t webhook_dropped; /* never sent: too many were waiting, or the webhook was off */
};

void metrics_init(struct metrics *metrics);
void metrics_done(struct metrics *metrics);
void metrics_count(struct metrics *metrics, const char *route, unsigned status,
                   int64_t duration_ms);
void metrics_add(struct metrics *metrics, uint64_t *counter); /* a member of metrics */
void metrics_print(struct metrics *metrics, struct buffer *ret_text);
