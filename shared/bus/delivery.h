/*
 * One thread and a bounded queue in front of it: what makes the handlers of a bus run one after
 * the other, in the order of arrival, whichever thread the bytes came in on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "shared/base/error.h"

#define DELIVERY_JOBS_MAX  65536
#define DELIVERY_BYTES_MAX (64 * 1024 * 1024)

struct delivery;

/* Embedded first in the poster's own struct. */
struct delivery_job {
    struct delivery_job *next;
    const void *owner;                      /* for delivery_forget() */
    size_t size;                            /* counted against DELIVERY_BYTES_MAX */
    void (*run)(struct delivery_job *job);  /* on the delivery thread, at most once */
    void (*free)(struct delivery_job *job); /* once, after run or instead of it */
};

struct error *delivery_new(struct delivery **ret_delivery) _must_check_;

/* Stops the thread after the job in hand and frees the rest; never from the delivery thread. */
void delivery_free(struct delivery *delivery);
DEFINE_CLEANUP(struct delivery *, delivery_free)

/* Takes the job. False: the queue is full or stopped, and the job is freed already. */
bool delivery_post(struct delivery *delivery, struct delivery_job *job);

/* Frees the owner's waiting jobs and waits for the one in hand, unless called by that one. */
void delivery_forget(struct delivery *delivery, const void *owner);

/* Waits until the owner's jobs have run; called on the delivery thread, it forgets them. */
void delivery_finish(struct delivery *delivery, const void *owner);

/* False: not idle within the time. On the delivery thread itself the job in hand is not counted. */
bool delivery_wait_idle(struct delivery *delivery, int timeout_ms);

/* pthread_cond_timedwait() deadline on CLOCK_MONOTONIC; conditions need that clock attribute. */
struct timespec;
void deadline_after_ms(int timeout_ms, struct timespec *ret_deadline);
