/* `coffer accounts ...`: the global admin makes accounts and gives them money; all see their own.
 */
#include <stdio.h>

#include "cli/account_options.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "shared/base/alloc.h"
#include "shared/base/cleanup.h"

static double number_of(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

static int print_account(const struct account_options *options, const json_t *account)
{
    if (options->json)
        return output_json(account);
    terminal_printf("%-14s %s\n", "account", output_text(account, "accountId"));
    terminal_printf("%-14s %s\n", "name", output_text(account, "name"));
    terminal_printf("%-14s %.6f USD\n", "balance", number_of(account, "balance"));
    if (json_object_get(account, "burnRatePerMin"))
        terminal_printf("%-14s %.6f USD a minute\n", "burn rate",
                        number_of(account, "burnRatePerMin"));
    terminal_printf("%-14s %s\n", "wallet", output_text(account, "walletAddress"));
    terminal_printf("%-14s %s\n", "created", output_text(account, "createdAt"));
    return EXIT_OK;
}

/* One request whose answer is an account. */
static int call(const struct account_options *options, const char *method, const char *path,
                const json_t *body)
{
    _cleanup_(client_freep) struct client *client = NULL;
    _cleanup_(json_decrefp) json_t *account = NULL;
    struct error *err = account_options_open(options, &client);

    if (!err)
        err = client_call(client, method, path, body, &account);
    return err ? command_fail(err) : print_account(options, account);
}

/* An amount as the JSON number that it is written as: the gateway judges its digits. */
static struct error *parse_usd(const char *text, json_t **ret_amount)
{
    json_t *amount = json_loads(text, JSON_DECODE_ANY, NULL);

    if (!json_is_number(amount)) {
        json_decref(amount);
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' is not an amount in USD", text);
    }
    *ret_amount = amount;
    return NULL;
}

int accounts_create_main(int argc, char **argv)
{
    static const char *const allowed[] = {"wallet", "balance", NULL};
    _cleanup_(json_decrefp) json_t *body = NULL;
    struct account_options options;
    json_t *amount = NULL;
    int code =
        account_options_parse(argc, argv, allowed, 1,
                              "accounts create NAME [--wallet ADDRESS] [--balance USD]", &options);

    if (code != EXIT_OK)
        return code;
    options.admin = true;
    struct error *err = options.balance ? parse_usd(options.balance, &amount) : NULL;
    if (err)
        return command_fail(err);
    body = json_pack("{s:s, s:s*, s:o*}", "name", options.operands[0], "walletAddress",
                     options.wallet, "balance", amount);
    if (!body)
        return command_usage("the name is not UTF-8");
    return call(&options, "POST", "/api/v1/accounts/create", body);
}

static const struct column account_columns[] = {
    {.title = "ACCOUNT", .member = "accountId"},
    {.title = "NAME", .member = "name"},
    {.title = "BALANCE USD", .member = "balance", .kind = COLUMN_USD},
    {.title = "USD/MIN", .member = "burnRatePerMin", .kind = COLUMN_USD, .wide = true},
    {.title = "CREATED", .member = "createdAt", .kind = COLUMN_TIME},
};

int accounts_list_main(int argc, char **argv)
{
    static const char *const allowed[] = {NULL};
    _cleanup_(client_freep) struct client *client = NULL;
    _cleanup_(json_decrefp) json_t *list = NULL;
    struct account_options options;
    int code =
        account_options_parse(argc, argv, allowed, 0, "accounts ls takes no operands", &options);

    if (code != EXIT_OK)
        return code;
    struct error *err = client_open_admin(options.key_file, true, &client);
    if (!err)
        err = client_list(client, "/api/v1/accounts/list", &list);
    if (err)
        return command_fail(err);
    if (options.json)
        return output_json(list);
    return output_list(list, account_columns, ELEMENTSOF(account_columns));
}

int accounts_show_main(int argc, char **argv)
{
    static const char *const allowed[] = {NULL};
    _cleanup_free_ char *id = NULL;
    struct account_options options;
    int code =
        account_options_parse(argc, argv, allowed, 1, "accounts show ACCOUNT [--admin]", &options);

    if (code != EXIT_OK)
        return code;
    options.account = options.operands[0];
    struct error *err = account_options_account(&options, NULL, &id);
    if (err)
        return command_fail(err);
    _cleanup_free_ char *path = xasprintf("/api/v1/accounts/%s", id);
    return call(&options, "GET", path, NULL);
}

int accounts_me_main(int argc, char **argv)
{
    static const char *const allowed[] = {NULL};
    struct account_options options;
    int code =
        account_options_parse(argc, argv, allowed, 0, "accounts me takes no operands", &options);

    return code == EXIT_OK ? call(&options, "GET", "/api/v1/accounts/me", NULL) : code;
}

int accounts_add_balance_main(int argc, char **argv)
{
    static const char *const allowed[] = {NULL};
    _cleanup_(json_decrefp) json_t *body = NULL;
    struct account_options options;
    json_t *amount = NULL;
    int code = account_options_parse(
        argc, argv, allowed, 2, "accounts add-balance ACCOUNT USD, or -- ACCOUNT -USD", &options);

    if (code != EXIT_OK)
        return code;
    options.admin = true;
    struct error *err = parse_usd(options.operands[1], &amount);
    if (err)
        return command_fail(err);
    body = json_pack("{s:s, s:o}", "accountId", options.operands[0], "balance", amount);
    if (!body)
        return command_usage("the account's id is not UTF-8");
    return call(&options, "POST", "/api/v1/accounts/add-balance", body);
}
