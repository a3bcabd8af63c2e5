/*
 * Webhooks of an account, kept by the gateway: where its events are posted to. A change and its
 * audit entry are one commit that names the version it read.
 *
 * coffer:webhook:<id> {"account", "url", "events", "description", "active", "disabled_reason",
 *                      "created_at_ms", "updated_at_ms", "secret", "previous_secret",
 *                      "previous_until_ms"}; secrets are sealed (webhook_sign.h)
 * coffer:webhooks-of:<account> {"ids"}: a record and not a set, so that a create that read how many
 *                      there are fails when another was quicker: each event costs one look at all
 */
#pragma once

#include <jansson.h>

#include "services/api-gateway/webhook_sign.h"
#include "shared/store/store.h"

enum {
    WEBHOOKS_MAX = 20, /* of one account */
    WEBHOOK_EVENTS_MAX = 32,
    WEBHOOK_KIND_MAX = 63,
    WEBHOOK_DESCRIPTION_MAX = 256,
};

struct request;

/* Texts live in the arena it was read into. */
struct webhook {
    const char *id;
    const char *account;
    const char *url;
    const char *description;
    const char *events[WEBHOOK_EVENTS_MAX]; /* kinds; "*" for all */
    size_t n_events;
    bool active;
    const char *disabled_reason; /* why it was switched off for the user; "" otherwise */
    int64_t created_at_ms;
    int64_t updated_at_ms;
    const char *secret;          /* sealed */
    const char *previous_secret; /* sealed; "" without one */
    int64_t previous_until_ms;   /* it signs too until then */
    uint64_t version;            /* 0: there is none */
};

/* What a change sets; what is not given stays. */
struct webhook_edit {
    const char *url;         /* NULL: stays */
    const char *description; /* NULL: stays */
    const char *events[WEBHOOK_EVENTS_MAX];
    size_t n_events; /* 0: stay */
    bool set_active;
    bool active;
    bool rotate_secret;
};

/* Version 0 when there is none. */
struct error *webhook_load(struct store *store, const char *id, struct arena *arena,
                           struct webhook *ret_webhook) _must_check_;
/* Oldest first. */
struct error *webhooks_of(struct store *store, const char *account, struct arena *arena,
                          struct webhook **ret_webhooks, size_t *ret_n) _must_check_;

/* The account's list of ids, to be changed in a commit. Memory is the arena's. */
struct webhook_ids {
    const char *ids[WEBHOOKS_MAX];
    size_t n;
    uint64_t version;
};
struct error *webhook_ids_load(struct store *store, const char *account, struct arena *arena,
                               struct webhook_ids *ret_ids) _must_check_;
struct store_write webhook_ids_write(struct arena *arena, const char *account,
                                     const struct webhook_ids *ids);

bool webhook_wants(const struct webhook *webhook, const char *kind);

/* The write of a change of this version, for a commit. */
struct store_write webhook_write(struct arena *arena, const struct webhook *webhook);

/* The secrets that sign now, as webhook_sign() takes them. */
void webhook_secrets(const struct webhook *webhook, int64_t now_ms, const char *ret_sealed[2]);

/* Of the caller's account; NOT_FOUND for none, and for another's. */
struct error *webhook_find(struct request *request, const char *id,
                           struct webhook *ret_webhook) _must_check_;

/* Changes go with their answer to the request's Idempotency-Key, which is webhook_to_json_with(),
 * of a delete {}. The caller wipes the secret; "" when there is no new one. FAILED_PRECONDITION:
 * too many. */
struct error *webhook_create(struct request *request, const struct webhook_edit *edit,
                             struct webhook *ret_webhook,
                             char ret_secret[WEBHOOK_SECRET_SIZE]) _must_check_;
struct error *webhook_change(struct request *request, const char *id,
                             const struct webhook_edit *edit, struct webhook *ret_webhook,
                             char ret_secret[WEBHOOK_SECRET_SIZE]) _must_check_;
struct error *webhook_delete(struct request *request, const char *id) _must_check_;

/* New reference; without secrets. */
json_t *webhook_to_json(const struct webhook *webhook);
/* The same with the secret, the one time that it is shown; "": none. */
json_t *webhook_to_json_with(const struct webhook *webhook, const char *secret);
