/* `coffer image seal`: the reference values of a guest image, signed. */
#include <getopt.h>
#include <stdio.h>

#include "cli/command.h"
#include "shared/attestation/image.h"

enum { VCPUS_MAX = 512 };

struct image_options {
    const char *dir;
    const char *key;
    uint32_t vcpus;
};

static int parse(int argc, char **argv, struct image_options *ret_options)
{
    static const struct option options[] = {{"key", required_argument, NULL, 'k'},
                                            {"vcpus", required_argument, NULL, 'v'},
                                            {NULL, 0, NULL, 0}};

    optind = 1;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'k')
            ret_options->key = optarg;
        else if (c == 'v')
            ret_options->vcpus = (uint32_t)strtoul(optarg, NULL, 10);
        else
            return EXIT_USAGE;
    }
    if (optind + 1 != argc)
        return command_usage("exactly one image folder is needed");
    ret_options->dir = argv[optind];
    if (ret_options->vcpus < 1 || ret_options->vcpus > VCPUS_MAX)
        return command_usage("--vcpus must be from 1 to 512");
    return EXIT_OK;
}

int image_seal_main(int argc, char **argv)
{
    struct image_options options = {.vcpus = 64};
    struct sign_key key;
    int code = parse(argc, argv, &options);

    if (code != EXIT_OK)
        return code;
    if (!options.key)
        return command_usage("image seal needs --key, the release key's file");
    struct error *err = sign_key_load(options.key, &key);
    if (err)
        return command_fail_here(err);
    err = image_seal(options.dir, &key, options.vcpus);
    sign_key_done(&key);
    if (!err)
        printf("sealed %s/image.json for 1 to %u vCPUs\n", options.dir, options.vcpus);
    return command_fail_here(err);
}
