/*
 * What is kept for an Idempotency-Key, unreadable to whoever reads the store: an answer may hold a
 * secret that is shown once, and a body may hold one short enough to be found from a plain hash.
 *
 * HKDF-SHA-256 of the caller's API key (salt: the Idempotency-Key; info: a label and the account)
 * gives one key for AES-256-GCM, under which answers are sealed, and one for HMAC-SHA-256, which
 * tells requests apart. So only the same caller with the same Idempotency-Key finds its request
 * again and can open its answer.
 */
#pragma once

#include "shared/base/buffer.h"
#include "shared/seal/seal.h"

#define IDEMPOTENCY_SEAL_OVERHEAD (1 + 12 + 16) /* version, nonce, tag */

struct idempotency_seal {
    uint8_t seal_key[32];
    uint8_t request_key[32];
};

/* secret: the API key that the caller came with; account: "" for the global admin. */
struct error *idempotency_seal_init(struct idempotency_seal *seal, const char *secret,
                                    const char *account, const char *key) _must_check_;
void idempotency_seal_done(struct idempotency_seal *seal); /* wipes; fine when all is 0 */

/* Tells requests of one key apart: method, path and body, each with its length. */
struct error *idempotency_seal_fingerprint(const struct idempotency_seal *seal, const char *method,
                                           const char *path, const struct buffer *body,
                                           uint8_t ret_fingerprint[SHA256_SIZE]) _must_check_;

/* Random to everybody else, and the same again for the same caller, key, name and data. */
struct error *idempotency_seal_salt(const struct idempotency_seal *seal, const char *name,
                                    const void *data, size_t size,
                                    uint8_t ret_salt[SHA256_SIZE]) _must_check_;

/* context: what the box belongs to; one cannot be opened as another's. */
struct error *idempotency_seal_close(const struct idempotency_seal *seal, const char *context,
                                     const void *plain, size_t size,
                                     struct buffer *ret_box) _must_check_;

/* PERMISSION_DENIED when it is not this caller's, or was changed. */
struct error *idempotency_seal_open(const struct idempotency_seal *seal, const char *context,
                                    const void *box, size_t size,
                                    struct buffer *ret_plain) _must_check_;
