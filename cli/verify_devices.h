/* The devices of an answer: bound by the CPU's report, and each judged by itself. */
#pragma once

#include "cli/verify_answer.h"
#include "cli/verify_reference.h"

/* What the CPU's report was found to commit to. */
struct verify_binding {
    const uint8_t *nonce_root;  /* 32; NULL: not known */
    const uint8_t *spki_sha256; /* 32; with nonce_root */
    bool is_given;              /* a bare report that carries the report_data given in words */
    bool is_bound;              /* the report commits to these two and to the answer's devices */
};

/* Adds the step "devices" behind those of the CPU's report, and the GPU_STEPS of verify_gpus() when
 * devices are shown, or an answer lacks some that must be there. A bare report gets no
 * such steps: it shows none, and none can be asked of it. */
struct error *verify_devices(const struct verify_reference *reference,
                             const struct verify_answer *answer,
                             const struct verify_binding *binding,
                             struct verify_result *result) _must_check_;
