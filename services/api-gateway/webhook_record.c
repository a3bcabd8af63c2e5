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

struct error *webhook_ids_load(struct store *store, const char *account, struct arena *arena,
                               struct webhook_ids *ret_ids)
{
    _cleanup_(json_decrefp) json_t *json = NULL;
    const json_t *id;
    size_t i;

    *ret_ids = (struct webhook_ids){0};
    struct error *err = json_record_load(store, key_of(arena, KEY_WEBHOOKS_OF, account), arena,
                                         &json, &ret_ids->version);
    if (err)
        return err;
    json_array_foreach(json_object_get(json, "ids"), i, id)
    {
        if (ret_ids->n < WEBHOOKS_MAX)
            ret_ids->ids[ret_ids->n++] = arena_strdup(arena, json_string_value(id));
    }
    return NULL;
}

struct store_write webhook_ids_write(struct arena *arena, const char *account,
                                     const struct webhook_ids *ids)
{
    json_t *list = json_array();

    for (size_t i = 0; i < ids->n; i++)
        json_array_append_new(list, json_string(ids->ids[i]));
    _cleanup_(json_decrefp) json_t *json = json_pack("{s:o}", "ids", list);
    return (struct store_write){.key = key_of(arena, KEY_WEBHOOKS_OF, account),
                                .expected_version = ids->version,
                                .value = json_record_value(arena, json)};
}

struct error *webhooks_of(struct store *store, const char *account, struct arena *arena,
                          struct webhook **ret_webhooks, size_t *ret_n)
{
    struct store_record records[WEBHOOKS_MAX];
    const char *keys[WEBHOOKS_MAX];
    struct webhook_ids ids;
    struct error *err = webhook_ids_load(store, account, arena, &ids);

    *ret_n = 0;
    if (err || !ids.n)
        return err;
    for (size_t i = 0; i < ids.n; i++)
        keys[i] = key_of(arena, KEY_WEBHOOK, ids.ids[i]);
    *ret_webhooks = arena_alloc(arena, ids.n * sizeof(**ret_webhooks));
    err = store_get_many(store, keys, ids.n, arena, records);
    for (size_t i = 0; !err && i < ids.n; i++) {
        _cleanup_(json_decrefp) json_t *json = json_record_parse(&records[i]);
        struct webhook *webhook = &(*ret_webhooks)[*ret_n];
        if (!json)
            continue; /* deleted between the two reads */
        webhook_read(json, ids.ids[i], arena, webhook);
        webhook->version = records[i].version;
        ++*ret_n;
    }
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

json_t *webhook_to_json_with(const struct webhook *webhook, const char *secret)
{
    json_t *json = webhook_to_json(webhook);

    if (*secret)
        json_object_set_new(json, "secret", json_string(secret));
    return json;
}
