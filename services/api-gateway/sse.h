/*
 * Live streams as server-sent events. The JetStream stream itself is the queue: a client is at a
 * sequence of it, and is sent what comes next from there. So nothing is buffered for a slow client,
 * Last-Event-ID (the stream's sequence) resumes exactly, and order is the stream's. A client that
 * does not read is closed by the connection's time limit. ?until=now ends a stream behind what was
 * there when it was opened. One whose API key is not good any more is
 * ended before it is told anything else.
 *
 * An idle stream has no thread and no subscription: its connection is suspended. One subscription
 * of each kind tells the hub that something came; few threads fetch it for the streams that it is
 * for, and wake their connections.
 */
#pragma once

#include "services/api-gateway/http.h"
#include "shared/bus/bus.h"

enum { SSE_BUCKETS = 1024, SSE_FETCHERS = 4 };

/* What can be followed. */
enum sse_kind { SSE_EVENTS, SSE_LOGS, SSE_KINDS_ };

struct sse_stream;
struct sse_memo;

/* All streams, and the threads that serve them. */
struct sse_hub {
    struct gateway *gateway;
    struct sse_memo *memo;
    pthread_t fetchers[SSE_FETCHERS];
    pthread_t timer;
    unsigned n_threads; /* started, the timer first */
    pthread_mutex_t subscribe_lock;
    struct bus_subscription *subscriptions[SSE_KINDS_]; /* while there are streams of the kind */

    pthread_mutex_t lock; /* the rest */
    pthread_cond_t work;
    pthread_cond_t tick;
    pthread_cond_t gone;
    struct sse_stream *streams;
    struct sse_stream *buckets[SSE_BUCKETS]; /* by workload; "*" for streams of all */
    struct sse_stream *ready;
    struct sse_stream **ready_tail;
    size_t n;
    size_t n_of_kind[SSE_KINDS_];
    int64_t unused_ms[SSE_KINDS_]; /* since when there is none of the kind; 0: there are some */
    size_t n_settling;
    int64_t look_ms; /* when clients are looked at again */
    bool stopping;   /* streams end */
    bool ending;     /* threads end */
};

struct error *sse_hub_init(struct sse_hub *hub, struct gateway *gateway) _must_check_;
/* Ends all, and every new one, with "event: reconnect". */
void sse_hub_stop(struct sse_hub *hub);
bool sse_hub_wait(struct sse_hub *hub, int timeout_ms); /* until all are gone; false: not yet */
void sse_hub_done(struct sse_hub *hub);                 /* there are no streams any more */
size_t sse_hub_count(struct sse_hub *hub);

/*
 * Turns a message of the stream into "data:" blocks (sse_add), or nothing when it is not for this
 * client. Its memory is the arena's, which lives for this one message. False ends the stream.
 */
typedef bool (*sse_format_fn)(void *data, const struct bus_message *message, struct arena *arena,
                              struct buffer *ret_text);

struct sse_options {
    enum sse_kind kind;
    const char *filter; /* subject pattern within the kind's; its third token is the workload */
    sse_format_fn format;
    void *data; /* owned by the stream from now on */
    void (*free_data)(void *data);
};

/* Answers the request with a stream; takes options->data, also on failure. */
struct error *sse_open(struct request *request, const struct sse_options *options,
                       struct response *ret_response) _must_check_;

/* One event: id 0 leaves the id out. */
void sse_add(struct buffer *text, const char *event, uint64_t id, const json_t *json);
