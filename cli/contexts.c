/* `coffer context ...` */
#include <getopt.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/command.h"
#include "cli/context.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "shared/base/alloc.h"

static const char *current_mark(const json_t *row, _unused_ char text[COLUMN_TEXT_MAX])
{
    return json_is_true(json_object_get(row, "current")) ? "yes" : NULL;
}

static const char *key_mark(const json_t *row, _unused_ char text[COLUMN_TEXT_MAX])
{
    return json_is_true(json_object_get(row, "hasKey")) ? "yes" : "no";
}

static const struct column columns[] = {
    {.title = "CONTEXT", .member = "name"},
    {.title = "CURRENT", .make = current_mark},
    {.title = "URL", .member = "url"},
    {.title = "KEY", .make = key_mark},
    {.title = "CA", .member = "ca", .wide = true},
    {.title = "PROBLEM", .member = "problem", .wide = true},
};

/* One that cannot be read is listed too, and why. */
static json_t *row_of(const char *name, const char *current)
{
    _cleanup_(context_done) struct context context = {0};
    _cleanup_(error_freep) struct error *err = context_load_named(name, &context);

    return json_pack("{s:s, s:b, s:s*, s:b, s:s*, s:s*}", "name", name, "current",
                     strcmp(name, current) == 0, "url", context.url, "hasKey", context.key != NULL,
                     "ca", context.ca, "problem", err ? error_text(err) : NULL);
}

static struct error *list(json_t *rows)
{
    _cleanup_(json_decrefp) json_t *names = NULL;
    _cleanup_free_ char *current = NULL;
    const json_t *name;
    size_t i;
    struct error *err = context_names(&names);

    err = err ?: context_current(&current);
    if (err)
        return err;
    json_array_foreach(names, i, name)
        json_array_append_new(rows, row_of(json_string_value(name), current));
    return NULL;
}

struct context_options {
    const char *name; /* NULL: none */
    bool json;
    bool yes;
};

/* EXIT_OK, or after saying usage the code to leave with. */
static int parse(int argc, char **argv, int n_least, int n_most, const char *usage,
                 struct context_options *ret_options)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'}, {"yes", no_argument, NULL, 'y'}, {NULL, 0, NULL, 0}};

    optind = 1;
    for (int c; (c = getopt_long(argc, argv, "y", options, NULL)) != -1;) {
        if (c == '?')
            return command_misused(usage, "an option is not of this command");
        *(c == 'j' ? &ret_options->json : &ret_options->yes) = true;
    }
    ret_options->name = optind < argc ? argv[optind] : NULL;
    return command_operands(usage, argc, argv, n_least, n_most);
}

int context_list_main(int argc, char **argv)
{
    struct context_options options = {0};
    json_auto_t *rows = json_array();
    int code = parse(argc, argv, 0, 0, "context ls takes no operands", &options);

    if (code == EXIT_OK)
        code = command_fail(list(rows));
    if (code != EXIT_OK)
        return code;
    return options.json ? output_json(rows) : output_list(rows, columns, ELEMENTSOF(columns));
}

int context_use_main(int argc, char **argv)
{
    struct context_options options = {0};
    int code = parse(argc, argv, 1, 1, "context use NAME", &options);

    if (code == EXIT_OK)
        code = command_fail(context_use(options.name));
    if (code != EXIT_OK)
        return code;
    terminal_printf("context %s is in use\n", options.name);
    if (getenv("COFFER_API_URL"))
        fputs("coffer: but COFFER_API_URL is set, and comes first\n", stderr);
    return EXIT_OK;
}

static int print_context(const struct context *c, bool json)
{
    if (json) {
        json_auto_t *object = json_pack("{s:s?, s:s?, s:b, s:s?}", "name", c->name, "url", c->url,
                                        "hasKey", c->key != NULL, "ca", c->ca);
        return output_json(object);
    }
    terminal_printf("%-10s %s\n%-10s %s\n%-10s %s\n%-10s %s\n", "context",
                    c->name ?: "of the environment", "URL", c->url ?: "-", "key",
                    c->key ? "there" : "none: coffer login", "CA", c->ca ?: "the system's");
    return EXIT_OK;
}

int context_show_main(int argc, char **argv)
{
    _cleanup_(context_done) struct context context = {0};
    struct context_options options = {0};
    int code = parse(argc, argv, 0, 1, "context show [NAME]", &options);

    if (code == EXIT_OK)
        code = command_fail(options.name ? context_load_named(options.name, &context)
                                         : context_load(&context));
    return code == EXIT_OK ? print_context(&context, options.json) : code;
}

int context_remove_main(int argc, char **argv)
{
    struct context_options options = {0};
    int code = parse(argc, argv, 1, 1, "context rm NAME [--yes]", &options);

    if (code != EXIT_OK)
        return code;
    if (!options.yes && !ask_yes("This removes the context and its key from this machine."))
        return EXIT_FAILED;
    code = command_fail(context_remove(options.name));
    if (code == EXIT_OK)
        terminal_printf("context %s removed\n", options.name);
    return code;
}
