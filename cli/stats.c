/* `coffer stats`: once, or again and again. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "cli/command.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "cli/resolve.h"
#include "cli/terminal.h"
#include "shared/base/alloc.h"
#include "shared/base/clock.h"

struct stats_options {
    bool watch;
    uint32_t interval_s;
    uint32_t count; /* 0: until it is ended */
    bool json;
};

static json_int_t mib_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name)) >> 20;
}

static void print_page(const json_t *stats)
{
    const json_t *memory = json_object_get(stats, "memory");
    const json_t *item;
    size_t i;

    terminal_printf("memory   %6" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " MiB\n",
                    mib_of(memory, "used"), mib_of(memory, "total"));
    json_array_foreach(json_object_get(stats, "cpus"), i, item)
        terminal_printf("%-8s %5.1f %%\n", output_text(item, "name"),
                        json_number_value(json_object_get(item, "usage")));
    json_array_foreach(json_object_get(stats, "disks"), i, item) terminal_printf(
        "%-8s %6" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " MiB\n",
        output_text(item, "mountPoint"), mib_of(item, "used"), mib_of(item, "size"));
}

/* One sample on one line, for files and pipes. */
static void print_line(const json_t *stats)
{
    const json_t *memory = json_object_get(stats, "memory");
    const json_t *cpus = json_object_get(stats, "cpus");
    char now[CLOCK_TEXT_SIZE];
    double usage = 0;
    const json_t *item;
    size_t i;

    json_array_foreach(cpus, i, item) usage += json_number_value(json_object_get(item, "usage"));
    clock_format(clock_wall_ms(clock_system()), now);
    terminal_printf("%s  memory %" JSON_INTEGER_FORMAT "/%" JSON_INTEGER_FORMAT " MiB  cpu %.1f %%",
                    now, mib_of(memory, "used"), mib_of(memory, "total"),
                    json_array_size(cpus) ? usage / (double)json_array_size(cpus) : 0);
    json_array_foreach(json_object_get(stats, "disks"), i, item) terminal_printf(
        "  %s %" JSON_INTEGER_FORMAT "/%" JSON_INTEGER_FORMAT " MiB",
        output_text(item, "mountPoint"), mib_of(item, "used"), mib_of(item, "size"));
    putchar('\n');
    fflush(stdout);
}

static void show(const json_t *stats, const struct stats_options *options)
{
    bool terminal = isatty(STDOUT_FILENO);

    if (options->json && options->watch) {
        output_json_line(stats);
    } else if (options->json) {
        output_json(stats);
    } else if (options->watch && !terminal) {
        print_line(stats);
    } else {
        fputs(options->watch ? "\033[H\033[J" : "", stdout);
        print_page(stats);
    }
    fflush(stdout);
}

static struct error *run(struct client *client, const char *id, const struct stats_options *options)
{
    _cleanup_(json_decrefp) json_t *body = json_pack("{s:s}", "workloadId", id);
    struct error *err = NULL;

    for (uint32_t i = 0; !err && (i < options->count || !options->count); i++) {
        _cleanup_(json_decrefp) json_t *stats = NULL;
        if (i)
            sleep(options->interval_s);
        err = client_call(client, "POST", "/api/v1/workloads/stats", body, &stats);
        if (!err)
            show(stats, options);
    }
    return err;
}

int stats_main(int argc, char **argv)
{
    struct stats_options options = {.interval_s = 2};
    const struct flag table[] = {
        {"watch", 'w', FLAG_BOOL, &options.watch, 0, 0},
        {.name = "interval", .kind = FLAG_NUMBER, .into = &options.interval_s, .max = 3600},
        {.name = "count", .kind = FLAG_NUMBER, .into = &options.count, .min = 1, .max = 1000000},
    };
    struct flags flags = {.usage = "stats WORKLOAD [--watch [--interval SECONDS] [--count N]]",
                          .table = table,
                          .n = ELEMENTSOF(table),
                          .min_operands = 1,
                          .max_operands = 1};
    _cleanup_(client_freep) struct client *client = NULL;
    _cleanup_free_ char *id = NULL;
    int code = flags_parse(argc, argv, &flags);

    if (code != EXIT_OK)
        return code;
    options.json = flags.json;
    options.count = options.watch ? options.count : 1;
    struct error *err = client_open(&client);
    err = err ?: workload_resolve(client, flags.operands[0], &id);
    return command_fail(err ?: run(client, id, &options));
}
