/*
 * Callers that wait for the next answer: bounded, gathered for a window, each with a deadline. It
 * has no threads and no clock: desk.c has.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "services/attester/client.h"
#include "services/attester/evidence.h"
#include "shared/base/buffer.h"
#include "shared/base/error.h"

#define WAITLIST_MAX       512 /* waiting at most; also the largest batch */
#define WAITLIST_SHARE     64  /* of those, from one address at most: who asks more waits outside */
#define WAITLIST_WINDOW_MS 50  /* after the first: its neighbours are usually on their way */
#define WAITLIST_ANSWER_MS 9000 /* the longest that anybody waits; fetchers give up after 10 s */

/* What a caller gets: an error, or the two parts of the answer (evidence_answer()). */
struct reply {
    struct error *err;
    struct evidence *evidence; /* a reference */
    struct buffer binding;
};
void reply_done(struct reply *reply);

/* Belongs to the caller, who keeps it in place until done() is called: once, from any thread. */
struct waiter {
    uint8_t nonce[32]; /* where the answer is for one */
    bool is_known;     /* by the address in client (client.h); else nobody's share counts */
    uint8_t client[CLIENT_SIZE];
    void (*done)(struct waiter *waiter);
    struct reply reply; /* the caller's when done() is called */
    int64_t since_ms;
};

struct waitlist {
    struct waiter *waiting[WAITLIST_MAX];
    size_t n_waiting;
    struct waiter *taken[WAITLIST_MAX]; /* NULL: went away meanwhile */
    size_t n_taken;
};

enum waitlist_place {
    WAITLIST_ADDED,
    WAITLIST_FULL,
    WAITLIST_OVER_SHARE, /* its address has WAITLIST_SHARE of the places */
};
enum waitlist_place waitlist_add(struct waitlist *list, struct waiter *waiter, int64_t now_ms);
/* From when on those that wait may be taken; INT64_MAX: nobody waits, or an answer is being made.
 */
int64_t waitlist_ready_ms(const struct waitlist *list);
/* Takes all that wait; their number. */
size_t waitlist_take(struct waitlist *list, uint8_t (*ret_nonces)[32]);
/* The end of the answer: *ret_waiters as they were taken, NULL for those that went away. */
size_t waitlist_finish(struct waitlist *list, struct waiter **ret_waiters);
/* Removes those whose time is up at now, waiting or taken, at most 2 * WAITLIST_MAX. */
size_t waitlist_expire(struct waitlist *list, int64_t now_ms, struct waiter **ret_waiters);
/* When the next one's time is up; INT64_MAX: nobody's. */
int64_t waitlist_deadline_ms(const struct waitlist *list);
