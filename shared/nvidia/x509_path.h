/* A certificate chain, leaf first and root included, against a pinned root. */
#pragma once

#include <openssl/x509.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/error.h"

#define X509_PATH_MAX         6
#define X509_PATH_PEM_MAX     (16 * 1024)
#define X509_PATH_FINGERPRINT 32 /* SHA-256 of the root's DER */

struct x509_path {
    X509 *certificates[X509_PATH_MAX]; /* owned; leaf first */
    size_t n;
};
void x509_path_done(struct x509_path *path);

/* Takes one DER certificate behind those that are there. INVALID_ARGUMENT: not exactly one, or
 * too many. */
struct error *x509_path_add_der(struct x509_path *path, const void *der, size_t size) _must_check_;
/* Takes PEM certificates. INVALID_ARGUMENT: none, too many, or too long. */
struct error *x509_path_add_pem(struct x509_path *path, const void *pem, size_t size) _must_check_;

/* Why the chain does not lead to the root with this fingerprint; NULL: it does. Each certificate
 * must be signed by the next with ECDSA on P-384. Time is a question of its own. */
const char *x509_path_problem(const struct x509_path *path,
                              const uint8_t fingerprint[X509_PATH_FINGERPRINT]);

/* Is every certificate in date? Milliseconds since 1970; dates after 9998 are no problem. */
bool x509_path_in_date(const struct x509_path *path, int64_t at_ms);

/* The leaf's key; NULL: no leaf, or a key that cannot be read. Lives with the path. */
EVP_PKEY *x509_path_key(const struct x509_path *path);
