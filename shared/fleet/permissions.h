/*
 * Who may say and hear what on the bus: one table for the whole fleet (DESIGN section 4).
 *
 * Replies: every requester's inbox is "_INBOX.<name>" or "_INBOX.<name>-<id>", and a request to a
 * host or guest asks for its answer under a part of it that names who may answer
 * (bus: "_INBOX.<requester>.to.host.<h>.<random>" and
 * "_INBOX.<requester>.to.guest.<h>.<w>.<random>"). So a host can be allowed to answer for itself
 * and its guests, and nobody else.
 */
#pragma once

#include <stddef.h>

#include "shared/base/error.h"

#define PERMISSION_SUBJECTS_MAX 16
#define PERMISSION_TEXT_MAX     256

enum identity {
    IDENTITY_SCHEDULER,
    IDENTITY_API_GATEWAY,
    IDENTITY_LEAF,       /* of a host: what may cross the link to the hub at all */
    IDENTITY_HOST_AGENT, /* of a host, at its leaf */
    IDENTITY_GUEST,      /* of a host and a workload, at the host's leaf */
    IDENTITY_MONITOR,
    IDENTITY_OPS,
};

struct permissions {
    char publish[PERMISSION_SUBJECTS_MAX][PERMISSION_TEXT_MAX];
    size_t n_publish;
    char subscribe[PERMISSION_SUBJECTS_MAX][PERMISSION_TEXT_MAX];
    size_t n_subscribe;
    const char *connection_type; /* "STANDARD", "LEAFNODE" */
    int max_subscriptions;       /* -1: no limit */
};

/* host and workload as the identity needs them, else NULL; INVALID_ARGUMENT for names that are not
 * name_is_valid(). */
struct error *permissions_of(enum identity identity, const char *host, const char *workload,
                             struct permissions *ret_permissions) _must_check_;

/* "scheduler", "host-agent" ...: also the inbox name. */
const char *identity_name(enum identity identity);
