/*
 * The keys that vouch for a launch: a report names the ID key, which signed the ID block, and the
 * author key, which signed the ID key, by their digests alone (SEV-SNP firmware ABI, ID block and
 * ID authentication information; ATTESTATION.md section 9). Both signatures are checked by the
 * processor, which refuses a launch that they do not fit.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "shared/base/error.h"

#define ID_KEY_DIGEST_SIZE 48
#define ID_KEY_PEM_MAX     16384 /* bytes */

/* ID_KEY_DIGEST or AUTHOR_KEY_DIGEST: SHA-384 over the public key in the processor's form. The
 * key is a PEM file's content, at most ID_KEY_PEM_MAX bytes. INVALID_ARGUMENT: not a public key on
 * P-384. */
struct error *id_key_digest(const void *pem, size_t size,
                            uint8_t ret_digest[ID_KEY_DIGEST_SIZE]) _must_check_;
