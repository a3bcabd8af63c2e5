/*
 * The queue of each webhook, in the store: pending deliveries with the time each is due, taken by
 * any copy of the gateway for a while (a lease), and put back or ended by it. A copy that dies
 * leaves leases that run out: at least once.
 *
 * coffer:webhook-queue:<id>  set of "<due ms, 13 digits> <name> <w|l>": waiting, or leased until
 *                            then. Sorted, the earliest comes first
 * coffer:webhook-state:<id>  {"account", "pending", "next_ms", "failures", "dropped"}: the set in
 * numbers. Each change of a queue names the version of this record, so two at once are told, and a
 * set that was read with it is as it was coffer:webhook-queues      set of <id> whose queues are
 * not empty: where senders look coffer:webhook-history:<id> list of ended deliveries
 */
#pragma once

#include "services/api-gateway/webhook_delivery.h"
#include "services/api-gateway/webhooks.h"

enum {
    WEBHOOK_PENDING_MAX = 1000, /* of one webhook; the oldest is dropped for a newer one */
    WEBHOOK_HISTORY_MAX = 100,
    WEBHOOK_AT_ONCE_MAX = 2, /* sent to one webhook at a time, by all copies together */
    WEBHOOK_ATTEMPTS_MAX = 12,
    WEBHOOK_FAILURES_MAX = 50, /* in a row, then it is switched off */
    WEBHOOK_LEASE_MS = 30000,  /* longer than an attempt can take */
    WEBHOOK_RETRY_FIRST_MS = 5000,
    WEBHOOK_RETRY_MAX_MS = 3600 * 1000,
};

struct webhook_state {
    const char *account; /* of the webhook; "" when there is no state */
    uint64_t pending;
    uint64_t dropped; /* ever */
    unsigned failures;
    int64_t next_ms; /* nothing is to be done before; meaningless when nothing is pending */
    uint64_t version;
};

/* Nothing of everything when there is none. */
struct error *webhook_state_load(struct store *store, const char *webhook, struct arena *arena,
                                 struct webhook_state *ret_state) _must_check_;

/*
 * A delivery of this name and content to each of the webhooks, in one commit with lists (audit
 * entries; NULL: none). One that is there already is left alone. *ret_added may be fewer than n;
 * *ret_dropped: older ones that had to go.
 */
struct webhook_add {
    struct delivery_record delivery; /* webhook is filled in */
    const struct webhook *const *webhooks;
    size_t n;
    const struct store_list_edit *lists;
    size_t n_lists;
};
struct error *webhook_queue_add(struct store *store, const struct webhook_add *add,
                                struct arena *arena, size_t *ret_added,
                                size_t *ret_dropped) _must_check_;

/* A delivery that is ours until the lease ends; texts are the arena's. */
struct webhook_claim {
    struct webhook webhook;
    struct delivery_record delivery;
    int64_t lease_until_ms;
};

/*
 * At most max of the webhook's due deliveries. When the webhook is off or gone, or its account is
 * not active, some of what is pending is ended instead, and *ret_dropped says how many. ABORTED:
 * another copy was quicker.
 */
struct error *webhook_queue_claim(struct store *store, const char *webhook, int64_t now_ms,
                                  size_t max, struct arena *arena, struct webhook_claim *ret_claims,
                                  size_t *ret_n, size_t *ret_dropped) _must_check_;

/* How an attempt ended. */
struct webhook_outcome {
    bool delivered;
    unsigned response_status; /* 0: no answer */
    const char *error;        /* for people; NULL for none */
};
enum webhook_settled {
    SETTLED_LOST, /* the lease had ended and somebody else has it */
    SETTLED_AGAIN,
    SETTLED_DELIVERED,
    SETTLED_FAILED,
};
struct error *webhook_queue_settle(struct store *store, const struct webhook_claim *claim,
                                   const struct webhook_outcome *outcome, int64_t now_ms,
                                   struct arena *arena,
                                   enum webhook_settled *ret_settled) _must_check_;

/* The row of failures is forgotten. */
struct error *webhook_queue_forgive(struct store *store, const char *webhook,
                                    struct arena *arena) _must_check_;

/* Names of pending deliveries, newest first, at most max. */
struct error *webhook_queue_newest(struct store *store, const char *webhook, size_t max,
                                   struct arena *arena, const char ***ret_names,
                                   size_t *ret_n) _must_check_;

/* The webhooks that have something due. */
struct webhook_due {
    const char *webhook;
    const char *account;
};
struct error *webhook_queues_due(struct store *store, int64_t now_ms, struct arena *arena,
                                 struct webhook_due **ret_due, size_t *ret_n) _must_check_;

/* After that many attempts, in ms: doubling, at most an hour; up to a fifth less, by chance, so
 * that what failed together does not come again together. */
int64_t webhook_retry_delay_ms(unsigned attempts);
