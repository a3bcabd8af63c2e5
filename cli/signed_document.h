/*
 * JSON that counts only with a signature: {..., "signature": {"key": hex, "value": base64}},
 * Ed25519 over the canonical JSON (RFC 8785) of the document without that member: the form of
 * image.json.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/buffer.h"
#include "shared/base/error.h"
#include "shared/seal/seal.h"

/* The document without its signature is added to *ret_text as canonical JSON. PERMISSION_DENIED:
 * not signed, by another key, or changed since; INVALID_ARGUMENT: not a JSON object. */
struct error *signed_document_open(const void *json, size_t size,
                                   const uint8_t public[SIGN_KEY_SIZE],
                                   struct buffer *ret_text) _must_check_;

/* Puts a signature in place of the one that is there. */
struct error *signed_document_seal(json_t *root, const struct sign_key *key) _must_check_;
