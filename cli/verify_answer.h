/* The attester's answer, read by bounded code. Everything in it is a claim. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/attestation/binding.h"
#include "shared/attestation/tee.h"
#include "shared/base/arena.h"
#include "shared/base/buffer.h"
#include "shared/base/error.h"
#include "shared/nvidia/gpu_evidence.h"

#define VERIFY_PATH_MAX 64

struct verify_answer {
    uint8_t report[TEE_REPORT_SIZE];
    struct buffer certificates; /* as a certificate table, with its revocation list */
    bool bare;                  /* nothing but a report: the rest is empty */
    const char *manifest;       /* text, or NULL */
    const char *cpu_model;
    uint32_t vcpus;       /* 0: not said */
    const char *provider; /* who says it made the report */

    bool fresh; /* answers a nonce; else the static form */
    uint64_t nonce_index;
    uint64_t nonce_count;
    uint8_t path[VERIFY_PATH_MAX][32];
    size_t n_path;
    bool has_spki;
    uint8_t spki_sha256[32]; /* as claimed: to explain, never to decide */

    struct binding_bytes devices[GPU_DEVICES_MAX]; /* evidence of each as received, in the arena */
    size_t n_devices;
    uint8_t devices_hash[32]; /* of these bytes, with n_devices; a fresh answer claims the same */
};

/* Texts live in the arena. INVALID_ARGUMENT says which part is wrong. */
struct error *verify_answer_parse(const void *json, size_t size, struct arena *arena,
                                  struct verify_answer *ret_answer) _must_check_;
/* An answer that is only these bytes. */
void verify_answer_from_report(const uint8_t report[TEE_REPORT_SIZE],
                               struct verify_answer *ret_answer);
void verify_answer_done(struct verify_answer *answer);
