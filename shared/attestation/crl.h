/*
 * Certificate revocation lists of the vendor (RFC 5280; AMD 57230: one per product for VCEK and
 * one for VLEK chains, both signed by the ARK). They name ASK and ASVK: every VCEK has serial 0,
 * so no CRL can revoke a single chip.
 */
#pragma once

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/cleanup.h"
#include "shared/base/error.h"

#define CRL_SIZE_MAX (256 * 1024) /* bytes of DER */

struct crl;
/* DER, exactly one CRL; INVALID_ARGUMENT otherwise. */
struct error *crl_parse(const void *der, size_t size, struct crl **ret_crl) _must_check_;
void crl_free(struct crl *crl);
DEFINE_CLEANUP(struct crl *, crl_free)

/* Unix milliseconds; next update 0: the CRL has none, which is never in date. */
int64_t crl_this_update_ms(const struct crl *crl);
int64_t crl_next_update_ms(const struct crl *crl);
/* The CRL number (RFC 5280 section 5.2.3), or -1: none, or too large. For caches: a CRL with a
 * lower number than one seen before is a roll-back. */
int64_t crl_number(const struct crl *crl);

bool crl_is_issued_by(const struct crl *crl, X509 *ark); /* by name only */

/* Issuer is the ARK's subject, signed by its key with RSASSA-PSS, SHA-384 and a salt of 48, no
 * critical extension that is not understood: NULL. Else what is wrong, as a static text. */
const char *crl_problem(const struct crl *crl, X509 *ark);

/* Does the CRL speak of what this certificate's distribution points name? A CRL without a
 * distribution point of its own speaks of all. */
bool crl_covers(const struct crl *crl, X509 *certificate);

/* Same issuer, by name, and same distribution point: one of the two renews the other. */
bool crl_is_of_series(const struct crl *a, const struct crl *b);

/* By serial number; entries on hold or removed again count. */
bool crl_revokes(const struct crl *crl, X509 *certificate);
