/*
 * VCEK <- ASK <- ARK: what certificates and revocation lists say, whoever asks and whenever. Dates
 * are kept as numbers for the steps to judge, so that a chain can be used again (verify_cache.c).
 */
#pragma once

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/attestation/report.h"
#include "shared/attestation/roots.h"
#include "shared/attestation/vek.h"
#include "shared/attestation/verifier.h"

#define CHAIN_CRLS_MAX (VERIFY_COLLATERAL_MAX + 1)

enum chain_place { CHAIN_VEK, CHAIN_ASK, CHAIN_ARK };
#define CHAIN_LENGTH 3

struct chain_input {
    const struct trust_roots *roots;
    const struct report *report; /* NULL: none; says which of several certificates is meant */
    const void *table;           /* GHCB; may be empty */
    size_t table_size;
    const struct verify_collateral *collateral; /* or NULL */
};

struct chain_crl {
    const char *problem; /* NULL: the root's own, and understood */
    bool carried;        /* by the evidence; else it was at hand */
    bool covers;         /* speaks of this chain's intermediate */
    int revoked;         /* enum chain_place, or -1: none */
    int64_t from_ms, until_ms;
};

struct chain {
    struct arena *arena;
    X509 *certificates[CHAIN_LENGTH]; /* NULL: not there */
    int64_t from_ms[CHAIN_LENGTH], until_ms[CHAIN_LENGTH];
    struct vek vek;
    const char *vek_problem; /* why vek says nothing, or NULL */
    const char *code;        /* of step "chain"; NULL: it leads to a trusted root */
    const char *text;        /* the root's name, or what is wrong */
    bool development;
    struct chain_crl crls[CHAIN_CRLS_MAX];
    size_t n_crls;
};

struct chain *chain_new(const struct chain_input *input); /* never NULL */
void chain_free(struct chain *chain);

/* Fills chain->crls from the table and the collateral; needs the certificates. */
void chain_read_crls(struct chain *chain, const struct certificate_view *carried,
                     const struct verify_collateral *collateral);

/* One X.509 certificate in DER and nothing behind it, or NULL. */
X509 *chain_parse_der(const struct certificate_view *view);

const char *chain_place_name(int place); /* "VCEK or VLEK", "ASK", "ARK" */
