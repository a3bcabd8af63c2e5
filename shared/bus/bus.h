/*
 * The bus as a port: NATS (bus_nats.c) and in memory (bus_memory.c) pass one contract test.
 *
 * Handlers of one bus run one after the other on one delivery thread, so a service's state needs
 * no lock; a handler answers in milliseconds and leaves slow work to a job thread. All functions
 * may be called from any thread. A payload is at most 1 MiB.
 *
 * Headers: Coffer-Type, Coffer-Request-Id, Coffer-Status, Coffer-Error and Coffer-Reason
 * on replies, Coffer-Signature and Coffer-Counter on signed messages, Nats-Msg-Id on durable
 * publishes.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/arena.h"
#include "shared/base/error.h"

#define BUS_PAYLOAD_MAX (1024 * 1024)
#define BUS_ID_MAX      64

struct bus;

/* A message in flight; all fields belong to the caller of the function it is given to. */
struct bus_message {
    const char *subject;
    const char *reply_to; /* inbox; NULL when nobody waits */
    const void *data;
    size_t size;
    const char *type;         /* Coffer-Type; NULL or "": none */
    const char *request_id;   /* Coffer-Request-Id; NULL: none */
    const char *message_id;   /* Nats-Msg-Id; NULL: none */
    const char *signature;    /* base64 of 64 bytes; NULL: unsigned */
    uint64_t counter;         /* of the signature; 0: none */
    uint64_t stream_sequence; /* received from a durable consumer; else 0 */
    uint32_t deliveries;      /* times the stream has delivered it, from 1; else 0 */
    enum error_code status;   /* Coffer-Status of a reply; set by the bus */
    const char *error;        /* Coffer-Error of a reply; NULL: none */
    const char *reason;       /* Coffer-Reason of a reply, for programs; NULL: none */
};

/* Makes headers signature and counter for an outgoing message (guest keys, authority, gateway). */
struct bus_signer {
    struct error *(*sign)(struct bus_signer *signer, const char *subject, const void *data,
                          size_t size, uint64_t *ret_counter, uint8_t ret_signature[64]);
};

/* The exact bytes that Coffer-Signature signs: B-style, tag "coffer/message/v1", subject, u64
 * counter, payload. The caller owns *ret_text's memory (buffer of shared/base/buffer.h). */
struct buffer;
void bus_signed_bytes(const char *subject, uint64_t counter, const void *data, size_t size,
                      struct buffer *ret_bytes);

/*
 * A row of a service's table. Requests are unpacked into the arena, replies packed from it;
 * in and out are protobuf-c messages of the row's types. An error becomes Coffer-Status,
 * Coffer-Error and Coffer-Reason; for INTERNAL the text stays in our log and the peer sees
 * "internal error".
 */
struct bus_call {
    const struct bus_message *message;
    const void *in; /* unpacked; never NULL */
    void *out;      /* initialised message of the reply type; NULL when the row has none */
    struct arena *arena;
    struct bus_signer *reply_signer; /* set by the handler: signs the reply over its inbox */
    const struct bus_place *place;   /* of the bus */
};

typedef struct error *(*bus_handler_fn)(void *state, struct bus_call *call);

/*
 * A handler that will answer later keeps the call and returns NULL. What it keeps has in, out and
 * arena of the call, and its message without the payload; it is the holder's until one of the next
 * two. NULL: nobody waits, or the call did not come from a bus: answer now.
 */
struct bus_call *bus_call_keep(struct bus_call *call);
/* Answers with out, or with the error, which it takes; on the delivery thread. */
void bus_call_answer(struct bus_call *kept, struct error *err);
/* Ends it without an answer. NULL is fine; also when its bus is gone. */
void bus_call_drop(struct bus_call *kept);

/* Calls the function on the delivery thread, once, behind all that has arrived by now; not at all
 * when the subscription is ended before. False: not taken. */
bool bus_call_later(const struct bus_call *kept, void (*function)(void *data),
                    void *data) _must_check_;

struct bus_handler {
    const char *subject; /* pattern; "%" stands for the service's id */
    const ProtobufCMessageDescriptor *request;
    const ProtobufCMessageDescriptor *reply; /* NULL: core subscription, nothing is answered */
    bus_handler_fn handle;
    const char *queue; /* queue group; NULL: every copy gets it */
};

