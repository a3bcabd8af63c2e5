/*
 * The threads around a waitlist: one makes the answers and may hang in the TEE as long as it
 * likes, another one sends callers away whose time is up.
 */
#pragma once

#include "services/attester/waitlist.h"
#include "shared/base/clock.h"

struct desk;

/* Makes n answers, replies[i] for nonces[i]; replies are empty before. Runs in the desk's thread.
 */
typedef void desk_serve(void *context, const uint8_t (*nonces)[32], size_t n,
                        struct reply *replies);

/* clock: monotonic; NULL is the system's. Neither context nor clock is owned. */
struct desk *desk_new(desk_serve *serve, void *context, struct clock *clock);
/*
 * Gets the waiter's reply, by its done(), perhaps before this returns: RESOURCE_EXHAUSTED when too
 * many of its address wait, UNAVAILABLE when too many wait at all or the desk is closed,
 * DEADLINE_EXCEEDED after WAITLIST_ANSWER_MS.
 */
void desk_ask(struct desk *desk, struct waiter *waiter);
void desk_wake(struct desk *desk);  /* looks at the clock again, which tests moved */
void desk_close(struct desk *desk); /* everybody gets UNAVAILABLE at once, now and later */
void desk_free(struct desk *desk);  /* closes; waits for the answer that is being made */
DEFINE_CLEANUP(struct desk *, desk_free)
