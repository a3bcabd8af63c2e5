/* `coffer members`: who belongs to an account, and what their keys may do at most. */
#include <stdio.h>

#include "cli/account_options.h"
#include "cli/ask.h"
#include "cli/command.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"

/* Whose account, and with which key. */
struct member_options {
    const char *account;
    const char *role;
    const char *name;
    const char *key_file;
    bool admin;
    bool enable;
    bool disable;
};

#define KEY_FLAGS(o)                                                                               \
    {.name = "admin", .kind = FLAG_BOOL, .into = &(o).admin},                                      \
    {                                                                                              \
        .name = "admin-key-file", .kind = FLAG_TEXT, .into = &(o).key_file                         \
    }

static struct account_options keys_of(const struct member_options *o)
{
    return (struct account_options){
        .account = o->account, .admin = o->admin || o->key_file, .key_file = o->key_file};
}

static struct error *open_client(const struct member_options *o, struct client **ret_client)
{
    struct account_options options = keys_of(o);

    return account_options_open(&options, ret_client);
}

static const char *state_of(const json_t *member, _unused_ char text[COLUMN_TEXT_MAX])
{
    return json_is_false(json_object_get(member, "active")) ? "disabled" : "active";
}

static const struct column member_columns[] = {
    {.title = "MEMBER", .member = "memberId"},
    {.title = "NAME", .member = "name"},
    {.title = "ROLE", .member = "role"},
    {.title = "STATE", .kind = COLUMN_STATUS, .make = state_of},
    {.title = "CREATED", .member = "createdAt", .kind = COLUMN_TIME},
};

static int print_member(const json_t *member, bool json)
{
    if (json)
        return output_json(member);
    terminal_printf("%-14s %s\n%-14s %s\n%-14s %s\n%-14s %s\n", "member",
                    output_text(member, "memberId"), "name", output_text(member, "name"), "role",
                    output_text(member, "role"), "state", state_of(member, NULL));
    return EXIT_OK;
}

/* One request about one member; *ret_json may stay NULL. */
static struct error *call(const struct member_options *o, const char *method, const char *path,
                          const json_t *body, json_t **ret_json)
{
    _cleanup_(client_freep) struct client *client = NULL;
    struct error *err = open_client(o, &client);

    return err ?: client_call(client, method, path, body, ret_json);
}

static struct error *create(const struct member_options *o, const char *name, json_t **ret_member)
{
    _cleanup_(client_freep) struct client *client = NULL;
    _cleanup_(json_decrefp) json_t *body = NULL;
    _cleanup_free_ char *account = NULL;
    struct account_options options = keys_of(o);
    struct error *err = open_client(o, &client);

    err = err ?: account_options_account(&options, client, &account);
    if (err)
        return err;
    body = json_pack("{s:s, s:s, s:s}", "accountId", account, "name", name, "role", o->role);
    if (!body)
        return error_new(ERROR_INVALID_ARGUMENT, "name and role must be UTF-8");
    return client_call(client, "POST", "/api/v1/members/create", body, ret_member);
}

int members_create_main(int argc, char **argv)
{
    struct member_options options = {0};
    const struct flag table[] = {
        {.name = "role", .kind = FLAG_TEXT, .into = &options.role},
        {.name = "account", .kind = FLAG_TEXT, .into = &options.account},
        KEY_FLAGS(options),
    };
    struct flags flags = {.usage = "members create NAME --role owner|deployer|viewer "
                                   "[--account ID] [--admin]",
                          .table = table,
                          .n = ELEMENTSOF(table),
                          .min_operands = 1,
                          .max_operands = 1};
    _cleanup_(json_decrefp) json_t *member = NULL;
    int code = flags_parse(argc, argv, &flags);

    if (code == EXIT_OK && !options.role)
        code = command_usage("--role is needed: owner, deployer or viewer");
    if (code == EXIT_OK)
        code = command_fail(create(&options, flags.operands[0], &member));
    if (code != EXIT_OK)
        return code;
    print_member(member, flags.json);
    if (!flags.json)
        fprintf(stderr, "Now a key of theirs: coffer keys create --member %s\n",
                output_text(member, "memberId"));
    return EXIT_OK;
}

