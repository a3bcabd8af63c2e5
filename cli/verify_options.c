#include "cli/verify_options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"

static const struct option long_options[] = {
    {"nonce", required_argument, NULL, 'n'},
    {"manifest", required_argument, NULL, 'm'},
    {"any-manifest", no_argument, NULL, 'a'},
    {"image", required_argument, NULL, 'i'},
    {"release-key", required_argument, NULL, 'r'},
    {"trust-root", required_argument, NULL, 't'},
    {"ca", required_argument, NULL, 'c'},
    {"connect", required_argument, NULL, 'x'},
    {"json", no_argument, NULL, 'j'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static void print_usage(FILE *out)
{
    fputs("usage: coffer verify https://NAME [options]\n"
          "  --manifest FILE|HASH   the manifest that must run there\n"
          "  --any-manifest         any manifest will do (its hash is shown)\n"
          "  --image FILE           signed image.json: the measurements that may run\n"
          "  --release-key HEX|FILE who must have signed it (default: release.pub beside the\n"
          "                         trust root)\n"
          "  --nonce auto|HEX       32 bytes that the evidence must answer (default: auto)\n"
          "  --trust-root DIR       ark.pem and ask.pem instead of AMD's roots (development)\n"
          "  --ca FILE              certificate authorities instead of the system's\n"
          "  --connect ADDR:PORT    go there instead of asking DNS for NAME\n"
          "  --json                 print the result as JSON\n"
          "exit: 0 verified, 1 evidence is bad, 2 usage, 3 cannot tell\n",
          out);
}

/* false: unknown. */
static bool set_option(struct verify_options *options, int c)
{
    switch (c) {
    case 'n':
        options->nonce = optarg;
        return true;
    case 'm':
        options->manifest = optarg;
        return true;
    case 'a':
        options->any_manifest = true;
        return true;
    case 'i':
        options->image = optarg;
        return true;
    case 'r':
        options->release_key = optarg;
        return true;
    case 't':
        options->trust_root = optarg;
        return true;
    case 'c':
        options->ca = optarg;
        return true;
    case 'x':
        options->connect = optarg;
        return true;
    case 'j':
        options->json = true;
        return true;
    }
    return false;
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

static int usage(const char *problem)
{
    fprintf(stderr, "coffer verify: %s (see: coffer verify --help)\n", problem);
    return EXIT_USAGE;
}

static bool is_hex_32(const char *text)
{
    uint8_t data[32];
    struct error *err = hex_decode(text, data, sizeof(data));
    bool ok = !err;

    error_free(err);
    return ok;
}

static int check(const struct verify_options *options)
{
    if (options->manifest && options->any_manifest)
        return usage("--manifest and --any-manifest exclude each other");
    if (strcmp(options->nonce, "auto") != 0 && !is_hex_32(options->nonce))
        return usage("--nonce is 'auto' or 64 hex digits");
    if (options->connect && !strchr(options->connect, ':'))
        return usage("--connect is ADDR:PORT");
    return EXIT_OK;
}

int verify_options_parse(int argc, char **argv, struct verify_options *ret_options)
{
    struct verify_options options = {.nonce = "auto"};

    optind = 1;
    for (int c; (c = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        if (c == 'h')
            print_usage(stdout);
        if (!set_option(&options, c))
            return EXIT_USAGE;
    }
    if (optind + 1 != argc || !parse_url(argv[optind], &options)) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    int code = check(&options);
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
