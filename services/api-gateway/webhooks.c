#include "services/api-gateway/webhooks.h"

#include "services/api-gateway/audit.h"
#include "services/api-gateway/etag.h"
#include "services/api-gateway/gateway.h"
#include "services/api-gateway/idempotency.h"
#include "services/api-gateway/webhook_queue.h"
#include "shared/store/keys.h"

enum { TRIES = 50 };

#define BOTH_SECRETS_MS (INT64_C(24) * 3600 * 1000) /* for receivers to take the new one */

struct error *webhook_find(struct request *request, const char *id, struct webhook *ret_webhook)
{
    *ret_webhook = (struct webhook){0};
    struct error *err = name_is_valid(id)
                            ? webhook_load(request->gateway->store, id, request->arena, ret_webhook)
                            : NULL;

    if (err)
        return err;
    if (!ret_webhook->version || strcmp(ret_webhook->account, request->account) != 0)
        return error_new(ERROR_NOT_FOUND, "no such webhook");
    return NULL;
}

/* Names and places, no secrets; a URL may hold a token of the receiver, so only its being set. */
static json_t *details_of(const struct webhook *webhook, const struct webhook_edit *edit)
{
    json_t *events = json_array();

    for (size_t i = 0; i < webhook->n_events; i++)
        json_array_append_new(events, json_string(webhook->events[i]));
    return json_pack("{s:o, s:b, s:b, s:b}", "events", events, "active", webhook->active, "url",
                     edit->url != NULL, "rotateSecret", edit->rotate_secret);
}

/* The change, its audit entry and the answer, which is taken. */
static struct error *commit(struct request *request, const struct webhook *webhook, json_t *details,
                            json_t *answer_json, struct store_change change)
{
    _cleanup_(json_decrefp) json_t *answer = answer_json;
    const struct audit_entry entry = {
        .account = webhook->account, .object = webhook->id, .result = "ok", .details = details};
    struct store_list_edit lists[AUDIT_LISTS];

    change.lists = lists;
    change.n_lists = audit_edits(request, &entry, lists);
    return idempotency_commit(request, &change, answer);
}

static struct error *add_id(struct request *request, const char *id, struct store_write *ret_write)
{
    struct webhook_ids ids;
    struct error *err =
        webhook_ids_load(request->gateway->store, request->account, request->arena, &ids);

    if (err)
        return err;
    if (ids.n == WEBHOOKS_MAX)
        return error_new(ERROR_FAILED_PRECONDITION,
                         "the account has %d webhooks: delete some first", WEBHOOKS_MAX);
    ids.ids[ids.n++] = id;
    *ret_write = webhook_ids_write(request->arena, request->account, &ids);
    return NULL;
}

static struct error *remove_id(struct request *request, const char *id,
                               struct store_write *ret_write)
{
    struct webhook_ids ids;
    size_t kept = 0;
    struct error *err =
        webhook_ids_load(request->gateway->store, request->account, request->arena, &ids);

    if (err)
        return err;
    for (size_t i = 0; i < ids.n; i++)
        if (strcmp(ids.ids[i], id) != 0)
            ids.ids[kept++] = ids.ids[i];
    ids.n = kept;
    *ret_write = webhook_ids_write(request->arena, request->account, &ids);
    return NULL;
}

/* A new secret; the one there was signs on for a while. */
static struct error *renew_secret(struct request *request, struct webhook *webhook,
                                  char ret_secret[WEBHOOK_SECRET_SIZE])
{
    struct error *err = webhook_secret_make(ret_secret);

    webhook->previous_secret = webhook->secret;
    webhook->previous_until_ms = clock_wall_ms(request->gateway->clock) + BOTH_SECRETS_MS;
    return err
               ?: webhook_secret_seal(&request->gateway->webhook_key, webhook->id, ret_secret,
                                      request->arena, &webhook->secret);
}

static void apply(struct webhook *webhook, const struct webhook_edit *edit, int64_t now_ms)
{
    webhook->url = edit->url ?: webhook->url;
    webhook->description = edit->description ?: webhook->description;
    if (edit->n_events) {
        memcpy(webhook->events, edit->events, sizeof(webhook->events));
        webhook->n_events = edit->n_events;
    }
    if (edit->set_active) {
        webhook->active = edit->active;
        webhook->disabled_reason = "";
    }
    webhook->updated_at_ms = now_ms;
}

