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

/* signing_key: public key that may sign this account's users; NULL: only the account's own.
 * jetstream: with stores without limit, else none. */
struct error *jwt_account(const struct nkey *operator_key, const char *account, const char *name,
                          const char *signing_key, bool jetstream, int64_t issued_at,
                          char **ret_jwt) _must_check_;

/* expires_at 0: never. */
struct error *jwt_user(const struct nkey *signing_key, const char *account, const char *user,
                       const char *name, const struct permissions *permissions, int64_t issued_at,
                       int64_t expires_at, char **ret_jwt) _must_check_;

/* The creds file that NATS clients read; secret, the caller frees. */
char *creds_text(const char *jwt, const struct nkey *user);