static struct error *load(const struct member_options *o, json_t **ret_list)
{
    _cleanup_(client_freep) struct client *client = NULL;
    _cleanup_free_ char *account = NULL;
    struct account_options options = keys_of(o);
    struct error *err = open_client(o, &client);

    err = err ?: account_options_account(&options, client, &account);
    if (err)
        return err;
    _cleanup_free_ char *path = xasprintf("/api/v1/members/account/%s", account);
    return client_list(client, path, ret_list);
}

int members_list_main(int argc, char **argv)
{
    struct member_options options = {0};
    const struct flag table[] = {
        {.name = "account", .kind = FLAG_TEXT, .into = &options.account},
        KEY_FLAGS(options),
    };
    struct flags flags = {
        .usage = "members ls [--account ID] [--admin]", .table = table, .n = ELEMENTSOF(table)};
    _cleanup_(json_decrefp) json_t *list = NULL;
    int code = flags_parse(argc, argv, &flags);

    if (code == EXIT_OK)
        code = command_fail(load(&options, &list));
    if (code != EXIT_OK || flags.json)
        return code != EXIT_OK ? code : output_json(list);
    return output_list(list, member_columns, ELEMENTSOF(member_columns));
}

int members_update_main(int argc, char **argv)
{
    struct member_options options = {0};
    const struct flag table[] = {
        {.name = "role", .kind = FLAG_TEXT, .into = &options.role},
        {.name = "name", .kind = FLAG_TEXT, .into = &options.name},
        {.name = "enable", .kind = FLAG_BOOL, .into = &options.enable},
        {.name = "disable", .kind = FLAG_BOOL, .into = &options.disable},
        KEY_FLAGS(options),
    };
    struct flags flags = {.usage = "members update MEMBER [--role ROLE] [--name NAME] "
                                   "[--enable | --disable] [--admin]",
                          .table = table,
                          .n = ELEMENTSOF(table),
                          .min_operands = 1,
                          .max_operands = 1};
    _cleanup_(json_decrefp) json_t *body = NULL;
    _cleanup_(json_decrefp) json_t *member = NULL;
    int code = flags_parse(argc, argv, &flags);

    if (code != EXIT_OK)
        return code;
    if (options.enable == options.disable && (options.enable || (!options.role && !options.name)))
        return command_usage("say what changes: --role, --name, --enable or --disable");
    body = json_pack("{s:s, s:s*, s:s*}", "memberId", flags.operands[0], "role", options.role,
                     "name", options.name);
    if (!body)
        return command_usage("what is given is not UTF-8");
    if (options.enable || options.disable)
        json_object_set_new(body, "active", json_boolean(options.enable));
    code = command_fail(call(&options, "PUT", "/api/v1/members/update", body, &member));
    return code == EXIT_OK ? print_member(member, flags.json) : code;
}

int members_remove_main(int argc, char **argv)
{
    struct member_options options = {0};
    const struct flag table[] = {KEY_FLAGS(options)};
    struct flags flags = {.usage = "members rm MEMBER [--yes] [--admin]",
                          .table = table,
                          .n = ELEMENTSOF(table),
                          .min_operands = 1,
                          .max_operands = 1};
    _cleanup_(json_decrefp) json_t *body = NULL;
    _cleanup_(json_decrefp) json_t *answer = NULL;
    int code = flags_parse(argc, argv, &flags);

    if (code != EXIT_OK)
        return code;
    if (!flags.yes && !ask_yes("All keys of this member stop working."))
        return EXIT_FAILED;
    body = json_pack("{s:s}", "memberId", flags.operands[0]);
    if (!body)
        return command_usage("the member's id is not UTF-8");
    code = command_fail(call(&options, "POST", "/api/v1/members/delete", body, &answer));
    if (code == EXIT_OK && flags.json)
        return output_json(answer);
    if (code == EXIT_OK)
        terminal_printf("%s removed\n", flags.operands[0]);
    return code;
}