static struct error *try_create(struct request *request, const struct webhook *webhook,
                                const struct webhook_edit *edit, const char *secret)
{
    _cleanup_(json_decrefp) json_t *details = details_of(webhook, edit);
    struct store_write writes[2] = {webhook_write(request->arena, webhook)};
    struct error *err = add_id(request, webhook->id, &writes[1]);

    return err
               ?: commit(request, webhook, details, webhook_to_json_with(webhook, secret),
                         (struct store_change){.writes = writes, .n_writes = 2});
}

struct error *webhook_create(struct request *request, const struct webhook_edit *edit,
                             struct webhook *ret_webhook, char ret_secret[WEBHOOK_SECRET_SIZE])
{
    char id[UUID_TEXT_SIZE];
    int64_t now_ms = clock_wall_ms(request->gateway->clock);

    uuid_generate_text(id);
    *ret_webhook = (struct webhook){.id = arena_strdup(request->arena, id),
                                    .account = request->account,
                                    .description = "",
                                    .active = true,
                                    .disabled_reason = "",
                                    .secret = "",
                                    .created_at_ms = now_ms};
    apply(ret_webhook, edit, now_ms);
    struct error *err = renew_secret(request, ret_webhook, ret_secret);
    if (err)
        return err;
    for (int i = 0; i < TRIES; i++) {
        error_free(err);
        err = try_create(request, ret_webhook, edit, ret_secret);
        if (error_get_code(err) != ERROR_ABORTED)
            return err;
    }
    return err;
}

static struct error *try_change(struct request *request, const char *id,
                                const struct webhook_edit *edit, struct webhook *ret_webhook,
                                char ret_secret[WEBHOOK_SECRET_SIZE])
{
    struct error *err = webhook_find(request, id, ret_webhook);

    err = err ?: etag_check_version(request, ret_webhook->version);
    if (err)
        return err;
    apply(ret_webhook, edit, clock_wall_ms(request->gateway->clock));
    if (edit->rotate_secret)
        err = renew_secret(request, ret_webhook, ret_secret);
    /* Beforehand: a count that starts again without the webhook being on again does no harm. */
    if (!err && edit->set_active && edit->active)
        err = webhook_queue_forgive(request->gateway->store, id, request->arena);
    if (err)
        return err;
    _cleanup_(json_decrefp) json_t *details = details_of(ret_webhook, edit);
    const struct store_write write = webhook_write(request->arena, ret_webhook);
    return commit(request, ret_webhook, details, webhook_to_json_with(ret_webhook, ret_secret),
                  (struct store_change){.writes = &write, .n_writes = 1});
}

struct error *webhook_change(struct request *request, const char *id,
                             const struct webhook_edit *edit, struct webhook *ret_webhook,
                             char ret_secret[WEBHOOK_SECRET_SIZE])
{
    struct error *err = NULL;

    for (int i = 0; i < TRIES; i++) {
        error_free(err);
        err = try_change(request, id, edit, ret_webhook, ret_secret);
        if (error_get_code(err) != ERROR_ABORTED)
            return err;
    }
    return err;
}

/* What is pending the sender clears away; nobody can ask for it any more. */
static struct error *try_delete(struct request *request, const char *id)
{
    struct webhook webhook;
    struct error *err = webhook_find(request, id, &webhook);

    err = err ?: etag_check_version(request, webhook.version);
    if (err)
        return err;
    struct store_write writes[2] = {{.key = arena_printf(request->arena, "%s%s", KEY_WEBHOOK, id),
                                     .expected_version = webhook.version}};
    err = remove_id(request, id, &writes[1]);
    return err
               ?: commit(request, &webhook, NULL, json_object(),
                         (struct store_change){.writes = writes, .n_writes = 2});
}

struct error *webhook_delete(struct request *request, const char *id)
{
    struct error *err = NULL;

    for (int i = 0; i < TRIES; i++) {
        error_free(err);
        err = try_delete(request, id);
        if (error_get_code(err) != ERROR_ABORTED)
            return err;
    }
    return err;
}
