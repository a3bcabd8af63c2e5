/* Which streams there are, which are woken by what, and what time does to them. */
#include <time.h>

#include "schemas/guest.pb-c.h"
#include "services/api-gateway/sse_internal.h"
#include "services/api-gateway/workloads.h"
#include "shared/base/alloc.h"
#include "shared/bus/delivery.h"
#include "shared/bus/subject.h"

enum { TICK_MS = 250, WORKLOAD_TOKEN = 2 };

static int64_t now_ms(void)
{
    return clock_monotonic_ms(clock_system());
}

static struct sse_stream **bucket_of(struct sse_hub *hub, const char *subject)
{
    char workload[SUBJECT_MAX] = "";
    uint32_t hash = 2166136261U;

    (void)subject_token(subject, WORKLOAD_TOKEN, workload, sizeof(workload));
    for (const char *at = workload; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 16777619U;
    return &hub->buckets[hash % SSE_BUCKETS];
}

void sse_hub_add(struct sse_hub *hub, struct sse_stream *stream)
{
    struct sse_stream **bucket = bucket_of(hub, stream->options.filter);

    stream->next = hub->streams;
    stream->previous = &hub->streams;
    if (stream->next)
        stream->next->previous = &stream->next;
    hub->streams = stream;
    stream->bucket_next = *bucket;
    stream->bucket_previous = bucket;
    if (stream->bucket_next)
        stream->bucket_next->bucket_previous = &stream->bucket_next;
    *bucket = stream;
    hub->n++;
    hub->n_of_kind[stream->options.kind]++;
    hub->unused_ms[stream->options.kind] = 0;
}

void sse_hub_remove(struct sse_hub *hub, struct sse_stream *stream)
{
    sse_settle(stream, 0);
    *stream->previous = stream->next;
    if (stream->next)
        stream->next->previous = stream->previous;
    *stream->bucket_previous = stream->bucket_next;
    if (stream->bucket_next)
        stream->bucket_next->bucket_previous = stream->bucket_previous;
    if (--hub->n_of_kind[stream->options.kind] == 0)
        hub->unused_ms[stream->options.kind] = now_ms();
    if (--hub->n == 0)
        pthread_cond_broadcast(&hub->gone);
}

void sse_settle(struct sse_stream *stream, unsigned tries)
{
    struct sse_hub *hub = stream->hub;

    if (tries && !stream->settle && hub->n_settling++ == 0)
        pthread_cond_signal(&hub->tick);
    else if (!tries && stream->settle)
        hub->n_settling--;
    stream->settle = tries;
}

void sse_queue(struct sse_stream *stream)
{
    struct sse_hub *hub = stream->hub;

    if (!stream->wants || stream->queued || stream->fetching || stream->ended ||
        stream->sent < stream->text.size)
        return;
    stream->queued = true;
    stream->ready_next = NULL;
    *hub->ready_tail = stream;
    hub->ready_tail = &stream->ready_next;
    pthread_cond_signal(&hub->work);
}

void sse_unpark(struct sse_stream *stream)
{
    stream->due_ms = now_ms() + SSE_KEEPALIVE_MS;
    if (!stream->parked)
        return;
    stream->parked = false;
    MHD_resume_connection(stream->connection);
}

void sse_end(struct sse_stream *stream)
{
    if (stream->ended)
        return;
    stream->ended = true;
    buffer_add_text(&stream->text, "event: reconnect\ndata: {}\n\n");
    sse_unpark(stream);
}

static void wake_bucket(struct sse_stream *bucket, const char *subject)
{
    int64_t now = now_ms();

    for (struct sse_stream *stream = bucket; stream; stream = stream->bucket_next) {
        if (!subject_matches(stream->options.filter, subject))
            continue;
        stream->wants = true;
        stream->fresh_ms = now;
        sse_settle(stream, SSE_SETTLE_TRIES);
        sse_queue(stream);
    }
}

/* On the bus's delivery thread: something came, and is fetched from its stream. */
static struct error *on_wake(void *state, struct bus_call *call)
{
    struct sse_hub *hub = state;
    const char *subject = call->message->subject;

