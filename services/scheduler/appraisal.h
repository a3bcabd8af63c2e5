/* Evidence of a boot against what is on record: everything that must hold before a release. */
#pragma once

#include "services/scheduler/release.h"
#include "shared/attestation/image.h"

struct appraisal {
    uint8_t measurement[LAUNCH_DIGEST_SIZE]; /* as verified */
    const char *evidence_kind;               /* static */
    const char *root_hash;                   /* of the image; lives in the arena */
    char code[64]; /* of what failed, "attest_measurement" ...; "" when all held */
    char *message; /* for people, lives in the arena */
};

/* An error only when it could not be decided (the store or a file is away). */
struct error *appraise(struct scheduler *scheduler, const Coffer__V1__Workload *workload,
                       const Coffer__V1__AttestRequest *request, struct arena *arena,
                       struct appraisal *ret_appraisal) _must_check_;
