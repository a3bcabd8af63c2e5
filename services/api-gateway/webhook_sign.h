/*
 * Webhook secrets and the signature under a delivery.
 *
 * A secret is "whsec_" and 43 characters of base64url: 32 random bytes. It is shown once and kept
 * sealed under a key that follows from gateway/sign.key, which all copies of the gateway have and
 * the store has not. The HMAC's key is the text as it was shown, with its prefix.
 *
 *   Coffer-Signature: t=<unix seconds>,v1=<hex of HMAC-SHA256(secret, "<t>.<body>")>[,v1=...]
 *
 * The second v1 is under the secret before, for a day after it was changed.
 */
#pragma once

#include "shared/base/arena.h"
#include "shared/seal/seal.h"

enum { WEBHOOK_SECRET_SIZE = 6 + 43 + 1, WEBHOOK_SIGNATURE_MAX = 256 };

/* The sealing key; wiped by box_key_done(). */
struct error *webhook_key_init(const struct sign_key *gateway_key,
                               struct box_key *ret_key) _must_check_;

/* The caller wipes it. */
struct error *webhook_secret_make(char ret_secret[WEBHOOK_SECRET_SIZE]) _must_check_;

/* base64 for the record, in the arena. Bound to the webhook: in another's record it is refused. */
struct error *webhook_secret_seal(const struct box_key *key, const char *webhook_id,
                                  const char *secret, struct arena *arena,
                                  const char **ret_sealed) _must_check_;

/* The caller wipes it, also after a failure. */
struct error *webhook_secret_open(const struct box_key *key, const char *webhook_id,
                                  const char *sealed,
                                  char ret_secret[WEBHOOK_SECRET_SIZE]) _must_check_;

/* The header's value. sealed: one or two secrets of the webhook, the second NULL for none. */
struct error *webhook_sign(const struct box_key *key, const char *webhook_id,
                           const char *const sealed[2], int64_t now_s, const char *body,
                           char ret_value[WEBHOOK_SIGNATURE_MAX]) _must_check_;
