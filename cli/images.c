/* `coffer images`: which guest image versions new workloads may use. */
#include "cli/command.h"
#include "cli/operator.h"

int images_list_main(int argc, char **argv)
{
    static const struct column columns[] = {
        {.title = "VERSION", .member = "version"},
        {.title = "BUILT", .member = "builtAt", .kind = COLUMN_TIME},
    };
    struct operator_options options = {0};
    _cleanup_(json_decrefp) json_t *list = NULL;
    int code = operator_parse(argc, argv, NULL, &options);

    if (code == EXIT_OK)
        code = command_fail(operator_read(&options, "/api/v1/artifacts/list", &list));
    if (code != EXIT_OK || options.json)
        return code != EXIT_OK ? code : output_json(list);
    return output_list(list, columns, ELEMENTSOF(columns));
}

static int set(int argc, char **argv, const char *path, const char *done)
{
    struct operator_options options = {0};
    int code = operator_parse(argc, argv, "VERSION", &options);

    return code != EXIT_OK ? code : operator_post_operand(&options, path, "version", done);
}

int images_enable_main(int argc, char **argv)
{
    return set(argc, argv, "/api/v1/artifacts/enable", "enabled");
}

int images_disable_main(int argc, char **argv)
{
    return set(argc, argv, "/api/v1/artifacts/disable", "disabled; what runs goes on");
}
