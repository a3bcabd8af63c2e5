/* logs and events: history first, then live. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/command.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "cli/query.h"
#include "cli/resolve.h"
#include "cli/stream_gap.h"
#include "cli/terminal.h"
#include "shared/base/alloc.h"
#include "shared/base/clock.h"

enum { QUIET_MS = 3000 }; /* an older gateway: so long without a line, and all has been read */

struct stream_options {
    bool follow;
    bool json;
    const char *container;
    const char *since;
    const char *since_id;
    uint32_t tail;  /* logs: lines; 0: all that the gateway gives */
    uint32_t after; /* events: sequence; 0: from the first */
    uint32_t limit;
    const char *given; /* id or name; NULL: all (events only) */
    char *workload;    /* id */
    int64_t heard_ms;  /* of the last line */
    bool told;         /* the gateway says where the history ends */
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

/* The JSON of an entry on one line, with the stream's id to go on from. */
static void print_json(json_t *entry, const char *id)
{
    if (json_is_object(entry) && id[0])
        json_object_set_new(entry, "streamId", json_string(id));
    output_json_line(entry);
}

static void print_event(const json_t *event)
{
    const json_t *details = json_object_get(event, "details");
    const char *kind = json_string_value(json_object_get(details, "kind"));
    const char *stage = json_string_value(json_object_get(details, "stage"));
    const char *message = json_string_value(json_object_get(details, "message"));
    const char *failure = json_string_value(json_object_get(details, "error"));
    json_int_t took = json_integer_value(json_object_get(details, "durationMs"));

    terminal_printf(
        "%s  %.8s  %-12s %s", json_string_value(json_object_get(event, "timestamp")) ?: "-",
        json_string_value(json_object_get(event, "workloadId")) ?: "", kind ?: "-", stage ?: "");
    if (took)
        printf(" (%.1f s)", (double)took / 1000);
    if (message && message[0])
        terminal_printf("  %s", message);
    if (failure && failure[0])
        terminal_printf("  %s", failure);
    putchar('\n');
    fflush(stdout);
}

static bool on_event(void *data, const char *name, const char *id, const char *text)
{
    const struct stream_options *options = data;
    _cleanup_(json_decrefp) json_t *event = json_loads(text, 0, NULL);

    if (stream_gap(name, text, stderr))
        return true;
    if (options->json)
        print_json(event, id);
    else
        print_event(event);
    return true;
}

static struct error *list_events(struct client *client, const struct stream_options *options)
{
    _cleanup_(json_decrefp) json_t *body = json_pack("{s:s}", "workloadId", options->workload);
    _cleanup_(json_decrefp) json_t *answer = NULL;
    json_t *event;
    size_t i;

    if (options->after)
        json_object_set_new(body, "afterSequence", json_integer(options->after));
    if (options->limit)
        json_object_set_new(body, "limit", json_integer(options->limit));
    struct error *err = client_call(client, "POST", "/api/v1/workload-events/list", body, &answer);
    if (err)
        return err;
    json_array_foreach(json_object_get(answer, "events"), i, event)
    {
        if (options->json)
            print_json(event, "");
        else
            print_event(event);
    }
    return NULL;
}

static struct error *follow_events(struct client *client, struct stream_options *options)
{
    _cleanup_free_ char *path = options->workload
                                    ? xasprintf("/api/v1/workloads/%s/events", options->workload)
                                    : xstrdup("/api/v1/events");
    const struct client_stream stream = {
        .path = path, .last_id = options->since_id, .on_event = on_event, .data = options};

