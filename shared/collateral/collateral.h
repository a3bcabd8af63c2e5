/*
 * Collateral of SEV-SNP evidence: the endorsement key's certificate, its chain and the CRL, from a
 * disk cache and AMD's key distribution service.
 *
 * Certificates are asked for once. A CRL is asked for again when it is older than crl_max_age_ms or
 * past its own next update; when the service does not answer, or answers with an older one, the one
 * at hand serves and says that it is stale. Nothing unchecked is written or handed out, whichever
 * way it came (check.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/attestation/verifier.h"
#include "shared/base/buffer.h"
#include "shared/base/clock.h"
#include "shared/base/error.h"
#include "shared/collateral/kds.h"

#define COLLATERAL_KDS_URL        "https://kdsintf.amd.com"
#define COLLATERAL_CRL_MAX_AGE_MS (12 * 3600 * 1000LL)
#define COLLATERAL_CHIPS_MAX      256 /* certificates of chips in the cache */

struct collateral_options {
    const char *dir;                 /* of the cache; copied, like the next two */
    const char *base_url;            /* NULL: offline, nothing is ever asked for */
    const char *ca_file;             /* PEM; NULL: the system's authorities */
    bool allow_http;                 /* for a server of a test */
    const struct trust_roots *roots; /* the caller's, like the clock */
    struct clock *clock;
    int64_t at_ms;          /* certificates must be in date then, Unix; 0: by the clock */
    int64_t crl_max_age_ms; /* 0: COLLATERAL_CRL_MAX_AGE_MS */
    int64_t timeout_ms;     /* of one request; 0: 20 s */
    size_t max_chips;       /* 0: COLLATERAL_CHIPS_MAX */
    /* Waits between attempts; false: give up. NULL: sleeps. */
    bool (*pause)(void *data, int64_t ms);
    void *data;
};

struct collateral_client;
struct error *collateral_client_new(const struct collateral_options *options,
                                    struct collateral_client **ret_client) _must_check_;
void collateral_client_free(struct collateral_client *client);
DEFINE_CLEANUP(struct collateral_client *, collateral_client_free)

/* Whence, and how old: Unix time when the service gave it. */
struct collateral_origin {
    int64_t at_ms;
    bool cached; /* the service was not asked now, or in vain */
};

struct collateral {
    struct buffer vcek; /* DER, like all; empty for a VLEK, which only the host has */
    struct buffer ask;  /* or ASVK */
    struct buffer ark;
    struct buffer crl; /* empty: none to be had, crl_note says why */
    struct collateral_origin vcek_origin, chain_origin, crl_origin; /* of what is there */
    bool crl_stale;                                                 /* a newer one was wanted */
    char *crl_note;                                                 /* NULL: nothing to say */
    char *vcek_note; /* of collateral_get_some(): why there is none, or NULL */
};
void collateral_done(struct collateral *collateral);

/*
 * Everything for the chip (kind VEK_VLEK: for its product; id and TCB do not matter then). A CRL
 * that is not to be had is no error. NOT_FOUND: the service does not know the chip, or offline and
 * not in the cache; PERMISSION_DENIED: what was answered is not of this chip, or not of a trusted
 * root; else as fetcher_get(). Any thread; equal requests at the same time become one.
 */
struct error *collateral_get(struct collateral_client *client, enum vek_kind kind,
                             const struct kds_chip *chip,
                             struct collateral *ret_collateral) _must_check_;

/*
 * As far as it is to be had: chain and CRL of the product, and with a chip (else NULL) its VCEK,
 * without which the rest is no worse. An error, as above, only without the chain, by which all else
 * is checked.
 */
struct error *collateral_get_some(struct collateral_client *client, enum vek_kind kind,
                                  enum snp_product product, const struct kds_chip *chip,
                                  struct collateral *ret_collateral) _must_check_;

/* As a certificate table (shared/attestation/certificates.h), added to *ret_table. */
void collateral_write_table(const struct collateral *collateral, struct buffer *ret_table);
