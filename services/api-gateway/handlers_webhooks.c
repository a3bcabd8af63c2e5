/* Webhooks of the caller's account: made, listed, changed, deleted, tried. */
#include "services/api-gateway/audit.h"
#include "services/api-gateway/etag.h"
#include "services/api-gateway/form.h"
#include "services/api-gateway/gateway.h"
#include "services/api-gateway/handlers.h"
#include "services/api-gateway/idempotency.h"
#include "services/api-gateway/list_page.h"
#include "services/api-gateway/webhook_feed.h"
#include "services/api-gateway/webhook_queue.h"
#include "services/api-gateway/webhook_url.h"

enum { ID_MAX = 63 };

static const char *take_url(struct form *form, bool required)
{
    const char *url = form_text(form, "url", required, WEBHOOK_URL_MAX);

    if (!url)
        return NULL;
    struct error *err = webhook_url_check(url, form->request->gateway->config->webhook_insecure);
    if (err)
        form_find(form, "url", arena_strdup(form->request->arena, error_text(err)),
                  "give an https URL that the internet can reach");
    error_free(err);
    return url;
}

/* As kinds are: letters, digits, '_', '-' and '.'. */
static bool is_kind(const char *text)
{
    size_t size = strlen(text);

    if (strcmp(text, "*") == 0)
        return true;
    return size && size <= WEBHOOK_KIND_MAX &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") ==
               size;
}

static void take_events(struct form *form, struct webhook_edit *edit)
{
    const json_t *events = form_member(form, "events", JSON_ARRAY, WEBHOOK_EVENTS_MAX);
    const json_t *event;
    size_t i;

    if (events && !json_array_size(events))
        form_find(form, "events", "'events' is empty", "name kinds, write \"*\", or leave it out");
    json_array_foreach(events, i, event)
    {
        const char *kind = json_string_value(event);
        if (kind && is_kind(kind))
            edit->events[edit->n_events++] = arena_strdup(form->request->arena, kind);
        else
            form_find(form, arena_printf(form->request->arena, "events[%zu]", i),
                      "this is no kind of event",
                      "write one as events show it, such as \"running\", or \"*\" for all");
    }
}

static void take_edit(struct form *form, bool create, struct webhook_edit *ret_edit)
{
    *ret_edit = (struct webhook_edit){0};
    ret_edit->url = take_url(form, create);
    take_events(form, ret_edit);
    ret_edit->description = form_name(form, "description", false, WEBHOOK_DESCRIPTION_MAX);
    ret_edit->set_active = form_active(form, &ret_edit->active);
    if (!create)
        ret_edit->rotate_secret = form_bool(form, "rotateSecret", false);
}

static bool is_empty(const struct webhook_edit *edit)
{
    return !edit->url && !edit->n_events && !edit->description && !edit->set_active &&
           !edit->rotate_secret;
}

struct error *on_webhook_create(struct request *request, struct response *ret_response)
{
    char secret[WEBHOOK_SECRET_SIZE] = "";
    struct webhook_edit edit;
    struct webhook webhook;
    struct form form;
    struct error *err = form_open(&form, request);

    if (err)
        return err;
    take_edit(&form, true, &edit);
    if (!edit.n_events)
        edit.events[edit.n_events++] = "*";
    err = form_close(&form);
    err = err ?: webhook_create(request, &edit, &webhook, secret);
    if (!err)
        ret_response->json = webhook_to_json_with(&webhook, secret);
    OPENSSL_cleanse(secret, sizeof(secret));
    return err;
}

/* How its deliveries fare. */
static struct error *add_state(struct request *request, const struct webhook *webhook, json_t *json)
{
    struct webhook_state state;
    struct error *err =
        webhook_state_load(request->gateway->store, webhook->id, request->arena, &state);

    if (err)
        return err;
    json_object_set_new(json, "pendingDeliveries", json_integer((json_int_t)state.pending));
    json_object_set_new(json, "droppedDeliveries", json_integer((json_int_t)state.dropped));
    json_object_set_new(json, "failuresInARow", json_integer(state.failures));
    return NULL;
}

/* The page of them, oldest first. */
static struct list_item *select_webhooks(struct request *request, struct response *response,
                                         const struct list_query *query,
                                         const struct webhook *webhooks, size_t *n)
{
    struct list_item *items = arena_alloc(request->arena, (*n + 1) * sizeof(*items));

    for (size_t i = 0; i < *n; i++)
        items[i] = (struct list_item){
            .key = list_key_of_number(request->arena, (uint64_t)webhooks[i].created_at_ms),
            .id = webhooks[i].id,
            .what = &webhooks[i]};
    return list_page(request, response, query, list_by_key, items, n);
}

struct error *on_webhook_list(struct request *request, struct response *ret_response)
{
    static const char *const arguments[] = {NULL};
    struct webhook *webhooks = NULL;
    struct list_query query;
    size_t n = 0;

