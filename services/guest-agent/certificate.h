/* The certificate that the world sees: asked for over TLS like anyone would. */
#pragma once

#include <stdint.h>

#include "shared/base/error.h"

struct certificate {
    uint8_t spki_sha256[32]; /* SHA-256 of the DER SubjectPublicKeyInfo */
    int64_t not_before_ms;
    int64_t not_after_ms;
    char issuer[128]; /* common name */
};

/*
 * Connects to address:port with SNI domain. UNAVAILABLE: nobody answers, or no certificate yet;
 * FAILED_PRECONDITION: one that is not for the domain or that its holder made himself. The chain
 * is not judged: this watches our own proxy, relying parties judge it.
 */
struct error *certificate_probe(const char *address, uint16_t port, const char *domain,
                                int timeout_ms, struct certificate *ret_certificate) _must_check_;