    return client_follow_stream(client, &stream);
}

int events_main(int argc, char **argv)
{
    _cleanup_(client_freep) struct client *client = NULL;
    _cleanup_(stream_done) struct stream_options options = {0};
    const struct flag table[] = {
        {"follow", 'f', FLAG_BOOL, &options.follow, 0, 0},
        {.name = "since-id", .kind = FLAG_TEXT, .into = &options.since_id},
        {.name = "after", .kind = FLAG_NUMBER, .into = &options.after, .max = UINT32_MAX},
        {"limit", 'n', FLAG_NUMBER, &options.limit, 1, 1000},
    };
    struct flags flags = {.usage = "events WORKLOAD [--after SEQUENCE] [--limit N] | events "
                                   "[WORKLOAD] -f [--since-id STREAM-ID]",
                          .table = table,
                          .n = ELEMENTSOF(table),
                          .max_operands = 1};
    int code = flags_parse(argc, argv, &flags);

    if (code != EXIT_OK)
        return code;
    options.json = flags.json;
    options.given = flags.n_operands ? flags.operands[0] : NULL;
    if (!options.follow && !options.given)
        return command_usage("events needs a workload, or -f for all live events");
    if (options.follow ? options.after || options.limit : options.since_id != NULL)
        return command_usage("--since-id goes with -f, --after and --limit without");
    struct error *err = open_stream(&options, &client);
    if (!err)
        err = options.follow ? follow_events(client, &options) : list_events(client, &options);
    return command_fail(err);
}

/* What a container says is kept as it is in files and pipes, and may not steer a terminal. */
static void print_text(const char *text)
{
    if (isatty(STDOUT_FILENO))
        terminal_printf("%s", text);
    else
        fputs(text, stdout);
}

/* What the gateway says of the history's end: false when it is reached. */
static bool take_end(struct stream_options *options, const char *name)
{
    options->told = options->told || strcmp(name, "until") == 0;
    return options->follow || strcmp(name, "end") != 0;
}

static bool on_log(void *data, const char *name, const char *id, const char *text)
{
    struct stream_options *options = data;
    _cleanup_(json_decrefp) json_t *line = json_loads(text, 0, NULL);
    const char *source = json_string_value(json_object_get(line, "source"));
    json_int_t dropped = json_integer_value(json_object_get(line, "dropped"));

    options->heard_ms = clock_monotonic_ms(clock_system());
    if (stream_gap(name, text, stderr))
        return true;
    if (strcmp(name, "log") != 0)
        return take_end(options, name);
    if (options->json) {
        print_json(line, id);
        return true;
    }
    if (dropped)
        printf("[%" JSON_INTEGER_FORMAT " lines dropped by the rate limit]\n", dropped);
    if (!options->container)
        terminal_printf("%-12s | ", source ?: "?");
    print_text(json_string_value(json_object_get(line, "text")) ?: "");
    putchar('\n');
    fflush(stdout);
    return true;
}

/* An older gateway does not say where the history ends: nothing for a while is taken for it. */
static bool on_tick(void *data, bool open)
{
    struct stream_options *options = data;

    if (!open) /* silence of nobody */
        options->heard_ms = clock_monotonic_ms(clock_system());
    return options->follow || options->told ||
           clock_monotonic_ms(clock_system()) - options->heard_ms < QUIET_MS;
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
    if (options->tail)
        json_object_set_new(body, "maxLines", json_integer(options->tail));
    struct error *err = client_call(client, "POST",
                                    options->container ? "/api/v1/workload-containers/logs"
                                                       : "/api/v1/workloads/logs",
                                    body, &answer);
    if (err)
        return err;
    json_array_foreach(json_object_get(answer, "lines"), i, line)
    {
        if (options->json) {
            output_json_line(line);
            continue;
        }
        print_text(json_string_value(line) ?: "");
        putchar('\n');
    }
    fflush(stdout);
    return NULL;
}

static struct error *stream_logs(struct client *client, struct stream_options *options)
{
    _cleanup_buffer_ struct buffer path = {0};
    struct client_stream stream = {.last_id = options->since_id,
                                   .on_event = on_log,
                                   .on_tick = on_tick,
                                   .brief = !options->follow,
                                   .data = options};

    buffer_printf(&path, "/api/v1/workloads/%s/logs", options->workload);
    query_add(&path, "container", options->container);
    query_add(&path, "since", options->since);
    query_add(&path, "until", options->follow ? NULL : "now");
    options->heard_ms = clock_monotonic_ms(clock_system());
    stream.path = buffer_text(&path);
    return client_follow_stream(client, &stream);
}

static struct error *print_logs(struct client *client, struct stream_options *options)
{
    struct error *err = NULL;

    if (!options->follow && !options->since)
        return print_lines(client, options);
    if (options->tail) {
        err = print_lines(client, options);
        options->since = "1s"; /* what came before has just been shown */
    }
    return err ?: stream_logs(client, options);
}

int logs_main(int argc, char **argv)
{
    _cleanup_(client_freep) struct client *client = NULL;
    _cleanup_(stream_done) struct stream_options options = {0};
    const struct flag table[] = {
        {"follow", 'f', FLAG_BOOL, &options.follow, 0, 0},
        {"container", 'c', FLAG_TEXT, &options.container, 0, 0},
        {.name = "since", .kind = FLAG_TEXT, .into = &options.since},
        {.name = "since-id", .kind = FLAG_TEXT, .into = &options.since_id},
        {"tail", 'n', FLAG_NUMBER, &options.tail, 1, 1000},
    };
    struct flags flags = {.usage = "logs WORKLOAD [-f] [--container NAME] [--since 10m|TIME] "
                                   "[--tail N] [--since-id STREAM-ID]",
                          .table = table,
                          .n = ELEMENTSOF(table),
                          .min_operands = 1,
                          .max_operands = 1};
    int code = flags_parse(argc, argv, &flags);

    if (code != EXIT_OK)
        return code;
    options.json = flags.json;
    options.given = flags.operands[0];
    if (options.tail && options.since)
        return command_usage("--tail and --since both say where to begin: give one");
    if (options.since_id && !options.follow)
        return command_usage("--since-id goes with -f");
    struct error *err = open_stream(&options, &client);
    return command_fail(err ?: print_logs(client, &options));
}
