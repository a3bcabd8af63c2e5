/*
 * NATS keys: Ed25519 keys with a type, written in base32. A public key starts with its type (O, A,
 * U), a seed with S and the type.
 *
 * Format (nkeys README): prefix byte(s), 32 bytes of key, CRC-16 (polynomial 0x1021, start 0) of
 * all before it, little-endian; RFC 4648 base32 without padding.
 */
#pragma once

#include <stddef.h>

#include "shared/base/error.h"
#include "shared/seal/seal.h"

#define NKEY_PUBLIC_TEXT_SIZE 57 /* with NUL */
#define NKEY_SEED_TEXT_SIZE   59

enum nkey_type {
    NKEY_OPERATOR = 14 << 3,
    NKEY_ACCOUNT = 0,
    NKEY_USER = 20 << 3,
};

struct nkey {
    enum nkey_type type;
    struct sign_key key;
};

struct error *nkey_generate(enum nkey_type type, struct nkey *ret_key) _must_check_;

/* INVALID_ARGUMENT unless it is a seed of that type with a right checksum; never quotes it. */
struct error *nkey_from_seed(enum nkey_type type, const char *seed,
                             struct nkey *ret_key) _must_check_;
void nkey_done(struct nkey *key); /* wipes */

void nkey_public_text(const struct nkey *key, char ret_text[NKEY_PUBLIC_TEXT_SIZE]);
void nkey_seed_text(const struct nkey *key, char ret_text[NKEY_SEED_TEXT_SIZE]);

/* INVALID_ARGUMENT unless it is a public key of that type with a right checksum. */
struct error *nkey_public_decode(enum nkey_type type, const char *text,
                                 uint8_t ret_public[SIGN_KEY_SIZE]) _must_check_;

/* RFC 4648 section 6 without padding; text has room for (8 * size + 4) / 5 + 1. */
void base32_encode(const uint8_t *data, size_t size, char *ret_text);
