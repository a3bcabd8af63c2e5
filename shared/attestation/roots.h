/* Inside of struct trust_roots: which ARK ends a chain. */
#pragma once

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/attestation/product.h"
#include "shared/base/cleanup.h"

DEFINE_CLEANUP(X509 *, X509_free)

#define TRUST_ROOTS_MAX 16

struct trust_root {
    uint8_t fingerprint[32];  /* SHA-256 of the ARK's DER */
    enum snp_product product; /* UNKNOWN: of any product (development) */
    bool development;
    X509 *ark; /* NULL: pinned only, the evidence carries it */
    X509 *ask; /* NULL: the evidence carries it */
};

struct trust_roots {
    struct trust_root roots[TRUST_ROOTS_MAX];
    size_t n;
};

/* Which trusted root is this ARK? NULL: none. */
const struct trust_root *trust_roots_match(const struct trust_roots *roots, X509 *ark);

/* The trusted root at hand that is named as the issuer of ask; NULL: none. */
const struct trust_root *trust_roots_issuer_of(const struct trust_roots *roots, X509 *ask);
