/*
 * Events become deliveries. All copies of the gateway share one durable consumer of the stream
 * EVENTS, which bus_ensure_streams() makes: so each event comes to one of them, and again to
 * another when the first did not finish.
 */
#pragma once

#include <jansson.h>

#include "services/api-gateway/webhook_sender.h"
#include "shared/bus/bus.h"

struct gateway;

struct webhook_feed {
    struct gateway *gateway; /* the caller's, as are the next three; they outlive it */
    struct store *store;
    struct clock *clock;
    struct webhook_sender *sender;
    struct bus_subscription *subscription;
};

/* The members above subscription are set. */
struct error *webhook_feed_start(struct webhook_feed *feed, struct bus *bus) _must_check_;
void webhook_feed_stop(struct webhook_feed *feed); /* fine if never started */

/* The body of a delivery: {"id", "type", "createdAt", "data"}, in the arena. data is taken. */
const char *webhook_body(struct arena *arena, const char *id, const char *type, int64_t at_ms,
                         json_t *data);