    list_query_read(request, arguments, &query);
    struct error *err = list_query_result(&query);
    err = err
              ?: webhooks_of(request->gateway->store, request->account, request->arena, &webhooks,
                             &n);
    if (err)
        return err;
    const struct list_item *items = select_webhooks(request, ret_response, &query, webhooks, &n);
    ret_response->json = json_array();
    for (size_t i = 0; !err && i < n; i++) {
        const struct webhook *webhook = items[i].what;
        json_t *json = webhook_to_json(webhook);
        char tag[ETAG_SIZE];
        etag_of_version(webhook->version, tag);
        json_object_set_new(json, "etag", json_string(tag));
        json_array_append_new(ret_response->json, json);
        err = add_state(request, items[i].what, json);
    }
    return err;
}

struct error *on_webhook_get(struct request *request, struct response *ret_response)
{
    struct webhook webhook;
    char tag[ETAG_SIZE];
    struct error *err = webhook_find(request, request->parameter, &webhook);

    if (err)
        return err;
    /* for If-Match; never a 304, since its deliveries change without the record */
    etag_of_version(webhook.version, tag);
    response_header(request, ret_response, MHD_HTTP_HEADER_ETAG, tag);
    ret_response->json = webhook_to_json(&webhook);
    return add_state(request, &webhook, ret_response->json);
}

struct error *on_webhook_update(struct request *request, struct response *ret_response)
{
    char secret[WEBHOOK_SECRET_SIZE] = "";
    struct webhook_edit edit;
    struct webhook webhook;
    struct form form;
    struct error *err = form_open(&form, request);

    if (err)
        return err;
    const char *id = form_text(&form, "webhookId", true, ID_MAX);
    take_edit(&form, false, &edit);
    err = form_close_edit(&form, !is_empty(&edit), "webhookId",
                          "give url, events, description, active or rotateSecret");
    err = err ?: webhook_change(request, id, &edit, &webhook, secret);
    if (!err)
        ret_response->json = webhook_to_json_with(&webhook, secret);
    OPENSSL_cleanse(secret, sizeof(secret));
    return err;
}

struct error *on_webhook_delete(struct request *request, struct response *ret_response)
{
    const char *id = NULL;
    struct error *err = form_read_text(request, "webhookId", ID_MAX, &id);

    err = err ?: webhook_delete(request, id);
    if (!err)
        ret_response->json = json_object();
    return err;
}

/* With its audit entry, as every change. */
static struct error *add_test(struct request *request, const struct webhook *webhook,
                              const struct delivery_record *delivery)
{
    const struct audit_entry entry = {
        .account = webhook->account, .object = webhook->id, .result = "ok"};
    struct store_list_edit lists[AUDIT_LISTS];
    const struct webhook_add add = {.delivery = *delivery,
                                    .webhooks = &webhook,
                                    .n = 1,
                                    .lists = lists,
                                    .n_lists = audit_edits(request, &entry, lists)};
    size_t added = 0;
    size_t dropped = 0;
    struct error *err =
        webhook_queue_add(request->gateway->store, &add, request->arena, &added, &dropped);

    if (!err)
        webhook_sender_wake(&request->gateway->webhooks);
    return err;
}

static struct error *send_test(struct request *request, const struct webhook *webhook,
                               struct response *ret_response)
{
    int64_t now_ms = clock_wall_ms(request->gateway->clock);
    char id[UUID_TEXT_SIZE];
    char name[DELIVERY_NAME_SIZE];

    /* another try with the key asks for the same one */
    idempotency_make_id(request, id);
    delivery_name_of_test(id, name);
    const char *event = arena_printf(request->arena, "test.%s", name);
    json_t *data = json_pack("{s:s}", "message", "This is a test. Nothing has happened.");
    const struct delivery_record delivery = {
        .webhook = webhook->id,
        .name = name,
        .event = event,
        .kind = "test",
        .body = webhook_body(request->arena, event, "test", now_ms, data),
        .status = DELIVERY_PENDING,
        .error = "",
        .at_ms = now_ms,
        .next_ms = now_ms,
    };
    struct error *err = add_test(request, webhook, &delivery);
    if (!err)
        ret_response->json = delivery_to_json(&delivery);
    return err;
}

struct error *on_webhook_test(struct request *request, struct response *ret_response)
{
    const char *id = NULL;
    struct webhook webhook;
    struct error *err = form_read_text(request, "webhookId", ID_MAX, &id);

    err = err ?: webhook_find(request, id, &webhook);
    if (!err && !webhook.active)
        err = error_new(ERROR_FAILED_PRECONDITION, "the webhook is off: switch it on first");
    return err ?: send_test(request, &webhook, ret_response);
}

struct error *on_webhook_deliveries(struct request *request, struct response *ret_response)
{
    struct webhook webhook;
    json_t *list = NULL;
    struct error *err = webhook_find(request, request->parameter, &webhook);

    err = err ?: deliveries_list(request->gateway->store, webhook.id, request->arena, &list);
    if (!err)
        ret_response->json = json_pack("{s:o}", "deliveries", list);
    return err;
}
