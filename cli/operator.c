#include "cli/operator.h"

#include <stdio.h>

#include "cli/command.h"
#include "cli/terminal.h"
#include "shared/base/alloc.h"

bool operator_option(struct operator_options *options, int option)
{
    if (option == 'K')
        options->key_file = optarg;
    else if (option == 'j')
        options->json = true;
    else if (option == 'y')
        options->yes = true;
    else
        return false;
    return true;
}

int operator_parse(int argc, char **argv, const char *operand_name,
                   struct operator_options *ret_options)
{
    static const struct option options[] = {OPERATOR_OPTIONS};

    optind = 1;
    for (int c; (c = getopt_long(argc, argv, "jy", options, NULL)) != -1;)
        if (!operator_option(ret_options, c))
            return EXIT_USAGE;
    if (optind + (operand_name ? 1 : 0) != argc) {
        _cleanup_free_ char *problem = xasprintf(
            "%s%s%s", argv[0], operand_name ? " needs exactly one " : " takes no operands",
            operand_name ?: "");
        return command_usage(problem);
    }
    ret_options->operand = operand_name ? argv[optind] : NULL;
    return EXIT_OK;
}

struct error *operator_call(const struct operator_options *options, const char *method,
                            const char *path, const json_t *body, json_t **ret_json)
{
    _cleanup_(client_freep) struct client *client = NULL;
    struct error *err = client_open_admin(options->key_file, true, &client);

    return err ?: client_call(client, method, path, body, ret_json);
}

struct error *operator_read(const struct operator_options *options, const char *path,
                            json_t **ret_json)
{
    _cleanup_(client_freep) struct client *client = NULL;
    struct error *err = client_open_admin(options->key_file, false, &client);

    return err ?: client_list(client, path, ret_json);
}

struct error *operator_list(const struct operator_options *options, const char *path,
                            json_t **ret_list)
{
    _cleanup_(client_freep) struct client *client = NULL;
    struct error *err = client_open_admin(options->key_file, true, &client);

    return err ?: client_list(client, path, ret_list);
}

int operator_post_operand(const struct operator_options *options, const char *path,
                          const char *name, const char *done)
{
    _cleanup_(json_decrefp) json_t *body = json_pack("{s:s}", name, options->operand);
    _cleanup_(json_decrefp) json_t *answer = NULL;

    if (!body)
        return command_usage("the operand is not UTF-8 text");
    int code = command_fail(operator_call(options, "POST", path, body, &answer));
    if (code == EXIT_OK && options->json)
        return output_json(answer);
    if (code == EXIT_OK)
        terminal_printf("%s %s\n", options->operand, done);
    return code;
}
