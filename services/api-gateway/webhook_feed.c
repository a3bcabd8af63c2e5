#include "services/api-gateway/webhook_feed.h"

#include "schemas/event.pb-c.h"
#include "services/api-gateway/accounts.h"
#include "services/api-gateway/read_cache.h"
#include "services/api-gateway/webhook_queue.h"
#include "services/api-gateway/workloads.h"
#include "shared/base/log.h"
#include "shared/store/keys.h"

/* A webhook hears of what happens after it was made; the scheduler's clock may be behind ours. */
enum { CLOCK_SKEW_MS = 60000 };

const char *webhook_body(struct arena *arena, const char *id, const char *type, int64_t at_ms,
                         json_t *data)
{
    char at[CLOCK_TEXT_SIZE];

    clock_format(at_ms, at);
    _cleanup_(json_decrefp) json_t *json =
        json_pack("{s:s, s:s, s:s, s:o}", "id", id, "type", type, "createdAt", at, "data", data);
    size_t size = json_dumpb(json, NULL, 0, JSON_COMPACT);
    char *text = arena_alloc(arena, size + 1);
    json_dumpb(json, text, size, JSON_COMPACT);
    return text;
}

static size_t pick(const struct webhook *webhooks, size_t n, const Coffer__V1__WorkloadEvent *event,
                   const struct webhook **ret_picked)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++)
        if (webhooks[i].active && webhook_wants(&webhooks[i], event->kind) &&
            event->at_ms + CLOCK_SKEW_MS >= webhooks[i].created_at_ms)
            ret_picked[found++] = &webhooks[i];
    return found;
}

static struct error *add(struct webhook_feed *feed, const Coffer__V1__WorkloadEvent *event,
                         uint64_t stream_sequence, const struct webhook *const *webhooks, size_t n,
                         struct arena *arena)
{
    _cleanup_(json_decrefp) json_t *data = event_to_json(event);
    const char *id = json_string_value(json_object_get(data, "eventId"));
    const char *type = arena_printf(arena, "workload.%.64s", event->kind);
    int64_t now_ms = clock_wall_ms(feed->clock);
    char name[DELIVERY_NAME_SIZE];
    const struct webhook_add what = {
        .delivery = {.name = name,
                     .event = id,
                     .kind = event->kind,
                     .body = webhook_body(arena, id, type, event->at_ms, json_incref(data)),
                     .status = DELIVERY_PENDING,
                     .error = "",
                     .at_ms = now_ms,
                     .next_ms = now_ms},
        .webhooks = webhooks,
        .n = n,
    };
    size_t added = 0;
    size_t dropped = 0;

    delivery_name_of_event(stream_sequence, name);
    struct error *err = webhook_queue_add(feed->store, &what, arena, &added, &dropped);
    for (size_t i = 0; i < dropped; i++)
        metrics_add(feed->sender->metrics, &feed->sender->metrics->webhook_dropped);
    if (!err && added)
        webhook_sender_wake(feed->sender);
    return err;
}

/* Most accounts have no webhooks, and every event of theirs comes by here. */
static bool has_none(struct webhook_feed *feed, const char *account)
{
    char name[STORE_CACHE_NAME_MAX];

    read_cache_name(KEY_WEBHOOKS_OF, account, name);
    _cleanup_(store_cached_unrefp) struct store_cached *value =
        store_cache_get(feed->gateway->cache, name);
    return value != NULL;
}

static void remember_none(struct webhook_feed *feed, const char *account,
                          const struct store_ticket *ticket)
{
    char name[STORE_CACHE_NAME_MAX];
    _cleanup_(store_cached_unrefp) struct store_cached *value = store_cached_new(0, 0);

    read_cache_name(KEY_WEBHOOKS_OF, account, name);
    store_cache_put(feed->gateway->cache, name, ticket, value);
}

static struct error *take(struct webhook_feed *feed, const Coffer__V1__WorkloadEvent *event,
                          uint64_t stream_sequence, struct arena *arena)
{
    struct webhook *webhooks = NULL;
    size_t n = 0;
    char name[STORE_CACHE_NAME_MAX];

    if (has_none(feed, event->account_id))
        return NULL;
    read_cache_name(KEY_WEBHOOKS_OF, event->account_id, name);
    const struct store_ticket ticket = store_cache_ticket(feed->gateway->cache, name);
    struct error *err = webhooks_of(feed->store, event->account_id, arena, &webhooks, &n);
    if (!err && !n)
        remember_none(feed, event->account_id, &ticket);
    if (err || !n)
        return err;
    const struct webhook **picked = arena_alloc(arena, n * sizeof(*picked));
    bool active = false;
    n = pick(webhooks, n, event, picked);
    if (n)
        err = account_is_active(feed->store, event->account_id, arena, &active);
    return active ? add(feed, event, stream_sequence, picked, n, arena) : err;
}

/* Better later. What else goes wrong (a damaged record) would again, and must not hold up all. */
static bool is_passing(const struct error *err)
{
    enum error_code code = error_get_code(err);

    return code == ERROR_UNAVAILABLE || code == ERROR_ABORTED || code == ERROR_DEADLINE_EXCEEDED;
}

/* On the bus's delivery thread. While the store is away the event stays with the stream. */
static enum bus_ack on_event(void *state, const struct bus_message *message)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct webhook_feed *feed = state;
    void *unpacked = NULL;
    struct error *err = bus_unpack(&coffer__v1__workload_event__descriptor, message->data,
                                   message->size, arena, &unpacked);

    if (err) { /* the scheduler alone writes here, so it is of another version */
        log_failure(LOG_LEVEL_WARNING, "event not understood", err);
        return BUS_TERM;
    }
    err = take(feed, unpacked, message->stream_sequence, arena);
    if (!err)
        return BUS_ACK;
    bool again = is_passing(err);
    log_failure(again ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, "event not in the webhooks' queues",
                err);
    return again ? BUS_NAK : BUS_TERM;
}

struct error *webhook_feed_start(struct webhook_feed *feed, struct bus *bus)
{
    return bus_consume(bus, "EVENTS", BUS_WEBHOOKS_CONSUMER, BUS_WEBHOOKS_FILTER, on_event, feed,
                       &feed->subscription);
}

void webhook_feed_stop(struct webhook_feed *feed)
{
    bus_unsubscribe(feed->subscription);
    feed->subscription = NULL;
}
