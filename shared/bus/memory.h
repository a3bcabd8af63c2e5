/* The in-memory bus: what its two files share. */
#pragma once

#include "shared/bus/bus_internal.h"

/* One stream of stream_table, or the objects' place when its subjects are "obj.>". */
struct memory_stream {
    const struct stream_definition *definition;
    struct bus_message **messages; /* with stream_sequence; ordered */
    size_t count;
    size_t room;
    uint64_t last_sequence;
};

struct memory_durable {
    struct memory_durable *next;
    const struct memory_stream *stream;
    char *name;
    char *filter;
    uint64_t next_sequence;
    uint32_t deliveries;
    bool busy;
};

struct memory_object {
    struct memory_object *next;
    char *name;
    void *data;
    size_t size;
};

/* What all connections share; the last one frees it. */
struct memory_hub {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a reply or stream message came, a consumer's turn ended */
    unsigned connections;
    uint64_t inboxes;
    uint64_t queue_turn;
    struct memory_subscription *subscriptions;
    struct memory_request *requests;
    struct memory_stream *streams; /* NULL before ensure_streams; as stream_table */
    struct memory_durable *durables;
    struct memory_object *objects;
};

struct memory_bus {
    struct bus base;
    struct memory_hub *hub;
    struct delivery *delivery;
};

struct memory_subscription {
    struct bus_subscription base;
    struct memory_subscription *next; /* core subscriptions only */
    const struct bus_handler *row;
    char *subject;
    void *state;
    struct memory_durable *durable; /* NULL: core subscription */
    bus_consume_fn consume;
    pthread_t thread;
    bool stop;
};

/* Under the hub's lock. 0: no stream takes the subject. */
uint64_t memory_stream_append(struct memory_hub *hub, const struct bus_message *message);
void memory_streams_free(struct memory_hub *hub);

struct error *memory_ensure_streams(struct bus *bus) _must_check_;
struct error *memory_consume(struct bus *bus, const char *stream, const char *durable,
                             const char *filter, bus_consume_fn consume, void *state,
                             struct bus_subscription **ret_subscription) _must_check_;
void memory_consume_end(struct memory_subscription *subscription);
struct error *memory_stream_next(struct bus *bus, const char *stream, const char *filter,
                                 uint64_t from_sequence, int timeout_ms, struct arena *arena,
                                 struct bus_message *ret_message) _must_check_;
struct error *memory_stream_last(struct bus *bus, const char *stream, const char *filter,
                                 int timeout_ms, uint64_t *ret_sequence);
struct error *memory_object_put(struct bus *bus, const char *name, const void *data, size_t size,
                                int timeout_ms) _must_check_;
struct error *memory_object_get(struct bus *bus, const char *name, size_t max, struct arena *arena,
                                ProtobufCBinaryData *ret_data, int timeout_ms) _must_check_;
