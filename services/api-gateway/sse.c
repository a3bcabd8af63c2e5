#include "services/api-gateway/sse.h"

#include "services/api-gateway/gateway.h"
#include "shared/base/alloc.h"

enum {
    KEEPALIVE_MS = 10000, /* a comment, so that both sides notice when the other is gone */
    READ_TIMEOUT_MS = 2000,
    SETTLE_MS = 20, /* a live message may arrive before the stream has stored it */
    SETTLE_TRIES = 50,
    AWAY_MS = 1000,
    BLOCK_SIZE = 16 * 1024,
};

struct sse_stream {
    struct sse_stream *next;
    struct gateway *gateway;
    struct bus_handler row; /* of the subscription that wakes us */
    struct bus_subscription *subscription;
    struct sse_options options;
    char *stream_name;
    char *filter;
    char *account;
    uint64_t next_sequence;
    struct buffer text; /* written, not yet sent */
    size_t sent;
    unsigned settle; /* tries left since the latest wake */
    bool ended;

    pthread_mutex_t lock; /* the rest */
    pthread_cond_t changed;
    uint64_t wakes;
    uint64_t wakes_seen;
    bool stopping;
};

void sse_hub_init(struct sse_hub *hub)
{
    *hub = (struct sse_hub){.lock = PTHREAD_MUTEX_INITIALIZER};
}

void sse_hub_done(struct sse_hub *hub)
{
    pthread_mutex_destroy(&hub->lock);
}

size_t sse_hub_count(struct sse_hub *hub)
{
    pthread_mutex_lock(&hub->lock);
    size_t n = hub->n;
    pthread_mutex_unlock(&hub->lock);
    return n;
}

void sse_hub_stop(struct sse_hub *hub)
{
    pthread_mutex_lock(&hub->lock);
    hub->stopping = true;
    for (struct sse_stream *stream = hub->streams; stream; stream = stream->next) {
        pthread_mutex_lock(&stream->lock);
        stream->stopping = true;
        pthread_cond_broadcast(&stream->changed);
        pthread_mutex_unlock(&stream->lock);
    }
    pthread_mutex_unlock(&hub->lock);
}

static void hub_add(struct sse_hub *hub, struct sse_stream *stream)
{
    pthread_mutex_lock(&hub->lock);
    stream->stopping = hub->stopping;
    stream->next = hub->streams;
    hub->streams = stream;
    hub->n++;
    pthread_mutex_unlock(&hub->lock);
}

static void hub_remove(struct sse_hub *hub, const struct sse_stream *stream)
{
    pthread_mutex_lock(&hub->lock);
    struct sse_stream **at = &hub->streams;
    while (*at != stream)
        at = &(*at)->next;
    *at = stream->next;
    hub->n--;
    pthread_mutex_unlock(&hub->lock);
}

static void stream_free(void *state)
{
    struct sse_stream *stream = state;

    hub_remove(&stream->gateway->streams, stream);
    bus_unsubscribe(stream->subscription);
    limits_leave(&stream->gateway->limits, stream->account, LIMIT_STREAMS);
    if (stream->options.free_data)
        stream->options.free_data(stream->options.data);
    buffer_done(&stream->text);
    pthread_cond_destroy(&stream->changed);
    pthread_mutex_destroy(&stream->lock);
    free(stream->stream_name);
    free(stream->filter);
    free(stream->account);
    free(stream);
}
DEFINE_CLEANUP(struct sse_stream *, stream_free)

/* On the bus's delivery thread: something came, the reader will fetch it from the stream. */
static struct error *on_wake(void *state, struct bus_call *call)
{
    struct sse_stream *stream = state;

    (void)call;
    pthread_mutex_lock(&stream->lock);
    stream->wakes++;
    pthread_cond_broadcast(&stream->changed);
    pthread_mutex_unlock(&stream->lock);
    return NULL;
}

static void deadline_after(int ms, struct timespec *ret_deadline)
{
    clock_gettime(CLOCK_MONOTONIC, ret_deadline);
    ret_deadline->tv_sec += ms / 1000;
    ret_deadline->tv_nsec += (long)(ms % 1000) * 1000000;
    if (ret_deadline->tv_nsec >= 1000000000) {
        ret_deadline->tv_nsec -= 1000000000;
        ret_deadline->tv_sec++;
    }
}

/* Until a wake that was not seen yet, the end, or the time. False: the time. */
static bool wait_for_wake(struct sse_stream *stream, int ms)
{
    struct timespec deadline;
    int rc = 0;

    deadline_after(ms, &deadline);
    pthread_mutex_lock(&stream->lock);
    while (stream->wakes == stream->wakes_seen && !stream->stopping && rc == 0)
        rc = pthread_cond_timedwait(&stream->changed, &stream->lock, &deadline);
    bool woken = stream->wakes != stream->wakes_seen || stream->stopping;
    stream->wakes_seen = stream->wakes;
    stream->ended = stream->ended || stream->stopping;
    pthread_mutex_unlock(&stream->lock);
    return woken;
}

