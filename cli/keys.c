/*
 * `coffer keys ...`: API keys. The secret of a new one is all that `create` writes to stdout, so
 * that it can go into a file or a variable; everything else about it goes to stderr.
 */
#include <stdio.h>
#include <string.h>

#include "cli/account_options.h"
#include "cli/ask.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "shared/base/alloc.h"
#include "shared/base/cleanup.h"

static json_t *scopes_of(const struct account_options *options)
{
    json_t *scopes = options->n_scopes ? json_array() : NULL;

    for (int i = 0; i < options->n_scopes; i++)
        json_array_append_new(scopes, json_string(options->scopes[i]));
    return scopes;
}

static void print_secret(const json_t *key)
{
    terminal_fprintf(stderr, "key %s of account %s, type %s. Its secret is shown only now:\n",
                     output_text(key, "keyId"), output_text(key, "accountId"),
                     output_text(key, "type"));
    fflush(stderr);
    terminal_printf("%s\n", output_text(key, "id"));
}

static struct error *create(const struct account_options *options, json_t **ret_key)
{
    _cleanup_(client_freep) struct client *client = NULL;
    _cleanup_(json_decrefp) json_t *body = NULL;
    _cleanup_free_ char *account = NULL;
    struct error *err = account_options_open(options, &client);

    if (!err)
        err = account_options_account(options, client, &account);
    if (err)
        return err;
    body = json_pack("{s:s, s:s, s:s*, s:s*, s:s*, s:o*}", "accountId", account, "type",
                     options->type ?: "user", "name", options->name, "expiresAt", options->expires,
                     "memberId", options->member, "scopes", scopes_of(options));
    if (!body)
        return error_new(ERROR_INVALID_ARGUMENT, "an option is not UTF-8");
    return client_call(client, "POST", "/api/v1/api-keys/create", body, ret_key);
}

/* Wipes the one text that must not stay. */
static void secret_decref(json_t **key)
{
    const char *secret = json_string_value(json_object_get(*key, "id"));

    if (secret)
        OPENSSL_cleanse((char *)secret, strlen(secret));
    json_decref(*key);
}

int keys_create_main(int argc, char **argv)
{
    static const char *const allowed[] = {"account", "type",   "name", "scope",
                                          "expires", "member", NULL};
    _cleanup_(secret_decref) json_t *key = NULL;
    struct account_options options;
    int code = account_options_parse(argc, argv, allowed, 0,
                                     "keys create [--type user|account-admin] [--name NAME] "
                                     "[--scope read|deploy|admin ...] [--expires TIME] "
                                     "[--member ID] [--account ID] [--admin]",
                                     &options);

    if (code == EXIT_OK)
        code = command_fail(create(&options, &key));
    if (code != EXIT_OK)
        return code;
    if (options.json)
        return output_json(key);
    print_secret(key);
    return EXIT_OK;
}

/* Its highest scope contains the others. */
static const char *level_of(const json_t *key, _unused_ char text[COLUMN_TEXT_MAX])
{
    const json_t *scopes = json_object_get(key, "scopes");
    size_t n = json_array_size(scopes);

    return n ? json_string_value(json_array_get(scopes, n - 1)) : NULL;
}

static const char *status_of(const json_t *key, _unused_ char text[COLUMN_TEXT_MAX])
{
    return json_is_true(json_object_get(key, "active")) ? "active" : "disabled";
}

static const struct column key_columns[] = {
    {.title = "KEY", .member = "id"},
    {.title = "NAME", .member = "name"},
    {.title = "TYPE", .member = "type"},
    {.title = "SCOPE", .make = level_of},
    {.title = "STATUS", .make = status_of, .kind = COLUMN_STATUS},
    {.title = "EXPIRES", .member = "expiresAt", .kind = COLUMN_TIME},
    {.title = "LAST USED", .member = "lastUsedAt", .kind = COLUMN_TIME},
    {.title = "MEMBER", .member = "memberId", .wide = true},
    {.title = "CREATED", .member = "createdAt", .kind = COLUMN_TIME, .wide = true},
};

static struct error *list(const struct account_options *options, json_t **ret_list)
{
    _cleanup_(client_freep) struct client *client = NULL;
    _cleanup_free_ char *account = NULL;
    struct error *err = account_options_open(options, &client);

    if (!err)
        err = account_options_account(options, client, &account);
    if (err)
        return err;
    _cleanup_free_ char *path = xasprintf("/api/v1/api-keys/account/%s", account);
    return client_list(client, path, ret_list);
}

int keys_list_main(int argc, char **argv)
{
    static const char *const allowed[] = {"account", NULL};
    _cleanup_(json_decrefp) json_t *keys = NULL;
    struct account_options options;
    int code =
        account_options_parse(argc, argv, allowed, 0, "keys ls [--account ID] [--admin]", &options);

    if (code == EXIT_OK)
        code = command_fail(list(&options, &keys));
    if (code != EXIT_OK)
        return code;
    if (options.json)
        return output_json(keys);
    return output_list(keys, key_columns, ELEMENTSOF(key_columns));
}

static struct error *change(const struct account_options *options, const char *method,
                            const char *path, const json_t *body, json_t **ret_answer)
{
    _cleanup_(client_freep) struct client *client = NULL;
    struct error *err = account_options_open(options, &client);

    return err ?: client_call(client, method, path, body, ret_answer);
}

static int set_active(int argc, char **argv, bool active, const char *usage)
{
    static const char *const allowed[] = {NULL};
    _cleanup_(json_decrefp) json_t *answer = NULL;
    struct account_options options;
    int code = account_options_parse(argc, argv, allowed, 1, usage, &options);

    if (code != EXIT_OK)
        return code;
    _cleanup_(json_decrefp) json_t *body =
        json_pack("{s:s, s:b}", "id", options.operands[0], "active", active);
    if (!body)
        return command_usage("the key's id is not UTF-8");
    code = command_fail(change(&options, "PUT", "/api/v1/api-keys/update", body, &answer));
    if (code != EXIT_OK)
        return code;
    if (options.json)
        return output_json(answer);
    terminal_printf("%s %s\n", output_text(answer, "id"), active ? "enabled" : "disabled");
    return EXIT_OK;
}

int keys_disable_main(int argc, char **argv)
{
    return set_active(argc, argv, false, "keys disable KEY [--admin]: KEY is an id of keys ls");
}

int keys_enable_main(int argc, char **argv)
{
    return set_active(argc, argv, true, "keys enable KEY [--admin]: KEY is an id of keys ls");
}

int keys_delete_main(int argc, char **argv)
{
    static const char *const allowed[] = {"yes", NULL};
    static const char usage[] = "keys rm KEY [--yes] [--admin]: KEY is an id of keys ls";
    _cleanup_(json_decrefp) json_t *answer = NULL;
    struct account_options options;
    int code = account_options_parse(argc, argv, allowed, 1, usage, &options);

    if (code != EXIT_OK)
        return code;
    _cleanup_(json_decrefp) json_t *body = json_pack("{s:s}", "id", options.operands[0]);
    if (!body)
        return command_usage("the key's id is not UTF-8");
    if (!options.yes &&
        !ask_yes("Whatever uses this key stops working, and it does not come back."))
        return EXIT_FAILED;
    code = command_fail(change(&options, "POST", "/api/v1/api-keys/delete", body, &answer));
    if (code == EXIT_OK && options.json)
        return output_json(answer);
    if (code == EXIT_OK)
        terminal_printf("%s deleted\n", options.operands[0]);
    return code;
}
