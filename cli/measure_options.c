#include "cli/measure_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

#include "cli/command.h"

#define VARS_SIZE_MAX (16 * 1024 * 1024)

static const struct option long_options[] = {
    {"ovmf", required_argument, NULL, 'o'},
    {"kernel", required_argument, NULL, 'k'},
    {"initrd", required_argument, NULL, 'i'},
    {"cmdline", required_argument, NULL, 'a'},
    {"cpu", required_argument, NULL, 'c'},
    {"guest-features", required_argument, NULL, 'g'},
    {"vcpus", required_argument, NULL, 'v'},
    {"vmm", required_argument, NULL, 'm'},
    {"svsm", required_argument, NULL, 's'},
    {"vars-size", required_argument, NULL, 'z'},
    {"id-key", required_argument, NULL, 'd'},
    {"json", no_argument, NULL, 'j'},
    {NULL, 0, NULL, 0},
};

/* 1..512, and what stands behind it. */
static bool parse_count(const char *text, const char **ret_end, unsigned long *ret_count)
{
    char *end = NULL;

    if (text[0] < '0' || text[0] > '9')
        return false;
    *ret_count = strtoul(text, &end, 10);
    *ret_end = end;
    return *ret_count >= 1 && *ret_count <= MEASURE_VCPUS_MAX;
}

bool measure_vcpus_parse(const char *text, struct measure_options *ret_options)
{
    uint32_t n = 0;

    for (const char *at = text;; at++) {
        unsigned long first, last;

        if (!parse_count(at, &at, &first))
            return false;
        last = first;
        if (*at == '-' && !parse_count(at + 1, &at, &last))
            return false;
        if (last < first || n + (last - first) + 1 > MEASURE_VCPUS_MAX)
            return false;
        for (unsigned long count = first; count <= last; count++)
            ret_options->vcpus[n++] = (uint16_t)count;
        if (*at != ',') {
            ret_options->n_vcpus = n;
            return *at == '\0';
        }
    }
}

/* Decimal, or hexadecimal behind 0x. */
static bool parse_number(const char *text, uint64_t max, uint64_t *ret_number)
{
    char *end = NULL;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 0);
    if (errno != 0 || *end != '\0' || number > max)
        return false;
    *ret_number = number;
    return true;
}

static bool parse_features(const char *text, uint64_t *ret_features)
{
    return parse_number(text, UINT64_MAX, ret_features) && *ret_features != 0;
}

static bool parse_vars_size(const char *text, struct measure_options *options)
{
    uint64_t size;

    options->vars_given = parse_number(text, VARS_SIZE_MAX, &size);
    if (options->vars_given)
        options->vars_size = (uint32_t)size;
    return options->vars_given;
}

/* false: unknown or malformed. */
static bool set_option(struct measure_options *options, int c)
{
    switch (c) {
    case 'o':
        options->firmware = optarg;
        return true;
    case 'k':
        options->kernel = optarg;
        return true;
    case 'i':
        options->initrd = optarg;
        return true;
    case 'a':
        options->cmdline = optarg;
        return true;
    case 'c':
        options->cpu_model = optarg;
        return true;
    case 'g':
        return parse_features(optarg, &options->guest_features);
    case 'v':
        return measure_vcpus_parse(optarg, options);
    case 'm':
        return launch_vmm_find(optarg, &options->vmm);
    case 'd':
        options->id_key = optarg;
        return true;
    case 's':
        options->svsm = optarg;
        return true;
    case 'z':
        return parse_vars_size(optarg, options);
    case 'j':
        options->json = true;
        return true;
    }
    return false;
}

/* Where an SVSM lies depends on the variable store, so no size of it is assumed. */
static int check_svsm(const struct measure_options *options)
{
    if (options->vmm != LAUNCH_VMM_SVSM)
        return options->svsm || options->vars_given
                   ? command_usage("--svsm and --vars-size go with --vmm svsm")
                   : EXIT_OK;
    if (options->image || !options->svsm || !options->vars_given)
        return command_usage("--vmm svsm needs --ovmf, --svsm and --vars-size");
    if (options->guest_features > 1)
        return command_usage("the guest features of an SVSM are 0x1");
    return EXIT_OK;
}

static int check(const struct measure_options *options)
{
    if (options->id_key)
        return options->image || options->firmware || options->kernel || options->json
                   ? command_usage("--id-key stands alone")
                   : EXIT_OK;
    if (!options->image && !options->firmware)
        return command_usage("measure needs an image folder or --ovmf");
    if (!options->image && !options->kernel && (options->initrd || options->cmdline))
        return command_usage("--initrd and --cmdline are those of a --kernel");
    return check_svsm(options);
}

int measure_options_parse(int argc, char **argv, struct measure_options *ret_options)
{
    struct measure_options options = {.vcpus = {2}, .n_vcpus = 1};

    optind = 1;
    for (int c; (c = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        if (c == '?')
            return EXIT_USAGE;
        if (!set_option(&options, c))
            return command_usage("--vcpus, --guest-features, --vmm or --vars-size is malformed");
    }
    if (optind + 1 < argc)
        return command_usage("measure takes one image folder");
    options.image = optind < argc ? argv[optind] : NULL;
    int code = check(&options);
    if (code == EXIT_OK)
        *ret_options = options;
    return code;
}
