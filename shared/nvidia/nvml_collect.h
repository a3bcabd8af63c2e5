/*
 * Evidence of the GPUs of this guest, through NVML, which the driver brings along and which is
 * loaded at run time. Anything that is not as it should be is an error: a guest without evidence of
 * its GPUs does not use them. NVSwitches have a library of their own and are not collected here.
 */
#pragma once

#include <stdbool.h>

#include "shared/base/buffer.h"
#include "shared/base/error.h"
#include "shared/nvidia/gpu_evidence.h"

struct nvml;

/* library: NULL is the driver's own; tests give a path. NOT_FOUND: there is no NVIDIA driver.
 * FAILED_PRECONDITION: the library is too old, or does not start. */
struct error *nvml_open(const char *library, struct nvml **ret_nvml) _must_check_;
void nvml_close(struct nvml *nvml); /* NULL is fine */
DEFINE_CLEANUP(struct nvml *, nvml_close)

/* JSON of each GPU in index order: what is sent, and what binding_devices() hashes. */
struct gpu_evidence_list {
    struct buffer devices[GPU_DEVICES_MAX];
    size_t n;
};
void gpu_evidence_list_done(struct gpu_evidence_list *list);

/* Asks every GPU, each with the nonce of its index (gpu_nonce(root, key_hash, index)). *ret_list is
 * initialised here. FAILED_PRECONDITION: no GPU, or confidential computing is off, simulated or in
 * developer tools mode. INTERNAL: a GPU does not answer, or not this question. Blocks for seconds;
 * not for two threads at once. */
struct error *nvml_collect(struct nvml *nvml, const uint8_t root[32], const uint8_t key_hash[32],
                           struct gpu_evidence_list *ret_list) _must_check_;

/* Lets programs use the GPUs, or not. Only after their evidence was verified in this guest. */
struct error *nvml_set_ready(struct nvml *nvml, bool ready) _must_check_;
