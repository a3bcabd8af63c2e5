/*
 * The GPUs of a boot, beside the CPU's report, which binds them (DESIGN section 6). The guest has
 * judged them too, with the reference values of its image; what counts for a release is this, with
 * the platform's own (SCHEDULER_GPU_RIMS).
 */
#pragma once

#include "services/scheduler/release.h"
#include "shared/attestation/verifier.h"

/* Before anything reads the evidence: its bounds, and that devices are shown exactly when the
 * workload has GPUs. NULL: fine; else why not, a static text. */
const char *appraisal_gpus_problem(const Coffer__V1__Workload *workload,
                                   const Coffer__V1__Evidence *evidence);

/* The devices hash that the report must commit to, in room; NULL without devices. */
const uint8_t *appraisal_gpus_hash(const Coffer__V1__Evidence *evidence, uint8_t room[32]);

/* Adds the steps of verify_gpus() when the workload has GPUs: exactly as many as it has, each asked
 * with this boot's nonce, these guest keys and its index. UNAVAILABLE: the reference values cannot
 * be read. */
struct error *appraisal_gpus(const struct scheduler *scheduler,
                             const Coffer__V1__Workload *workload,
                             const Coffer__V1__AttestRequest *request, struct arena *arena,
                             struct verify_result *result) _must_check_;

/* For the start: is SCHEDULER_GPU_RIMS a folder of reference values? Fine when it is not set. */
struct error *appraisal_gpus_check(const struct scheduler_config *config) _must_check_;
