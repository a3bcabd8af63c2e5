/* Taking due deliveries from a queue, and what becomes of them. */
#include <stdlib.h>
#include <unistd.h>

#include "services/api-gateway/accounts.h"
#include "services/api-gateway/webhook_queue_change.h"

enum { TRIES = 20, PAUSE_US = 1000, DRAIN_MAX = 64, SPARE = 8 };

static bool is_leased(const struct queue_entry *entry, int64_t now_ms)
{
    return entry->leased && entry->due_ms > now_ms;
}

static size_t count_leased(const struct queue *queue, int64_t now_ms)
{
    size_t n = 0;

    for (size_t i = 0; i < queue->n; i++)
        n += is_leased(&queue->entries[i], now_ms);
    return n;
}

static struct error *load_delivery(struct store *store, const struct queue *queue,
                                   const struct queue_entry *entry, struct arena *arena,
                                   struct delivery_record *ret_delivery, bool *ret_found)
{
    struct store_record record;
    struct error *err =
        store_get(store, delivery_key(arena, queue->webhook, entry->name), arena, &record);

    *ret_found = !err && delivery_read(&record, queue->webhook, entry->name, arena, ret_delivery);
    return err;
}

/* A look that found nothing to take, on a queue that says of itself what it should: it is not
 * written down, since each write undoes what others are about to commit on the queue. */
static bool is_idle(const struct queue_change *change, const struct queue *queue,
                    const struct webhook_state *before)
{
    return before->version && change->n_edits == 0 && queue->state.pending == before->pending &&
           (!before->pending || queue->state.next_ms == before->next_ms);
}

static struct error *drain_one(struct store *store, struct queue_change *change,
                               struct queue *queue, struct queue_entry *entry, const char *why)
{
    struct delivery_record delivery;
    bool found = false;
    struct error *err = load_delivery(store, queue, entry, change->arena, &delivery, &found);

    if (err)
        return err;
    queue_take(change, queue, entry);
    if (!found)
        return NULL;
    delivery.status = DELIVERY_FAILED;
    delivery.error = why;
    queue_end(change, &delivery);
    return NULL;
}

/* Nothing is sent any more. What is on its way is let arrive. */
static struct error *drain(struct store *store, struct queue *queue, const struct webhook *webhook,
                           const char *why, int64_t now_ms, struct arena *arena,
                           size_t *ret_dropped)
{
    struct queue_change change = queue_change_new(arena, DRAIN_MAX + SPARE);
    const struct webhook_state before = queue->state;
    struct error *err = NULL;
    size_t n = 0;

    for (size_t i = 0; !err && i < queue->n && n < DRAIN_MAX; i++) {
        if (is_leased(&queue->entries[i], now_ms))
            continue;
        err = drain_one(store, &change, queue, &queue->entries[i], why);
        n++;
    }
    if (err)
        return err;
    queue_recount(queue);
    if (webhook->version && is_idle(&change, queue, &before))
        return NULL;
    queue_close(&change, queue, !webhook->version);
    err = queue_commit(store, &change);
    *ret_dropped = err ? 0 : n;
    return err;
}

/* A record that is gone was pending for longer than records live: its entry goes too. */
static struct error *lease_one(struct store *store, struct queue_change *change,
                               struct queue *queue, struct queue_entry *entry,
                               int64_t lease_until_ms, struct delivery_record *ret_delivery,
                               bool *ret_found)
{
    struct error *err = load_delivery(store, queue, entry, change->arena, ret_delivery, ret_found);

    if (err)
        return err;
    queue_take(change, queue, entry);
    if (*ret_found)
        queue_put(change, queue, lease_until_ms, entry->name, true);
    return NULL;
}

static struct error *lease(struct store *store, struct queue *queue, const struct webhook *webhook,
                           int64_t now_ms, size_t max, struct arena *arena,
                           struct webhook_claim *ret_claims, size_t *ret_n)
{
    struct queue_change change = queue_change_new(arena, 2 * max + SPARE);
    const struct webhook_state before = queue->state;
    struct error *err = NULL;
    size_t n = queue->n; /* leases are put behind */
    size_t found = 0;

    for (size_t i = 0; !err && i < n && found < max; i++) {
        struct webhook_claim *claim = &ret_claims[found];
        bool there = false;
        if (queue->entries[i].due_ms > now_ms)
            break;
        *claim = (struct webhook_claim){.webhook = *webhook,
                                        .lease_until_ms = now_ms + WEBHOOK_LEASE_MS};
        err = lease_one(store, &change, queue, &queue->entries[i], claim->lease_until_ms,
                        &claim->delivery, &there);
        found += there;
        if (!there)
            break; /* only so much room; the next look goes on */
    }
    if (err)
        return err;
    queue_recount(queue);
    if (is_idle(&change, queue, &before))
        return NULL;
    queue_close(&change, queue, false);
    err = queue_commit(store, &change);
    *ret_n = err ? 0 : found;
    return err;
}

/* Why nothing may be sent to it; NULL: it may. */
static struct error *find_obstacle(struct store *store, const struct webhook *webhook,
                                   struct arena *arena, const char **ret_why)
{
    bool active = false;

