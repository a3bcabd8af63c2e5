/* ls, show, and the verbs that change a workload's state. */
#include <stdio.h>

#include "cli/ask.h"
#include "cli/command.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "cli/pages.h"
#include "cli/project_body.h"
#include "cli/project_input.h"
#include "cli/query.h"
#include "cli/resolve.h"
#include "cli/sent.h"
#include "cli/terminal.h"
#include "cli/verify_hint.h"
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

struct list_options {
    const char *status;
    const char *name;
    const char *image;
    const char *domain;
    const char *sort;
    uint32_t limit;
};

static int list(const struct list_options *options, bool json)
{
    _cleanup_(client_freep) struct client *client = NULL;
    _cleanup_(json_decrefp) json_t *workloads = NULL;
    _cleanup_buffer_ struct buffer path = {0};

    buffer_add_text(&path, "/api/v1/workloads/list");
    query_add(&path, "status", options->status);
    query_add(&path, "name", options->name);
    query_add(&path, "artifactsVersion", options->image);
    query_add(&path, "domain", options->domain);
    query_add(&path, "sort", options->sort);
    struct error *err = client_open(&client);
    err = err ?: pages_get(client, buffer_text(&path), options->limit, &workloads);
    if (err)
        return command_fail(err);
    if (json)
        return output_json(workloads);
    return output_list(workloads, workload_columns, ELEMENTSOF(workload_columns));
}

int list_main(int argc, char **argv)
{
    struct list_options options = {0};
    const struct flag table[] = {
        {.name = "status", .kind = FLAG_TEXT, .into = &options.status},
        {.name = "name", .kind = FLAG_TEXT, .into = &options.name},
        {.name = "image", .kind = FLAG_TEXT, .into = &options.image},
        {.name = "domain", .kind = FLAG_TEXT, .into = &options.domain},
        {.name = "sort", .kind = FLAG_TEXT, .into = &options.sort},
        {"limit", 'n', FLAG_NUMBER, &options.limit, 1, 100000},
    };
    struct flags flags = {.usage = "ls [--status S,S] [--name PART] [--image VERSION] [--domain D] "
                                   "[--sort createdAt|-createdAt|name] [--limit N]",
                          .table = table,
                          .n = ELEMENTSOF(table)};
    int code = flags_parse(argc, argv, &flags);

    return code == EXIT_OK ? list(&options, flags.json) : code;
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
        {"ETag", "etag"},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const char *text = output_text(w, rows[i][1]);
        bool url = strcmp(rows[i][0], "URL") == 0 && text[0] != '-';
        terminal_printf("%-14s %s%s\n", rows[i][0], url ? "https://" : "", text);
    }
    terminal_printf("%-14s %" JSON_INTEGER_FORMAT " vCPU, %" JSON_INTEGER_FORMAT
                    " MB memory, %" JSON_INTEGER_FORMAT " GB disk",
                    "size", number_of(w, "cpus"), number_of(w, "memory"), number_of(w, "disk"));
    if (number_of(w, "gpus") > 0)
        terminal_printf(", %" JSON_INTEGER_FORMAT " GPU", number_of(w, "gpus"));
    putchar('\n');
    double cost = json_number_value(json_object_get(w, "usdCostPerMin"));
    if (cost > 0)
        terminal_printf("%-14s %.6f USD a minute\n", "cost", cost);
}

/* What somebody who looks at it probably wants to do next. */
static void print_next_steps(struct client *client, const json_t *w)
{
    static const struct {
        const char *status;
        const char *verb;
        const char *why;
    } rows[] = {
        {"scheduled", "events %s -f", "what happens to it"},
        {"waiting", "events %s", "what it waits for"},
        {"starting", "events %s -f", "its stages, live"},
        {"awaitingCert", "domains ls %s", "whether its name leads to it"},
        {"running", "logs %s -f", "what it says"},
        {"degraded", "logs %s", "what it said last"},
        {"degraded", "restart %s", "begin again in a new VM"},
        {"error", "events %s", "what went wrong, and when"},
        {"error", "update %s FOLDER", "once it is mended"},
        {"stopped", "start %s", "run it again"},
    };
    const char *id = output_text(w, "workloadId");
    const char *status = output_text(w, "status");
    bool any = false;

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        if (strcmp(rows[i].status, status) != 0)
            continue;
        const char *hole = strstr(rows[i].verb, "%s");
        terminal_printf("%-14s coffer %.*s%s%s   (%s)\n", any ? "" : "next",
                        (int)(hole - rows[i].verb), rows[i].verb, id, hole + 2, rows[i].why);
        any = true;
    }
    _cleanup_free_ char *command = strcmp(status, "running") ? NULL : verify_hint(client, w);
    if (command)
        terminal_printf("verify with    %s\n", command);
}

struct target {
    struct client *client;
    char *workload;
};

static void target_done(struct target *target)
{
    client_free(target->client);
    free(target->workload);
}

static struct error *target_open(const char *operand, struct target *ret_target)
{
    struct error *err = client_open(&ret_target->client);

    return err ?: workload_resolve(ret_target->client, operand, &ret_target->workload);
}

int show_main(int argc, char **argv)
{
    struct flags flags = {.usage = "show WORKLOAD", .min_operands = 1, .max_operands = 1};
    _cleanup_(target_done) struct target target = {0};
    _cleanup_(json_decrefp) json_t *w = NULL;
    int code = flags_parse(argc, argv, &flags);

    if (code != EXIT_OK)
        return code;
    struct client_headers headers = {0};
    struct error *err = target_open(flags.operands[0], &target);
    _cleanup_free_ char *path = xasprintf("/api/v1/workloads/%s", target.workload ?: "");
    err = err ?: client_call_with(target.client, "GET", path, NULL, &headers, &w);
    if (!err && headers.etag) /* for --if-match */
        json_object_set_new(w, "etag", json_string(headers.etag));
    client_headers_done(&headers);
    if (err)
        return command_fail(err);
    if (flags.json)
        return output_json(w);
    print_workload(w);
    print_next_steps(target.client, w);
    return EXIT_OK;
}

