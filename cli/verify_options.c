#include "cli/verify_options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/command.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/nvidia/gpu_evidence.h"

/* The words about them: options.c. */
static const struct {
    const char *name;
    bool value; /* takes one */
    size_t offset;
} rows[] = {
    {"report", true, offsetof(struct verify_options, report)},
    {"nonce", true, offsetof(struct verify_options, nonce)},
    {"peer", true, offsetof(struct verify_options, peer)},
    {"report-data", true, offsetof(struct verify_options, report_data)},
    {"manifest", true, offsetof(struct verify_options, manifest)},
    {"any-manifest", false, offsetof(struct verify_options, any_manifest)},
    {"image", true, offsetof(struct verify_options, image)},
    {"policy", true, offsetof(struct verify_options, policy)},
    {"gpus", true, offsetof(struct verify_options, gpus)},
    {"release-key", true, offsetof(struct verify_options, release_key)},
    {"trust-root", true, offsetof(struct verify_options, trust_root)},
    {"certs", true, offsetof(struct verify_options, certs)},
    {"rims", true, offsetof(struct verify_options, rims)},
    {"ca", true, offsetof(struct verify_options, ca)},
    {"connect", true, offsetof(struct verify_options, connect)},
    {"at", true, offsetof(struct verify_options, at)},
    {"offline", false, offsetof(struct verify_options, offline)},
    {"json", false, offsetof(struct verify_options, json)},
};

enum { MEASUREMENT = ELEMENTSOF(rows), OPTIONS };

static void make_long_options(struct option ret_options[OPTIONS + 1])
{
    for (int i = 0; i < (int)ELEMENTSOF(rows); i++)
        ret_options[i] =
            (struct option){rows[i].name, rows[i].value ? required_argument : no_argument, NULL, i};
    ret_options[MEASUREMENT] = (struct option){"measurement", required_argument, NULL, MEASUREMENT};
    ret_options[OPTIONS] = (struct option){};
}

static bool is_hex(const char *text, void *ret_data, size_t size)
{
    struct error *err = hex_decode(text, ret_data, size);
    bool ok = !err;

    error_free(err);
    return ok;
}

/* false: malformed. */
static bool set_option(struct verify_options *options, int c)
{
    if (c == MEASUREMENT)
        return options->n_measurements < VERIFY_MEASUREMENTS_MAX &&
               is_hex(optarg, options->measurements[options->n_measurements++], LAUNCH_DIGEST_SIZE);
    void *member = (uint8_t *)options + rows[c].offset;
    if (rows[c].value)
        *(const char **)member = optarg;
    else
        *(bool *)member = true;
    return true;
}

static bool all_in(const char *text, size_t size, const char *set)
{
    return strspn(text, set) >= size;
}

/* https://NAME[:PORT][/]: nothing else, the path is fixed. */
static bool parse_url(const char *url, struct verify_options *options)
{
    static const char scheme[] = "https://";
    static const char name_set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "0123456789.-";

    if (strncmp(url, scheme, strlen(scheme)) != 0)
        return false;
    const char *name = url + strlen(scheme);
    size_t size = strcspn(name, ":/");
    const char *rest = name + size;
    size_t port_size = rest[0] == ':' ? strcspn(rest + 1, "/") : 0;
    const char *end = rest[0] == ':' ? rest + 1 + port_size : rest;

    if (size == 0 || size > 253 || !all_in(name, size, name_set) || name[0] == '-' ||
        (strcmp(end, "") != 0 && strcmp(end, "/") != 0))
        return false;
    if (rest[0] == ':' &&
        (port_size == 0 || port_size > 5 || !all_in(rest + 1, port_size, "0123456789")))
        return false;
    options->host = xstrndup(name, size);
    options->port = port_size ? xstrndup(rest + 1, port_size) : xstrdup("443");
    return true;
}

/* RFC 3339 in UTC and whole seconds, or Unix seconds. */
static bool parse_time(const char *text, int64_t *ret_ms)
{
    struct tm tm = {};
    size_t size = strlen(text);

    if (size > 0 && size <= 11 && all_in(text, size, "0123456789")) {
        *ret_ms = strtoll(text, NULL, 10) * 1000;
        return *ret_ms > 0;
    }
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    if (size != strlen("2026-01-31T12:00:00Z") || !end || *end)
        return false;
    *ret_ms = (int64_t)timegm(&tm) * 1000;
    return *ret_ms > 0;
}

/* As many as an answer may show. */
static bool parse_gpus(const char *text, size_t *ret_n)
{
    size_t size = strlen(text);

    if (size == 0 || size > 2 || !all_in(text, size, "0123456789"))
        return false;
    *ret_n = (size_t)strtoul(text, NULL, 10);
    return *ret_n <= GPU_DEVICES_MAX;
}

/* What is wrong with the options as they stand, or NULL. */
static const char *problem_of(struct verify_options *options)
{
    uint8_t data[64];

    if (!options->host == !options->report)
        return "one of https://NAME and --report is needed";
    if (options->manifest && options->any_manifest)
        return "--manifest and --any-manifest exclude each other";
    if (options->image && options->n_measurements > 0)
        return "--image and --measurement exclude each other";
    bool new_nonce = options->nonce && strcmp(options->nonce, "auto") == 0;
    if (options->nonce && !new_nonce && !is_hex(options->nonce, data, 32))
        return "--nonce is 'auto' or 64 hex digits";
    if (new_nonce && options->report)
        return "--nonce auto is for https://NAME; a --report has answered before";
    if (options->report_data && !is_hex(options->report_data, data, 64))
        return "--report-data is 128 hex digits";
    if (options->host && (options->peer || options->report_data))
        return "--peer and --report-data are for a --report; https://NAME shows them itself";
    if (options->report && (options->ca || options->connect))
        return "--ca and --connect are for https://NAME";
    if (options->connect && !strchr(options->connect, ':'))
        return "--connect is ADDR:PORT";
    if (options->gpus && !parse_gpus(options->gpus, &options->n_gpus))
        return "--gpus is a number up to 16";
    if (options->at && !parse_time(options->at, &options->at_ms))
        return "--at is like 2026-01-31T12:00:00Z, or Unix seconds";
    return NULL;
}

static int usage(const char *problem)
{
    fprintf(stderr, "coffer verify: %s (see: coffer verify --help)\n", problem);
    return EXIT_USAGE;
}

static int parse(int argc, char **argv, struct verify_options *options)
{
    struct option long_options[OPTIONS + 1];

    make_long_options(long_options);
    optind = 1;
    for (int c; (c = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        if (c == '?')
            return EXIT_USAGE;
        if (!set_option(options, c))
            return usage("--measurement is 96 hex digits, at most 64 times");
    }
    if (optind < argc && !parse_url(argv[optind], options))
        return usage("the name is https://NAME, without a path");
    if (optind + 1 < argc)
        return usage("one name is verified at a time");
    const char *problem = problem_of(options);
    return problem ? usage(problem) : EXIT_OK;
}

int verify_options_parse(int argc, char **argv, struct verify_options *ret_options)
{
    struct verify_options options = {};
    int code = parse(argc, argv, &options);

    if (code != EXIT_OK)
        verify_options_done(&options);
    else
        *ret_options = options;
    return code;
}

void verify_options_done(struct verify_options *options)
{
    free(options->host);
    free(options->port);
    *options = (struct verify_options){};
}
