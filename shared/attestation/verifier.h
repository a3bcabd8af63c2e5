/*
 * The Verifier (RFC 9334): appraises SEV-SNP Evidence against Reference Values and says, step by
 * step, what held. All steps run; nothing is skipped silently; the verdict is their conjunction.
 * Used by the scheduler before it releases secrets, by `coffer verify`, and by tests.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/arena.h"
#include "shared/base/error.h"

enum verdict {
    VERDICT_PASS,
    VERDICT_FAIL,
    VERDICT_UNKNOWN, /* cannot tell: a reference value or collateral is missing */
};

struct verify_step {
    const char *id; /* stable: "chain", "signature", "measurement" ... */
    enum verdict verdict;
    const char *expected; /* for people; "" when it does not apply */
    const char *actual;
    const char *why; /* what it protects from, one sentence */
};

#define VERIFY_STEPS_MAX 48

struct verify_result {
    struct arena *arena; /* owns all texts */
    struct verify_step steps[VERIFY_STEPS_MAX];
    size_t n_steps;
    bool development; /* the chain ends in a root that was given, not in AMD's */
};
void verify_result_init(struct verify_result *result);
void verify_result_done(struct verify_result *result);
enum verdict verify_result_verdict(const struct verify_result *result);
/* The first failed step, else the first unknown one, else NULL. */
const struct verify_step *verify_result_first_problem(const struct verify_result *result);
/* {verdict, development, steps: [...]}; caller decrefs. */
json_t *verify_result_to_json(const struct verify_result *result);
void verify_step_add(struct verify_result *result, const char *id, enum verdict verdict,
                     const char *expected, const char *actual, const char *why);

/* Trusted roots: AMD's, pinned in the binary, and only when asked for, roots from a folder. */
struct trust_roots;
struct error *trust_roots_amd(struct trust_roots **ret_roots) _must_check_;
/* dir holds ark.pem and ask.pem; the chain is then marked "development". */
struct error *trust_roots_load(const char *dir, struct trust_roots **ret_roots) _must_check_;
void trust_roots_free(struct trust_roots *roots);
DEFINE_CLEANUP(struct trust_roots *, trust_roots_free)

/* What the evidence must show. NULL pointers mean "cannot tell", never "not checked": each gives
 * a step with VERDICT_UNKNOWN, unless the matching any_ field says in words that any is fine. */
struct verify_policy {
    const struct trust_roots *roots;
    const uint8_t *report_data; /* 64 */
    const uint8_t *host_data;   /* 32: SHA-256 of the manifest */
    bool any_host_data;
    const uint8_t (*measurements)[48]; /* allow-list; all-zero entries are refused */
    size_t n_measurements;
    bool any_measurement;
    const uint8_t *chip_id; /* 64 */
    bool any_chip_id;
    uint32_t vmpl; /* exact */
    int64_t at_ms; /* time of verification */
    /* Refused unless said so: */
    bool accept_version_2;            /* no CPUID in the report: product only from the chain */
    bool accept_vlek;                 /* signed by a cloud's key, which names no chip */
    bool accept_provisional_firmware; /* committed is not current: can be rolled back */
};

/* Appends the steps format, version, chain, validity, extensions, signature, tcb, report_data,
 * measurement, host_data, debug, migration, vmpl, chip. certificates: the GHCB table (may be
 * empty: then "chain" cannot be told). Fails (returns an error) only for misuse. */
struct error *verify_snp(const struct verify_policy *policy, const void *report, size_t report_size,
                         const void *certificates, size_t certificates_size,
                         struct verify_result *result) _must_check_;

/* Decoded fields for showing; INVALID_ARGUMENT when it is not a report. */
struct snp_report {
    uint32_t version;
    uint64_t policy;
    uint32_t vmpl;
    uint64_t current_tcb;
    uint64_t platform_info;
    uint8_t report_data[64];
    uint8_t measurement[48];
    uint8_t host_data[32];
    uint8_t report_id[32];
    uint64_t reported_tcb;
    uint8_t family;
    uint8_t model;
    uint8_t stepping;
    uint8_t chip_id[64];
};
struct error *snp_report_parse(const void *data, size_t size,
                               struct snp_report *ret_report) _must_check_;

/* The whole report as the existing system's JSON (NILCC.md section 2.4, snake_case, hex). */
struct error *snp_report_to_json(const void *data, size_t size, json_t **ret_json) _must_check_;
