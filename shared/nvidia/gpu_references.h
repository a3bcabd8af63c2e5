/* What the evidence of GPUs is compared with: RIM files and OCSP responses from a folder, and the
 * roots. Files are untrusted: they must chain to the roots. */
#pragma once

#include "shared/attestation/binding.h"
#include "shared/base/arena.h"
#include "shared/base/error.h"
#include "shared/nvidia/gpu_verify.h"

#define GPU_OCSP_MAX 128 /* a few per device, and the RIMs' signers */

struct gpu_references {
    struct binding_bytes rims[GPU_RIMS_MAX];
    size_t n_rims;
    struct binding_bytes ocsp[GPU_OCSP_MAX];
    size_t n_ocsp;
};

/* Every file in dir that ends in .swidtag, .xml or .rim (RIM), or .ocsp, .ors or .der (OCSP
 * response, RFC 6960); bytes live in arena. INVALID_ARGUMENT for a file that is not what it is
 * named; RESOURCE_EXHAUSTED for too many. */
struct error *gpu_references_load(const char *dir, struct arena *arena,
                                  struct gpu_references *references) _must_check_;

/* A policy that compares with these; they outlive it. */
static inline void gpu_policy_use(struct gpu_policy *policy,
                                  const struct gpu_references *references)
{
    policy->rims = references->rims;
    policy->n_rims = references->n_rims;
    policy->ocsp = references->ocsp;
    policy->n_ocsp = references->n_ocsp;
}

/* dir may hold gpu-device.pem and gpu-rim.pem, each in place of NVIDIA's root (development).
 * *roots, filled before, keeps what dir has no file for. */
struct error *gpu_roots_load(const char *dir, struct gpu_roots *roots) _must_check_;
