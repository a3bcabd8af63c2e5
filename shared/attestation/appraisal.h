/* One run of verify_snp(): what its steps share. */
#pragma once

#include "shared/attestation/report.h"
#include "shared/attestation/roots.h"
#include "shared/attestation/vek.h"
#include "shared/attestation/verifier.h"

struct appraisal {
    const struct verify_policy *policy;
    struct verify_result *result;
    const uint8_t *bytes; /* the received report; NULL when it is not one */
    struct report report;
    X509 *leaf; /* VCEK or VLEK; owned, like the next two */
    X509 *ask;
    X509 *ark;
    struct vek vek;          /* what the leaf says */
    const char *vek_problem; /* why it says nothing, or NULL */
};

/* Adds a step with the reason that belongs to its id. Takes texts as they are. */
void appraise_step(struct appraisal *appraisal, const char *id, enum verdict verdict,
                   const char *expected, const char *actual);

void appraise_chain(struct appraisal *appraisal, const void *certificates, size_t size);
void appraise_validity(struct appraisal *appraisal);
void appraise_extensions(struct appraisal *appraisal);
void appraise_signature(struct appraisal *appraisal);

/* From CPUID, else from the certificate. */
enum snp_product appraise_product(const struct appraisal *appraisal);
