#include "cli/account_options.h"

#include <getopt.h>
#include <string.h>

#include "cli/command.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"

static const struct option options[] = {
    {"account", required_argument, NULL, 'a'},
    {"wallet", required_argument, NULL, 'w'},
    {"balance", required_argument, NULL, 'b'},
    {"type", required_argument, NULL, 't'},
    {"name", required_argument, NULL, 'n'},
    {"expires", required_argument, NULL, 'e'},
    {"scope", required_argument, NULL, 's'},
    {"limit", required_argument, NULL, 'l'},
    {"member", required_argument, NULL, 'm'},
    {"json", no_argument, NULL, 'j'},
    {"yes", no_argument, NULL, 'y'},
    {"admin", no_argument, NULL, 'A'},
    {"admin-key-file", required_argument, NULL, 'k'},
    {NULL, 0, NULL, 0},
};

static bool is_allowed(const char *const *allowed, const char *name)
{
    for (; *allowed; allowed++)
        if (strcmp(*allowed, name) == 0)
            return true;
    return strcmp(name, "json") == 0 || strncmp(name, "admin", strlen("admin")) == 0;
}

static bool add_scope(struct account_options *o, const char *scope)
{
    if (o->n_scopes == ACCOUNT_SCOPES_MAX)
        return false;
    o->scopes[o->n_scopes++] = scope;
    return true;
}

static bool take(struct account_options *o, int c)
{
    const char **texts[] = {
        ['a'] = &o->account,  ['w'] = &o->wallet,  ['b'] = &o->balance, ['t'] = &o->type,
        ['n'] = &o->name,     ['e'] = &o->expires, ['l'] = &o->limit,   ['m'] = &o->member,
        ['k'] = &o->key_file, ['z'] = NULL};

    o->admin = o->admin || c == 'A' || c == 'k';
    if (c == 'j')
        o->json = true;
    else if (c == 'y')
        o->yes = true;
    else if (c == 's')
        return add_scope(o, optarg);
    else if (c >= 'a' && c <= 'z' && texts[c])
        *texts[c] = optarg;
    else
        return c == 'A';
    return true;
}

int account_options_parse(int argc, char **argv, const char *const *allowed, int n_operands,
                          const char *usage, struct account_options *ret_options)
{
    int index = 0;

    *ret_options = (struct account_options){0};
    optind = 1;
    for (int c; (c = getopt_long(argc, argv, "", options, &index)) != -1;)
        if (c == '?' || !is_allowed(allowed, options[index].name) || !take(ret_options, c))
            return command_misused(usage, "an option is not of this command");
    int code = command_operands(usage, argc, argv, n_operands, n_operands);
    if (code != EXIT_OK)
        return code;
    ret_options->n_operands = n_operands;
    for (int i = 0; i < n_operands; i++)
        ret_options->operands[i] = argv[optind + i];
    return EXIT_OK;
}

struct error *account_options_open(const struct account_options *o, struct client **ret_client)
{
    return o->admin ? client_open_admin(o->key_file, true, ret_client) : client_open(ret_client);
}

struct error *account_options_account(const struct account_options *o, struct client *client,
                                      char **ret_id)
{
    _cleanup_(json_decrefp) json_t *me = NULL;

    if (o->account && !name_is_valid(o->account)) /* it becomes part of a path */
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' is not an account's id", o->account);
    if (o->account) {
        *ret_id = xstrdup(o->account);
        return NULL;
    }
    if (o->admin)
        return error_new(ERROR_INVALID_ARGUMENT, "the admin key has no account: name one");
    struct error *err = client_call(client, "GET", "/api/v1/accounts/me", NULL, &me);
    if (err)
        return err;
    const char *id = json_string_value(json_object_get(me, "accountId"));
    if (!id || !name_is_valid(id))
        return error_new(ERROR_INTERNAL, "gateway: the answer has no account");
    *ret_id = xstrdup(id);
    return NULL;
}
