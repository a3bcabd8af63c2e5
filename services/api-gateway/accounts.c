#include "services/api-gateway/accounts.h"

#include <ctype.h>

#include "services/api-gateway/audit.h"
#include "services/api-gateway/balance.h"
#include "services/api-gateway/etag.h"
#include "services/api-gateway/gateway.h"
#include "services/api-gateway/idempotency.h"
#include "services/api-gateway/json_record.h"
#include "services/api-gateway/json_text.h"
#include "services/api-gateway/list_page.h"
#include "services/api-gateway/read_cache.h"
#include "services/api-gateway/records.h"
#include "services/api-gateway/workloads.h"
#include "shared/store/keys.h"

enum { BATCH = 256, TRIES = 200 };

static const char *record_key(struct arena *arena, const char *id)
{
    return arena_printf(arena, "%s%s", KEY_ACCOUNT, id);
}

static void account_read(const json_t *json, struct arena *arena, struct account *ret_account)
{
    *ret_account = (struct account){
        .id = json_record_text(json, "account", arena),
        .name = json_record_text(json, "name", arena),
        .wallet = json_record_text(json, "wallet", arena),
        .created_at = json_record_text(json, "created_at", arena),
        .active = json_is_true(json_object_get(json, "active")),
        .balance_micro = json_integer_value(json_object_get(json, "balance_micro_usd")),
        .quota = quota_from_json(json_object_get(json, "quota")),
    };
}

static ProtobufCBinaryData account_value(struct arena *arena, const struct account *account)
{
    _cleanup_(json_decrefp) json_t *json =
        json_pack("{s:s, s:o, s:b, s:s, s:s, s:I, s:o}", "account", account->id, "name",
                  json_text(account->name, strlen(account->name)), "active", account->active,
                  "created_at", account->created_at, "wallet", account->wallet, "balance_micro_usd",
                  (json_int_t)account->balance_micro, "quota", quota_to_json(&account->quota));

    return json_record_value(arena, json);
}

json_t *account_to_json(const struct account *account)
{
    return json_pack("{s:s, s:o, s:s, s:s, s:o, s:o}", "accountId", account->id, "name",
                     json_text(account->name, strlen(account->name)), "walletAddress",
                     account->wallet, "createdAt", account->created_at, "balance",
                     balance_to_json(account->balance_micro), "quota",
                     quota_to_json(&account->quota));
}

static bool costs(const Coffer__V1__Workload *workload)
{
    return workload->status != COFFER__V1__WORKLOAD_STATUS__STOPPED &&
           workload->status != COFFER__V1__WORKLOAD_STATUS__DELETED;
}

struct error *account_burn_rate_micro(struct request *request, const struct account *account,
                                      uint64_t *ret_micro)
{
    void **workloads;
    uint64_t micro = 0;
    size_t n;
    struct error *err = records_load_all(
        request, arena_printf(request->arena, "%s%s", KEY_WORKLOADS_OF, account->id), KEY_WORKLOAD,
        &coffer__v1__workload__descriptor, WORKLOADS_MAX, &workloads, &n);

    for (size_t i = 0; !err && i < n; i++) {
        const Coffer__V1__Workload *workload = workloads[i];
        if (costs(workload))
            micro += workload->usd_micros_per_minute;
    }
    if (!err)
        *ret_micro = micro;
    return err;
}

static bool may_know(const struct request *request, const char *id)
{
    return request->principal.kind == PRINCIPAL_GLOBAL_ADMIN || strcmp(request->account, id) == 0;
}

struct error *account_load(struct request *request, const char *id, struct account *ret_account)
{
    _cleanup_(json_decrefp) json_t *json = NULL;
    uint64_t version = 0;
    struct error *err = NULL;

    if (name_is_valid(id) && may_know(request, id))
        err = json_record_load(request->gateway->store, record_key(request->arena, id),
                               request->arena, &json, &version);
    if (err)
        return err;
    if (!json)
        return error_new(ERROR_NOT_FOUND, "no such account");
    account_read(json, request->arena, ret_account);
    ret_account->version = version;
    return NULL;
}

struct error *account_check_path(struct request *request)
{
    if (name_is_valid(request->parameter))
        return NULL;
    return http_refuse(request, 400, "INVALID_PATH",
                       error_new(ERROR_INVALID_ARGUMENT, "this is no account's id"));
}

struct error *account_is_active(struct store *store, const char *id, struct arena *arena,
                                bool *ret_active)
{
    _cleanup_(json_decrefp) json_t *json = NULL;
    struct error *err = json_record_load(store, record_key(arena, id), arena, &json, NULL);

    if (!err)
        *ret_active = json_is_true(json_object_get(json, "active"));
    return err;
}

static struct error *load_batch(struct request *request, const char *const *keys, size_t n,
                                struct account *accounts, size_t *n_accounts)
{
    struct store_record *records = arena_alloc(request->arena, (n + 1) * sizeof(*records));
    struct error *err = store_get_many(request->gateway->store, keys, n, request->arena, records);

    for (size_t i = 0; !err && i < n; i++) {
        _cleanup_(json_decrefp) json_t *json = json_record_parse(&records[i]);
        if (json)
            account_read(json, request->arena, &accounts[(*n_accounts)++]);
    }
    return err;
}

static struct error *load_all(struct request *request, struct account **ret_accounts,
                              size_t *ret_found)
{
    const char **ids = NULL;
    size_t n = 0;
    struct error *err = store_members(request->gateway->store, KEY_ACCOUNTS, ACCOUNTS_MAX,
                                      request->arena, &ids, &n);

    if (err)
        return err;
    *ret_accounts = arena_alloc(request->arena, (n + 1) * sizeof(**ret_accounts));
    for (size_t i = 0; i < n; i++)
        ids[i] = record_key(request->arena, ids[i]);
    for (size_t i = 0; !err && i < n; i += BATCH)
        err = load_batch(request, ids + i, n - i < BATCH ? n - i : BATCH, *ret_accounts, ret_found);
    return err;
}

