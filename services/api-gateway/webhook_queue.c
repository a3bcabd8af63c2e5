#include "services/api-gateway/webhook_queue.h"

#include <openssl/rand.h>

#include "services/api-gateway/json_record.h"
#include "services/api-gateway/webhook_queue_change.h"
#include "shared/store/keys.h"

enum { TRIES = 50, QUEUES_MAX = 100000, PER_WEBHOOK = 4, SPARE = 4 };

int64_t webhook_retry_delay_ms(unsigned attempts)
{
    int64_t delay_ms = WEBHOOK_RETRY_FIRST_MS;
    uint32_t chance = 0;

    for (unsigned i = 1; i < attempts && delay_ms < WEBHOOK_RETRY_MAX_MS; i++)
        delay_ms *= 2;
    if (delay_ms > WEBHOOK_RETRY_MAX_MS)
        delay_ms = WEBHOOK_RETRY_MAX_MS;
    if (RAND_bytes((uint8_t *)&chance, sizeof(chance)) != 1)
        return delay_ms;
    return delay_ms - (int64_t)(chance % (uint32_t)(delay_ms / 5));
}

static int by_name(const void *a, const void *b)
{
    const struct queue_entry *const *one = a;
    const struct queue_entry *const *other = b;

    return strcmp((*one)->name, (*other)->name);
}

/* The place of the name that comes first: of events, the oldest. */
static struct queue_entry *oldest_waiting(struct queue *queue)
{
    struct queue_entry *oldest = NULL;

    for (size_t i = 0; i < queue->n; i++) {
        struct queue_entry *entry = &queue->entries[i];
        if (!entry->leased && (!oldest || by_name(&entry, &oldest) < 0))
            oldest = entry;
    }
    return oldest;
}

/* Makes room in a full queue: what has waited longest is told as failed. */
static struct error *drop_oldest(struct store *store, struct queue_change *change,
                                 struct queue *queue, size_t *dropped)
{
    struct delivery_record delivery;
    struct store_record record;
    struct error *err = queue_load_entries(store, change->arena, queue);
    struct queue_entry *entry = err ? NULL : oldest_waiting(queue);

    if (!entry)
        return err;
    err = store_get(store, delivery_key(change->arena, queue->webhook, entry->name), change->arena,
                    &record);
    if (err)
        return err;
    queue_take(change, queue, entry);
    queue->state.dropped++;
    ++*dropped;
    if (delivery_read(&record, queue->webhook, entry->name, change->arena, &delivery)) {
        delivery.status = DELIVERY_FAILED;
        delivery.error = "dropped: too many newer deliveries were waiting";
        queue_end(change, &delivery);
    }
    return NULL;
}

static struct error *add_one(struct store *store, struct queue_change *change,
                             const struct webhook *webhook, const struct delivery_record *content,
                             size_t *dropped)
{
    struct queue queue = {.webhook = webhook->id};
    struct delivery_record delivery = *content;
    struct error *err = webhook_state_load(store, webhook->id, change->arena, &queue.state);

    if (!err && queue.state.pending >= WEBHOOK_PENDING_MAX)
        err = drop_oldest(store, change, &queue, dropped);
    if (err)
        return err;
    queue.state.account = webhook->account;
    delivery.webhook = webhook->id;
    queue_put(change, &queue, delivery.next_ms, delivery.name, false);
    queue_write(change, &delivery, 0);
    if (queue.entries) {
        queue_recount(&queue);
    } else {
        if (!queue.state.pending || delivery.next_ms < queue.state.next_ms)
            queue.state.next_ms = delivery.next_ms;
        queue.state.pending++;
    }
    queue_close(change, &queue, false);
    return NULL;
}

static struct error *try_add(struct store *store, const struct webhook_add *add,
                             struct arena *arena, size_t *ret_added, size_t *ret_dropped)
{
    struct queue_change change =
        queue_change_new(arena, add->n * PER_WEBHOOK + add->n_lists + SPARE);
    struct error *err = NULL;

