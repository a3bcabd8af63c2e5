/*
 * Evidence of one device as it travels: JSON {"certificate": base64 of the PEM chain, "evidence":
 * base64 of the SPDM exchange}, the names of NVIDIA's own services. The bytes as received are what
 * the devices hash covers (DESIGN section 6): binding_devices() over them in index order. Never
 * write them anew.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "shared/base/buffer.h"
#include "shared/base/error.h"
#include "shared/nvidia/spdm.h"

#define GPU_DEVICES_MAX       16
#define GPU_EVIDENCE_SIZE_MAX (64 * 1024) /* of one device's JSON: boot.proto */

struct gpu_evidence {
    struct buffer exchange;    /* for spdm_parse() */
    struct buffer certificate; /* for gpu_chain_parse() */
};
void gpu_evidence_done(struct gpu_evidence *evidence);

/* INVALID_ARGUMENT: other, missing or double names, or bounds. ret_evidence is initialised here. */
struct error *gpu_evidence_parse(const void *json, size_t size,
                                 struct gpu_evidence *ret_evidence) _must_check_;
/* Adds the JSON to *ret_json. */
void gpu_evidence_write(const struct gpu_evidence *evidence, struct buffer *ret_json);

/* The nonce that device index must be asked with: the first 32 bytes of B("coffer/gpu/v1", root,
 * key hash, u32 index). root: the root of the verifiers' nonces, or the boot nonce; key_hash:
 * SHA-256 of the SPKI, or of both guest keys. 32 bytes each. */
void gpu_nonce(const uint8_t root[32], const uint8_t key_hash[32], uint32_t index,
               uint8_t ret_nonce[SPDM_NONCE_SIZE]);
