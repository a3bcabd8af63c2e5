#include "services/attester/door.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <time.h>

#include "shared/base/alloc.h"

#define ROUND_S 1 /* how often the clock is looked at */

struct visit {
    int fd;
    int64_t deadline_ms; /* INT64_MAX: has been shown out */
    struct visit *next;
    struct visit **self; /* what points here */
};

struct door {
    struct clock *clock;
    pthread_t keeper;
    pthread_mutex_t mutex; /* of the rest */
    pthread_cond_t wake;
    struct visit *visits;
    bool closed;
};

/* With the mutex held. Shut and not closed: the descriptor's end stays the server's business. */
static void show_out(struct door *door)
{
    int64_t now_ms = clock_monotonic_ms(door->clock);

    for (struct visit *visit = door->visits; visit; visit = visit->next) {
        if (visit->deadline_ms > now_ms)
            continue;
        shutdown(visit->fd, SHUT_RDWR);
        visit->deadline_ms = INT64_MAX;
    }
}

static void *keep(void *data)
{
    struct door *door = data;
    struct timespec until;

    pthread_mutex_lock(&door->mutex);
    while (!door->closed) {
        show_out(door);
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += ROUND_S;
        pthread_cond_timedwait(&door->wake, &door->mutex, &until);
    }
    pthread_mutex_unlock(&door->mutex);
    return NULL;
}

struct door *door_new(struct clock *clock)
{
    struct door *door = xnew(struct door);
    pthread_condattr_t monotonic;

    door->clock = clock ?: clock_system();
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&door->mutex, NULL);
    pthread_cond_init(&door->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&door->keeper, NULL, keep, door) != 0)
        abort();
    return door;
}

void door_free(struct door *door)
{
    if (!door)
        return;
    pthread_mutex_lock(&door->mutex);
    door->closed = true;
    pthread_cond_signal(&door->wake);
    pthread_mutex_unlock(&door->mutex);
    pthread_join(door->keeper, NULL);
    pthread_mutex_destroy(&door->mutex);
    pthread_cond_destroy(&door->wake);
    free(door);
}

struct visit *door_enter(struct door *door, int fd)
{
    struct visit *visit = xnew(struct visit);

    visit->fd = fd;
    pthread_mutex_lock(&door->mutex);
    visit->deadline_ms = clock_monotonic_ms(door->clock) + DOOR_REQUEST_MS;
    visit->next = door->visits;
    visit->self = &door->visits;
    if (visit->next)
        visit->next->self = &visit->next;
    door->visits = visit;
    pthread_mutex_unlock(&door->mutex);
    return visit;
}

void door_allow(struct door *door, struct visit *visit, int64_t ms)
{
    pthread_mutex_lock(&door->mutex);
    if (visit->deadline_ms != INT64_MAX)
        visit->deadline_ms = clock_monotonic_ms(door->clock) + ms;
    pthread_mutex_unlock(&door->mutex);
}

void door_leave(struct door *door, struct visit *visit)
{
    pthread_mutex_lock(&door->mutex);
    *visit->self = visit->next;
    if (visit->next)
        visit->next->self = visit->self;
    pthread_mutex_unlock(&door->mutex);
    free(visit);
}

void door_wake(struct door *door)
{
    pthread_mutex_lock(&door->mutex);
    pthread_cond_signal(&door->wake);
    pthread_mutex_unlock(&door->mutex);
}