static void keep_alive(struct sse_stream *stream)
{
    buffer_add_text(&stream->text, ": still here\n\n");
}

static void wait_for_more(struct sse_stream *stream)
{
    if (stream->settle) {
        stream->settle--;
        if (wait_for_wake(stream, SETTLE_MS))
            stream->settle = SETTLE_TRIES;
    } else if (wait_for_wake(stream, KEEPALIVE_MS)) {
        stream->settle = SETTLE_TRIES;
    } else {
        keep_alive(stream);
    }
}

/* Fetches and formats the next message, or waits for one. */
static void fill(struct sse_stream *stream)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct bus_message message;
    struct error *err = bus_stream_next(stream->gateway->bus, stream->stream_name, stream->filter,
                                        stream->next_sequence, READ_TIMEOUT_MS, arena, &message);

    buffer_done(&stream->text);
    stream->sent = 0;
    if (!err) {
        stream->next_sequence = message.stream_sequence + 1;
        stream->settle = 0;
        if (!stream->options.format(stream->options.data, &message, arena, &stream->text))
            stream->ended = true;
    } else if (error_get_code(err) == ERROR_NOT_FOUND) {
        wait_for_more(stream);
    } else { /* the bus is away, which ends nothing */
        wait_for_wake(stream, AWAY_MS);
        keep_alive(stream);
    }
    error_free(err);
}

static bool is_stopping(struct sse_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    bool stopping = stream->stopping;
    pthread_mutex_unlock(&stream->lock);
    return stopping;
}

static ssize_t read_stream(void *state, uint64_t position, char *out, size_t max)
{
    struct sse_stream *stream = state;

    (void)position;
    while (stream->sent == stream->text.size) {
        if (stream->ended || is_stopping(stream))
            return MHD_CONTENT_READER_END_OF_STREAM;
        fill(stream);
    }
    size_t n = stream->text.size - stream->sent;
    if (n > max)
        n = max;
    memcpy(out, stream->text.data + stream->sent, n);
    stream->sent += n;
    return (ssize_t)n;
}

static struct error *start_sequence(const struct request *request, uint64_t *ret_next)
{
    const char *last = http_header(request, "Last-Event-ID") ?: http_query(request, "lastEventId");

    *ret_next = 1;
    if (!last || !*last)
        return NULL;
    if (strlen(last) > 18 || strspn(last, "0123456789") != strlen(last))
        return error_new(ERROR_INVALID_ARGUMENT, "Last-Event-ID is not one of ours");
    *ret_next = strtoull(last, NULL, 10) + 1;
    return NULL;
}

static void init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

static struct sse_stream *stream_new(struct request *request, const struct sse_options *options)
{
    struct sse_stream *stream = xnew(struct sse_stream);

    stream->gateway = request->gateway;
    stream->options = *options;
    stream->stream_name = xstrdup(options->stream);
    stream->filter = xstrdup(options->filter);
    stream->account = xstrdup(request->account);
    pthread_mutex_init(&stream->lock, NULL);
    init_condition(&stream->changed);
    stream->row = (struct bus_handler){
        .subject = stream->filter, .request = options->type, .handle = on_wake};
    buffer_add_text(&stream->text, "retry: 1000\n\n");
    hub_add(&request->gateway->streams, stream);
    return stream;
}

struct error *sse_open(struct request *request, const struct sse_options *options,
                       struct response *ret_response)
{
    struct error *err = limits_enter(&request->gateway->limits, request->account, LIMIT_STREAMS);

    if (err) {
        if (options->free_data)
            options->free_data(options->data);
        return http_refuse(request, 429, "TOO_MANY_REQUESTS", err);
    }
    _cleanup_(stream_freep) struct sse_stream *stream = stream_new(request, options);
    err = start_sequence(request, &stream->next_sequence);
    /* Subscribed before the past is read: what comes in between wakes us. */
    err = err
              ?: bus_subscribe(request->gateway->bus, &stream->row, stream->filter, stream,
                               &stream->subscription);
    if (err)
        return err;
    ret_response->raw = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_SIZE, read_stream,
                                                          TAKE_PTR(stream), stream_free);
    MHD_add_response_header(ret_response->raw, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream");
    MHD_add_response_header(ret_response->raw, "X-Accel-Buffering", "no");
    return NULL;
}

void sse_add(struct buffer *text, const char *event, uint64_t id, const json_t *json)
{
    _cleanup_free_ char *data = json_dumps(json, JSON_COMPACT);

    if (!data)
        return;
    if (id)
        buffer_printf(text, "id: %llu\n", (unsigned long long)id);
    buffer_printf(text, "event: %s\n", event);
    buffer_add_text(text, "data: ");
    buffer_add_text(text, data); /* JSON has no line ends */
    buffer_add_text(text, "\n\n");
}
