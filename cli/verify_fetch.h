/* Gets the evidence over the very connection whose key it must be bound to. */
#pragma once

#include <stdint.h>

#include "cli/verify_options.h"
#include "shared/base/buffer.h"
#include "shared/base/error.h"

#define VERIFY_ANSWER_MAX (1024 * 1024)
#define VERIFY_FETCH_MS   60000

struct verify_fetched {
    long status;             /* HTTP */
    uint8_t spki_sha256[32]; /* of the peer's key on this connection */
    struct buffer body;
    char *redirect; /* where it pointed, or NULL */
};
void verify_fetched_done(struct verify_fetched *fetched);

/*
 * PERMISSION_DENIED: the certificate is not valid for the name. UNAVAILABLE: not reached, or no
 * answer in time. RESOURCE_EXHAUSTED: answer too large. An answer of 503 is asked for again,
 * up to three times, while time is left: the whole takes no longer than timeout_ms.
 */
struct error *verify_fetch(const struct verify_options *options, const uint8_t nonce[32],
                           int64_t timeout_ms, struct verify_fetched *ret_fetched) _must_check_;
