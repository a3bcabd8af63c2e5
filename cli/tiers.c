/* `coffer tiers`: the sizes that workloads can have, and what they cost. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/command.h"
#include "cli/operator.h"
#include "cli/terminal.h"

static const struct column tier_columns[] = {
    {.title = "TIER", .member = "tierId"},
    {.title = "NAME", .member = "name"},
    {.title = "CPUS", .member = "cpus", .kind = COLUMN_INT},
    {.title = "MEMORY", .member = "memoryMb", .kind = COLUMN_INT},
    {.title = "DISK", .member = "diskGb", .kind = COLUMN_INT},
    {.title = "GPUS", .member = "gpus", .kind = COLUMN_INT},
    {.title = "USD/MIN", .member = "cost", .kind = COLUMN_USD},
};

int tiers_list_main(int argc, char **argv)
{
    struct operator_options options = {0};
    _cleanup_(json_decrefp) json_t *list = NULL;
    int code = operator_parse(argc, argv, NULL, &options);

    if (code == EXIT_OK)
        code = command_fail(operator_read(&options, "/api/v1/workload-tiers/list", &list));
    if (code != EXIT_OK || options.json)
        return code != EXIT_OK ? code : output_json(list);
    return output_list(list, tier_columns, ELEMENTSOF(tier_columns));
}

/* A field of the request from its option's text; false: it is no number. */
static bool set_number(json_t *body, int option, const char *text)
{
    static const struct {
        int option;
        const char *field;
    } fields[] = {{'c', "cpus"}, {'g', "gpus"}, {'m', "memoryMb"}, {'d', "diskGb"}};
    char *end;

    errno = 0;
    if (option == 'u') {
        double usd = strtod(text, &end);
        return end != text && !*end && !errno &&
               json_object_set_new(body, "cost", json_real(usd)) == 0;
    }
    long long number = strtoll(text, &end, 10);
    for (size_t i = 0; i < ELEMENTSOF(fields); i++)
        if (fields[i].option == option)
            return end != text && !*end && !errno &&
                   json_object_set_new(body, fields[i].field, json_integer(number)) == 0;
    return false;
}

static int parse_size(int argc, char **argv, struct operator_options *options, json_t *body)
{
    static const struct option table[] = {
        {"name", required_argument, NULL, 'n'},
        {"cpus", required_argument, NULL, 'c'},
        {"memory", required_argument, NULL, 'm'},
        {"disk", required_argument, NULL, 'd'},
        {"gpus", required_argument, NULL, 'g'},
        {"cost", required_argument, NULL, 'u'},
        OPERATOR_OPTIONS,
    };

    optind = 1;
    for (int c; (c = getopt_long(argc, argv, "jy", table, NULL)) != -1;) {
        if (c == '?')
            return EXIT_USAGE;
        if (operator_option(options, c))
            continue;
        bool good = c == 'n' ? json_object_set_new(body, "name", json_string(optarg)) == 0
                             : set_number(body, c, optarg);
        if (!good)
            return command_usage("a size is whole numbers, its cost a number, its name UTF-8");
    }
    return EXIT_OK;
}

static int tell(const struct operator_options *options, const json_t *tier, const char *done)
{
    if (options->json)
        return output_json(tier);
    terminal_printf("%s %s\n", output_text(tier, "tierId"), done);
    return EXIT_OK;
}

/* What is missing or out of range is told by the gateway, all of it at once. */
int tiers_create_main(int argc, char **argv)
{
    struct operator_options options = {0};
    _cleanup_(json_decrefp) json_t *body = json_object();
    _cleanup_(json_decrefp) json_t *tier = NULL;
    int code = parse_size(argc, argv, &options, body);

    if (code == EXIT_OK && optind != argc)
        code = command_usage("tiers create takes no operands");
    if (code == EXIT_OK)
        code = command_fail(
            operator_call(&options, "POST", "/api/v1/workload-tiers/create", body, &tier));
    return code == EXIT_OK ? tell(&options, tier, "created") : code;
}

/* The tier of the list, with what is given instead; NULL: there is none with this id. */
static json_t *changed_tier(const json_t *list, const char *id, json_t *given)
{
    size_t i;
    json_t *tier;

    json_array_foreach(list, i, tier)
    {
        if (strcmp(output_text(tier, "tierId"), id) != 0)
            continue;
        json_t *changed = json_copy(tier);
        json_object_update(changed, given);
        return changed;
    }
    return NULL;
}

/* The API takes a tier as a whole: what is not given stays as it is, and if somebody else was
 * quicker, nothing changes. */
static struct error *update(const struct operator_options *options, const char *id, json_t *given,
                            json_t **ret_tier)
{
    _cleanup_(client_freep) struct client *client = NULL;
    _cleanup_(json_decrefp) json_t *list = NULL;
    _cleanup_(json_decrefp) json_t *body = NULL;
    struct client_headers headers = {0};
    struct error *err = client_open_admin(options->key_file, true, &client);

    err = err
              ?: client_call_with(client, "GET", "/api/v1/workload-tiers/list", NULL, &headers,
                                  &list);
    _cleanup_free_ char *etag = TAKE_PTR(headers.etag);
    headers.if_match = etag;
    if (!err && !(body = changed_tier(list, id, given)))
        err = error_new(ERROR_NOT_FOUND, "there is no tier '%s'; see: coffer tiers ls", id);
    err = err
              ?: client_call_with(client, "PUT", "/api/v1/workload-tiers/update", body, &headers,
                                  ret_tier);
    client_headers_done(&headers);
    return err;
}

int tiers_update_main(int argc, char **argv)
{
    struct operator_options options = {0};
    _cleanup_(json_decrefp) json_t *given = json_object();
    _cleanup_(json_decrefp) json_t *tier = NULL;
    int code = parse_size(argc, argv, &options, given);

    if (code == EXIT_OK && optind + 1 != argc)
        code = command_usage("exactly one tier is needed, by its id");
    if (code == EXIT_OK && json_object_size(given) == 0)
        code = command_usage("nothing is to be changed: give --cost, or another option");
    if (code == EXIT_OK)
        code = command_fail(update(&options, argv[optind], given, &tier));
    return code == EXIT_OK ? tell(&options, tier, "changed") : code;
}

int tiers_remove_main(int argc, char **argv)
{
    struct operator_options options = {0};
    int code = operator_parse(argc, argv, "TIER", &options);

    if (code != EXIT_OK)
        return code;
    if (!options.yes &&
        !ask_yes("Nobody can create this size any more; after the last tier any size is free."))
        return EXIT_FAILED;
    return operator_post_operand(&options, "/api/v1/workload-tiers/delete", "tierId", "deleted");
}
