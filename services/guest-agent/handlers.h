/* The commands that a guest answers: cmd.guest.<h>.<w>.{stats,containers,logs,stop}. */
#pragma once

#include "services/guest-agent/command_guard.h"
#include "services/guest-agent/engine.h"
#include "services/guest-agent/monitor.h"

struct handlers {
    struct command_guard guard;
    struct identity *identity;
    struct monitor *monitor;
    struct logs *logs;
    struct engine *engine;
    struct uplink *uplink;
    void (*stop)(void *data); /* end the workload; returns at once */
    void *data;
};

extern const struct bus_handler guest_handlers[]; /* subject: the verb; ends with NULL */

#define GUEST_HANDLERS 4
struct error *
handlers_subscribe(struct handlers *handlers, struct bus *bus, const char *host_id,
                   const char *workload_id,
                   struct bus_subscription *ret_subscriptions[GUEST_HANDLERS]) _must_check_;
