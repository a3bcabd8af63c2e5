/*
 * The connections that are open, and how long each may take for its next step whatever it sends
 * meanwhile. libmicrohttpd's own timeout begins again with every byte, so that one byte now and
 * then would keep a place for ever.
 */
#pragma once

#include <stdint.h>

#include "shared/base/cleanup.h"
#include "shared/base/clock.h"

#define DOOR_REQUEST_MS 10000 /* from the first moment, or the last answer, to a whole request */
#define DOOR_ANSWER_MS  60000 /* from there to the end of the answer, however slowly it is read */

struct door;
struct visit; /* one connection */

struct door *door_new(struct clock *clock); /* not owned, monotonic; NULL: the system's */
void door_free(struct door *door);          /* nobody may be left inside */
DEFINE_CLEANUP(struct door *, door_free)

/* Until door_leave() the descriptor must stay open. The time for a request begins. */
struct visit *door_enter(struct door *door, int fd);
void door_allow(struct door *door, struct visit *visit, int64_t ms); /* from now on */
void door_leave(struct door *door, struct visit *visit);             /* frees it */

void door_wake(struct door *door); /* looks at the clock again, which tests moved */
