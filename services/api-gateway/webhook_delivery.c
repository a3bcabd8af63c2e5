#include "services/api-gateway/webhook_delivery.h"

#include "services/api-gateway/json_record.h"
#include "services/api-gateway/json_text.h"
#include "services/api-gateway/webhook_queue.h"
#include "shared/base/clock.h"
#include "shared/base/encode.h"
#include "shared/store/keys.h"

void delivery_name_of_event(uint64_t stream_sequence, char ret_name[DELIVERY_NAME_SIZE])
{
    snprintf(ret_name, DELIVERY_NAME_SIZE, "e%020llu", (unsigned long long)stream_sequence);
}

void delivery_name_of_test(const char *id, char ret_name[DELIVERY_NAME_SIZE])
{
    size_t size = 0;

    ret_name[size++] = 't';
    for (; *id && size < DELIVERY_NAME_SIZE - 3; id++)
        if (*id != '-')
            ret_name[size++] = *id;
    ret_name[size] = '\0';
}

const char *delivery_key(struct arena *arena, const char *webhook, const char *name)
{
    return arena_printf(arena, "%s%s.%s", KEY_WEBHOOK_DELIVERY, webhook, name);
}

static int64_t number(const json_t *json, const char *name)
{
    return json_integer_value(json_object_get(json, name));
}

static void read_json(const json_t *json, const char *webhook, struct arena *arena,
                      struct delivery_record *ret_delivery)
{
    *ret_delivery = (struct delivery_record){
        .webhook = webhook,
        .name = json_record_text(json, "name", arena),
        .event = json_record_text(json, "event", arena),
        .kind = json_record_text(json, "kind", arena),
        .body = json_record_text(json, "body", arena),
        .status = json_record_text(json, "status", arena),
        .error = json_record_text(json, "error", arena),
        .at_ms = number(json, "at_ms"),
        .next_ms = number(json, "next_ms"),
        .attempts = (unsigned)number(json, "attempts"),
        .response_status = (unsigned)number(json, "response_status"),
    };
}

bool delivery_read(const struct store_record *record, const char *webhook, const char *name,
                   struct arena *arena, struct delivery_record *ret_delivery)
{
    _cleanup_(json_decrefp) json_t *json = json_record_parse(record);

    if (!json)
        return false;
    read_json(json, webhook, arena, ret_delivery);
    ret_delivery->name = name;
    return true;
}

ProtobufCBinaryData delivery_value(const struct delivery_record *delivery, struct arena *arena)
{
    _cleanup_(json_decrefp) json_t *json = json_pack(
        "{s:s, s:s, s:o, s:s, s:s, s:s, s:I, s:I, s:i, s:i}", "name", delivery->name, "event",
        delivery->event, "kind", json_text(delivery->kind, strlen(delivery->kind)), "body",
        delivery->body, "status", delivery->status, "error", delivery->error, "at_ms",
        (json_int_t)delivery->at_ms, "next_ms", (json_int_t)delivery->next_ms, "attempts",
        (int)delivery->attempts, "response_status", (int)delivery->response_status);

    return json_record_value(arena, json);
}

json_t *delivery_to_json(const struct delivery_record *delivery)
{
    char at[CLOCK_TEXT_SIZE];
    char next[CLOCK_TEXT_SIZE];
    char id[128];

    snprintf(id, sizeof(id), "%.64s.%.32s", delivery->webhook, delivery->name);
    clock_format(delivery->at_ms, at);
    clock_format(delivery->next_ms, next);
    json_t *json =
        json_pack("{s:s, s:s, s:o, s:s, s:i, s:s}", "deliveryId", id, "eventId", delivery->event,
                  "kind", json_text(delivery->kind, strlen(delivery->kind)), "at", at, "attempts",
                  (int)delivery->attempts, "status", delivery->status);
    if (delivery->response_status)
        json_object_set_new(json, "responseStatus", json_integer(delivery->response_status));
    if (*delivery->error)
        json_object_set_new(json, "error", json_string(delivery->error));
    if (strcmp(delivery->status, DELIVERY_PENDING) == 0)
        json_object_set_new(json, "nextAttemptAt", json_string(next));
    return json;
}

struct listing {
    struct delivery_record *items;
    size_t n;
};

static struct error *load_pending(struct store *store, const char *webhook, struct arena *arena,
                                  struct listing *listing)
{
    const char **names = NULL;
    size_t n = 0;
    struct error *err =
        webhook_queue_newest(store, webhook, WEBHOOK_HISTORY_MAX, arena, &names, &n);

    if (err)
        return err;
    const char **keys = arena_alloc(arena, (n + 1) * sizeof(*keys));
    struct store_record *records = arena_alloc(arena, (n + 1) * sizeof(*records));
    for (size_t i = 0; i < n; i++)
        keys[i] = delivery_key(arena, webhook, names[i]);
    err = store_get_many(store, keys, n, arena, records);
    for (size_t i = 0; !err && i < n; i++)
        if (delivery_read(&records[i], webhook, names[i], arena, &listing->items[listing->n]))
            listing->n++;
    return err;
}

static bool is_listed(const struct listing *listing, const char *name)
{
    for (size_t i = 0; i < listing->n; i++)
        if (strcmp(listing->items[i].name, name) == 0)
            return true;
    return false;
}

/* One that ended between the two reads is in both. */
static struct error *load_ended(struct store *store, const char *webhook, struct arena *arena,
                                struct listing *listing)
{
    ProtobufCBinaryData *items = NULL;
    size_t n = 0;
    struct error *err =
        store_list_range(store, arena_printf(arena, "%s%s", KEY_WEBHOOK_HISTORY, webhook),
                         WEBHOOK_HISTORY_MAX, arena, &items, &n);

    for (size_t i = 0; !err && i < n; i++) {
        _cleanup_(json_decrefp) json_t *json =
            json_loadb((const char *)items[i].data, items[i].len, 0, NULL);
        struct delivery_record *item = &listing->items[listing->n];
        read_json(json, webhook, arena, item);
        if (!is_listed(listing, item->name))
            listing->n++;
    }
    return err;
}

static int newest_first(const void *a, const void *b)
{
    const struct delivery_record *one = a;
    const struct delivery_record *other = b;

    if (one->at_ms != other->at_ms)
        return one->at_ms > other->at_ms ? -1 : 1;
    return strcmp(other->name, one->name);
}

struct error *deliveries_list(struct store *store, const char *webhook, struct arena *arena,
                              json_t **ret_list)
{
    struct listing listing = {
        .items = arena_alloc(arena, (2 * WEBHOOK_HISTORY_MAX + 1) * sizeof(*listing.items))};
    struct error *err = load_pending(store, webhook, arena, &listing);

    err = err ?: load_ended(store, webhook, arena, &listing);
    if (err)
        return err;
    qsort(listing.items, listing.n, sizeof(*listing.items), newest_first);
    *ret_list = json_array();
    for (size_t i = 0; i < listing.n && i < WEBHOOK_HISTORY_MAX; i++)
        json_array_append_new(*ret_list, delivery_to_json(&listing.items[i]));
    return NULL;
}
