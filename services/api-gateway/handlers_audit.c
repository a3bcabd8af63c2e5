/* The audit trail: account admins read their account's, the global admin any or the fleet's. */
#include "services/api-gateway/accounts.h"
#include "services/api-gateway/audit.h"
#include "services/api-gateway/gateway.h"
#include "services/api-gateway/handlers.h"

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

struct error *on_audit(struct request *request, struct response *ret_response)
{
    const char *cursor = http_query(request, "cursor");
    const char *account = NULL;
    const char *next = NULL;
    json_t *entries = NULL;
    size_t limit = 0;
    struct error *err = take_limit(request, &limit);

    if (!err && cursor && (strlen(cursor) != UUID_TEXT_SIZE - 1 || !name_is_valid(cursor)))
        err = bad_query(request, "'cursor' is not one that we gave");
    err = err ?: take_account(request, &account);
    err = err ?: audit_read(request, account, cursor, limit, &entries, &next);
    if (!err)
        ret_response->json = json_pack("{s:o, s:s?}", "entries", entries, "nextCursor", next);
    return err;
}
