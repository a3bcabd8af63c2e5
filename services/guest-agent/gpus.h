/*
 * The NVIDIA GPUs of this guest during its boot, fail closed: what the PCI bus has must be in the
 * evidence, evidence that is bad ends the boot, and no program may use a GPU before the release.
 * What this guest cannot tell (a reference value that its image does not have, revocation), the
 * release authority tells, which judges the same evidence again.
 */
#pragma once

#include "shared/nvidia/devices.h"
#include "shared/nvidia/gpu_verify.h"

/* Texts outlive the gpus. */
struct gpus_options {
    const char *mode;              /* auto: as the PCI bus says; nvml: there are some; none */
    const char *sys;               /* "/sys" */
    const char *dev;               /* "/dev" */
    const char *rims;              /* folder of reference values in the measured root; may lack */
    const char *library;           /* NULL: the driver's NVML; for tests */
    const struct gpu_roots *roots; /* NULL: NVIDIA's; for tests */
};

struct gpus;

/* Looks at nothing yet. INVALID_ARGUMENT: no such mode. */
struct error *gpus_new(const struct gpus_options *options, struct gpus **ret_gpus) _must_check_;
void gpus_free(struct gpus *gpus); /* NULL is fine */
DEFINE_CLEANUP(struct gpus *, gpus_free)

/* Looks at the PCI bus, and opens the driver when there must be GPUs; does nothing once that went
 * well. The driver may turn up a moment after this program: NOT_FOUND, FAILED_PRECONDITION. */
struct error *gpus_open(struct gpus *gpus) _must_check_;

/* Evidence of all GPUs that gpus_open() found, asked with this boot's nonce and
 * binding_guest_keys(), and judged for the time at_ms. An empty list: this guest has none.
 * *ret_list is initialised here. Blocks for seconds. Errors are final: PERMISSION_DENIED names the
 * check that failed. */
struct error *gpus_collect(struct gpus *gpus, const uint8_t nonce[32], const uint8_t key_hash[32],
                           int64_t at_ms, struct gpu_evidence_list *ret_list) _must_check_;

/* Once the release is opened: lets programs use the GPUs that gpus_collect() found, and finds their
 * device nodes. Nothing to do without any. */
struct error *gpus_allow(struct gpus *gpus) _must_check_;

/* Paths of the device nodes, sorted: nvidiactl, nvidia0 ..., and nvidia-uvm if it is there. None
 * before gpus_allow(). They live as long as gpus. */
const char *const *gpus_nodes(const struct gpus *gpus, size_t *ret_n);
