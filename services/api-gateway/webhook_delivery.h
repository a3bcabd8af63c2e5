/*
 * One delivery: an event for one webhook, from the commit that made it until its history.
 *
 * coffer:webhook-delivery:<webhook>.<name> {"event", "kind", "body", "at_ms", "attempts",
 *     "next_ms", "status", "response_status", "error"}. The name is "e<stream sequence>", so that
 *     an event that comes again makes no second one; of a test it is "t<random>". Ended, it stays
 *     for an hour without its body, for the same reason: an event that was not
 *     acknowledged comes again within a minute, when a gateway is there.
 */
#pragma once

#include <jansson.h>

#include "shared/store/store.h"

enum { DELIVERY_NAME_SIZE = 24 };

/* Texts live in the arena it was read into. */
struct delivery_record {
    const char *webhook;
    const char *name;
    const char *event; /* its id */
    const char *kind;
    const char *body; /* the exact bytes of the request; "" once it has ended */
    const char *status;
    const char *error; /* of the latest attempt; "" for none */
    int64_t at_ms;     /* when it was made */
    int64_t next_ms;   /* when it is tried next */
    unsigned attempts;
    unsigned response_status; /* of the latest attempt; 0: no answer */
};

#define DELIVERY_PENDING   "pending"
#define DELIVERY_DELIVERED "delivered"
#define DELIVERY_FAILED    "failed"

void delivery_name_of_event(uint64_t stream_sequence, char ret_name[DELIVERY_NAME_SIZE]);
/* id: a UUID as text, of which most goes into the name. */
void delivery_name_of_test(const char *id, char ret_name[DELIVERY_NAME_SIZE]);

const char *delivery_key(struct arena *arena, const char *webhook, const char *name);

/* False: there is none, or it is damaged. */
bool delivery_read(const struct store_record *record, const char *webhook, const char *name,
                   struct arena *arena, struct delivery_record *ret_delivery);

/* The bytes of the record, in the arena. */
ProtobufCBinaryData delivery_value(const struct delivery_record *delivery, struct arena *arena);

/* The newest of what is pending and of what has ended, as the API shows them; new reference. */
struct error *deliveries_list(struct store *store, const char *webhook, struct arena *arena,
                              json_t **ret_list) _must_check_;
json_t *delivery_to_json(const struct delivery_record *delivery); /* new reference */
