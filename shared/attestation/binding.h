/* Bindings (DESIGN section 6, normative): what a report's report_data commits to. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "shared/base/error.h"

#define BINDING_SIZE 64

struct binding_bytes {
    const void *data;
    size_t size;
};

/* B(tag, f1, f2, ...) = SHA-512(tag 0x00 lp(f1) lp(f2) ...). */
void binding_compute(const char *tag, const struct binding_bytes *fields, size_t n,
                     uint8_t ret_digest[BINDING_SIZE]);

/* "coffer/boot/v1" */
struct binding_boot {
    const char *workload_id;
    uint64_t boot_number;
    const uint8_t *box_public;      /* 32 */
    const uint8_t *sign_public;     /* 32 */
    const uint8_t *nonce;           /* 32 */
    const uint8_t *manifest_sha256; /* 32 */
    const uint8_t *devices_hash;    /* 32, or NULL without devices: an empty field */
};
void binding_boot(const struct binding_boot *in, uint8_t ret_report_data[BINDING_SIZE]);

/* "coffer/report-data/v1" */
struct binding_tls {
    const uint8_t *nonce_root;      /* 32 */
    const uint8_t *spki_sha256;     /* 32 */
    const uint8_t *manifest_sha256; /* 32 */
    const uint8_t *devices_hash;    /* 32 or NULL */
};
void binding_tls(const struct binding_tls *in, uint8_t ret_report_data[BINDING_SIZE]);

/* The existing system's form without a nonce: byte 0 is 0, 1..32 SPKI hash, zeros. */
void binding_tls_static(const uint8_t spki_sha256[32], uint8_t ret_report_data[BINDING_SIZE]);

/* SHA-256 over lp(evidence) of each device in index order, in room, which is returned; without
 * devices NULL: an empty field. */
const uint8_t *binding_devices(const struct binding_bytes *devices, size_t n, uint8_t room[32]);

/* "coffer/gpu/v1": what GPU index is asked with. root: the nonce root, or the boot nonce; key_hash:
 * the SPKI hash, or binding_guest_keys(). 32 bytes each. */
void binding_gpu_nonce(const uint8_t root[32], const uint8_t key_hash[32], uint32_t index,
                       uint8_t ret_nonce[32]);
/* SHA-256 over both public keys of a guest, 32 bytes each: X25519, then Ed25519. */
void binding_guest_keys(const uint8_t box_public[32], const uint8_t sign_public[32],
                        uint8_t ret_hash[32]);

/* Merkle tree of n 32-byte nonces as leaves (RFC 9162 section 2.1, SHA-256); they are not kept. */
struct merkle_tree;
struct merkle_tree *merkle_tree_new(const uint8_t (*nonces)[32], size_t n);
void merkle_tree_free(struct merkle_tree *tree);
DEFINE_CLEANUP(struct merkle_tree *, merkle_tree_free)
/* Merkle tree hash (section 2.1.1). */
void merkle_tree_root(const struct merkle_tree *tree, uint8_t ret_root[32]);
/* Audit path of leaf index (section 2.1.3.1), at most MERKLE_PATH_MAX hashes; their number. */
#define MERKLE_PATH_MAX 64
size_t merkle_tree_path(const struct merkle_tree *tree, size_t index, uint8_t (*ret_path)[32]);
/* Recomputes the root from a path (RFC 9162 section 2.1.3.2). INVALID_ARGUMENT on a wrong shape. */
struct error *merkle_root_from_path(const uint8_t nonce[32], size_t index, size_t n,
                                    const uint8_t (*path)[32], size_t n_path,
                                    uint8_t ret_root[32]) _must_check_;
