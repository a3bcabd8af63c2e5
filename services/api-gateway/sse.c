#include "services/api-gateway/sse.h"

#include "services/api-gateway/api_keys.h"
#include "services/api-gateway/auth.h"
#include "services/api-gateway/sse_internal.h"
#include "shared/base/alloc.h"

void sse_stream_free(struct sse_stream *stream)
{
    if (stream->options.free_data)
        stream->options.free_data(stream->options.data);
    buffer_done(&stream->text);
    free((char *)stream->options.filter);
    free(stream->account);
    free(stream);
}

/* The connection is done with it; a fetcher may not be. */
static void stream_close(void *state)
{
    struct sse_stream *stream = state;
    struct sse_hub *hub = stream->hub;

    limits_leave(&hub->gateway->limits, stream->account, LIMIT_STREAMS);
    pthread_mutex_lock(&hub->lock);
    bool held = stream->queued || stream->fetching;
    stream->closed = true;
    sse_hub_remove(hub, stream);
    pthread_mutex_unlock(&hub->lock);
    if (!held)
        sse_stream_free(stream);
}
DEFINE_CLEANUP(struct sse_stream *, stream_close)

static size_t take_text(struct sse_stream *stream, char *out, size_t max)
{
    size_t n = stream->text.size - stream->sent;

    if (n > max)
        n = max;
    if (n)
        memcpy(out, stream->text.data + stream->sent, n);
    stream->sent += n;
    if (stream->sent == stream->text.size) {
        buffer_done(&stream->text);
        stream->sent = 0;
    }
    return n;
}

/* On the event loop: what there is, or the connection sleeps until there is something. */
static ssize_t read_stream(void *state, uint64_t position, char *out, size_t max)
{
    struct sse_stream *stream = state;
    struct sse_hub *hub = stream->hub;

    (void)position;
    pthread_mutex_lock(&hub->lock);
    ssize_t n = (ssize_t)take_text(stream, out, max);
    if (stream->gone) {
        n = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (n == 0 && stream->ended) {
        n = MHD_CONTENT_READER_END_OF_STREAM;
    } else if (n == 0) {
        stream->parked = true;
        MHD_suspend_connection(stream->connection);
    }
    sse_queue(stream);
    pthread_mutex_unlock(&hub->lock);
    return n;
}

/* Sequences begin with 1; from there nothing can be missing, since nothing was seen. */
static struct error *start_position(const struct request *request, struct sse_stream *stream)
{
    const char *last = http_header(request, "Last-Event-ID");

    if (!last || !*last)
        last = http_query(request, "lastEventId");
    stream->next_sequence = 1;
    if (!last || !*last)
        return NULL;
    if (strlen(last) > 18 || strspn(last, "0123456789") != strlen(last))
        return error_new(ERROR_INVALID_ARGUMENT, "Last-Event-ID is not one of ours");
    stream->next_sequence = strtoull(last, NULL, 10) + 1;
    stream->gap_from = stream->next_sequence;
    return NULL;
}

/* Where the stream ends when it was asked for with ?until=now: what is told is what was there. */
static struct error *end_position(const struct request *request, struct sse_stream *stream)
{
    const char *until = http_query(request, "until");

    if (!until)
        return NULL;
    if (strcmp(until, "now") != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "'until' is not \"now\"");
    struct error *err =
        bus_stream_last(request->gateway->bus, sse_kinds[stream->options.kind].stream,
                        stream->options.filter, SSE_READ_TIMEOUT_MS, &stream->last_sequence);
    if (err && error_get_code(err) != ERROR_NOT_FOUND)
        return err;
    error_free(err); /* there is nothing: the end is where it begins */
    _cleanup_(json_decrefp) json_t *json =
        json_pack("{s:I}", "sequence", (json_int_t)stream->last_sequence);
    pthread_mutex_lock(&stream->hub->lock);
    stream->until_now = true;
    sse_add(&stream->text, "until", 0, json);
    pthread_mutex_unlock(&stream->hub->lock);
    return NULL;
}

static struct sse_stream *stream_new(struct request *request, const struct sse_options *options)
{
    struct sse_hub *hub = &request->gateway->streams;
    struct sse_stream *stream = xnew(struct sse_stream);

    stream->hub = hub;
    stream->connection = request->connection;
    stream->fd = request->client->fd;
    stream->options = *options;
    stream->options.filter = xstrdup(options->filter);
    stream->account = xstrdup(request->account);
    api_key_hash(auth_secret(request), stream->key_sha256);
    stream->wants = true;
    stream->fresh_ms = clock_monotonic_ms(clock_system());
    stream->due_ms = stream->fresh_ms + SSE_KEEPALIVE_MS;
    buffer_add_text(&stream->text, "retry: 1000\n\n");
    pthread_mutex_lock(&hub->lock);
    sse_hub_add(hub, stream);
    if (hub->stopping)
        sse_end(stream);
    pthread_mutex_unlock(&hub->lock);
    return stream;
}

/* Before the past is read: what comes in between wakes the stream. */
static struct error *ensure_subscribed(struct sse_hub *hub, enum sse_kind kind)
{
    const struct bus_handler *row = &sse_kinds[kind].wake;
    struct error *err = NULL;

    pthread_mutex_lock(&hub->subscribe_lock);
    if (!hub->subscriptions[kind])
        err = bus_subscribe(hub->gateway->bus, row, row->subject, hub, &hub->subscriptions[kind]);
    pthread_mutex_unlock(&hub->subscribe_lock);
    return err;
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
    _cleanup_(stream_closep) struct sse_stream *stream = stream_new(request, options);
    err = start_position(request, stream);
    if (!err && request->is_head) { /* an end of chunks would follow, which is a body */
        ret_response->content_type = "text/event-stream";
        return NULL;
    }
    err = err ?: ensure_subscribed(&request->gateway->streams, options->kind);
    err = err ?: end_position(request, stream);
    if (err)
        return err;
    /* The block is not used: without a known size the reader writes to the connection's memory. */
    ret_response->endless = true;
    ret_response->raw = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 1, read_stream,
                                                          TAKE_PTR(stream), stream_close);
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
