/* What the operators' commands (images, tiers, hosts) share. */
#pragma once

#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>

#include "cli/client.h"
#include "cli/output.h"

struct operator_options {
    const char *key_file; /* NULL: COFFER_ADMIN_KEY_FILE */
    const char *operand;  /* NULL: the command has none */
    bool json;
    bool yes;
};

/* The long options that all have; a command's own table ends with OPERATOR_OPTIONS. */
#define OPERATOR_OPTIONS                                                                           \
    {"admin-key-file", required_argument, NULL, 'K'}, {"json", no_argument, NULL, 'j'},            \
        {"yes", no_argument, NULL, 'y'},                                                           \
    {                                                                                              \
        NULL, 0, NULL, 0                                                                           \
    }

/* Takes one of them; false: it is not one. */
bool operator_option(struct operator_options *options, int option);

/* Those options only, and exactly one operand when it has a name. EXIT_OK or the code to leave
 * with. */
int operator_parse(int argc, char **argv, const char *operand_name,
                   struct operator_options *ret_options);

/* One request as an operator. *ret_json is the caller's. */
struct error *operator_call(const struct operator_options *options, const char *method,
                            const char *path, const json_t *body, json_t **ret_json) _must_check_;

/* A whole list, as an operator. */
struct error *operator_list(const struct operator_options *options, const char *path,
                            json_t **ret_list) _must_check_;

/* The same for lists that accounts may read too: without an operator's key as the account. */
struct error *operator_read(const struct operator_options *options, const char *path,
                            json_t **ret_json) _must_check_;

/* POST of {name: the operand}; prints "OPERAND done", or the answer as JSON. The exit code. */
int operator_post_operand(const struct operator_options *options, const char *path,
                          const char *name, const char *done);
