/*
 * Sealing and signing: X25519 + HKDF-SHA-256 + AES-256-GCM sealed boxes, Ed25519 signatures, and
 * key files. All cryptography is OpenSSL's.
 *
 * A sealed box is: 1 byte version 1, 32 bytes ephemeral X25519 public key, 12 bytes nonce,
 * ciphertext, 16 bytes tag. Key and nonce: HKDF-SHA-256(secret = X25519, salt = ephemeral public
 * || receiver public, info = "coffer/seal/v1" 0x00 || context). The context says what the box is
 * for, so that one cannot be opened as another; it is also the additional data.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "shared/base/buffer.h"
#include "shared/base/error.h"

#define SEAL_KEY_SIZE      32
#define SEAL_OVERHEAD      (1 + 32 + 12 + 16)
#define SIGN_KEY_SIZE      32
#define SIGN_SIZE          64
#define SHA256_SIZE        32
#define SEAL_PLAINTEXT_MAX (16 * 1024 * 1024)

struct box_key {
    uint8_t secret[SEAL_KEY_SIZE];
    uint8_t public[SEAL_KEY_SIZE];
};

struct sign_key {
    uint8_t secret[SIGN_KEY_SIZE]; /* seed, RFC 8032 section 5.1.5 */
    uint8_t public[SIGN_KEY_SIZE];
};

struct error *box_key_generate(struct box_key *ret_key) _must_check_;
struct error *box_key_from_secret(const uint8_t secret[SEAL_KEY_SIZE],
                                  struct box_key *ret_key) _must_check_;
void box_key_done(struct box_key *key); /* wipes */

struct error *sign_key_generate(struct sign_key *ret_key) _must_check_;
struct error *sign_key_from_secret(const uint8_t secret[SIGN_KEY_SIZE],
                                   struct sign_key *ret_key) _must_check_;
void sign_key_done(struct sign_key *key); /* wipes */

/* Secret key files: 64 hex digits and a new line, mode 0600. */
struct error *box_key_load(const char *path, struct box_key *ret_key) _must_check_;
struct error *sign_key_load(const char *path, struct sign_key *ret_key) _must_check_;
struct error *key_file_save(const char *path, const uint8_t secret[32]) _must_check_;

/* Adds the box to *ret_box. */
struct error *seal_to(const uint8_t receiver_public[SEAL_KEY_SIZE], const char *context,
                      const void *plain, size_t size, struct buffer *ret_box) _must_check_;

/* PERMISSION_DENIED when the box is not for this key or context, or was changed; never says which.
 * *ret_plain is wiped by buffer_done(). */
struct error *seal_open(const struct box_key *key, const char *context, const void *box,
                        size_t size, struct buffer *ret_plain) _must_check_;

/* A key that opens many boxes, at half the cost for each. Any number of threads may use it. */
struct box_opener;
struct error *box_opener_new(const struct box_key *key,
                             struct box_opener **ret_opener) _must_check_;
void box_opener_free(struct box_opener *opener); /* wipes; NULL is fine */
DEFINE_CLEANUP(struct box_opener *, box_opener_free)
struct error *box_opener_open(const struct box_opener *opener, const char *context, const void *box,
                              size_t size, struct buffer *ret_plain) _must_check_;

struct error *sign_bytes(const struct sign_key *key, const void *data, size_t size,
                         uint8_t ret_signature[SIGN_SIZE]) _must_check_;

/* PERMISSION_DENIED when it does not verify. */
struct error *sign_verify(const uint8_t public[SIGN_KEY_SIZE], const void *data, size_t size,
                          const uint8_t signature[SIGN_SIZE]) _must_check_;

void sha256(const void *data, size_t size, uint8_t ret_digest[SHA256_SIZE]);
