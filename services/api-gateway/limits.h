/* How much of the gateway one account may hold at a time: a guest that does not answer, or a
 * client that opens streams without end, must not take everybody's connections. */
#pragma once

#include <pthread.h>
#include <stddef.h>

#include "shared/base/error.h"

enum limit_kind { LIMIT_GUEST_CALLS, LIMIT_STREAMS, LIMIT_UPLOADS, LIMIT_WAITS, LIMIT_KINDS_ };

enum { LIMIT_BUCKETS = 256 };

struct limits_entry;

struct limits {
    pthread_mutex_t lock;
    struct limits_entry *entries[LIMIT_BUCKETS]; /* accounts that hold something now */
    unsigned max[LIMIT_KINDS_];                  /* of one account */
    unsigned total_max[LIMIT_KINDS_];            /* of all; 0: no limit */
    unsigned total[LIMIT_KINDS_];
};

void limits_init(struct limits *limits);
void limits_done(struct limits *limits);

void limits_set_max(struct limits *limits, enum limit_kind kind, unsigned max);
void limits_set_total(struct limits *limits, enum limit_kind kind, unsigned max);

/* RESOURCE_EXHAUSTED when all hold what there is, or the account holds its share already. */
struct error *limits_enter(struct limits *limits, const char *account,
                           enum limit_kind kind) _must_check_;
void limits_leave(struct limits *limits, const char *account, enum limit_kind kind);
