/* The command line of `coffer verify`. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct verify_options {
    char *host;           /* of https://NAME[:PORT] */
    char *port;           /* "443" by default */
    const char *nonce;    /* "auto" or 64 hex digits */
    const char *manifest; /* file or 64 hex digits; NULL: no expectation */
    bool any_manifest;
    const char *image;       /* signed image.json; NULL: none */
    const char *release_key; /* hex or file; NULL: release.pub beside the trust root */
    const char *trust_root;  /* folder; NULL: AMD's roots */
    const char *ca;          /* PEM file; NULL: the system's */
    const char *connect;     /* ADDR:PORT; NULL: resolve the name */
    bool json;
};

/* EXIT_OK, or EXIT_USAGE after saying why on stderr. */
int verify_options_parse(int argc, char **argv, struct verify_options *ret_options);
void verify_options_done(struct verify_options *options);
