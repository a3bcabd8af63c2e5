/* Inside of struct trust_roots: which ARK ends a chain. */
#pragma once

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/attestation/product.h"
#include "shared/base/cleanup.h"

DEFINE_CLEANUP(X509 *, X509_free)

#define TRUST_ROOTS_MAX     16
#define TRUST_ROOT_ASKS_MAX 4

struct trust_root {
    uint8_t fingerprint[32];  /* SHA-256 of the ARK's DER */
    enum snp_product product; /* UNKNOWN: of any product (development) */
    bool development;
    X509 *ark;                       /* NULL: pinned only, the evidence carries it */
    X509 *asks[TRUST_ROOT_ASKS_MAX]; /* given with the root: ASK, ASVK */
    size_t n_asks;
    /* SHA-256 of the DER of its ASK and ASVK; none: any that it signed */
    uint8_t known_asks[TRUST_ROOT_ASKS_MAX][32];
    size_t n_known_asks;
};

struct trust_roots {
    struct trust_root roots[TRUST_ROOTS_MAX];
    size_t n;
};

/* Which trusted root is this ARK? NULL: none. */
const struct trust_root *trust_roots_match(const struct trust_roots *roots, X509 *ark);

/* Is this one of the intermediates that the root is known for? */
bool trust_root_knows(const struct trust_root *root, X509 *ask);

/* The trusted root at hand that is named as the issuer of ask; NULL: none. */
const struct trust_root *trust_roots_issuer_of(const struct trust_roots *roots, X509 *ask);
