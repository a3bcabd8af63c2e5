/* `coffer fleet init`: the keys and files of a fleet, and with --dev-tee its development chips. */
#include <getopt.h>
#include <stdio.h>

#include "cli/command.h"
#include "shared/attestation/processor.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"
#include "shared/fleet/fleet.h"

enum { HOSTS_MAX = 4096 };

struct fleet_command {
    const char *dir;
    const char *hosts[HOSTS_MAX];
    size_t n_hosts;
    const char *domain;
    bool dev_tee;
};

static int parse(int argc, char **argv, struct fleet_command *ret_command)
{
    static const struct option options[] = {{"host", required_argument, NULL, 'h'},
                                            {"workload-domain", required_argument, NULL, 'd'},
                                            {"dev-tee", no_argument, NULL, 't'},
                                            {NULL, 0, NULL, 0}};

    optind = 1;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'h' && ret_command->n_hosts < HOSTS_MAX)
            ret_command->hosts[ret_command->n_hosts++] = optarg;
        else if (c == 'd')
            ret_command->domain = optarg;
        else if (c == 't')
            ret_command->dev_tee = true;
        else
            return EXIT_USAGE;
    }
    ret_command->dir = argv[optind]; /* NULL at the end of argv */
    return command_operands("fleet init DIR [--host ID ...] [--workload-domain NAME] [--dev-tee]",
                            argc, argv, 1, 1);
}

static struct error *read_chip_id(const char *dir, uint8_t ret_chip_id[FLEET_CHIP_ID_SIZE])
{
    _cleanup_free_ char *path = xasprintf("%s/chip_id", dir);
    _cleanup_free_ char *text = NULL;
    struct error *err = file_read_text(path, 1024, &text);

    return err ?: error_wrap(hex_decode(text, ret_chip_id, FLEET_CHIP_ID_SIZE), "'%s'", path);
}

/* A development chip for the host, enrolled as if its evidence had been seen and approved. */
static struct error *make_chip(const char *fleet, const char *root, const char *host)
{
    _cleanup_free_ char *dir = xasprintf("%s/hosts/%s/tee", fleet, host);
    uint8_t chip_id[FLEET_CHIP_ID_SIZE];
    struct error *err = dir_make(dir, 0700);

    if (!err)
        err = tee_dev_init_host(root, dir);
    if (!err)
        err = read_chip_id(dir, chip_id);
    if (!err)
        err = fleet_enroll_host(fleet, host, chip_id);
    return error_wrap(err, "host '%s'", host);
}

static struct error *make_chips(const struct fleet_command *command)
{
    _cleanup_free_ char *root = xasprintf("%s/tee-root", command->dir);
    struct error *err = dir_make(root, 0700);

    if (!err)
        err = tee_dev_init_root(root);
    for (size_t i = 0; !err && i < command->n_hosts; i++)
        err = make_chip(command->dir, root, command->hosts[i]);
    return err;
}

int fleet_init_main(int argc, char **argv)
{
    struct fleet_command command = {0};
    int code = parse(argc, argv, &command);

    if (code != EXIT_OK)
        return code;
    const struct fleet_options options = {
        .hosts = command.hosts, .n_hosts = command.n_hosts, .workload_domain = command.domain};
    struct error *err = fleet_init(command.dir, &options);
    if (!err && command.dev_tee)
        err = make_chips(&command);
    if (err)
        return command_fail_here(err);
    printf("fleet in %s: %zu host%s%s\n", command.dir, command.n_hosts,
           command.n_hosts == 1 ? "" : "s",
           command.dev_tee ? ", development chips under tee-root" : "");
    return EXIT_OK;
}
