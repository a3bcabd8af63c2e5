/*
 * JSON that counts only with a signature: {..., "signature": {"key": hex, "value": base64}},
 * Ed25519 over the canonical JSON (RFC 8785) of the document without that member. The form of
 * image.json and of appraisal policies.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/error.h"
#include "shared/seal/seal.h"

/* The document without its signature; caller decrefs. public: the one key that may have signed.
 * INVALID_ARGUMENT: not a JSON object, or with double names; PERMISSION_DENIED: not signed, by
 * another key, or changed since. */
struct error *signed_document_open(const void *json, size_t size,
                                   const uint8_t public[SIGN_KEY_SIZE],
                                   json_t **ret_root) _must_check_;

/* Puts a signature in place of the one that is there. INVALID_ARGUMENT: has no canonical form. */
struct error *signed_document_seal(json_t *root, const struct sign_key *key) _must_check_;
