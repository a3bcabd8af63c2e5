/* `coffer audit`: who changed what, newest first. */
#include <stdlib.h>

#include "cli/account_options.h"
#include "cli/command.h"
#include "cli/output.h"
#include "shared/base/alloc.h"
#include "shared/base/cleanup.h"
#include "shared/base/encode.h"

enum { PAGE_MAX = 1000, LIMIT_DEFAULT = 50, LIMIT_MAX = 100000 };

static bool parse_limit(const char *text, size_t *ret_limit)
{
    char *end = NULL;
    unsigned long value = text ? strtoul(text, &end, 10) : LIMIT_DEFAULT;

    if (text && (*text < '0' || *text > '9' || *end || !value || value > LIMIT_MAX))
        return false;
    *ret_limit = value;
    return true;
}

static char *path_of(const struct account_options *options, size_t limit, const char *cursor)
{
    return xasprintf("/api/v1/audit?limit=%zu%s%s%s%s", limit,
                     options->account ? "&accountId=" : "", options->account ?: "",
                     cursor ? "&cursor=" : "", cursor ?: "");
}

/* Adds a page to the entries; *cursor becomes the next page's, or NULL at the end. */
static struct error *add_page(struct client *client, const struct account_options *options,
                              size_t limit, json_t *entries, char **cursor)
{
    _cleanup_(json_decrefp) json_t *page = NULL;
    _cleanup_free_ char *path = path_of(options, limit, *cursor);
    struct error *err = client_call(client, "GET", path, NULL, &page);

    if (err)
        return err;
    json_array_extend(entries, json_object_get(page, "entries"));
    const char *next = json_string_value(json_object_get(page, "nextCursor"));
    free(*cursor);
    *cursor = next && name_is_valid(next) ? xstrdup(next) : NULL;
    return NULL;
}

static struct error *read_entries(const struct account_options *options, size_t limit,
                                  json_t *entries)
{
    _cleanup_(client_freep) struct client *client = NULL;
    _cleanup_free_ char *cursor = NULL;

    if (options->account && !name_is_valid(options->account)) /* it becomes part of a path */
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' is not an account's id", options->account);
    struct error *err = account_options_open(options, &client);
    do {
        size_t before = json_array_size(entries);
        size_t left = limit - before;
        err = err ?: add_page(client, options, left < PAGE_MAX ? left : PAGE_MAX, entries, &cursor);
        if (json_array_size(entries) == before)
            break;
    } while (!err && cursor && json_array_size(entries) < limit);
    return err;
}

static const struct column audit_columns[] = {
    {.title = "ENTRY", .member = "id", .wide = true},
    {.title = "WHEN", .member = "at", .kind = COLUMN_TIME},
    {.title = "WHO", .member = "actor.type"},
    {.title = "KEY", .member = "actor.keyId"},
    {.title = "WHAT", .member = "action"},
    {.title = "OBJECT", .member = "object"},
    {.title = "RESULT", .member = "result", .kind = COLUMN_STATUS},
    {.title = "FROM", .member = "address"},
};

int audit_main(int argc, char **argv)
{
    static const char *const allowed[] = {"account", "limit", NULL};
    static const char usage[] = "audit [--account ID] [--limit N] [--admin]";
    _cleanup_(json_decrefp) json_t *entries = json_array();
    struct account_options options;
    size_t limit = 0;
    int code = account_options_parse(argc, argv, allowed, 0, usage, &options);

    if (code == EXIT_OK && !parse_limit(options.limit, &limit))
        code = command_misused(usage, "--limit is a number from 1 to %d, not '%s'", LIMIT_MAX,
                               options.limit);
    if (code == EXIT_OK)
        code = command_fail(read_entries(&options, limit, entries));
    if (code != EXIT_OK)
        return code;
    if (options.json)
        return output_json(entries);
    return output_list(entries, audit_columns, ELEMENTSOF(audit_columns));
}
