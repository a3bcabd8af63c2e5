#include "services/attester/desk.h"

#include <pthread.h>
#include <time.h>

#include "shared/base/alloc.h"

struct desk {
    desk_serve *serve;
    void *context;
    struct clock *clock;
    pthread_t server;
    pthread_t keeper;      /* of deadlines */
    pthread_mutex_t mutex; /* of all below */
    pthread_cond_t wake;   /* both threads */
    struct waitlist list;
    unsigned delivering; /* threads that call done() */
    bool closed;
};

/* With the mutex held, until somebody wakes us, at most until that time of the desk's clock. */
static void wait_until(struct desk *desk, int64_t until_ms)
{
    int64_t left_ms = until_ms - clock_monotonic_ms(desk->clock);
    struct timespec until;

    if (until_ms == INT64_MAX) {
        pthread_cond_wait(&desk->wake, &desk->mutex);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += left_ms / 1000;
    until.tv_nsec += left_ms % 1000 * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&desk->wake, &desk->mutex, &until);
}

/* With the mutex held. */
static void end_delivery(struct desk *desk)
{
    desk->delivering--;
    pthread_cond_broadcast(&desk->wake);
}

static void refuse(struct waiter *waiter, enum error_code code, const char *text)
{
    waiter->reply.err = error_new(code, "%s", text);
    waiter->done(waiter);
}

static void deliver(struct waiter *const *waiters, struct reply *replies, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!waiters[i]) {
            reply_done(&replies[i]);
            continue;
        }
        waiters[i]->reply = replies[i];
        waiters[i]->done(waiters[i]);
    }
}

/* With the mutex held, which is let go in between. */
static void serve_all(struct desk *desk, const uint8_t (*nonces)[32], size_t n)
{
    _cleanup_free_ struct reply *replies = xcalloc(n, sizeof(*replies));
    _cleanup_free_ struct waiter **waiters = xcalloc(n, sizeof(struct waiter *));

    pthread_mutex_unlock(&desk->mutex);
    desk->serve(desk->context, nonces, n, replies);
    pthread_mutex_lock(&desk->mutex);
    waitlist_finish(&desk->list, waiters);
    desk->delivering++;
    pthread_mutex_unlock(&desk->mutex);
    deliver(waiters, replies, n);
    pthread_mutex_lock(&desk->mutex);
    end_delivery(desk);
}

static void *serve(void *data)
{
    struct desk *desk = data;
    uint8_t nonces[WAITLIST_MAX][32];

    pthread_mutex_lock(&desk->mutex);
    while (!desk->closed) {
        int64_t ready_ms = waitlist_ready_ms(&desk->list);

        if (ready_ms > clock_monotonic_ms(desk->clock)) {
            wait_until(desk, ready_ms);
            continue;
        }
        size_t n = waitlist_take(&desk->list, nonces);
        serve_all(desk, (const uint8_t(*)[32])nonces, n);
    }
    pthread_mutex_unlock(&desk->mutex);
    return NULL;
}

/* With the mutex held, which is let go in between. now_ms INT64_MAX: everybody. */
static void send_away(struct desk *desk, int64_t now_ms, enum error_code code, const char *text)
{
    struct waiter *waiters[2 * WAITLIST_MAX];

    size_t n = waitlist_expire(&desk->list, now_ms, waiters);
    desk->delivering++;
    pthread_mutex_unlock(&desk->mutex);
    for (size_t i = 0; i < n; i++)
        refuse(waiters[i], code, text);
    pthread_mutex_lock(&desk->mutex);
    end_delivery(desk);
}

static void *keep(void *data)
{
    struct desk *desk = data;

    pthread_mutex_lock(&desk->mutex);
    while (!desk->closed) {
        int64_t deadline_ms = waitlist_deadline_ms(&desk->list);
        int64_t now_ms = clock_monotonic_ms(desk->clock);

        if (deadline_ms > now_ms)
            wait_until(desk, deadline_ms);
        else
            send_away(desk, now_ms, ERROR_DEADLINE_EXCEEDED, "the processor does not answer");
    }
    pthread_mutex_unlock(&desk->mutex);
    return NULL;
}

struct desk *desk_new(desk_serve *serve_function, void *context, struct clock *clock)
{
    struct desk *desk = xnew(struct desk);
    pthread_condattr_t monotonic;

    desk->serve = serve_function;
    desk->context = context;
    desk->clock = clock ?: clock_system();
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&desk->mutex, NULL);
    pthread_cond_init(&desk->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&desk->server, NULL, serve, desk) != 0 ||
        pthread_create(&desk->keeper, NULL, keep, desk) != 0)
        abort();
    return desk;
}

void desk_ask(struct desk *desk, struct waiter *waiter)
{
    enum waitlist_place place = WAITLIST_FULL;

    pthread_mutex_lock(&desk->mutex);
    bool closed = desk->closed;
    if (!closed)
        place = waitlist_add(&desk->list, waiter, clock_monotonic_ms(desk->clock));
    if (place == WAITLIST_ADDED)
        pthread_cond_broadcast(&desk->wake);
    pthread_mutex_unlock(&desk->mutex);
    if (closed)
        refuse(waiter, ERROR_UNAVAILABLE, "the attester is stopping");
    else if (place == WAITLIST_FULL)
        refuse(waiter, ERROR_UNAVAILABLE, "too many requests wait already");
    else if (place == WAITLIST_OVER_SHARE)
        refuse(waiter, ERROR_RESOURCE_EXHAUSTED, "too many requests of your address wait already");
}

void desk_wake(struct desk *desk)
{
    pthread_mutex_lock(&desk->mutex);
    pthread_cond_broadcast(&desk->wake);
    pthread_mutex_unlock(&desk->mutex);
}

void desk_close(struct desk *desk)
{
    pthread_mutex_lock(&desk->mutex);
    desk->closed = true;
    pthread_cond_broadcast(&desk->wake);
    send_away(desk, INT64_MAX, ERROR_UNAVAILABLE, "the attester is stopping");
    while (desk->delivering > 0)
        pthread_cond_wait(&desk->wake, &desk->mutex);
    pthread_mutex_unlock(&desk->mutex);
}

void desk_free(struct desk *desk)
{
    if (!desk)
        return;
    desk_close(desk);
    pthread_join(desk->server, NULL);
    pthread_join(desk->keeper, NULL);
    pthread_mutex_destroy(&desk->mutex);
    pthread_cond_destroy(&desk->wake);
    free(desk);
}
