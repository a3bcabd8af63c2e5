#include "services/api-gateway/audit.h"

#include "services/api-gateway/gateway.h"
#include "services/api-gateway/json_record.h"
#include "shared/base/log.h"
#include "shared/store/keys.h"

static const char *const kind_names[] = {
    [PRINCIPAL_NONE] = "nobody",
    [PRINCIPAL_USER] = "user",
    [PRINCIPAL_ACCOUNT_ADMIN] = "account-admin",
    [PRINCIPAL_GLOBAL_ADMIN] = "global-admin",
};

static json_t *actor_json(const struct request *request)
{
    json_t *actor = json_pack("{s:s}", "type", kind_names[request->principal.kind]);

    if (*request->account)
        json_object_set_new(actor, "accountId", json_string(request->account));
    if (*request->principal.key_id)
        json_object_set_new(actor, "keyId", json_string(request->principal.key_id));
    return actor;
}

/* "accounts/create" of "/api/v1/accounts/create". */
static const char *action_of(const struct request *request)
{
    static const char prefix[] = "/api/v1/";
    const char *path = request->route->path;

    return strncmp(path, prefix, strlen(prefix)) == 0 ? path + strlen(prefix) : path;
}

static json_t *entry_json(struct request *request, const struct audit_entry *entry)
{
    char id[UUID_TEXT_SIZE];
    char now[CLOCK_TEXT_SIZE];

    uuid_generate_text(id);
    clock_format(clock_wall_ms(request->gateway->clock), now);
    json_t *json =
        json_pack("{s:s, s:s, s:o, s:s, s:s, s:s, s:s, s:s, s:s}", "id", id, "at", now, "actor",
                  actor_json(request), "action", action_of(request), "object", entry->object,
                  "accountId", entry->account, "address", http_client_address(request), "requestId",
                  request->id, "result", entry->result);
    if (entry->details)
        json_object_set(json, "details", entry->details);
    return json;
}

static const char *list_key(struct request *request, const char *account)
{
    return arena_printf(request->arena, "%s%s", KEY_AUDIT_OF, account);
}

size_t audit_edits(struct request *request, const struct audit_entry *entry,
                   struct store_list_edit ret_edits[AUDIT_LISTS])
{
    _cleanup_(json_decrefp) json_t *json = entry_json(request, entry);

    return audit_trail_edits(request->arena, entry->account,
                             json_record_value(request->arena, json), ret_edits);
}

/* An entry on its way through the scheduler. */
struct handed_entry {
    Coffer__V1__AuditEntry message;
    bool written;
};

Coffer__V1__AuditEntry *audit_hand_over(struct request *request, const char *object)
{
    const struct audit_entry entry = {
        .account = request->account, .object = object, .result = "ok"};

    if (request->handed)
        return &request->handed->message;
    _cleanup_(json_decrefp) json_t *json = entry_json(request, &entry);
    struct handed_entry *handed = arena_alloc(request->arena, sizeof(*handed));
    coffer__v1__audit_entry__init(&handed->message);
    handed->message.account_id = request->account;
    handed->message.id = (char *)json_record_text(json, "id", request->arena);
    handed->message.entry = json_record_value(request->arena, json);
    handed->written = false;
    request->handed = handed;
    return &handed->message;
}

void audit_handed_over(const struct request *request, bool audited)
{
    if (request->handed && audited)
        request->handed->written = true;
}

void audit_noted(const struct request *request, const ProtobufCBinaryData *note)
{
    if (request->handed)
        audit_handed_over(request, audit_trail_is_noted(note, request->handed->message.id));
}

/* Whole, since a character cut in half would be no text: bodies name at most 64 bytes. */
void audit_about(struct request *request, const char *object)
{
    snprintf(request->object, sizeof(request->object), "%s", object);
}

/* Refused as such: nothing was asked of anyone. */
static bool is_refusal(unsigned status)
{
    return status == 400 || status == 401 || status == 404 || status == 405 || status == 413 ||
           status == 429;
}

/* What was handed over is also what tells that it was done: who reads it twice knows it again. */
static size_t answer_edits(struct request *request, unsigned status, const json_t *answer,
                           struct store_list_edit ret_edits[AUDIT_LISTS])
{
    const char *kind = json_string_value(json_object_get(answer, "kind"));
    const struct handed_entry *handed = request->handed;
    const struct audit_entry entry = {
        .account = request->account,
        .object = request->object,
        .result = status < 300 ? "ok" : kind ?: "INTERNAL",
    };

