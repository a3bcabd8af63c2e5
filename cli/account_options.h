/* What the commands about accounts, keys and the audit trail have in common. */
#pragma once

#include <stdbool.h>

#include "cli/client.h"

enum { ACCOUNT_SCOPES_MAX = 3 };

struct account_options {
    const char *operands[2];
    int n_operands;
    const char *account; /* NULL: that of the API key */
    const char *wallet;
    const char *balance;
    const char *type;
    const char *name;
    const char *expires;
    const char *limit;
    const char *member;
    const char *scopes[ACCOUNT_SCOPES_MAX];
    int n_scopes;
    bool json;
    bool yes;
    bool admin;           /* use the global admin's key ... */
    const char *key_file; /* ... of this file; NULL: COFFER_ADMIN_KEY_FILE */
};

/* allowed: of "account", "wallet" ..., NULL at the end; "json", "admin" and "admin-key-file" always
 * are. usage: what to say otherwise, also when there are not n_operands operands. EXIT_OK, or the
 * code to leave with. Texts are argv's. */
int account_options_parse(int argc, char **argv, const char *const *allowed, int n_operands,
                          const char *usage, struct account_options *ret_options);

/* With the key that the options say. */
struct error *account_options_open(const struct account_options *options,
                                   struct client **ret_client) _must_check_;

/* The account named, or that of the API key, which the gateway is asked for. Caller frees. */
struct error *account_options_account(const struct account_options *options, struct client *client,
                                      char **ret_id) _must_check_;