/* Unpack, call, pack: what the bus does per message, and how handlers are tested without one.
 * *ret_reply is packed into the arena (size 0 without a reply type). Malformed input is
 * INVALID_ARGUMENT and never reaches the handler. */
struct error *bus_dispatch(const struct bus_handler *row, void *state,
                           const struct bus_message *message, struct arena *arena,
                           ProtobufCBinaryData *ret_reply) _must_check_;

struct bus_subscription;

/* How a durable consumer answers one message. */
enum bus_ack { BUS_ACK, BUS_NAK, BUS_TERM };
typedef enum bus_ack (*bus_consume_fn)(void *state, const struct bus_message *message);

struct bus_ops {
    const char *name;
    struct error *(*publish)(struct bus *bus, const struct bus_message *message);
    struct error *(*publish_durable)(struct bus *bus, const struct bus_message *message,
                                     int timeout_ms);
    struct error *(*publish_durable_many)(struct bus *bus, const struct bus_message *messages,
                                          size_t n, int timeout_ms, size_t *ret_done);
    struct error *(*request)(struct bus *bus, const struct bus_message *message, int timeout_ms,
                             struct arena *arena, struct bus_message *ret_reply);
    struct error *(*subscribe)(struct bus *bus, const struct bus_handler *row, const char *subject,
                               void *state, struct bus_subscription **ret_subscription);
    struct error *(*consume)(struct bus *bus, const char *stream, const char *durable,
                             const char *filter, bus_consume_fn consume, void *state,
                             struct bus_subscription **ret_subscription);
    struct error *(*ensure_streams)(struct bus *bus);
    void (*unsubscribe)(struct bus_subscription *subscription);
    bool (*is_connected)(struct bus *bus);
    bool (*is_lost)(struct bus *bus);
    struct error *(*drain)(struct bus *bus, int timeout_ms);
    void (*free)(struct bus *bus);
    struct error *(*object_put)(struct bus *bus, const char *name, const void *data, size_t size,
                                int timeout_ms);
    struct error *(*object_get)(struct bus *bus, const char *name, size_t max, struct arena *arena,
                                ProtobufCBinaryData *ret_data, int timeout_ms);
    struct error *(*stream_next)(struct bus *bus, const char *stream, const char *filter,
                                 uint64_t from_sequence, int timeout_ms, struct arena *arena,
                                 struct bus_message *ret_message);
    struct error *(*stream_last)(struct bus *bus, const char *stream, const char *filter,
                                 int timeout_ms, uint64_t *ret_sequence);
};

struct bus {
    const struct bus_ops *ops;
};

struct bus_options {
    const char *url;         /* "nats://host:4222[,…]", or "memory:" */
    const char *credentials; /* path of a creds file, or its content; NULL: none */
    bool credentials_are_content;
    const char *name;         /* shown in the server's connection list */
    const char *inbox_prefix; /* "_INBOX.<identity>" */
};

/* Connects, and keeps reconnecting for ever after the first success; with retry_first also before
 * it. The bus may be away at any time: calls then fail UNAVAILABLE within their deadline. */
struct error *bus_connect(const struct bus_options *options, bool retry_first,
                          struct bus **ret_bus) _must_check_;

/* Core publish: at most once. message->data is packed already. */
static inline _must_check_ struct error *bus_publish(struct bus *bus, const struct bus_message *m)
{
    return bus->ops->publish(bus, m);
}

/* Into a stream, acknowledged; message_id makes repeats harmless. */
static inline _must_check_ struct error *
bus_publish_durable(struct bus *bus, const struct bus_message *m, int timeout_ms)
{
    return bus->ops->publish_durable(bus, m, timeout_ms);
}

/* All of them, each sent before the first is acknowledged. *ret_done is always set: so many from
 * the front are in their streams for sure; the error is about the one behind them. */
static inline _must_check_ struct error *
bus_publish_durable_many(struct bus *bus, const struct bus_message *messages, size_t n,
                         int timeout_ms, size_t *ret_done)
{
    return bus->ops->publish_durable_many(bus, messages, n, timeout_ms, ret_done);
}

/* Raw request. "No responders" is UNAVAILABLE, retried by the caller within its deadline; a
 * Coffer-Status in the reply becomes the error. The reply's memory is the arena's. */
static inline _must_check_ struct error *bus_request(struct bus *bus, const struct bus_message *m,
                                                     int timeout_ms, struct arena *arena,
                                                     struct bus_message *ret_reply)
{
    return bus->ops->request(bus, m, timeout_ms, arena, ret_reply);
}

