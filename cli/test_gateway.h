/* A gateway for tests of the command line: it answers from a table, and writes down what it was
 * asked. */
#pragma once

#include "shared/attestation/test_attest.h"
#include "shared/base/alloc.h"
#include "shared/base/buffer.h"

struct test_answer {
    const char *method; /* NULL ends a table */
    const char *path;   /* without the query */
    unsigned status;    /* 0: the connection ends without an answer */
    const char *body;
    const char *header; /* name; NULL: none */
    const char *value;
    unsigned times; /* how often; 0: always */
};

struct test_gateway {
    struct MHD_Daemon *daemon;
    const struct test_answer *answers; /* the first one that fits and has not run out */
    unsigned used[64];                 /* of each */
    struct buffer asked;               /* "METHOD PATH&NAME=VALUE BODY\n" of each request */
    struct buffer keys;                /* its Idempotency-Key, or "-", and a new line */
    struct buffer upload;
    char dir[64]; /* HOME, and XDG_CONFIG_HOME is not set */
    char url[64];
    char output[80]; /* file for test_command() */
};

/* Sets HOME, COFFER_API_URL and COFFER_API_KEY. */
void test_gateway_start(struct test_gateway *gateway);
void test_gateway_stop(struct test_gateway *gateway); /* removes its folder */

/* Forgets what was asked. */
void test_gateway_answer(struct test_gateway *gateway, const struct test_answer *answers);

/* Runs the program as main() does: "coffer", then the arguments (NULL ends them). stdout, and
 * stderr, go into *ret_output and *ret_errors, which the caller frees. */
int test_gateway_run(struct test_gateway *gateway, const char *const *arguments, char **ret_output,
                     char **ret_errors);