    pthread_mutex_lock(&hub->lock);
    struct sse_stream **all = bucket_of(hub, "x.x.*");
    struct sse_stream **one = bucket_of(hub, subject);
    wake_bucket(*one, subject);
    if (all != one)
        wake_bucket(*all, subject);
    pthread_mutex_unlock(&hub->lock);
    return NULL;
}

const struct sse_kind_row sse_kinds[SSE_KINDS_] = {
    [SSE_EVENTS] = {"EVENTS",
                    {"evt.workload.*.*", &coffer__v1__workload_event__descriptor, NULL, on_wake,
                     NULL}},
    [SSE_LOGS] = {"LOGS", {"log.*.*.*", &coffer__v1__log_batch__descriptor, NULL, on_wake, NULL}},
};

/* Once in a while all look again: a wake can be lost while the bus is away. */
static void keep_alive(struct sse_stream *stream)
{
    buffer_done(&stream->text);
    stream->sent = 0;
    buffer_add_text(&stream->text, ": still here\n\n");
    stream->wants = true;
    stream->fresh_ms = now_ms() - SSE_POLL_AGE_MS;
    sse_unpark(stream);
}

static void on_time(struct sse_stream *stream, int64_t now)
{
    if (stream->queued || stream->fetching || stream->ended || stream->sent < stream->text.size)
        return;
    if (!stream->settle) {
        keep_alive(stream);
        return;
    }
    sse_settle(stream, stream->settle - 1);
    stream->due_ms = now + (stream->settle ? SSE_SETTLE_MS : SSE_KEEPALIVE_MS);
    stream->fresh_ms = now;
    stream->wants = true;
    sse_queue(stream);
}

/* Nobody waits on a suspended connection; a client that left must not count for long. */
static void look_at_client(struct sse_stream *stream)
{
    if (!stream->parked || !http_client_has_left(stream->fd))
        return;
    stream->gone = true;
    sse_unpark(stream);
}

static void look_at_all(struct sse_hub *hub, int64_t now)
{
    bool clients_too = now >= hub->look_ms;

    if (clients_too)
        hub->look_ms = now + SSE_LOOK_MS;
    for (struct sse_stream *stream = hub->streams; stream; stream = stream->next) {
        if (clients_too)
            look_at_client(stream);
        if (now >= stream->due_ms)
            on_time(stream, now);
    }
}

/* Logs of a whole fleet are much to receive for nobody. A stream is counted before it subscribes,
 * so one that comes meanwhile waits, and subscribes again. */
static void drop_subscription(struct sse_hub *hub, enum sse_kind kind)
{
    pthread_mutex_lock(&hub->subscribe_lock);
    pthread_mutex_lock(&hub->lock);
    bool unused = hub->n_of_kind[kind] == 0;
    hub->unused_ms[kind] = 0;
    pthread_mutex_unlock(&hub->lock);
    if (unused)
        bus_unsubscribe(TAKE_PTR(hub->subscriptions[kind]));
    pthread_mutex_unlock(&hub->subscribe_lock);
}

/* Under the lock, which it lets go of. */
static void drop_unused(struct sse_hub *hub, int64_t now)
{
    for (unsigned i = 0; i < SSE_KINDS_; i++) {
        if (!hub->unused_ms[i] || now - hub->unused_ms[i] < SSE_UNUSED_MS)
            continue;
        pthread_mutex_unlock(&hub->lock);
        drop_subscription(hub, i);
        pthread_mutex_lock(&hub->lock);
    }
}

static void *timer_main(void *state)
{
    struct sse_hub *hub = state;
    struct timespec next;

    pthread_mutex_lock(&hub->lock);
    while (!hub->ending) {
        int ms = hub->n_settling ? SSE_SETTLE_MS : TICK_MS;
        deadline_after_ms(ms, &next);
        (void)pthread_cond_timedwait(&hub->tick, &hub->lock, &next);
        look_at_all(hub, now_ms());
        drop_unused(hub, now_ms());
    }
    pthread_mutex_unlock(&hub->lock);
    return NULL;
}

static void init_locks(struct sse_hub *hub)
{
    pthread_condattr_t attributes;

    pthread_mutex_init(&hub->lock, NULL);
    pthread_mutex_init(&hub->subscribe_lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&hub->work, &attributes);
    pthread_cond_init(&hub->tick, &attributes);
    pthread_cond_init(&hub->gone, &attributes);
    pthread_condattr_destroy(&attributes);
}

struct error *sse_hub_init(struct sse_hub *hub, struct gateway *gateway)
{
    hub->gateway = gateway;
    hub->memo = sse_memo_new();
    hub->ready_tail = &hub->ready;
    init_locks(hub);
    int rc = pthread_create(&hub->timer, NULL, timer_main, hub);
    for (unsigned i = 0; rc == 0 && i < SSE_FETCHERS; i++) {
        hub->n_threads++;
        rc = pthread_create(&hub->fetchers[i], NULL, sse_fetch_main, hub);
    }
    if (rc != 0)
        return error_errno(rc, "start the threads of streams");
    hub->n_threads++;
    return NULL;
}

void sse_hub_stop(struct sse_hub *hub)
{
    if (!hub->gateway)
        return;
    pthread_mutex_lock(&hub->lock);
    hub->stopping = true;
    for (struct sse_stream *stream = hub->streams; stream; stream = stream->next)
        sse_end(stream);
    pthread_mutex_unlock(&hub->lock);
}

bool sse_hub_wait(struct sse_hub *hub, int timeout_ms)
{
    struct timespec deadline;
    int rc = 0;

    deadline_after_ms(timeout_ms, &deadline);
    pthread_mutex_lock(&hub->lock);
    while (hub->n && rc == 0)
        rc = pthread_cond_timedwait(&hub->gone, &hub->lock, &deadline);
    bool gone = hub->n == 0;
    pthread_mutex_unlock(&hub->lock);
    return gone;
}

void sse_hub_done(struct sse_hub *hub)
{
    if (!hub->gateway)
        return;
    pthread_mutex_lock(&hub->lock);
    hub->ending = true;
    pthread_cond_broadcast(&hub->work);
    pthread_cond_broadcast(&hub->tick);
    pthread_mutex_unlock(&hub->lock);
    if (hub->n_threads)
        pthread_join(hub->timer, NULL);
    for (unsigned i = 1; i < hub->n_threads; i++)
        pthread_join(hub->fetchers[i - 1], NULL);
    for (unsigned i = 0; i < SSE_KINDS_; i++)
        bus_unsubscribe(hub->subscriptions[i]);
    sse_memo_free(hub->memo);
    pthread_cond_destroy(&hub->gone);
    pthread_cond_destroy(&hub->tick);
    pthread_cond_destroy(&hub->work);
    pthread_mutex_destroy(&hub->subscribe_lock);
    pthread_mutex_destroy(&hub->lock);
}

size_t sse_hub_count(struct sse_hub *hub)
{
    pthread_mutex_lock(&hub->lock);
    size_t n = hub->n;
    pthread_mutex_unlock(&hub->lock);
    return n;
}
