/* The command line of `coffer verify`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/attestation/launch.h"

#define VERIFY_MEASUREMENTS_MAX 64 /* given by hand */

/* Texts are those of argv; NULL: not given. */
struct verify_options {
    /* Where the evidence comes from: one of the two. */
    char *host; /* of https://NAME[:PORT]; owned, like port */
    char *port; /* "443" by default */
    const char *report;

    /* What it must show. */
    const char *nonce;       /* "auto", as is NULL for a host, or 64 hex digits */
    const char *peer;        /* file or 64 hex digits: whose TLS key a report file is bound to */
    const char *report_data; /* 128 hex digits, for a bare report */
    const char *manifest;    /* file or 64 hex digits */
    bool any_manifest;
    const char *image; /* signed image.json, or a version */
    uint8_t measurements[VERIFY_MEASUREMENTS_MAX][LAUNCH_DIGEST_SIZE];
    size_t n_measurements;
    const char *policy; /* signed file, or the name of a policy */
    const char *gpus;   /* how many, as given */
    size_t n_gpus;

    /* Whom to believe, and when. */
    const char *release_key; /* hex or file */
    const char *trust_root;  /* folder; NULL: AMD's roots */
    const char *certs;       /* folder of collateral */
    const char *rims;        /* folder of reference values of GPUs */
    const char *ca;          /* PEM file; NULL: the system's */
    const char *connect;     /* ADDR:PORT; NULL: resolve the name */
    const char *at;          /* as given */
    int64_t at_ms;           /* Unix time; 0: now */
    bool offline;
    bool json;
};

/* EXIT_OK, or EXIT_USAGE after saying why on stderr. */
int verify_options_parse(int argc, char **argv, struct verify_options *ret_options);
void verify_options_done(struct verify_options *options);
