/*
 * What must hold for an object of the key service before it is kept or handed out: it belongs to a
 * trusted root, and to the chip that was asked for. A Verifier checks all of it again; here it
 * keeps rubbish out of caches and evidence.
 */
#pragma once

#include <openssl/x509.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/attestation/verifier.h"
#include "shared/base/error.h"
#include "shared/collateral/kds.h"

struct check_chain {
    X509 *ask; /* or ASVK */
    X509 *ark;
};
void check_chain_done(struct check_chain *chain);

/* No pass phrase is ever asked for. PEM of exactly ASK (or ASVK), then ARK, of this product and
 * kind, the ARK among the roots, both signed by it as AMD signs, in date at at_ms (Unix).
 * PERMISSION_DENIED: not so; INVALID_ARGUMENT: not a chain. The chain is the caller's. */
struct error *check_chain_parse(const struct trust_roots *roots, enum snp_product product,
                                enum vek_kind kind, int64_t at_ms, const void *pem, size_t size,
                                struct check_chain *ret_chain) _must_check_;

/* DER of the chip's VCEK: signed by the ASK, with exactly this chip's id and TCB, in date. */
struct error *check_vcek(const struct check_chain *chain, const struct kds_chip *chip,
                         int64_t at_ms, const void *der, size_t size) _must_check_;

/* Which of two CRLs is the newer: by number, then by the time it was made. */
struct check_crl_version {
    int64_t number; /* -1: it has none */
    int64_t this_update_ms;
    int64_t next_update_ms; /* 0: it has none; does not count here */
};
bool check_crl_is_older(const struct check_crl_version *a, const struct check_crl_version *b);

/* DER of a CRL signed by the ARK. Its dates are not judged: they are what a stale one tells. */
struct error *check_crl(const struct check_chain *chain, const void *der, size_t size,
                        struct check_crl_version *ret_version) _must_check_;
