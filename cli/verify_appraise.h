/* From an answer and what is expected to a list of steps: no network, no files. */
#pragma once

#include "cli/verify_answer.h"
#include "shared/attestation/image.h"
#include "shared/attestation/verifier.h"

struct verify_expected {
    const struct trust_roots *roots;
    const uint8_t *nonce;           /* 32: what we asked with */
    const uint8_t *spki_sha256;     /* 32: of the connection's peer */
    const uint8_t *manifest_sha256; /* 32, or NULL: no expectation */
    bool any_manifest;
    const struct image *image;  /* NULL: none is given */
    const char *image_problem;  /* why image is NULL although a file was given, or NULL */
    enum verdict image_verdict; /* what image_problem means */
    int64_t at_ms;
};

/* Adds all steps behind "tls". */
struct error *verify_appraise(const struct verify_expected *expected,
                              const struct verify_answer *answer,
                              struct verify_result *result) _must_check_;
