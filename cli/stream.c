/* logs and events: history first, then live. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "cli/command.h"
#include "cli/resolve.h"
#include "shared/base/alloc.h"

struct stream_options {
    bool follow;
    bool json;
    const char *container;
    const char *given; /* id or name; NULL: all (events only) */
    char *workload;    /* id */
};

static void stream_done(struct stream_options *options)
{
    free(options->workload);
}

static struct error *open_stream(struct stream_options *options, struct client **ret_client)
{
    struct error *err = client_open(ret_client);

    if (!err && options->given)
        err = workload_resolve(*ret_client, options->given, &options->workload);
    return err;
}

static int parse(int argc, char **argv, struct stream_options *ret_options)
{
    static const struct option options[] = {{"follow", no_argument, NULL, 'f'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"container", required_argument, NULL, 'c'},
                                            {NULL, 0, NULL, 0}};

    optind = 1;
    for (int c; (c = getopt_long(argc, argv, "fjc:", options, NULL)) != -1;) {
        if (c == 'f')
            ret_options->follow = true;
        else if (c == 'j')
            ret_options->json = true;
        else if (c == 'c')
            ret_options->container = optarg;
        else
            return EXIT_USAGE;
    }
    if (optind + 1 < argc)
        return command_usage("at most one workload");
    if (optind < argc)
        ret_options->given = argv[optind];
    return EXIT_OK;
}

static void print_event(const json_t *event)
{
    const json_t *details = json_object_get(event, "details");
    const char *kind = json_string_value(json_object_get(details, "kind"));
    const char *stage = json_string_value(json_object_get(details, "stage"));
    const char *message = json_string_value(json_object_get(details, "message"));
    const char *failure = json_string_value(json_object_get(details, "error"));
    json_int_t took = json_integer_value(json_object_get(details, "durationMs"));

    printf("%s  %.8s  %-12s %s", json_string_value(json_object_get(event, "timestamp")) ?: "-",
           json_string_value(json_object_get(event, "workloadId")) ?: "", kind ?: "-", stage ?: "");
    if (took)
        printf(" (%.1f s)", (double)took / 1000);
    if (message && message[0])
        printf("  %s", message);
    if (failure && failure[0])
        printf("  %s", failure);
    putchar('\n');
    fflush(stdout);
}

static bool on_event(void *data, _unused_ const char *name, _unused_ const char *id,
                     const char *text)
{
    const struct stream_options *options = data;
    _cleanup_(json_decrefp) json_t *event = json_loads(text, 0, NULL);

    if (options->json)
        printf("%s\n", text);
    else if (event)
        print_event(event);
    fflush(stdout);
    return true;
}

static int list_events(struct client *client, const struct stream_options *options)
{
    _cleanup_(json_decrefp) json_t *body = json_pack("{s:s}", "workloadId", options->workload);
    _cleanup_(json_decrefp) json_t *answer = NULL;
    struct error *err = client_call(client, "POST", "/api/v1/workload-events/list", body, &answer);
    const json_t *event;
    size_t i;

    if (err)
        return command_fail(err);
    json_array_foreach(json_object_get(answer, "events"), i, event)
    {
        if (options->json)
            json_dumpf(event, stdout, JSON_COMPACT);
        else
            print_event(event);
        if (options->json)
            putchar('\n');
    }
    return EXIT_OK;
}

int events_main(int argc, char **argv)
{
    _cleanup_(client_freep) struct client *client = NULL;
    _cleanup_(stream_done) struct stream_options options = {0};
    int code = parse(argc, argv, &options);

    if (code != EXIT_OK)
        return code;
    if (!options.follow && !options.given)
        return command_usage("events needs a workload, or -f for all live events");
    code = command_fail(open_stream(&options, &client));
    if (code != EXIT_OK)
        return code;
    if (!options.follow)
        return list_events(client, &options);
    _cleanup_free_ char *path = options.workload
                                    ? xasprintf("/api/v1/workloads/%s/events", options.workload)
                                    : xstrdup("/api/v1/events");
    return command_fail(client_follow(client, path, on_event, &options));
}

static bool on_log(void *data, _unused_ const char *name, _unused_ const char *id, const char *text)
{
    const struct stream_options *options = data;
    _cleanup_(json_decrefp) json_t *line = json_loads(text, 0, NULL);
    const char *source = json_string_value(json_object_get(line, "source"));
    json_int_t dropped = json_integer_value(json_object_get(line, "dropped"));

    if (options->json) {
        printf("%s\n", text);
    } else {
        if (dropped)
            printf("[%" JSON_INTEGER_FORMAT " lines dropped by the rate limit]\n", dropped);
        if (!options->container)
            printf("%-12s | ", source ?: "?");
        printf("%s\n", json_string_value(json_object_get(line, "text")) ?: "");
    }
    fflush(stdout);
    return true;
}

static struct error *print_lines(struct client *client, const struct stream_options *options)
{
    _cleanup_(json_decrefp) json_t *body =
        json_pack("{s:s, s:b}", "workloadId", options->workload, "tail", 1);
    _cleanup_(json_decrefp) json_t *answer = NULL;
    const json_t *line;
    size_t i;

    json_object_set_new(body, options->container ? "container" : "source",
                        json_string(options->container ?: "guest-agent"));
    struct error *err = client_call(client, "POST",
                                    options->container ? "/api/v1/workload-containers/logs"
                                                       : "/api/v1/workloads/logs",
                                    body, &answer);
    if (err)
        return err;
    json_array_foreach(json_object_get(answer, "lines"), i, line)
        printf("%s\n", json_string_value(line) ?: "");
    return NULL;
}

int logs_main(int argc, char **argv)
{
    _cleanup_(client_freep) struct client *client = NULL;
    _cleanup_(stream_done) struct stream_options options = {0};
    int code = parse(argc, argv, &options);

    if (code != EXIT_OK)
        return code;
    if (!options.given)
        return command_usage("logs needs a workload, by id or name");
    code = command_fail(open_stream(&options, &client));
    if (code != EXIT_OK)
        return code;
    if (!options.follow)
        return command_fail(print_lines(client, &options));
    _cleanup_free_ char *path =
        xasprintf("/api/v1/workloads/%s/logs%s%s", options.workload,
                  options.container ? "?container=" : "", options.container ?: "");
    return command_fail(client_follow(client, path, on_log, &options));
}