struct error *accounts_list(struct request *request, struct response *response)
{
    static const char *const arguments[] = {"name", NULL};
    struct account *accounts = NULL;
    struct list_query query;
    size_t found = 0;
    size_t n = 0;

    list_query_read(request, arguments, &query);
    const char *name = list_query_text(&query, "name");
    struct error *err = list_query_result(&query);
    err = err ?: load_all(request, &accounts, &found);
    if (err)
        return err;
    struct list_item *items = arena_alloc(request->arena, (found + 1) * sizeof(*items));
    for (size_t i = 0; i < found; i++)
        if (!name || strstr(accounts[i].name, name))
            items[n++] = (struct list_item){
                .key = accounts[i].created_at, .id = accounts[i].id, .what = &accounts[i]};
    items = list_page(request, response, &query, list_by_key, items, &n);
    response->json = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(response->json, account_to_json(items[i].what));
    return NULL;
}

/* The address in the one form that compares: its case is only a checksum (EIP-55). */
static const char *wallet_key(struct arena *arena, const char *wallet)
{
    char *key = arena_printf(arena, "%s%s", KEY_ACCOUNT_WALLET, wallet);

    for (char *p = key + strlen(KEY_ACCOUNT_WALLET); *p; p++)
        *p = (char)tolower((unsigned char)*p);
    return key;
}

static struct error *commit_new(struct request *request, const struct account *account)
{
    _cleanup_(json_decrefp) json_t *owner = json_pack("{s:s}", "account", account->id);
    _cleanup_(json_decrefp) json_t *details = account_to_json(account);
    const struct store_write writes[] = {
        {.key = record_key(request->arena, account->id),
         .value = account_value(request->arena, account)},
        {.key = wallet_key(request->arena, account->wallet),
         .value = json_record_value(request->arena, owner)},
    };
    const struct store_index_edit edit = {.set = KEY_ACCOUNTS, .member = account->id};
    const struct audit_entry entry = {
        .account = account->id, .object = account->id, .result = "ok", .details = details};
    struct store_list_edit lists[AUDIT_LISTS];
    const struct store_change change = {.writes = writes,
                                        .n_writes = *account->wallet ? 2 : 1,
                                        .edits = &edit,
                                        .n_edits = 1,
                                        .lists = lists,
                                        .n_lists = audit_edits(request, &entry, lists)};

    return idempotency_commit(request, &change, details);
}

struct error *account_create(struct request *request, struct account *account)
{
    char id[UUID_TEXT_SIZE];
    char now[CLOCK_TEXT_SIZE];

    uuid_generate_text(id);
    clock_format(clock_wall_ms(request->gateway->clock), now);
    account->id = arena_strdup(request->arena, id);
    account->created_at = arena_strdup(request->arena, now);
    account->active = true;
    struct error *err = commit_new(request, account);
    if (error_get_code(err) != ERROR_ABORTED)
        return err;
    error_free(err); /* the id is new, so it is the wallet */
    return error_new(ERROR_ALREADY_EXISTS, "this wallet has an account");
}

static struct error *try_change(struct request *request, const char *id, account_edit edit,
                                const void *data, struct account *ret_account)
{
    _cleanup_(json_decrefp) json_t *details = json_object();
    _cleanup_(json_decrefp) json_t *answer = NULL;
    struct error *err = account_load(request, id, ret_account);

    err = err ?: etag_check_version(request, ret_account->version);
    err = err ?: edit(ret_account, data, details);
    if (err)
        return err;
    const struct store_write write = {.key = record_key(request->arena, id),
                                      .expected_version = ret_account->version,
                                      .value = account_value(request->arena, ret_account)};
    const struct audit_entry entry = {
        .account = ret_account->id, .object = ret_account->id, .result = "ok", .details = details};
    struct store_list_edit lists[AUDIT_LISTS];
    const struct store_change change = {.writes = &write,
                                        .n_writes = 1,
                                        .lists = lists,
                                        .n_lists = audit_edits(request, &entry, lists)};
    answer = account_to_json(ret_account);
    return idempotency_commit(request, &change, answer);
}

struct error *account_change(struct request *request, const char *id, account_edit edit,
                             const void *data, struct account *ret_account)
{
    struct error *err = NULL;

    /* Whoever is aborted lost to one that got on, so this ends; the limit is for a broken store. */
    for (int i = 0; i < TRIES; i++) {
        error_free(err);
        err = try_change(request, id, edit, data, ret_account);
        if (error_get_code(err) != ERROR_ABORTED)
            return err;
    }
    return err;
}

struct error *account_ensure(struct gateway *gateway, const char *id)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    char now[CLOCK_TEXT_SIZE];
    const struct account account = {
        .id = id, .name = id, .wallet = "", .created_at = now, .active = true};
    const struct store_index_edit edit = {.set = KEY_ACCOUNTS, .member = id};
    const struct store_change index = {.edits = &edit, .n_edits = 1};

    clock_format(clock_wall_ms(gateway->clock), now);
    const struct store_write write = {.key = record_key(arena, id),
                                      .value = account_value(arena, &account)};
    const struct store_change record = {.writes = &write, .n_writes = 1};
    struct error *err = read_cache_commit(gateway, &record);
    if (err && error_get_code(err) != ERROR_ABORTED)
        return err;
    error_free(err); /* it is there */
    return read_cache_commit(gateway, &index);
}
