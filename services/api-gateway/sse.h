/*
 * Live streams as server-sent events. The JetStream stream itself is the queue: a client is at a
 * sequence of it, and is sent what comes next from there; a subscription only wakes it. So nothing
 * is buffered for a slow client, Last-Event-ID (the stream's sequence) resumes exactly, and order
 * is the stream's. A client that does not read is closed by the connection's time limit.
 */
#pragma once

#include "services/api-gateway/http.h"
#include "shared/bus/bus.h"

struct sse_stream;

/* All streams, so that they can be ended. */
struct sse_hub {
    pthread_mutex_t lock;
    struct sse_stream *streams;
    size_t n;
    bool stopping;
};

void sse_hub_init(struct sse_hub *hub);
void sse_hub_stop(struct sse_hub *hub); /* ends all, and every new one */
void sse_hub_done(struct sse_hub *hub);
size_t sse_hub_count(struct sse_hub *hub);

/*
 * Turns a message of the stream into "data:" blocks (sse_add), or nothing when it is not for this
 * client. Its memory is the arena's, which lives for this one message. False ends the stream.
 */
typedef bool (*sse_format_fn)(void *data, const struct bus_message *message, struct arena *arena,
                              struct buffer *ret_text);

struct sse_options {
    const char *stream; /* "EVENTS", "LOGS" */
    const char *filter; /* subject pattern */
    const ProtobufCMessageDescriptor *type;
    sse_format_fn format;
    void *data; /* owned by the stream from now on */
    void (*free_data)(void *data);
};

/* Answers the request with a stream; takes options->data, also on failure. */
struct error *sse_open(struct request *request, const struct sse_options *options,
                       struct response *ret_response) _must_check_;

/* One event: id 0 leaves the id out. */
void sse_add(struct buffer *text, const char *event, uint64_t id, const json_t *json);
