/*
 * image.json: the signed description of a guest image (DESIGN section 5): version, files with
 * SHA-256 and size, verity root hash, command line, expected measurements per (vCPU count, CPU
 * model, guest features). The signature is Ed25519 by the release key over the canonical JSON
 * (RFC 8785) of the document without its "signature" member: {"signature": {"key": hex, "value":
 * base64}}. Only a document signed by a key that the caller names is accepted.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/attestation/launch.h"
#include "shared/base/arena.h"
#include "shared/base/error.h"
#include "shared/seal/seal.h"

#define IMAGE_JSON_MAX (4 * 1024 * 1024)

struct image_file {
    const char *name; /* no '/' */
    uint8_t sha256[32];
    uint64_t size;
};

struct image_measurement {
    uint32_t vcpus;
    const char *cpu_model;
    uint64_t guest_features;
    uint8_t digest[LAUNCH_DIGEST_SIZE];
};

struct image {
    const char *version;
    const char *root_hash; /* hex */
    const char *cmdline;
    const char *firmware;     /* name in files */
    struct image_file *files; /* at most 16 */
    size_t n_files;
    struct image_measurement *measurements; /* at most 4096 */
    size_t n_measurements;
};

/* Texts and lists live in the arena. release_public NULL: PERMISSION_DENIED always. */
struct error *image_parse(const void *json, size_t size, const uint8_t release_public[32],
                          struct arena *arena, struct image **ret_image) _must_check_;
const struct image_file *image_find_file(const struct image *image, const char *name);

/* Digests for this vCPU count and CPU model ("" any model): the allow-list of a verifier. */
size_t image_measurements_for(const struct image *image, uint32_t vcpus, const char *cpu_model,
                              uint8_t (*ret_digests)[LAUNCH_DIGEST_SIZE], size_t max);

/*
 * Completes the recipe's unsigned image.json in dir: checks every file's SHA-256 against the
 * folder, adds measurements for 1..max_vcpus and each CPU model, signs, writes it back atomically.
 */
struct error *image_seal(const char *dir, const struct sign_key *release_key,
                         uint32_t max_vcpus) _must_check_;
