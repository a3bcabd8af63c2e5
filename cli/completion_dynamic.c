/*
 * `coffer __complete KIND`: the names that a shell offers, one a line. Nothing else is ever
 * printed: an error in the middle of somebody's command line helps nobody.
 */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/context.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"

static const struct {
    const char *kind;
    const char *path;
    const char *members[2];
    bool admin;
} lists[] = {
    {"workloads", "/api/v1/workloads/list", {"name", "workloadId"}, false},
    {"hosts", "/api/v1/metal-instances/list", {"metalInstanceId", NULL}, true},
    {"images", "/api/v1/artifacts/list", {"version", NULL}, false},
    {"webhooks", "/api/v1/webhooks/list", {"webhookId", NULL}, false},
    {"tiers", "/api/v1/workload-tiers/list", {"tierId", NULL}, false},
};

/* Only what no shell takes for anything else. */
static void print_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "._-";

    if (name && name[0] && name[0] != '-' && !name[strspn(name, allowed)])
        puts(name);
}

static struct error *print_list(size_t at)
{
    _cleanup_(client_freep) struct client *client = NULL;
    _cleanup_(json_decrefp) json_t *list = NULL;
    struct error *err =
        lists[at].admin ? client_open_admin(NULL, true, &client) : client_open(&client);
    const json_t *row;
    size_t i;

    if (!err)
        err = client_list(client, lists[at].path, &list);
    json_array_foreach(list, i, row) for (size_t k = 0;
                                          k < ELEMENTSOF(lists[at].members) && lists[at].members[k];
                                          k++)
        print_name(json_string_value(json_object_get(row, lists[at].members[k])));
    return err;
}

/* A list of the key's own account. */
static struct error *print_of_account(const char *what, const char *member)
{
    _cleanup_(client_freep) struct client *client = NULL;
    _cleanup_(json_decrefp) json_t *me = NULL;
    _cleanup_(json_decrefp) json_t *list = NULL;
    const json_t *row;
    size_t i;
    struct error *err = client_open(&client);

    err = err ?: client_call(client, "GET", "/api/v1/accounts/me", NULL, &me);
    const char *id = json_string_value(json_object_get(me, "accountId"));
    if (err || !id || !name_is_valid(id))
        return err;
    _cleanup_free_ char *path = xasprintf("/api/v1/%s/account/%s", what, id);
    err = client_list(client, path, &list);
    json_array_foreach(list, i, row) print_name(json_string_value(json_object_get(row, member)));
    return err;
}

static struct error *print_contexts(void)
{
    _cleanup_(json_decrefp) json_t *names = NULL;
    const json_t *name;
    size_t i;
    struct error *err = context_names(&names);

    json_array_foreach(names, i, name) print_name(json_string_value(name));
    return err;
}

int complete_main(int argc, char **argv)
{
    const char *kind = argc == 2 ? argv[1] : "";
    struct error *err = NULL;

    if (strcmp(kind, "contexts") == 0)
        err = print_contexts();
    else if (strcmp(kind, "keys") == 0)
        err = print_of_account("api-keys", "id");
    else if (strcmp(kind, "members") == 0)
        err = print_of_account("members", "memberId");
    for (size_t i = 0; !err && i < ELEMENTSOF(lists); i++)
        if (strcmp(kind, lists[i].kind) == 0)
            err = print_list(i);
    bool failed = err != NULL;
    error_free(err);
    return failed ? EXIT_FAILED : EXIT_OK;
}
