/*
 * Evidence of the guest's GPUs as a port, for the guest's boot and for its attester. Backend: NVML
 * (devices_nvml.c). A guest with GPUs shows all of them or nothing: there is no answer that leaves
 * them out.
 */
#pragma once

#include "shared/nvidia/nvml_collect.h"

struct devices;

struct devices_ops {
    /* root: of the nonces, or the boot nonce; key_hash: SHA-256 of the TLS key's SPKI, or of both
     * guest keys; 32 bytes each. One caller at a time; blocks for seconds. ret_list is initialised
     * here. */
    struct error *(*collect)(struct devices *devices, const uint8_t root[32],
                             const uint8_t key_hash[32], struct gpu_evidence_list *ret_list);
    /* Lets the guest's programs use the GPUs, or not. */
    struct error *(*set_ready)(struct devices *devices, bool ready);
    void (*free)(struct devices *devices);
};

struct devices {
    const struct devices_ops *ops;
};

/* name: "none" gives NULL, "nvml" the guest's GPUs. library: for nvml_open(). */
struct error *devices_open(const char *name, const char *library,
                           struct devices **ret_devices) _must_check_;

static inline void devices_free(struct devices *devices) /* NULL is fine */
{
    if (devices)
        devices->ops->free(devices);
}
