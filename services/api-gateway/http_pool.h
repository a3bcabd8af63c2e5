/*
 * The threads that run what may block. They are started on demand, end when idle, and are shared:
 * what waits for schedulers or guests may hold only a part of them, so that reads find one.
 */
#pragma once

#include <stdbool.h>

#include "shared/base/cleanup.h"

enum http_share {
    SHARE_BY_ROUTE, /* not one: see request_share() */
    SHARE_READS,    /* what needs the store only: may hold every worker */
    SHARE_CHANGES,  /* asks the scheduler: at most half of them */
    SHARE_GUESTS,   /* asks a guest: at most a quarter */
    SHARES_,
};

struct http_pool;

/* Embedded in the caller's own struct, whose memory it is. */
struct http_job {
    struct http_job *next;
    void (*run)(struct http_job *job);
};

struct http_pool *http_pool_new(unsigned max_workers);

/* Runs what is queued, waits for all of it, and ends the workers. NULL is fine. */
void http_pool_free(struct http_pool *pool);
DEFINE_CLEANUP(struct http_pool *, http_pool_free)

/* False: the share's queue is full, or no thread can be had; nothing happened then. */
bool http_pool_submit(struct http_pool *pool, struct http_job *job,
                      enum http_share share) _must_check_;
