/*
 * Appraises the evidence of NVIDIA GPUs and NVSwitches (RFC 9334 Verifier): local, without NVIDIA's
 * service. Evidence of devices means nothing without a good report of the CPU that binds it: hash
 * the same bytes with binding_devices(), and check report_data over that with verify_snp().
 *
 *     gpu_nonce(root, key_hash, i, nonces[i]) for each device, in index order, switches last;
 *     verify_gpus(&policy, devices, n, &result);    // steps join those of verify_snp()
 *
 * Each step is about all devices together, names every device that it does not hold for, and has
 * the worst of their verdicts. Always the same steps, whatever the evidence is.
 */
#pragma once

#include "shared/attestation/binding.h"
#include "shared/attestation/verifier.h"
#include "shared/nvidia/gpu_evidence.h"
#include "shared/nvidia/x509_path.h"

#define GPU_STEPS    15
#define GPU_RIMS_MAX 32

/* SHA-256 of the roots' certificates. */
struct gpu_roots {
    uint8_t device[X509_PATH_FINGERPRINT];
    uint8_t rim[X509_PATH_FINGERPRINT];
};
extern const struct gpu_roots gpu_roots_nvidia; /* pinned in the binary */

struct gpu_policy {
    const struct gpu_roots *roots; /* NULL: NVIDIA's. Others mark the result "development" */
    const uint8_t (*nonces)[SPDM_NONCE_SIZE]; /* one per device; NULL: cannot tell */
    /* RIM files (XML), of which the right ones are used. Several good ones of one version that
     * differ: "cannot tell", in whatever order they stand. Copies of one file are fine. */
    const struct binding_bytes *rims;
    size_t n_rims; /* at most GPU_RIMS_MAX */
    /* Stored OCSP responses (DER) for device and RIM certificates, made without a nonce of ours
     * (RFC 8954): each counts from its thisUpdate to its nextUpdate, so a certificate revoked in
     * between passes for so long. Whoever needs it fresher fetches responses more often. */
    const struct binding_bytes *ocsp;
    size_t n_ocsp;
    size_t n_gpus; /* exactly so many GPUs, switches not counted */
    bool any_number;
    int64_t at_ms; /* time of verification */
    /* Refused, or "cannot tell", unless said so: */
    bool accept_expired_rims;  /* signers' certificates expire while the firmware lives on */
    bool accept_no_fwid;       /* drivers before 550, and switches, do not name their firmware */
    bool accept_no_revocation; /* no OCSP response at hand for some certificate */
};

/* devices: gpu_evidence JSON of each, in index order; at most GPU_DEVICES_MAX. Appends GPU_STEPS
 * steps: gpu_count, gpu_format, gpu_chain, gpu_validity, gpu_signature, gpu_nonce, gpu_firmware,
 * gpu_mode, gpu_driver, gpu_vbios, gpu_rim_validity, gpu_measurements, gpu_revocation,
 * gpu_distinct, gpu_topology. Fails (returns an error) only for misuse and for too many devices or
 * files. */
struct error *verify_gpus(const struct gpu_policy *policy, const struct binding_bytes *devices,
                          size_t n, struct verify_result *result) _must_check_;
