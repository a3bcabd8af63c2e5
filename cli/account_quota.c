/* `coffer accounts quota`: how much an account may have at a time; the global admin sets it. */
#include <stdio.h>

#include "cli/account_options.h"
#include "cli/command.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "shared/base/alloc.h"

static const struct {
    const char *option;
    const char *field;
    const char *title;
} parts[] = {
    {"workloads", "maxWorkloads", "workloads"},
    {"cpus", "maxCpus", "vCPUs"},
    {"memory", "maxMemoryMb", "memory MB"},
    {"disk", "maxDiskGb", "disk GB"},
    {"gpus", "maxGpus", "GPUs"},
};

#define NOT_GIVEN UINT32_MAX

static int print_quota(const json_t *account, bool json)
{
    const json_t *quota = json_object_get(account, "quota");

    if (json)
        return output_json(account);
    terminal_printf("%-14s %s\n", "account", output_text(account, "accountId"));
    for (size_t i = 0; i < ELEMENTSOF(parts); i++) {
        json_int_t most = json_integer_value(json_object_get(quota, parts[i].field));
        if (most > 0)
            terminal_printf("%-14s %" JSON_INTEGER_FORMAT "\n", parts[i].title, most);
        else
            terminal_printf("%-14s no limit\n", parts[i].title);
    }
    return EXIT_OK;
}

/* The whole quota: what is not given stays as it is, none: no limits at all. */
static json_t *new_quota(const json_t *account, const uint32_t *given, bool none)
{
    const json_t *present = json_object_get(account, "quota");
    json_t *quota = json_object();

    for (size_t i = 0; i < ELEMENTSOF(parts); i++) {
        json_int_t was = json_integer_value(json_object_get(present, parts[i].field));
        json_int_t now = given[i] != NOT_GIVEN ? (json_int_t)given[i] : none ? 0 : was;
        json_object_set_new(quota, parts[i].field, json_integer(now));
    }
    return quota;
}

static struct error *run(struct account_options *options, const uint32_t *given, bool none,
                         bool change, json_t **ret_account)
{
    _cleanup_(client_freep) struct client *client = NULL;
    _cleanup_(json_decrefp) json_t *account = NULL;
    _cleanup_free_ char *id = NULL;
    struct client_headers headers = {0};
    struct error *err = account_options_open(options, &client);

    err = err ?: account_options_account(options, client, &id);
    _cleanup_free_ char *path = xasprintf("/api/v1/accounts/%s", id ?: "");
    err = err ?: client_call_with(client, "GET", path, NULL, &headers, &account);
    if (!err && !change)
        *ret_account = TAKE_PTR(account);
    if (err || !change) {
        client_headers_done(&headers);
        return err;
    }
    _cleanup_(json_decrefp) json_t *body =
        json_pack("{s:s, s:o}", "accountId", id, "quota", new_quota(account, given, none));
    _cleanup_free_ char *etag = TAKE_PTR(headers.etag);
    headers.if_match = etag;
    err = client_call_with(client, "PUT", "/api/v1/accounts/update", body, &headers, ret_account);
    client_headers_done(&headers);
    return err;
}

int accounts_quota_main(int argc, char **argv)
{
    uint32_t given[ELEMENTSOF(parts)];
    struct flag table[ELEMENTSOF(parts) + 3];
    struct account_options options = {0};
    _cleanup_(json_decrefp) json_t *account = NULL;
    bool none = false;

    for (size_t i = 0; i < ELEMENTSOF(parts); i++) {
        given[i] = NOT_GIVEN;
        table[i] = (struct flag){parts[i].option, 0, FLAG_NUMBER, &given[i], 0, INT32_MAX};
    }
    table[ELEMENTSOF(parts)] = (struct flag){.name = "none", .kind = FLAG_BOOL, .into = &none};
    table[ELEMENTSOF(parts) + 1] =
        (struct flag){.name = "admin", .kind = FLAG_BOOL, .into = &options.admin};
    table[ELEMENTSOF(parts) + 2] =
        (struct flag){.name = "admin-key-file", .kind = FLAG_TEXT, .into = &options.key_file};
    struct flags flags = {.usage = "accounts quota [ACCOUNT] [--workloads N] [--cpus N] "
                                   "[--memory MB] [--disk GB] [--gpus N] [--none] (0: no limit)",
                          .table = table,
                          .n = ELEMENTSOF(table),
                          .max_operands = 1};
    int code = flags_parse(argc, argv, &flags);
    bool change = none;

    for (size_t i = 0; i < ELEMENTSOF(parts); i++)
        change = change || given[i] != NOT_GIVEN;
    if (code != EXIT_OK)
        return code;
    options.account = flags.n_operands ? flags.operands[0] : NULL;
    options.admin = options.admin || options.key_file || change;
    code = command_fail(run(&options, given, none, change, &account));
    return code == EXIT_OK ? print_quota(account, flags.json) : code;
}