    *ret_why = "the webhook was switched off";
    if (!webhook->version || !webhook->active)
        return NULL;
    struct error *err = account_is_active(store, webhook->account, arena, &active);
    *ret_why = active ? NULL : "the account is not active";
    return err;
}

struct error *webhook_queue_claim(struct store *store, const char *webhook_id, int64_t now_ms,
                                  size_t max, struct arena *arena, struct webhook_claim *ret_claims,
                                  size_t *ret_n, size_t *ret_dropped)
{
    struct webhook webhook;
    struct queue queue;
    const char *why = NULL;
    struct error *err = queue_load(store, webhook_id, arena, &queue);

    *ret_n = 0;
    *ret_dropped = 0;
    err = err ?: webhook_load(store, webhook_id, arena, &webhook);
    err = err ?: find_obstacle(store, &webhook, arena, &why);
    if (err)
        return err;
    if (why)
        return drain(store, &queue, &webhook, why, now_ms, arena, ret_dropped);
    size_t leased = count_leased(&queue, now_ms);
    size_t free = leased < WEBHOOK_AT_ONCE_MAX ? WEBHOOK_AT_ONCE_MAX - leased : 0;
    return lease(store, &queue, &webhook, now_ms, free < max ? free : max, arena, ret_claims,
                 ret_n);
}

static struct queue_entry *find_lease(const struct queue *queue, const struct webhook_claim *claim)
{
    for (size_t i = 0; i < queue->n; i++) {
        struct queue_entry *entry = &queue->entries[i];
        if (entry->leased && entry->due_ms == claim->lease_until_ms &&
            strcmp(entry->name, claim->delivery.name) == 0)
            return entry;
    }
    return NULL;
}

/* With the commit that counts the last straw. */
static struct error *switch_off(struct store *store, struct queue_change *change,
                                const char *webhook_id, int64_t now_ms)
{
    struct webhook webhook;
    struct error *err = webhook_load(store, webhook_id, change->arena, &webhook);

    if (err || !webhook.version || !webhook.active)
        return err;
    webhook.active = false;
    webhook.disabled_reason =
        arena_printf(change->arena, "%d attempts in a row have failed", WEBHOOK_FAILURES_MAX);
    webhook.updated_at_ms = now_ms;
    change->writes[change->n_writes++] = webhook_write(change->arena, &webhook);
    return NULL;
}

static enum webhook_settled settle(struct queue_change *change, struct queue *queue,
                                   struct delivery_record *delivery,
                                   const struct webhook_outcome *outcome, int64_t now_ms)
{
    delivery->attempts++;
    delivery->response_status = outcome->response_status;
    delivery->error = outcome->error ?: "";
    if (outcome->delivered || delivery->attempts >= WEBHOOK_ATTEMPTS_MAX) {
        delivery->status = outcome->delivered ? DELIVERY_DELIVERED : DELIVERY_FAILED;
        queue_end(change, delivery);
        return outcome->delivered ? SETTLED_DELIVERED : SETTLED_FAILED;
    }
    delivery->next_ms = now_ms + webhook_retry_delay_ms(delivery->attempts);
    queue_put(change, queue, delivery->next_ms, delivery->name, false);
    queue_write(change, delivery, UINT64_MAX);
    return SETTLED_AGAIN;
}

static struct error *try_settle(struct store *store, const struct webhook_claim *claim,
                                const struct webhook_outcome *outcome, int64_t now_ms,
                                struct arena *arena, enum webhook_settled *ret_settled)
{
    struct queue_change change = queue_change_new(arena, SPARE);
    struct delivery_record delivery = claim->delivery;
    struct queue queue;
    struct error *err = queue_load(store, claim->webhook.id, arena, &queue);
    struct queue_entry *entry = err ? NULL : find_lease(&queue, claim);

    if (!entry) {
        *ret_settled = SETTLED_LOST;
        return err;
    }
    queue_take(&change, &queue, entry);
    queue.state.failures = outcome->delivered ? 0 : queue.state.failures + 1;
    if (queue.state.failures >= WEBHOOK_FAILURES_MAX)
        err = switch_off(store, &change, claim->webhook.id, now_ms);
    if (err)
        return err;
    *ret_settled = settle(&change, &queue, &delivery, outcome, now_ms);
    queue_recount(&queue);
    queue_close(&change, &queue, false);
    return queue_commit(store, &change);
}

struct error *webhook_queue_settle(struct store *store, const struct webhook_claim *claim,
                                   const struct webhook_outcome *outcome, int64_t now_ms,
                                   struct arena *arena, enum webhook_settled *ret_settled)
{
    struct error *err = NULL;

    for (int i = 0; i < TRIES; i++) {
        error_free(err);
        if (i) /* others change the same queue: not all again at the same moment */
            usleep((useconds_t)(random() % (i * PAUSE_US)));
        err = try_settle(store, claim, outcome, now_ms, arena, ret_settled);
        if (error_get_code(err) != ERROR_ABORTED)
            return err;
    }
    return err;
}
