/* How much of the gateway one account may hold at a time: a guest that does not answer, or a
 * client that opens streams without end, must not take everybody's connections. */
#pragma once

#include <pthread.h>
#include <stddef.h>

#include "shared/base/error.h"

enum limit_kind { LIMIT_GUEST_CALLS, LIMIT_STREAMS, LIMIT_UPLOADS, LIMIT_WAITS, LIMIT_KINDS_ };

struct limits_entry;

struct limits {
    pthread_mutex_t lock;
    struct limits_entry *entries; /* accounts that hold something now */
    unsigned held[LIMIT_KINDS_];  /* of all accounts */
};

void limits_init(struct limits *limits);
void limits_done(struct limits *limits);

/* RESOURCE_EXHAUSTED when the account holds its share already, or all of them hold theirs. */
struct error *limits_enter(struct limits *limits, const char *account,
                           enum limit_kind kind) _must_check_;
void limits_leave(struct limits *limits, const char *account, enum limit_kind kind);
