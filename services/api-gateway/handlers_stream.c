/* Live events and logs as server-sent events. */
#include "schemas/guest.pb-c.h"
#include "services/api-gateway/guest_call.h"
#include "services/api-gateway/handlers.h"
#include "services/api-gateway/time_text.h"
#include "shared/base/alloc.h"
#include "shared/bus/subject.h"

enum { LINES_PER_BATCH_MAX = 256 };

struct event_stream {
    char account[64];
};

static bool format_event(void *data, const struct bus_message *message, struct arena *arena,
                         struct buffer *ret_text)
{
    const struct event_stream *stream = data;
    void *unpacked = NULL;
    struct error *err = bus_unpack(&coffer__v1__workload_event__descriptor, message->data,
                                   message->size, arena, &unpacked);

    error_free(
        err); /* not an event: the scheduler alone writes here, so it is of another version */
    const Coffer__V1__WorkloadEvent *event = unpacked;
    if (event && strcmp(event->account_id, stream->account) == 0) {
        _cleanup_(json_decrefp) json_t *json = event_to_json(event);
        sse_add(ret_text, event->kind, message->stream_sequence, json);
    }
    return true;
}

static struct error *open_events(struct request *request, const char *filter,
                                 struct response *ret_response)
{
    struct event_stream *stream = xnew(struct event_stream);
    const struct sse_options options = {
        .kind = SSE_EVENTS,
        .filter = filter,
        .format = format_event,
        .data = stream,
        .free_data = free,
    };

    snprintf(stream->account, sizeof(stream->account), "%s", request->account);
    return sse_open(request, &options, ret_response);
}

struct error *on_workload_events_stream(struct request *request, struct response *ret_response)
{
    Coffer__V1__Workload *workload;
    struct error *err = workload_load(request, request->parameter, &workload);

    if (err)
        return err;
    return open_events(request,
                       arena_printf(request->arena, "evt.workload.%s.*", workload->workload_id),
                       ret_response);
}

struct error *on_all_events_stream(struct request *request, struct response *ret_response)
{
    return open_events(request, "evt.workload.*.*", ret_response);
}

struct log_stream {
    struct gateway *gateway;
    char *workload_id;
    char account[64];
    char *container;      /* NULL: every source */
    uint64_t boot_number; /* of the key below */
    uint8_t key[SIGN_KEY_SIZE];
    bool has_key;
    int64_t since_ms; /* earlier lines are left out; 0: none */
    bool unverified;  /* lines of earlier boots are wanted too */
};

static void log_stream_free(void *data)
{
    struct log_stream *stream = data;

    free(stream->workload_id);
    free(stream->container);
    free(stream);
}

/* The attested key of the present boot: read again when a batch of a later boot comes. */
static void load_key(struct log_stream *stream, struct arena *arena)
{
    struct request request = {.gateway = stream->gateway, .arena = arena};
    Coffer__V1__Workload *workload = NULL;

    memcpy(request.account, stream->account, sizeof(request.account));
    struct error *err = workload_load(&request, stream->workload_id, &workload);
    if (!err) {
        stream->boot_number = workload->boot_number;
        stream->has_key = workload->guest_sign_public.len == SIGN_KEY_SIZE;
        if (stream->has_key)
            memcpy(stream->key, workload->guest_sign_public.data, SIGN_KEY_SIZE);
    }
    error_free(err);
}

static bool is_genuine(struct log_stream *stream, const struct bus_message *message,
                       const Coffer__V1__LogBatch *batch, struct arena *arena)
{
    if (!stream->has_key || batch->boot_number > stream->boot_number)
        load_key(stream, arena);
    const ProtobufCBinaryData key = {.len = stream->has_key ? SIGN_KEY_SIZE : 0,
                                     .data = stream->key};
    struct error *err = guest_verify(message, &key, arena);
    bool genuine = !err;
    error_free(err);
    return genuine;
}

static bool is_wanted(const struct log_stream *stream, const Coffer__V1__LogBatch *batch)
{
    return !stream->container || strcmp(stream->container, batch->source) == 0;
}

