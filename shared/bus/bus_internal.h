/* What the backends of the bus share; nobody outside this folder includes it. */
#pragma once

#include <pthread.h>

#include "shared/bus/bus.h"
#include "shared/bus/delivery.h"

#define BUS_OBJECT_MAX      (16 * 1024 * 1024)
#define BUS_OBJECT_NAME_MAX 200

/* Backends embed it as first member. */
struct bus_subscription {
    struct bus *bus;
};

/* Where a call came in. */
struct bus_place {
    struct bus *bus;
    struct delivery *delivery;
    const void *owner; /* of the delivery's jobs: the subscription */
    const struct bus_handler *row;
};

/* Runs the row on the message and publishes the reply, or the error as headers. */
void bus_handle(const struct bus_place *place, void *state, const struct bus_message *message);

/* A deep copy in one block of memory: free() releases it. */
struct bus_message *bus_message_copy(const struct bus_message *message);
/* The same into an arena. */
void bus_message_copy_to(struct arena *arena, const struct bus_message *message,
                         struct bus_message *ret_copy);

/* The error that a reply's status stands for; NULL for OK. */
struct error *bus_reply_error(const struct bus_message *reply) _must_check_;

/* RESOURCE_EXHAUSTED for a payload over BUS_PAYLOAD_MAX, INVALID_ARGUMENT for a bad subject. */
struct error *bus_check_message(const struct bus_message *message) _must_check_;

/*
 * A durable consumer's turn: the callback runs on the delivery thread between the handlers, the
 * caller waits for its answer. BUS_NAK when the owner was forgotten meanwhile.
 */
enum bus_ack bus_consume_on(struct delivery *delivery, const void *owner, bus_consume_fn consume,
                            void *state, const struct bus_message *message);

/* The same with n messages in one turn; after a BUS_NAK the rest is BUS_NAK too, unseen. */
void bus_consume_many_on(struct delivery *delivery, const void *owner, bus_consume_fn consume,
                         void *state, const struct bus_message *messages, size_t n,
                         enum bus_ack *ret_acks);

/* Ends a consumer thread that was told to stop, also when called on the delivery thread. */
void bus_join_consumer(struct delivery *delivery, const void *owner, pthread_t thread);

/* The streams of DESIGN section 4. */
struct stream_definition {
    const char *name;
    const char *subjects;
    int64_t max_age_s;
    int64_t max_bytes;
    int64_t max_per_subject; /* -1: no limit */
    int32_t max_message;
};
extern const struct stream_definition stream_table[]; /* ends with name NULL */

/* The consumer of EVENTS that monitors pull from; made with the streams. */
#define MONITOR_CONSUMER "monitor"

/*
 * "files/<h>/<w>" gives "obj.files.<h>.<w>": so that permissions can name a host's objects. Parts
 * are subject tokens. INVALID_ARGUMENT otherwise.
 */
struct error *bus_object_subject(const char *name, char ret_subject[256]) _must_check_;

struct error *bus_nats_connect(const struct bus_options *options, bool retry_first,
                               struct bus **ret_bus) _must_check_;