/* A verb: what it needs, warns of and says. */
struct verb {
    const char *path;
    const char *warning; /* NULL: nothing is lost */
    const char *done;
    const char *if_match;
    json_t *env;  /* restart: the whole environment; NULL: it stays */
    bool deletes; /* the workload */
};

static struct error *post(struct target *target, const struct verb *verb)
{
    _cleanup_(json_decrefp) json_t *body = json_pack("{s:s}", "workloadId", target->workload);
    _cleanup_(json_decrefp) json_t *answer = NULL;
    struct client_headers headers = {.if_match = verb->if_match};

    if (verb->env)
        json_object_set(body, "envVars", verb->env);
    struct error *err =
        client_call_with(target->client, "POST", verb->path, body, &headers, &answer);
    client_headers_done(&headers);
    if (!err && verb->deletes)
        sent_forget(target->workload);
    else if (!err && !verb->env)
        sent_carry(answer);
    return err;
}

static int change(const struct flags *flags, const struct verb *verb)
{
    _cleanup_(target_done) struct target target = {0};
    int code = command_fail(target_open(flags->operands[0], &target));

    if (code != EXIT_OK)
        return code;
    if (verb->warning && !flags->yes && !ask_yes(verb->warning))
        return EXIT_FAILED;
    code = command_fail(post(&target, verb));
    if (code != EXIT_OK)
        return code;
    if (flags->json) {
        _cleanup_(json_decrefp) json_t *json =
            json_pack("{s:s, s:s}", "workloadId", target.workload, "state", verb->done);
        return output_json(json);
    }
    terminal_printf("%s %s\n", target.workload, verb->done);
    return EXIT_OK;
}

static int simple(int argc, char **argv, const char *usage, struct verb *verb)
{
    const struct flag table[] = {{.name = "if-match", .kind = FLAG_TEXT, .into = &verb->if_match}};
    struct flags flags = {
        .usage = usage, .table = table, .n = 1, .min_operands = 1, .max_operands = 1};
    int code = flags_parse(argc, argv, &flags);

    return code == EXIT_OK ? change(&flags, verb) : code;
}

int start_main(int argc, char **argv)
{
    struct verb verb = {.path = "/api/v1/workloads/start", .done = "starting"};

    return simple(argc, argv, "start WORKLOAD [--if-match ETAG]", &verb);
}

int stop_main(int argc, char **argv)
{
    struct verb verb = {
        .path = "/api/v1/workloads/stop",
        .warning = "This workload's storage is ephemeral: stopping it loses every volume.",
        .done = "stopping",
    };

    return simple(argc, argv, "stop WORKLOAD [--yes] [--if-match ETAG]", &verb);
}

int remove_main(int argc, char **argv)
{
    struct verb verb = {
        .path = "/api/v1/workloads/delete",
        .warning = "This deletes the workload and everything it stored.",
        .done = "deleting",
        .deletes = true,
    };

    return simple(argc, argv, "rm WORKLOAD [--yes] [--if-match ETAG]", &verb);
}

/* The values of --env and --env-file, as the whole new set. */
static struct error *read_env(struct project_input *in, const struct flag_list *names,
                              const struct flag_list *files)
{
    struct error *err = NULL;

    for (int i = 0; !err && i < files->n; i++)
        err = project_input_add_env_file(in, files->items[i], false);
    for (int i = 0; !err && i < names->n; i++) {
        const char *name = names->items[i];
        const char *value = strchr(name, '=') ? NULL : getenv(name);
        if (!value)
            err = error_new(ERROR_INVALID_ARGUMENT,
                            "--env takes the name of a variable of your environment");
        else
            err = project_input_add_env(in, name, strlen(name), value);
    }
    return err;
}

int restart_main(int argc, char **argv)
{
    _cleanup_(project_input_done) struct project_input in = {.arena = arena_new()};
    struct flag_list names = {0};
    struct flag_list files = {0};
    struct verb verb = {
        .path = "/api/v1/workloads/restart",
        .warning = "This workload's storage is ephemeral: restarting it loses every volume.",
        .done = "restarting in a new VM",
    };
    const struct flag table[] = {
        {.name = "if-match", .kind = FLAG_TEXT, .into = &verb.if_match},
        {"env", 'e', FLAG_LIST, &names, 0, 0},
        {.name = "env-file", .kind = FLAG_LIST, .into = &files},
    };
    struct flags flags = {.usage = "restart WORKLOAD [--env NAME]... [--env-file FILE] [--yes] "
                                   "[--if-match ETAG] (--env: the whole new set)",
                          .table = table,
                          .n = ELEMENTSOF(table),
                          .min_operands = 1,
                          .max_operands = 1};
    _cleanup_(project_body_freep) json_t *env = NULL;
    int code = flags_parse(argc, argv, &flags);

    if (code == EXIT_OK)
        code = command_fail(read_env(&in, &names, &files));
    if (code != EXIT_OK)
        return code;
    if (names.n || files.n) {
        env = json_object();
        verb.warning = "Restarting loses every volume, and every environment value that is not "
                       "given now is gone.";
    }
    for (size_t i = 0; i < in.n_env; i++)
        json_object_set_new(env, in.env[i].name, json_string(in.env[i].value));
    verb.env = env;
    return change(&flags, &verb);
}
