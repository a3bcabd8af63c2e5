/* Accounts: the global admin makes them and gives them money, account admins see and name theirs.
 */
#include "services/api-gateway/accounts.h"
#include "services/api-gateway/balance.h"
#include "services/api-gateway/etag.h"
#include "services/api-gateway/form.h"
#include "services/api-gateway/gateway.h"
#include "services/api-gateway/handlers.h"
#include "services/api-gateway/money.h"

enum { WALLET_SIZE = 42 };

static bool is_wallet(const char *text)
{
    return strlen(text) == WALLET_SIZE && strncmp(text, "0x", 2) == 0 &&
           strspn(text + 2, "0123456789abcdefABCDEF") == WALLET_SIZE - 2;
}

static const char *take_wallet(struct form *form)
{
    const char *wallet = form_text(form, "walletAddress", false, WALLET_SIZE);

    if (wallet && !is_wallet(wallet))
        form_find(form, "walletAddress", "'walletAddress' is not a wallet's address",
                  "write 0x and 40 hex digits, or leave it out");
    return wallet ?: "";
}

/* member: of the body; NULL when it is missing and need not be there. */
static int64_t take_money(struct form *form, const char *name, bool required)
{
    const json_t *value = form_value(form, name);
    int64_t micro = 0;

    if (!value && !required)
        return 0;
    struct error *err = balance_from_json(value, &micro);
    if (err)
        form_find(form, name,
                  arena_printf(form->request->arena, "'%s' is %s", name,
                               value ? error_text(err) : "missing"),
                  "give an amount in USD, with at most six decimals");
    error_free(err);
    return micro;
}

struct error *on_account_create(struct request *request, struct response *ret_response)
{
    struct account account = {0};
    struct form form;
    struct error *err = form_open(&form, request);

    if (err)
        return err;
    account.name = form_name(&form, "name", true, ACCOUNT_NAME_MAX);
    account.wallet = take_wallet(&form);
    account.balance_micro = take_money(&form, "balance", false);
    if (account.balance_micro < 0)
        form_find(&form, "balance", "'balance' is negative", "give none, or what is there");
    err = form_close(&form);
    err = err ?: account_create(request, &account);
    if (!err)
        ret_response->json = account_to_json(&account);
    return err;
}

struct account_changes {
    const char *name;          /* NULL: stays */
    const struct quota *quota; /* NULL: stays */
};

static struct error *change_account(struct account *account, const void *data, json_t *details)
{
    const struct account_changes *changes = data;

    if (changes->name) {
        account->name = changes->name;
        json_object_set_new(details, "name", json_string(account->name));
    }
    if (changes->quota) {
        account->quota = *changes->quota;
        json_object_set_new(details, "quota", quota_to_json(&account->quota));
    }
    return NULL;
}

struct error *on_account_update(struct request *request, struct response *ret_response)
{
    struct account_changes changes = {0};
    struct account account;
    struct quota quota;
    struct form form;
    struct error *err = form_open(&form, request);

    if (err)
        return err;
    const char *id = form_text(&form, "accountId", true, ACCOUNT_ID_MAX);
    if (quota_read(&form, &quota))
        changes.quota = &quota;
    changes.name = form_name(&form, "name", !changes.quota, ACCOUNT_NAME_MAX);
    err = form_close(&form);
    if (!err && changes.quota && request->principal.kind != PRINCIPAL_GLOBAL_ADMIN)
        err = error_new(ERROR_PERMISSION_DENIED, "only the global admin sets quotas");
    err = err ?: account_change(request, id, change_account, &changes, &account);
    if (!err)
        ret_response->json = account_to_json(&account);
    return err;
}

static struct error *add_money(struct account *account, const void *data, json_t *details)
{
    const int64_t *amount = data;
    struct error *err = balance_add(account->balance_micro, *amount, &account->balance_micro);

    json_object_set_new(details, "amount", balance_to_json(*amount));
    json_object_set_new(details, "balance", balance_to_json(account->balance_micro));
    return err;
}

struct error *on_account_add_balance(struct request *request, struct response *ret_response)
{
    struct account account;
    struct form form;
    struct error *err = form_open(&form, request);

    if (err)
        return err;
    const char *id = form_text(&form, "accountId", true, ACCOUNT_ID_MAX);
    int64_t amount = take_money(&form, "balance", true);
    err = form_close(&form);
    err = err ?: account_change(request, id, add_money, &amount, &account);
    if (error_get_code(err) == ERROR_FAILED_PRECONDITION && !request->refused_kind)
        return http_refuse(request, 412, "NOT_ENOUGH_BALANCE", err);
    if (!err)
        ret_response->json = account_to_json(&account);
    return err;
}

struct error *on_account_list(struct request *request, struct response *ret_response)
{
    return accounts_list(request, ret_response);
}

static struct error *answer_with_burn_rate(struct request *request, const char *id,
                                           struct response *ret_response)
{
    struct account account;
    char tag[ETAG_SIZE];
    uint64_t burn_rate = 0;
    struct error *err = account_load(request, id, &account);

    err = err ?: account_burn_rate_micro(request, &account, &burn_rate);
    if (err)
        return err;
    /* for If-Match; never a 304, since the rate changes without the record */
    etag_of_version(account.version, tag);
    response_header(request, ret_response, MHD_HTTP_HEADER_ETAG, tag);
    ret_response->json = account_to_json(&account);
    json_object_set_new(ret_response->json, "burnRatePerMin", usd_to_json(burn_rate));
    return NULL;
}

struct error *on_account_get(struct request *request, struct response *ret_response)
{
    struct error *err = account_check_path(request);

    return err ?: answer_with_burn_rate(request, request->parameter, ret_response);
}

struct error *on_account_me(struct request *request, struct response *ret_response)
{
    return answer_with_burn_rate(request, request->account, ret_response);
}
