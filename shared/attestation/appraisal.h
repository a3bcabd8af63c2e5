/* One run of verify_snp(): what its steps share. */
#pragma once

#include "shared/attestation/chain.h"
#include "shared/attestation/report.h"
#include "shared/attestation/verifier.h"

struct appraisal {
    const struct verify_policy *policy;
    struct verify_result *result;
    const uint8_t *bytes; /* the received report; NULL when it is not one */
    struct report report;
    const struct chain *chain;
    enum snp_product product; /* of the certificate, else of the report; says the TCB's layout */
};

/* The step holds. */
void appraise_pass(struct appraisal *a, const char *id, const char *expected, const char *actual);

/* It does not: code of the catalogue; actual NULL: the code's meaning. */
void appraise_problem(struct appraisal *a, const char *code, const char *expected,
                      const char *actual);

const char *appraise_hex(const struct appraisal *a, const void *data, size_t size);
bool appraise_is_zero(const uint8_t *data, size_t size);
bool appraise_is_listed(const void *list, size_t n, const uint8_t *value, size_t size);

/* Each adds the steps that it is named for. Those below need a report. */
void appraise_chain(struct appraisal *a);
void appraise_validity(struct appraisal *a);
void appraise_revocation(struct appraisal *a);
void appraise_signing_key(struct appraisal *a);
void appraise_extensions(struct appraisal *a);
void appraise_signature(struct appraisal *a);

void appraise_levels(struct appraisal *a); /* tcb, provisional, tcb_minimum, firmware */
void appraise_values(struct appraisal *a); /* report_data, measurement, host_data */
void appraise_guest(struct appraisal *a);  /* debug ... vmpl */
void appraise_chip(struct appraisal *a);
void appraise_launch(struct appraisal *a); /* id_block, mitigations */
