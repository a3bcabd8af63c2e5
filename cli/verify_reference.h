/* What the options of `coffer verify` name, loaded: Reference Values, roots, policy, collateral. */
#pragma once

#include "cli/verify_collateral.h"
#include "cli/verify_options.h"
#include "shared/attestation/image.h"
#include "shared/attestation/verifier.h"
#include "shared/nvidia/gpu_references.h"

struct verify_reference {
    struct arena *arena; /* owns texts and lists */
    struct trust_roots *roots;
    struct verify_policy policy; /* roots, time and what the options say are in it; report_data,
                                  * host_data, measurements and collateral are not yet */
    bool accept_static;          /* evidence that answers no nonce, as the policy says */
    struct verify_extra extra;
    struct gpu_roots gpu_roots;
    struct gpu_references rims;
    bool any_gpus; /* as many as there are; else exactly: */
    size_t n_gpus;

    /* NULL: not given. */
    const uint8_t *nonce;           /* 32 */
    const uint8_t *spki_sha256;     /* 32 */
    const uint8_t *report_data;     /* 64 */
    const uint8_t *manifest_sha256; /* 32 */
    const uint8_t *release_key;     /* 32 */
    const char *manifest;           /* its text */
    bool any_manifest;
    const uint8_t (*measurements)[LAUNCH_DIGEST_SIZE]; /* given by hand */
    size_t n_measurements;
    const struct image *image;
    const char *image_problem;  /* why there is none although one was named */
    enum verdict image_verdict; /* what that means */
};

/* Fills a zeroed reference, which is the caller's to give to done(), also after an error.
 * INVALID_ARGUMENT, NOT_FOUND and the like: something that was named is not there, or is not what
 * it should be; PERMISSION_DENIED: a policy that is not signed by the release key. */
struct error *verify_reference_load(const struct verify_options *options,
                                    struct verify_reference *reference) _must_check_;
void verify_reference_done(struct verify_reference *reference);