    if (handed && status < 300)
        return audit_trail_edits(request->arena, request->account, handed->message.entry,
                                 ret_edits);
    return audit_edits(request, &entry, ret_edits);
}

void audit_answer(struct request *request, unsigned status, const json_t *answer)
{
    struct store_list_edit edits[AUDIT_LISTS];

    if (!*request->object || is_refusal(status) || (request->handed && request->handed->written))
        return;
    size_t n = answer_edits(request, status, answer, edits);
    struct error *err = commit_group_add(&request->gateway->audit, edits, n);
    if (err)
        log_event(LOG_LEVEL_ERROR, "audit entry not kept", "request_id", request->id, "entry",
                  arena_printf(request->arena, "%.*s", (int)edits[0].value.len,
                               (const char *)edits[0].value.data),
                  NULL);
    log_failure(LOG_LEVEL_ERROR, "audit", err);
}

static bool is_entry(const json_t *json, const char *id)
{
    const char *text = json_string_value(json_object_get(json, "id"));

    return text && strcmp(text, id) == 0;
}

static json_t *parse(const ProtobufCBinaryData *item)
{
    return json_loadb((const char *)item->data, item->len, 0, NULL);
}

/* The place behind the cursor; n when it is not among the items. */
static size_t after_cursor(const ProtobufCBinaryData *items, size_t n, const char *cursor)
{
    for (size_t i = 0; cursor && i < n; i++) {
        _cleanup_(json_decrefp) json_t *json = parse(&items[i]);
        if (is_entry(json, cursor))
            return i + 1;
    }
    return cursor ? n : 0;
}

static bool is_text(const json_t *json, const char *name, const char *wanted)
{
    const char *text = json_string_value(json_object_get(json, name));

    return !wanted || (text && strcmp(text, wanted) == 0);
}

/* Times are written alike, so they compare as texts. */
static bool is_between(const json_t *json, const char *since, const char *until)
{
    const char *at = json_string_value(json_object_get(json, "at"));

    return at && (!since || strcmp(at, since) >= 0) && (!until || strcmp(at, until) < 0);
}

static bool matches(const json_t *json, const struct audit_filter *filter)
{
    const json_t *actor = json_object_get(json, "actor");

    return is_text(json, "action", filter->action) && is_text(json, "object", filter->object) &&
           is_text(json, "result", filter->result) &&
           (!filter->actor || is_text(actor, "keyId", filter->actor) ||
            is_text(actor, "accountId", filter->actor) || is_text(actor, "type", filter->actor)) &&
           is_between(json, filter->since, filter->until);
}

/* Adds what matches, at most max; whether there is more. */
static bool add_matching(const ProtobufCBinaryData *items, size_t n,
                         const struct audit_filter *filter, size_t max, json_t *entries)
{
    for (size_t i = 0; i < n; i++) {
        _cleanup_(json_decrefp) json_t *json = parse(&items[i]);
        if (!json || !matches(json, filter))
            continue;
        if (json_array_size(entries) == max)
            return true;
        json_array_append(entries, json);
    }
    return false;
}

/*
 * New entries move the old ones, so the cursor is an entry, not a number. What is read grows until
 * a page is full: the first pages, which people look at, cost little.
 */
static struct error *load_page(struct request *request, const char *key, const char *cursor,
                               const struct audit_filter *filter, size_t max, json_t *entries,
                               bool *ret_more)
{
    for (size_t want = max + 1;; want *= 4) {
        ProtobufCBinaryData *items = NULL;
        size_t n = 0;
        struct error *err =
            store_list_range(request->gateway->store, key, want, request->arena, &items, &n);
        if (err)
            return err;
        size_t first = after_cursor(items, n, cursor);
        json_array_clear(entries);
        *ret_more = add_matching(items + first, n - first, filter, max, entries);
        if (*ret_more || n < want)
            return NULL;
    }
}

struct error *audit_read(struct request *request, const char *account, const char *cursor,
                         const struct audit_filter *filter, size_t max, json_t **ret_entries,
                         const char **ret_next)
{
    _cleanup_(json_decrefp) json_t *entries = json_array();
    const char *key = account ? list_key(request, account) : KEY_AUDIT;
    bool more = false;
    struct error *err = load_page(request, key, cursor, filter, max, entries, &more);

    if (err)
        return err;
    const json_t *last = json_array_get(entries, json_array_size(entries) - 1);
    *ret_next = more && last ? json_record_text(last, "id", request->arena) : NULL;
    *ret_entries = json_incref(entries);
    return NULL;
}