/* How many of the batch count: up to the last one that is not too old. */
static size_t lines_since(const Coffer__V1__LogBatch *batch, int64_t since_ms)
{
    size_t n = batch->n_lines < LINES_PER_BATCH_MAX ? batch->n_lines : LINES_PER_BATCH_MAX;

    while (n && batch->lines[n - 1]->at_ms < since_ms)
        n--;
    return n;
}

static void add_lines(const Coffer__V1__LogBatch *batch, int64_t since_ms, uint64_t sequence,
                      bool genuine, struct buffer *text)
{
    size_t n = lines_since(batch, since_ms);

    for (size_t i = 0; i < n; i++) {
        const Coffer__V1__LogLine *line = batch->lines[i];
        if (line->at_ms < since_ms)
            continue;
        char at[CLOCK_TEXT_SIZE];
        clock_format(line->at_ms, at);
        _cleanup_(json_decrefp) json_t *json = json_pack(
            "{s:o, s:s, s:o, s:o, s:I, s:I, s:b}", "source",
            json_text(batch->source, strlen(batch->source)), "timestamp", at, "stream",
            json_text(line->stream, strlen(line->stream)), "text",
            json_text(line->text.data, line->text.len), "dropped", (json_int_t)line->dropped,
            "bootNumber", (json_int_t)batch->boot_number, "verified", genuine);
        /* Only the last line has the id: a batch that was cut off is sent again as a whole. */
        sse_add(text, "log", i + 1 == n ? sequence : 0, json);
    }
}

/*
 * Lines of the present boot must be signed by its attested guest. Those of earlier boots cannot be
 * checked any more (the record keeps the present key only): a host could have made them up, so they
 * come only when asked for, and say so.
 */
static bool format_log(void *data, const struct bus_message *message, struct arena *arena,
                       struct buffer *ret_text)
{
    struct log_stream *stream = data;
    void *unpacked = NULL;
    struct error *err = bus_unpack(&coffer__v1__log_batch__descriptor, message->data, message->size,
                                   arena, &unpacked);

    if (!err) {
        const Coffer__V1__LogBatch *batch = unpacked;
        bool genuine = is_genuine(stream, message, batch, arena);
        if (!genuine && batch->boot_number >= stream->boot_number)
            err = error_new(ERROR_PERMISSION_DENIED, "not signed by the attested guest");
        else if ((genuine || stream->unverified) && is_wanted(stream, batch))
            add_lines(batch, stream->since_ms, message->stream_sequence, genuine, ret_text);
    }
    if (err)
        metrics_add(&stream->gateway->metrics, &stream->gateway->metrics.untrusted_logs);
    error_free(err);
    return true;
}

static struct error *read_since(const struct request *request, int64_t *ret_ms)
{
    const char *since = http_query(request, "since");

    if (since && *since && !time_text_since(since, clock_wall_ms(request->gateway->clock), ret_ms))
        return error_new(
            ERROR_INVALID_ARGUMENT,
            "'since' is neither a time like 2030-01-31T12:00:00Z nor one ago like 10m");
    return NULL;
}

static struct error *read_unverified(const struct request *request, bool *ret_unverified)
{
    const char *text = http_query(request, "unverified");

    *ret_unverified = text && strcmp(text, "true") == 0;
    if (text && !*ret_unverified && strcmp(text, "false") != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "'unverified' is neither true nor false");
    return NULL;
}

struct error *on_logs_stream(struct request *request, struct response *ret_response)
{
    Coffer__V1__Workload *workload;
    int64_t since_ms = 0;
    const char *container = http_query(request, "container");
    bool unverified = false;
    struct error *err = workload_load(request, request->parameter, &workload);

    err = err ?: read_since(request, &since_ms);
    err = err ?: read_unverified(request, &unverified);
    if (err)
        return err;
    struct log_stream *stream = xnew(struct log_stream);
    stream->gateway = request->gateway;
    stream->workload_id = xstrdup(workload->workload_id);
    memcpy(stream->account, request->account, sizeof(stream->account));
    stream->container = container && *container ? xstrdup(container) : NULL;
    stream->since_ms = since_ms;
    stream->unverified = unverified;
    const struct sse_options options = {
        .kind = SSE_LOGS,
        .filter = arena_printf(request->arena, "log.*.%s.*", workload->workload_id),
        .format = format_log,
        .data = stream,
        .free_data = log_stream_free,
    };
    return sse_open(request, &options, ret_response);
}
