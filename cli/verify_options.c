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

#define OPTION(name, member, value, help)                                                          \
    {                                                                                              \
        (name), (value), (help), offsetof(struct verify_options, member)                           \
    }
#define FLAG(name, member, help) OPTION(name, member, NULL, help)

static const struct {
    const char *name;
    const char *value; /* what it takes; NULL: a flag */
    const char *help;
    size_t offset;
} rows[] = {
    OPTION("report", report, "FILE", "evidence from a file: a report, or a saved answer"),
    OPTION("nonce", nonce, "auto|HEX", "32 bytes that the evidence must answer"),
    OPTION("peer", peer, "FILE|HASH", "whose TLS key a saved answer is for: PEM, or SPKI hash"),
    OPTION("report-data", report_data, "HEX", "the 64 bytes that a bare report must carry"),
    OPTION("manifest", manifest, "FILE|HASH", "the manifest that must run there"),
    FLAG("any-manifest", any_manifest, "any manifest will do (its hash is shown)"),
    OPTION("image", image, "FILE|VERSION", "signed image.json: the measurements that may run"),
    OPTION("policy", policy, "FILE|NAME", "signed appraisal policy, or: strict, nilcc"),
    OPTION("gpus", gpus, "N", "so many GPUs must be there"),
    OPTION("release-key", release_key, "HEX|FILE", "who must have signed image and policy"),
    OPTION("trust-root", trust_root, "DIR", "ark.pem, ask.pem in place of AMD's (development)"),
    OPTION("certs", certs, "DIR", "certificates and revocation lists, DER or PEM"),
    OPTION("rims", rims, "DIR", "GPUs: RIM files and OCSP responses"),
    OPTION("ca", ca, "FILE", "certificate authorities in place of the system's"),
    OPTION("connect", connect, "ADDR:PORT", "go there instead of asking DNS for NAME"),
    OPTION("at", at, "TIME", "judge as of 2026-01-31T12:00:00Z, or of Unix seconds"),
    FLAG("offline", offline, "ask nobody but NAME"),
    FLAG("json", json, "print the result as JSON"),
};

enum { MEASUREMENT = ELEMENTSOF(rows), HELP, OPTIONS };

static void print_usage(FILE *out)
{
    fputs("usage: coffer verify https://NAME [options]\n"
          "       coffer verify --report FILE [--certs DIR] [options]\n",
          out);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++)
        fprintf(out, "  --%-12s %-12s %s\n", rows[i].name, rows[i].value ?: "", rows[i].help);
    fputs("  --measurement  HEX          a measurement that may run; may be repeated\n"
          "exit: 0 verified, 1 evidence is bad, 2 usage, 3 cannot tell\n",
          out);
}

static void make_long_options(struct option ret_options[OPTIONS + 1])
{
    for (int i = 0; i < (int)ELEMENTSOF(rows); i++)
        ret_options[i] =
            (struct option){rows[i].name, rows[i].value ? required_argument : no_argument, NULL, i};
    ret_options[MEASUREMENT] = (struct option){"measurement", required_argument, NULL, MEASUREMENT};
    ret_options[HELP] = (struct option){"help", no_argument, NULL, HELP};
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
        if (c == HELP)
            print_usage(stdout);
        if (c == HELP || c == '?')
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
