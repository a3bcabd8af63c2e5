/* The TLS key that the proxy serves for the domain right now. */
#pragma once

#include <stdint.h>

#include "shared/base/error.h"

struct live_key;

/* address: host:port of the proxy; domain: the name asked for (SNI). Connects later. */
struct error *live_key_open(const char *address, const char *domain,
                            struct live_key **ret_key) _must_check_;
void live_key_free(struct live_key *key);
DEFINE_CLEANUP(struct live_key *, live_key_free)

/*
 * SHA-256 of the served certificate's SubjectPublicKeyInfo, asked for now. Any certificate counts:
 * what it is worth is for the verifier to say. UNAVAILABLE while the proxy has none. Thread-safe.
 */
struct error *live_key_get(struct live_key *key, uint8_t ret_spki_sha256[32]) _must_check_;