    *ret_added = 0;
    *ret_dropped = 0;
    for (size_t i = 0; !err && i < add->n; i++) {
        struct store_record record;
        err = store_get(store, delivery_key(arena, add->webhooks[i]->id, add->delivery.name), arena,
                        &record);
        if (err || record.version)
            continue;
        err = add_one(store, &change, add->webhooks[i], &add->delivery, ret_dropped);
        ++*ret_added;
    }
    for (size_t i = 0; i < add->n_lists; i++)
        change.lists[change.n_lists++] = add->lists[i];
    return err || !*ret_added ? err : queue_commit(store, &change);
}

struct error *webhook_queue_add(struct store *store, const struct webhook_add *add,
                                struct arena *arena, size_t *ret_added, size_t *ret_dropped)
{
    struct error *err = NULL;

    for (int i = 0; i < TRIES; i++) {
        error_free(err);
        err = try_add(store, add, arena, ret_added, ret_dropped);
        if (error_get_code(err) != ERROR_ABORTED)
            return err;
    }
    return err;
}

static struct error *try_forgive(struct store *store, const char *webhook, struct arena *arena)
{
    struct queue_change change = queue_change_new(arena, 1);
    struct queue queue = {.webhook = webhook};
    struct error *err = webhook_state_load(store, webhook, arena, &queue.state);

    if (err || !queue.state.failures)
        return err;
    queue.state.failures = 0;
    queue_close(&change, &queue, false);
    return queue_commit(store, &change);
}

struct error *webhook_queue_forgive(struct store *store, const char *webhook, struct arena *arena)
{
    struct error *err = NULL;

    for (int i = 0; i < TRIES; i++) {
        error_free(err);
        err = try_forgive(store, webhook, arena);
        if (error_get_code(err) != ERROR_ABORTED)
            return err;
    }
    return err;
}

struct error *webhook_queue_newest(struct store *store, const char *webhook, size_t max,
                                   struct arena *arena, const char ***ret_names, size_t *ret_n)
{
    struct queue queue = {.webhook = webhook};
    struct error *err = queue_load_entries(store, arena, &queue);

    if (err)
        return err;
    struct queue_entry **sorted = arena_alloc(arena, (queue.n + 1) * sizeof(*sorted));
    for (size_t i = 0; i < queue.n; i++)
        sorted[i] = &queue.entries[i];
    qsort(sorted, queue.n, sizeof(*sorted), by_name);
    size_t n = queue.n < max ? queue.n : max;
    *ret_names = arena_alloc(arena, (n + 1) * sizeof(**ret_names));
    for (size_t i = 0; i < n; i++)
        (*ret_names)[i] = sorted[queue.n - 1 - i]->name;
    *ret_n = n;
    return NULL;
}

static struct error *load_states(struct store *store, const char *const *webhooks, size_t n,
                                 struct arena *arena, struct store_record *ret_records)
{
    const char **keys = arena_alloc(arena, (n + 1) * sizeof(*keys));

    for (size_t i = 0; i < n; i++)
        keys[i] = arena_printf(arena, "%s%s", KEY_WEBHOOK_STATE, webhooks[i]);
    return store_get_many(store, keys, n, arena, ret_records);
}

struct error *webhook_queues_due(struct store *store, int64_t now_ms, struct arena *arena,
                                 struct webhook_due **ret_due, size_t *ret_n)
{
    const char **webhooks = NULL;
    size_t n = 0;
    struct error *err = store_members(store, KEY_WEBHOOK_QUEUES, QUEUES_MAX, arena, &webhooks, &n);

    *ret_n = 0;
    if (err || !n)
        return err;
    struct store_record *records = arena_alloc(arena, n * sizeof(*records));
    *ret_due = arena_alloc(arena, n * sizeof(**ret_due));
    err = load_states(store, webhooks, n, arena, records);
    for (size_t i = 0; !err && i < n; i++) {
        _cleanup_(json_decrefp) json_t *json = json_record_parse(&records[i]);
        /* One without a state is damaged, which the one who takes it repairs. */
        if (json_integer_value(json_object_get(json, "next_ms")) <= now_ms)
            (*ret_due)[(*ret_n)++] = (struct webhook_due){
                .webhook = webhooks[i], .account = json_record_text(json, "account", arena)};
    }
    return err;
}
