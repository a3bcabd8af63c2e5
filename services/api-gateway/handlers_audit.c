/* The audit trail: account admins read their account's, the global admin any or the fleet's. */
#include "services/api-gateway/accounts.h"
#include "services/api-gateway/audit.h"
#include "services/api-gateway/gateway.h"
#include "services/api-gateway/handlers.h"
#include "services/api-gateway/list_query.h"

enum { LIMIT_DEFAULT = 100, LIMIT_MAX = 1000 };

static struct error *bad_query(struct request *request, const char *what)
{
    return http_refuse(request, 400, "INVALID_PATH", error_new(ERROR_INVALID_ARGUMENT, "%s", what));
}

static struct error *take_limit(struct request *request, size_t *ret_limit)
{
    const char *text = http_query(request, "limit");
    char *end = NULL;

    *ret_limit = LIMIT_DEFAULT;
    if (!text)
        return NULL;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || value < 1 || value > LIMIT_MAX)
        return bad_query(request, "'limit' is not a whole number from 1 to 1000");
    *ret_limit = value;
    return NULL;
}

/* Whose trail; *ret_account NULL: the fleet's. */
static struct error *take_account(struct request *request, const char **ret_account)
{
    const char *id = http_query(request, "accountId");
    struct account account;

    if (!id && request->principal.kind == PRINCIPAL_GLOBAL_ADMIN) {
        *ret_account = NULL;
        return NULL;
    }
    id = id ?: request->account;
    struct error *err = account_load(request, id, &account);
    if (!err)
        *ret_account = account.id;
    return err;
}

static const char *take_time(struct list_query *query, const char *name)
{
    char text[CLOCK_TEXT_SIZE];
    int64_t at_ms = 0;

    if (!list_query_time(query, name, &at_ms))
        return NULL;
    clock_format(at_ms, text);
    return arena_strdup(query->form.request->arena, text);
}

static struct error *take_filter(struct request *request, struct audit_filter *ret_filter)
{
    static const char *const arguments[] = {
        "accountId", "action", "object", "actor",  "result",
        "since",     "until",  "limit",  "cursor", NULL,
    };
    struct list_query query;

    list_query_find_unknown(request, arguments, &query);
    *ret_filter = (struct audit_filter){
        .action = list_query_text(&query, "action"),
        .object = list_query_text(&query, "object"),
        .actor = list_query_text(&query, "actor"),
        .result = list_query_text(&query, "result"),
        .since = take_time(&query, "since"),
        .until = take_time(&query, "until"),
    };
    return list_query_result(&query);
}

struct error *on_audit(struct request *request, struct response *ret_response)
{
    const char *cursor = http_query(request, "cursor");
    struct audit_filter filter;
    const char *account = NULL;
    const char *next = NULL;
    json_t *entries = NULL;
    size_t limit = 0;
    struct error *err = take_limit(request, &limit);

    if (!err && cursor && (strlen(cursor) != UUID_TEXT_SIZE - 1 || !name_is_valid(cursor)))
        err = bad_query(request, "'cursor' is not one that we gave");
    err = err ?: take_filter(request, &filter);
    err = err ?: take_account(request, &account);
    err = err ?: audit_read(request, account, cursor, &filter, limit, &entries, &next);
    if (!err)
        ret_response->json = json_pack("{s:o, s:s?}", "entries", entries, "nextCursor", next);
    return err;
}
