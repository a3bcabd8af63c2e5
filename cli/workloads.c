/* ls, show, stats, and the verbs that change a workload. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "cli/ask.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/resolve.h"
#include "cli/terminal.h"
#include "shared/base/alloc.h"

static json_int_t number_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static const struct column workload_columns[] = {
    {.title = "WORKLOAD", .member = "workloadId"},
    {.title = "NAME", .member = "name"},
    {.title = "STATUS", .member = "status", .kind = COLUMN_STATUS},
    {.title = "DOMAIN", .member = "domain"},
    {.title = "CREATED", .member = "createdAt", .kind = COLUMN_TIME},
    {.title = "HOST", .member = "hostId", .wide = true},
    {.title = "IMAGE", .member = "artifactsVersion", .wide = true},
    {.title = "MANIFEST", .member = "manifestHash", .wide = true},
};

int list_main(int argc, char **argv)
{
    bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    _cleanup_(client_freep) struct client *client = NULL;
    _cleanup_(json_decrefp) json_t *list = NULL;

    if (argc > 1 + json)
        return command_usage("ls takes no operands");
    struct error *err = client_open(&client);
    if (!err)
        err = client_list(client, "/api/v1/workloads/list", &list);
    if (err)
        return command_fail(err);
    if (json)
        return output_json(list);
    return output_list(list, workload_columns, ELEMENTSOF(workload_columns));
}

struct target {
    struct client *client;
    char *workload;
    bool json;
    bool yes;
};

static void target_done(struct target *target)
{
    client_free(target->client);
    free(target->workload);
}

/* Parses "WORKLOAD [--json] [--yes]" and opens the client; EXIT_OK or the code to leave with. */
static int target_open(int argc, char **argv, struct target *ret_target)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'}, {"yes", no_argument, NULL, 'y'}, {NULL, 0, NULL, 0}};

    optind = 1;
    for (int c; (c = getopt_long(argc, argv, "jy", options, NULL)) != -1;) {
        if (c == 'j')
            ret_target->json = true;
        else if (c == 'y')
            ret_target->yes = true;
        else
            return EXIT_USAGE;
    }
    if (optind + 1 != argc)
        return command_usage("exactly one workload is needed, by id or name");
    struct error *err = client_open(&ret_target->client);
    if (!err)
        err = workload_resolve(ret_target->client, argv[optind], &ret_target->workload);
    return command_fail(err);
}

static struct error *get_workload(struct target *target, json_t **ret_json)
{
    _cleanup_free_ char *path = xasprintf("/api/v1/workloads/%s", target->workload);

    return client_call(target->client, "GET", path, NULL, ret_json);
}

static void print_workload(const json_t *w)
{
    static const char *const rows[][2] = {
        {"workload", "workloadId"},
        {"name", "name"},
        {"status", "status"},
        {"reason", "statusReason"},
        {"URL", "domain"},
        {"host", "hostId"},
        {"ingress", "ingressAddress"},
        {"image", "artifactsVersion"},
        {"manifest hash", "manifestHash"},
        {"measurement", "measurement"},
        {"evidence", "evidenceKind"},
        {"created", "createdAt"},
        {"updated", "updatedAt"},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const char *text = output_text(w, rows[i][1]);
        bool url = strcmp(rows[i][0], "URL") == 0 && text[0] != '-';
        terminal_printf("%-14s %s%s\n", rows[i][0], url ? "https://" : "", text);
    }
    terminal_printf("%-14s %" JSON_INTEGER_FORMAT " vCPU, %" JSON_INTEGER_FORMAT
                    " MB memory, %" JSON_INTEGER_FORMAT " GB disk\n",
                    "size", number_of(w, "cpus"), number_of(w, "memory"), number_of(w, "disk"));
    double cost = json_number_value(json_object_get(w, "usdCostPerMin"));
    if (cost > 0)
        terminal_printf("%-14s %.6f USD a minute\n", "cost", cost);
}

int show_main(int argc, char **argv)
{
    _cleanup_(target_done) struct target target = {0};
    _cleanup_(json_decrefp) json_t *w = NULL;
    int code = target_open(argc, argv, &target);

    if (code == EXIT_OK)
        code = command_fail(get_workload(&target, &w));
    if (code != EXIT_OK)
        return code;
    if (target.json)
        return output_json(w);
    print_workload(w);
    return EXIT_OK;
}

static struct error *post(struct target *target, const char *path, json_t **ret_json)
{
    _cleanup_(json_decrefp) json_t *body = json_pack("{s:s}", "workloadId", target->workload);

    return client_call(target->client, "POST", path, body, ret_json);
}

static void print_stats(const json_t *stats)
{
    const json_t *memory = json_object_get(stats, "memory");
    const json_t *item;
    size_t i;

    terminal_printf("memory   %6" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " MiB\n",
                    number_of(memory, "used") >> 20, number_of(memory, "total") >> 20);
    json_array_foreach(json_object_get(stats, "cpus"), i, item)
        terminal_printf("%-8s %5.1f %%\n", output_text(item, "name"),
                        json_number_value(json_object_get(item, "usage")));
    json_array_foreach(json_object_get(stats, "disks"), i, item)
        terminal_printf("%-8s %6" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " MiB\n",
                        output_text(item, "mountPoint"), number_of(item, "used") >> 20,
                        number_of(item, "size") >> 20);
}

int stats_main(int argc, char **argv)
{
    _cleanup_(target_done) struct target target = {0};
    _cleanup_(json_decrefp) json_t *stats = NULL;
    int code = target_open(argc, argv, &target);

    if (code == EXIT_OK)
        code = command_fail(post(&target, "/api/v1/workloads/stats", &stats));
    if (code != EXIT_OK)
        return code;
    if (target.json)
        return output_json(stats);
    print_stats(stats);
    return EXIT_OK;
}

static int change(int argc, char **argv, const char *path, const char *warning, const char *done)
{
    _cleanup_(target_done) struct target target = {0};
    _cleanup_(json_decrefp) json_t *answer = NULL;
    int code = target_open(argc, argv, &target);

    if (code != EXIT_OK)
        return code;
    if (warning && !target.yes && !ask_yes(warning))
        return EXIT_FAILED;
    code = command_fail(post(&target, path, &answer));
    if (code == EXIT_OK && target.json)
        return output_json(answer);
    if (code == EXIT_OK)
        terminal_printf("%s %s\n", target.workload, done);
    return code;
}

int start_main(int argc, char **argv)
{
    return change(argc, argv, "/api/v1/workloads/start", NULL, "starting");
}

int stop_main(int argc, char **argv)
{
    return change(argc, argv, "/api/v1/workloads/stop",
                  "This workload's storage is ephemeral: stopping it loses every volume.",
                  "stopping");
}

int restart_main(int argc, char **argv)
{
    return change(argc, argv, "/api/v1/workloads/restart",
                  "This workload's storage is ephemeral: restarting it loses every volume.",
                  "restarting in a new VM");
}

int remove_main(int argc, char **argv)
{
    return change(argc, argv, "/api/v1/workloads/delete",
                  "This deletes the workload and everything it stored.", "deleting");
}
