/*
 * NATS JWTs, version 2: what operator, account and user keys may do, signed by the key above.
 * Header {"typ":"JWT","alg":"ed25519-nkey"}; the signature is Ed25519 over "header.payload".
 */
#pragma once

#include <stdint.h>

#include "shared/fleet/nkeys.h"
#include "shared/fleet/permissions.h"

/* All: issued_at in Unix seconds; *ret_jwt is one line of text, the caller frees it. */

struct error *jwt_operator(const struct nkey *operator_key, const char *name,
                           const char *system_account, int64_t issued_at,
                           char **ret_jwt) _must_check_;

struct jwt_account {
    const char *account; /* its public key */
    const char *name;
    const char *signing_key; /* public key that may sign its users too; NULL: none */
    bool jetstream;          /* stores without limit; else none */
    const char *map_from;    /* subject that is answered as map_to is; NULL: no mapping */
    const char *map_to;
};

struct error *jwt_account(const struct nkey *operator_key, const struct jwt_account *facts,
                          int64_t issued_at, char **ret_jwt) _must_check_;

/* expires_at 0: never. */
struct error *jwt_user(const struct nkey *signing_key, const char *account, const char *user,
                       const char *name, const struct permissions *permissions, int64_t issued_at,
                       int64_t expires_at, char **ret_jwt) _must_check_;

/* The creds file that NATS clients read; secret, the caller frees. */
char *creds_text(const char *jwt, const struct nkey *user);