/* Packs in, requests (retrying "no responders" within timeout_ms), unpacks into the arena.
 * signer NULL: unsigned. ret_reply may be NULL: the raw reply message (to check its signature). */
struct error *bus_call(struct bus *bus, const char *subject, const ProtobufCMessage *in,
                       const ProtobufCMessageDescriptor *reply_type, const char *request_id,
                       struct bus_signer *signer, int timeout_ms, struct arena *arena,
                       void **ret_out, struct bus_message *ret_reply) _must_check_;

/* Packs and publishes; durable when message_id is not NULL. */
struct error *bus_send(struct bus *bus, const char *subject, const ProtobufCMessage *message,
                       const char *message_id, struct bus_signer *signer,
                       int timeout_ms) _must_check_;

/* Unpack with limits: trailing or malformed bytes are INVALID_ARGUMENT; memory is the arena's. */
struct error *bus_unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t size,
                         struct arena *arena, void **ret_message) _must_check_;

struct error *bus_subscribe(struct bus *bus, const struct bus_handler *row, const char *subject,
                            void *state, struct bus_subscription **ret_subscription) _must_check_;

/*
 * A durable, explicit-ack pull consumer of a stream (SOURCES, EVENTS, LOGS), in the stream's order
 * but for what a crash left unacknowledged: that comes again later. Ending it takes up to a second.
 */
struct error *bus_consume(struct bus *bus, const char *stream, const char *durable,
                          const char *filter, bus_consume_fn consume, void *state,
                          struct bus_subscription **ret_subscription) _must_check_;

/* The consumer of EVENTS that all copies of the gateway share, and what it takes. As it is made
 * with the streams, the gateway needs no right to make consumers, which is one to aim them. */
#define BUS_WEBHOOKS_CONSUMER "WEBHOOKS"
#define BUS_WEBHOOKS_FILTER   "evt.workload.*.*"

/* Makes or updates the streams of DESIGN section 4, and the consumers of those who may not make
 * theirs. Only the scheduler may. */
struct error *bus_ensure_streams(struct bus *bus) _must_check_;

/* NULL is fine. What has arrived is handled still, then it returns. A consumer is not ended from
 * its own callback. */
void bus_unsubscribe(struct bus_subscription *subscription);
DEFINE_CLEANUP(struct bus_subscription *, bus_unsubscribe)

bool bus_is_connected(struct bus *bus);
/* The server has refused our credentials again and again: this bus will not come back. */
bool bus_is_lost(struct bus *bus);
struct error *bus_drain(struct bus *bus, int timeout_ms) _must_check_;
void bus_free(struct bus *bus);
DEFINE_CLEANUP(struct bus *, bus_free)

/*
 * The first message of a stream from that sequence on whose subject matches the filter: how the
 * past is read (history, then live by subscription) without a consumer. NOT_FOUND: none yet.
 * ret_message->stream_sequence says where to go on; its memory is the arena's.
 */
struct error *bus_stream_next(struct bus *bus, const char *stream, const char *filter,
                              uint64_t from_sequence, int timeout_ms, struct arena *arena,
                              struct bus_message *ret_message) _must_check_;

/* The sequence of the latest message whose subject matches the filter: where "now" is. NOT_FOUND:
 * there is none. */
struct error *bus_stream_last(struct bus *bus, const char *stream, const char *filter,
                              int timeout_ms, uint64_t *ret_sequence) _must_check_;

/*
 * Larger things (at most 16 MiB) by name, in chunks of the stream FILES, kept for a day. A name is
 * tokens joined by '/', for example "files/<h>/<w>": a host may read what is under "files/<h>/".
 */
struct error *bus_object_put(struct bus *bus, const char *name, const void *data, size_t size,
                             int timeout_ms) _must_check_;
struct error *bus_object_get(struct bus *bus, const char *name, size_t max, struct arena *arena,
                             ProtobufCBinaryData *ret_data, int timeout_ms) _must_check_;

/*
 * The in-memory bus: same semantics in one process, for tests. As with a real connection, a
 * handler that requests a subject served by its own bus waits for itself: give each service its
 * own connection with bus_memory_attach().
 */
struct bus *bus_memory_new(void);
struct bus *bus_memory_attach(struct bus *peer); /* another connection to the same messages */
