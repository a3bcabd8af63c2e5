/* A webhook as its record and as JSON. */
#include "services/api-gateway/json_record.h"
#include "services/api-gateway/json_text.h"
#include "services/api-gateway/webhooks.h"
#include "shared/base/clock.h"
#include "shared/store/keys.h"

static const char *key_of(struct arena *arena, const char *family, const char *name)
{
    return arena_printf(arena, "%s%s", family, name);
}

static int64_t number(const json_t *json, const char *name)
{
    return json_integer_value(json_object_get(json, name));
}

static void webhook_read(const json_t *json, const char *id, struct arena *arena,
                         struct webhook *ret_webhook)
{
    const json_t *event;
    size_t i;

    *ret_webhook = (struct webhook){
        .id = arena_strdup(arena, id),
        .account = json_record_text(json, "account", arena),
        .url = json_record_text(json, "url", arena),
        .description = json_record_text(json, "description", arena),
        .active = json_is_true(json_object_get(json, "active")),
        .disabled_reason = json_record_text(json, "disabled_reason", arena),
        .created_at_ms = number(json, "created_at_ms"),
        .updated_at_ms = number(json, "updated_at_ms"),
        .secret = json_record_text(json, "secret", arena),
        .previous_secret = json_record_text(json, "previous_secret", arena),
        .previous_until_ms = number(json, "previous_until_ms"),
    };
    json_array_foreach(json_object_get(json, "events"), i, event)
    {
        if (ret_webhook->n_events < WEBHOOK_EVENTS_MAX)
            ret_webhook->events[ret_webhook->n_events++] =
                arena_strdup(arena, json_string_value(event));
    }
}

struct error *webhook_load(struct store *store, const char *id, struct arena *arena,
                           struct webhook *ret_webhook)
{
    _cleanup_(json_decrefp) json_t *json = NULL;
    uint64_t version = 0;
    struct error *err =
        json_record_load(store, key_of(arena, KEY_WEBHOOK, id), arena, &json, &version);

    if (err)
        return err;
    webhook_read(json, id, arena, ret_webhook);
    ret_webhook->version = version;
    return NULL;
}

static int oldest_first(const void *a, const void *b)
{
    const struct webhook *one = a;
    const struct webhook *other = b;

    if (one->created_at_ms != other->created_at_ms)
        return one->created_at_ms < other->created_at_ms ? -1 : 1;
    return strcmp(one->id, other->id);
}

struct error *webhooks_of(struct store *store, const char *account, struct arena *arena,
                          struct webhook **ret_webhooks, size_t *ret_n)
{
    const char **ids = NULL;
    size_t n = 0;
    struct error *err = store_members(store, key_of(arena, KEY_WEBHOOKS_OF, account),
                                      2 * WEBHOOKS_MAX, arena, &ids, &n);

    *ret_n = 0;
    if (err || !n)
        return err;
    const char **keys = arena_alloc(arena, n * sizeof(*keys));
    struct store_record *records = arena_alloc(arena, n * sizeof(*records));
    *ret_webhooks = arena_alloc(arena, n * sizeof(**ret_webhooks));
    for (size_t i = 0; i < n; i++)
        keys[i] = key_of(arena, KEY_WEBHOOK, ids[i]);
    err = store_get_many(store, keys, n, arena, records);
    for (size_t i = 0; !err && i < n; i++) {
        _cleanup_(json_decrefp) json_t *json = json_record_parse(&records[i]);
        struct webhook *webhook = &(*ret_webhooks)[*ret_n];
        if (!json)
            continue; /* deleted between the two reads */
        webhook_read(json, ids[i], arena, webhook);
        webhook->version = records[i].version;
        ++*ret_n;
    }
    qsort(*ret_webhooks, *ret_n, sizeof(**ret_webhooks), oldest_first);
    return err;
}

bool webhook_wants(const struct webhook *webhook, const char *kind)
{
    for (size_t i = 0; i < webhook->n_events; i++)
        if (strcmp(webhook->events[i], "*") == 0 || strcmp(webhook->events[i], kind) == 0)
            return true;
    return false;
}

static json_t *events_json(const struct webhook *webhook)
{
    json_t *events = json_array();

    for (size_t i = 0; i < webhook->n_events; i++)
        json_array_append_new(events, json_string(webhook->events[i]));
    return events;
}

struct store_write webhook_write(struct arena *arena, const struct webhook *webhook)
{
    _cleanup_(json_decrefp) json_t *json = json_pack(
        "{s:s, s:s, s:o, s:o, s:b, s:s, s:I, s:I, s:s, s:s, s:I}", "account", webhook->account,
        "url", webhook->url, "events", events_json(webhook), "description",
        json_text(webhook->description, strlen(webhook->description)), "active", webhook->active,
        "disabled_reason", webhook->disabled_reason, "created_at_ms",
        (json_int_t)webhook->created_at_ms, "updated_at_ms", (json_int_t)webhook->updated_at_ms,
        "secret", webhook->secret, "previous_secret", webhook->previous_secret, "previous_until_ms",
        (json_int_t)webhook->previous_until_ms);

    return (struct store_write){.key = key_of(arena, KEY_WEBHOOK, webhook->id),
                                .expected_version = webhook->version,
                                .value = json_record_value(arena, json)};
}

void webhook_secrets(const struct webhook *webhook, int64_t now_ms, const char *ret_sealed[2])
{
    bool both = *webhook->previous_secret && webhook->previous_until_ms > now_ms;

    ret_sealed[0] = webhook->secret;
    ret_sealed[1] = both ? webhook->previous_secret : NULL;
}

json_t *webhook_to_json(const struct webhook *webhook)
{
    char created[CLOCK_TEXT_SIZE];
    char updated[CLOCK_TEXT_SIZE];

    clock_format(webhook->created_at_ms, created);
    clock_format(webhook->updated_at_ms, updated);
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:o, s:o, s:b, s:s, s:s}", "webhookId", webhook->id, "accountId",
                  webhook->account, "url", webhook->url, "events", events_json(webhook),
                  "description", json_text(webhook->description, strlen(webhook->description)),
                  "active", webhook->active, "createdAt", created, "updatedAt", updated);
    if (*webhook->disabled_reason)
        json_object_set_new(json, "disabledReason", json_string(webhook->disabled_reason));
    return json;
}
