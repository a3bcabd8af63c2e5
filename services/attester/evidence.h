/* One report with everything a verifier needs, as the common part of the answers made from it. */
#pragma once

#include <stdint.h>

#include "shared/attestation/tee.h"
#include "shared/base/buffer.h"
#include "shared/base/error.h"
#include "shared/nvidia/devices.h"

struct evidence_maker;

/* What the answers say of the guest. Texts are copied. */
struct evidence_facts {
    const char *manifest; /* text */
    const char *image_version;
    const char *cpu_model;
    uint64_t vcpus;
    const struct buffer *collateral; /* the host's certificate table, copied; NULL: none */
    int64_t collateral_at_ms;        /* Unix time when its CRL came from the vendor; 0: not known */
    struct devices *devices;         /* taken; NULL: the guest has no GPUs */
};

/* Takes the tee. */
struct evidence_maker *evidence_maker_new(struct tee *tee, const struct evidence_facts *facts);
void evidence_maker_free(struct evidence_maker *maker);
DEFINE_CLEANUP(struct evidence_maker *, evidence_maker_free)

const uint8_t *evidence_maker_manifest_sha256(const struct evidence_maker *maker);

/* Shared by the answers of a batch; any thread may drop its reference. */
struct evidence {
    int refs;
    uint8_t spki_sha256[32];
    uint8_t nonce_root[32]; /* zeros in the static form */
    size_t n_nonces;        /* 0: static form */
    bool has_devices;       /* never in the static form */
    uint8_t devices_hash[32];
    char *common; /* JSON object text up to its closing brace */
};

struct evidence *evidence_ref(struct evidence *evidence);
void evidence_unref(struct evidence *evidence); /* NULL is fine */
DEFINE_CLEANUP(struct evidence *, evidence_unref)

/*
 * Asks the TEE, one caller at a time. nonce_root NULL makes the static form. UNAVAILABLE when the
 * TEE does not answer.
 */
struct error *evidence_make(struct evidence_maker *maker, const uint8_t spki_sha256[32],
                            const uint8_t *nonce_root, size_t n_nonces,
                            struct evidence **ret_evidence) _must_check_;

/* Where a nonce stands in the tree of its batch. */
struct evidence_leaf {
    const uint8_t *nonce; /* 32 */
    size_t index;
    const uint8_t (*path)[32];
    size_t n_path;
};

/* Adds what follows evidence->common in the answer for this leaf; NULL: in the static form. */
void evidence_answer(const struct evidence_maker *maker, const struct evidence *evidence,
                     const struct evidence_leaf *leaf, struct buffer *ret_text);
