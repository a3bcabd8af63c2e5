/* `coffer hosts`: the machines of the fleet. */
#include <stdio.h>

#include "cli/ask.h"
#include "cli/command.h"
#include "cli/operator.h"
#include "cli/terminal.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"

/* "used/total", without what the host keeps for itself. */
static const char *share(const json_t *host, const char *name, char ret_text[COLUMN_TEXT_MAX])
{
    const json_t *sum = json_object_get(host, name);
    json_int_t total = json_integer_value(json_object_get(sum, "total")) -
                       json_integer_value(json_object_get(sum, "reserved"));

    snprintf(ret_text, COLUMN_TEXT_MAX, "%" JSON_INTEGER_FORMAT "/%" JSON_INTEGER_FORMAT,
             json_integer_value(json_object_get(sum, "used")), total);
    return ret_text;
}

static const char *state_of(const json_t *host, _unused_ char ret_text[COLUMN_TEXT_MAX])
{
    return json_is_false(json_object_get(host, "eligible")) ? "cordoned"
                                                            : output_text(host, "state");
}

static const char *cpus_of(const json_t *host, char ret_text[COLUMN_TEXT_MAX])
{
    return share(host, "cpus", ret_text);
}

static const char *memory_of(const json_t *host, char ret_text[COLUMN_TEXT_MAX])
{
    return share(host, "memoryMb", ret_text);
}

static const char *disk_of(const json_t *host, char ret_text[COLUMN_TEXT_MAX])
{
    return share(host, "diskSpaceGb", ret_text);
}

static const struct column host_columns[] = {
    {.title = "HOST", .member = "metalInstanceId"},
    {.title = "STATE", .make = state_of, .kind = COLUMN_STATUS},
    {.title = "CPUS", .make = cpus_of},
    {.title = "MEMORY", .make = memory_of},
    {.title = "DISK", .make = disk_of},
    {.title = "SEEN", .member = "lastSeenAt", .kind = COLUMN_TIME},
    {.title = "TEE", .member = "tee", .wide = true},
    {.title = "AGENT", .member = "agentVersion", .wide = true},
    {.title = "ADDRESS", .member = "publicIp", .wide = true},
};

int hosts_list_main(int argc, char **argv)
{
    struct operator_options options = {0};
    _cleanup_(json_decrefp) json_t *list = NULL;
    int code = operator_parse(argc, argv, NULL, &options);

    if (code == EXIT_OK)
        code = command_fail(operator_list(&options, "/api/v1/metal-instances/list", &list));
    if (code != EXIT_OK || options.json)
        return code != EXIT_OK ? code : output_json(list);
    return output_list(list, host_columns, ELEMENTSOF(host_columns));
}

static void print_images(const json_t *host)
{
    const json_t *image;
    size_t i;

    json_array_foreach(json_object_get(host, "images"), i, image)
    {
        bool ready = json_is_true(json_object_get(image, "ready"));
        terminal_printf("%-12s %s %s\n", i ? "" : "images", output_text(image, "version"),
                        ready ? "ready" : output_text(image, "reason"));
    }
}

static void print_host(const json_t *host)
{
    static const char *const rows[][2] = {
        {"host", "metalInstanceId"},  {"address", "publicIp"},
        {"agent", "agentVersion"},    {"TEE", "tee"},
        {"CPU model", "cpuModel"},    {"chip", "chipId"},
        {"hypervisor", "hypervisor"}, {"joined", "createdAt"},
        {"seen", "lastSeenAt"},
    };
    static const char *const shares[][2] = {
        {"CPUs", "cpus"}, {"memory MB", "memoryMb"}, {"disk GB", "diskSpaceGb"}};
    const json_t *id;
    char text[COLUMN_TEXT_MAX];
    size_t i;

    terminal_printf("%-12s %s\n", "state", state_of(host, text));
    for (i = 0; i < ELEMENTSOF(rows); i++)
        terminal_printf("%-12s %s\n", rows[i][0], output_text(host, rows[i][1]));
    for (i = 0; i < ELEMENTSOF(shares); i++)
        terminal_printf("%-12s %s used\n", shares[i][0], share(host, shares[i][1], text));
    print_images(host);
    json_array_foreach(json_object_get(host, "workloads"), i, id)
        terminal_printf("%-12s %s\n", i ? "" : "workloads", json_string_value(id));
}

int hosts_show_main(int argc, char **argv)
{
    struct operator_options options = {0};
    _cleanup_(json_decrefp) json_t *host = NULL;
    int code = operator_parse(argc, argv, "HOST", &options);

    if (code != EXIT_OK)
        return code;
    if (!name_is_valid(options.operand))
        return command_usage("that is no id of a host");
    _cleanup_free_ char *path = xasprintf("/api/v1/metal-instances/%s", options.operand);
    code = command_fail(operator_call(&options, "GET", path, NULL, &host));
    if (code != EXIT_OK || options.json)
        return code != EXIT_OK ? code : output_json(host);
    print_host(host);
    return EXIT_OK;
}

int hosts_remove_main(int argc, char **argv)
{
    struct operator_options options = {0};
    int code = operator_parse(argc, argv, "HOST", &options);

    if (code != EXIT_OK)
        return code;
    if (!options.yes && !ask_yes("This forgets the host. If it is still in fleet.json and speaks "
                                 "again, it joins anew."))
        return EXIT_FAILED;
    return operator_post_operand(&options, "/api/v1/metal-instances/delete", "metalInstanceId",
                                 "removed");
}
