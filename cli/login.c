/*
 * `coffer login`, `coffer logout`: the key of a context. It comes from the terminal without echo,
 * from stdin or from a file, never from the command line, which everybody on the machine can read.
 */
#include <getopt.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/command.h"
#include "cli/context.h"
#include "cli/invocation.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "shared/base/alloc.h"
#include "shared/base/cleanup.h"
#include "shared/base/file.h"

struct login {
    const char *name;
    const char *url;
    const char *key_file; /* "-": stdin */
    const char *ca;
    bool no_check;
    bool json;
};

static int parse(int argc, char **argv, struct login *ret_login)
{
    static const struct option options[] = {
        {"url", required_argument, NULL, 'u'},
        {"key-file", required_argument, NULL, 'k'},
        {"key-stdin", no_argument, NULL, 's'},
        {"ca", required_argument, NULL, 'c'},
        {"no-check", no_argument, NULL, 'n'},
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0},
    };

    optind = 1;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == '?' || ((c == 'k' || c == 's') && ret_login->key_file))
            return command_usage("login takes one of --key-file FILE and --key-stdin");
        if (c == 'u')
            ret_login->url = optarg;
        else if (c == 'k')
            ret_login->key_file = optarg;
        else if (c == 's')
            ret_login->key_file = "-";
        else if (c == 'c')
            ret_login->ca = optarg;
        else if (c == 'n')
            ret_login->no_check = true;
        else
            ret_login->json = true;
    }
    if (optind + 1 < argc)
        return command_usage("login [NAME] --url URL: one name at most");
    ret_login->name = optind < argc ? argv[optind] : NULL;
    return EXIT_OK;
}

static struct error *read_key(const struct login *login, char **ret_key)
{
    struct error *err;

    if (!login->key_file)
        err = ask_secret("API key: ", ret_key);
    else if (strcmp(login->key_file, "-") == 0)
        err = ask_secret_from_stdin(ret_key);
    else
        err = error_wrap(file_read_text(login->key_file, CONTEXT_KEY_MAX, ret_key), "key");
    return err ?: context_check_key(*ret_key);
}

/* A key for reading need not see its account, so the list of workloads will do too. */
static struct error *check(const struct context *context, json_t **ret_account)
{
    _cleanup_(client_freep) struct client *client = NULL;
    _cleanup_(json_decrefp) json_t *list = NULL;
    struct error *err = client_open_context(context, &client);

    if (!err)
        err = client_call(client, "GET", "/api/v1/accounts/me", NULL, ret_account);
    enum error_code code = error_get_code(err);
    if (code != ERROR_NOT_FOUND && code != ERROR_PERMISSION_DENIED)
        return err;
    error_free(err);
    return client_call(client, "GET", "/api/v1/workloads/list?limit=1", NULL, &list);
}

/* What a context of this name has already need not be said again. */
static struct error *fill_in(const struct login *login, struct context *context)
{
    _cleanup_(context_done) struct context stored = {0};
    struct error *err = context_load_named(context->name, &stored);

    if (err && error_get_code(err) != ERROR_NOT_FOUND)
        return err;
    error_free(err);
    if (!login->url && !stored.url)
        return error_new(ERROR_INVALID_ARGUMENT, "login needs --url URL, the gateway's address");
    context->url = xstrdup(login->url ?: stored.url);
    context->ca = xstrdup(login->ca ?: stored.ca);
    for (size_t n = strlen(context->url); n && context->url[n - 1] == '/'; n--)
        context->url[n - 1] = '\0';
    return context_check_url(context->url);
}

/* Before the key goes there. */
static void warn_of_plain(const char *url)
{
    if (context_is_plain(url))
        terminal_fprintf(stderr,
                         "coffer: %s is not encrypted: whoever is on the way reads the key\n", url);
}

static struct error *log_in(const struct login *login, struct context *context,
                            json_t **ret_account)
{
    struct error *err = context_check_name(context->name);

    err = err ?: fill_in(login, context);
    if (err)
        return err;
    warn_of_plain(context->url);
    err = read_key(login, &context->key);
    if (!err && !login->no_check)
        err = error_wrap(check(context, ret_account), "nothing is stored");
    return err ?: context_save(context->name, context->url, context->key, context->ca, true);
}

static int print_login(const struct login *login, const struct context *context,
                       const json_t *account)
{
    if (login->json) {
        json_auto_t *json = json_pack("{s:s, s:s, s:O?}", "context", context->name, "url",
                                      context->url, "account", (json_t *)account);
        return output_json(json);
    }
    terminal_printf("context %s: %s", context->name, context->url);
    if (account)
        terminal_printf(", account %s (%s)", output_text(account, "name"),
                        output_text(account, "accountId"));
    terminal_printf("\n");
    return EXIT_OK;
}

int login_main(int argc, char **argv)
{
    _cleanup_(context_done) struct context context = {0};
    _cleanup_(json_decrefp) json_t *account = NULL;
    struct login login = {0};
    int code = parse(argc, argv, &login);

    if (code != EXIT_OK)
        return code;
    context.name = xstrdup(login.name ?: invocation()->context ?: "default");
    code = command_fail(log_in(&login, &context, &account));
    if (code != EXIT_OK)
        return code;
    return print_login(&login, &context, account);
}

int logout_main(int argc, char **argv)
{
    _cleanup_free_ char *name = NULL;

    if (argc > 2)
        return command_usage("logout [NAME]: one context at a time");
    struct error *err = NULL;
    if (argc == 2)
        name = xstrdup(argv[1]);
    else
        err = context_current(&name);
    err = err ?: context_forget_key(name);
    if (!err)
        terminal_printf("the key of context %s is removed from this machine; `coffer keys rm` "
                        "makes a key worthless everywhere\n",
                        name);
    return command_fail(err);
}
