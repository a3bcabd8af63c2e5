/* The NATS backend: what its files share. nats.c 3.4 and later. */
#pragma once

#include <nats/nats.h>
#include <stdatomic.h>

#include "shared/bus/bus_internal.h"
#include "shared/bus/completion.h"

/* One of path and content is set, or none. */
struct nats_credentials {
    char *path;
    char *content;
    atomic_bool unlucky; /* the last nonce could not be signed: worth another attempt */
};

struct nats_bus {
    struct bus base;
    natsConnection *connection;
    jsCtx *js;
    natsOptions *options;
    struct delivery *delivery;
    struct nats_credentials credentials;
    char *last_async_error;
    struct nats_requests *requests;
    atomic_bool connected; /* as the library has told; its own status takes a lock that all want */
    atomic_bool closing;
    struct completion closed; /* the library's callbacks are over */
};

enum { COMPLETE_WAIT_MS = 5000 };

struct nats_subscription {
    struct bus_subscription base;
    bool is_consumer;
};

DEFINE_CLEANUP(natsMsg *, natsMsg_Destroy)
DEFINE_CLEANUP(jsStreamInfo *, jsStreamInfo_Destroy)
DEFINE_CLEANUP(jsConsumerInfo *, jsConsumerInfo_Destroy)
DEFINE_CLEANUP(jsPubAck *, jsPubAck_Destroy)

/* The error of a failed call; text from the library. */
struct error *nats_error_at(const char *file, int line, natsStatus status, const char *fmt, ...)
    _printf_(4, 5) _must_check_;
#define nats_error(status, ...) nats_error_at(__FILE__, __LINE__, (status), __VA_ARGS__)

struct error *nats_credentials_set(struct nats_credentials *credentials,
                                   const struct bus_options *options,
                                   natsOptions *nats_options) _must_check_;
void nats_credentials_done(struct nats_credentials *credentials); /* wipes */

/* UNAVAILABLE while the connection is away: nothing is buffered for later. */
struct error *nats_check_connected(struct nats_bus *bus) _must_check_;

/* A view into the message, which owns the memory. */
void nats_view(natsMsg *msg, struct bus_message *ret_message);
struct error *nats_message_new(const struct bus_message *message, natsMsg **ret_msg) _must_check_;

struct error *nats_publish(struct bus *bus, const struct bus_message *message) _must_check_;
struct error *nats_publish_durable(struct bus *bus, const struct bus_message *message,
                                   int timeout_ms) _must_check_;
struct error *nats_publish_durable_many(struct bus *bus, const struct bus_message *messages,
                                        size_t n, int timeout_ms, size_t *ret_done) _must_check_;
struct error *nats_request(struct bus *bus, const struct bus_message *message, int timeout_ms,
                           struct arena *arena, struct bus_message *ret_reply) _must_check_;

struct nats_requests *nats_requests_new(const char *prefix);
const char *nats_requests_prefix(const struct nats_requests *requests); /* "_INBOX.<identity>" */
/* Once the connection is closed. */
void nats_requests_free(struct nats_requests *requests);
/* Wakes all who wait for a reply: the connection is gone. */
void nats_requests_fail(struct nats_requests *requests);

struct error *nats_subscribe(struct bus *bus, const struct bus_handler *row, const char *subject,
                             void *state, struct bus_subscription **ret_sub) _must_check_;
void nats_core_end(struct nats_subscription *subscription);

struct error *nats_consume(struct bus *bus, const char *stream, const char *durable,
                           const char *filter, bus_consume_fn consume, void *state,
                           struct bus_subscription **ret_sub) _must_check_;
void nats_consume_end(struct nats_subscription *subscription);
/* What every durable pull consumer of ours is; the texts stay the caller's. */
void nats_consumer_config(const char *durable, const char *filter, jsConsumerConfig *ret_config);

struct error *nats_ensure_streams(struct bus *bus) _must_check_;
struct error *nats_stream_next(struct bus *bus, const char *stream, const char *filter,
                               uint64_t from_sequence, int timeout_ms, struct arena *arena,
                               struct bus_message *ret_message) _must_check_;
struct error *nats_object_put(struct bus *bus, const char *name, const void *data, size_t size,
                              int timeout_ms) _must_check_;
struct error *nats_object_get(struct bus *bus, const char *name, size_t max, struct arena *arena,
                              ProtobufCBinaryData *ret_data, int timeout_ms) _must_check_;
