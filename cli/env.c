/* `coffer env`: the names of a workload's environment values, and changing single ones. A value is
 * never read from the command line, and never shown. */
#include <stdio.h>

#include "cli/change_flags.h"
#include "cli/output.h"
#include "cli/project_body.h"
#include "cli/resolve.h"
#include "cli/secret_source.h"
#include "cli/terminal.h"
#include "cli/update.h"
#include "shared/base/alloc.h"

int env_list_main(int argc, char **argv)
{
    struct flags flags = {.usage = "env ls WORKLOAD", .min_operands = 1, .max_operands = 1};
    _cleanup_(client_freep) struct client *client = NULL;
    _cleanup_(json_decrefp) json_t *answer = NULL;
    _cleanup_free_ char *id = NULL;
    const json_t *name;
    size_t i;
    int code = flags_parse(argc, argv, &flags);

    if (code != EXIT_OK)
        return code;
    struct error *err = client_open(&client);
    err = err ?: workload_resolve(client, flags.operands[0], &id);
    _cleanup_free_ char *path = xasprintf("/api/v1/workloads/%s/env", id ?: "");
    err = err ?: client_call(client, "GET", path, NULL, &answer);
    if (err)
        return command_fail(err);
    if (flags.json)
        return output_json(answer);
    json_array_foreach(json_object_get(answer, "names"), i, name)
        terminal_printf("%s\n", json_string_value(name) ?: "?");
    return EXIT_OK;
}

struct env_options {
    struct flag_list files;
    bool from_stdin;
};

static struct error *add_value(struct project_input *in, const struct env_options *options,
                               const char *name)
{
    const char *value = getenv(name);
    struct error *err = NULL;

    if (strchr(name, '='))
        return error_new(ERROR_INVALID_ARGUMENT,
                         "give names only; the value comes from your environment, from --stdin, "
                         "from --env-file, or is asked for (a value on the command line is visible "
                         "to everyone on this machine)");
    if (!manifest_env_is_valid(name))
        return error_new(ERROR_INVALID_ARGUMENT, "'%.64s' is not a variable's name", name);
    if (options->from_stdin)
        err = secret_source_read(SOURCE_STDIN, NULL, NULL, name, in->arena, &value);
    else if (!value)
        err = secret_source_ask(name, in->arena, &value);
    return err ?: project_input_add_env(in, name, strlen(name), value);
}

static struct error *add_values(struct project_input *in, const struct env_options *options,
                                const struct flags *flags)
{
    struct error *err = NULL;

    if (options->from_stdin && flags->n_operands != 2)
        return error_new(ERROR_INVALID_ARGUMENT, "--stdin is the value of exactly one name");
    if (flags->n_operands == 1 && !options->files.n)
        return error_new(ERROR_INVALID_ARGUMENT, "which values? give names, or --env-file FILE");
    for (int i = 0; !err && i < options->files.n; i++)
        err = project_input_add_env_file(in, options->files.items[i], false);
    for (int i = 1; !err && i < flags->n_operands; i++)
        err = add_value(in, options, flags->operands[i]);
    return err;
}

static struct error *add_names(struct project_input *in, const struct flags *flags)
{
    for (int i = 1; i < flags->n_operands; i++) {
        if (!manifest_env_is_valid(flags->operands[i]))
            return error_new(ERROR_INVALID_ARGUMENT, "'%.64s' is not a variable's name",
                             flags->operands[i]);
        if (in->unset_env.n == ELEMENTSOF(in->unset_env.items))
            return error_new(ERROR_INVALID_ARGUMENT, "too many names");
        in->unset_env.items[in->unset_env.n++] = flags->operands[i];
    }
    return NULL;
}

static int send(struct project_input *in, const struct flags *flags)
{
    _cleanup_(client_freep) struct client *client = NULL;
    _cleanup_(update_target_done) struct update_target target = {0};
    struct error *err = client_open(&client);

    in->json = flags->json;
    err = err ?: update_target_open(client, flags->operands[0], &target);
    if (err)
        return command_fail(err);
    return update_run(client, &target, project_body_update(in, target.id, target.workload), in);
}

int env_set_main(int argc, char **argv)
{
    _cleanup_(project_input_done) struct project_input in = {.arena = arena_new(), .gpus = -1};
    struct env_options options = {0};
    const struct flag table[] = {
        {.name = "stdin", .kind = FLAG_BOOL, .into = &options.from_stdin},
        {.name = "env-file", .kind = FLAG_LIST, .into = &options.files},
        CHANGE_FLAGS(in),
    };
    struct flags flags = {.usage =
                              "env set WORKLOAD NAME... [--stdin] [--env-file FILE] " CHANGE_USAGE,
                          .table = table,
                          .n = ELEMENTSOF(table),
                          .min_operands = 1,
                          .max_operands = 257};
    int code = flags_parse(argc, argv, &flags);

    if (code == EXIT_OK)
        code = command_fail(add_values(&in, &options, &flags));
    return code == EXIT_OK ? send(&in, &flags) : code;
}

int env_unset_main(int argc, char **argv)
{
    _cleanup_(project_input_done) struct project_input in = {.arena = arena_new(), .gpus = -1};
    const struct flag table[] = {CHANGE_FLAGS(in)};
    struct flags flags = {.usage = "env unset WORKLOAD NAME... " CHANGE_USAGE,
                          .table = table,
                          .n = ELEMENTSOF(table),
                          .min_operands = 2,
                          .max_operands = 257};
    int code = flags_parse(argc, argv, &flags);

    if (code == EXIT_OK)
        code = command_fail(add_names(&in, &flags));
    return code == EXIT_OK ? send(&in, &flags) : code;
}
