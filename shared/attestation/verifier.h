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

#include "shared/attestation/certificates.h"
#include "shared/attestation/policy.h"
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
    const char *code;     /* stable name of what is wrong (verify_codes), "" when it passes */
    const char *expected; /* for people; "" when it does not apply */
    const char *actual;
    const char *why; /* what it protects from, one sentence */
};

#define VERIFY_STEPS_MAX 64

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
/* There is such a step, and it passed. */
bool verify_result_passed(const struct verify_result *result, const char *id);
/* {verdict, development, steps: [...]}; caller decrefs. */
json_t *verify_result_to_json(const struct verify_result *result);
/* The code is the catalogue's first for this step and verdict. Texts are copied; what a terminal
 * could stumble over becomes '?'. */
void verify_step_add(struct verify_result *result, const char *id, enum verdict verdict,
                     const char *expected, const char *actual, const char *why);

/* The catalogue of everything that can be wrong; docs/verification.md explains each. */
struct verify_code {
    const char *code; /* "chain_root_untrusted" */
    const char *step;
    enum verdict verdict; /* FAIL: the evidence is bad; UNKNOWN: something is missing */
    const char *meaning;  /* one sentence */
};
const struct verify_code *verify_codes(size_t *ret_n);        /* static, in order of steps */
const struct verify_code *verify_code_find(const char *code); /* NULL: none */
/* A step that does not pass: its id and verdict are those of the code, which must exist. */
void verify_problem_add(struct verify_result *result, const char *code, const char *expected,
                        const char *actual, const char *why);

/* Trusted roots: AMD's, pinned in the binary, and only when asked for, roots from a folder. */
struct trust_roots;
struct error *trust_roots_amd(struct trust_roots **ret_roots) _must_check_;
/* None of them is AMD's. */
bool trust_roots_are_development(const struct trust_roots *roots);
/* dir holds ark.pem and ask.pem; the chain is then marked "development". */
struct error *trust_roots_load(const char *dir, struct trust_roots **ret_roots) _must_check_;
void trust_roots_free(struct trust_roots *roots);
DEFINE_CLEANUP(struct trust_roots *, trust_roots_free)

/* What is at hand beside the evidence, from a cache, a key service or a folder. Untrusted like the
 * evidence: it must chain to the roots. DER; entries of other chains do no harm. */
struct verify_collateral {
    const struct certificate_view *certificates; /* VCEK or VLEK, ASK, ASVK, ARK, in any order */
    size_t n_certificates;
    const struct certificate_view *crls;
    size_t n_crls;
};
#define VERIFY_COLLATERAL_MAX 32 /* of each; more are RESOURCE_EXHAUSTED */

/* Chains and CRLs that have been verified, so that only the report's signature is left to check for
 * evidence of a chip seen before. Dates and revocation are judged each time. Bounded; for one
 * thread and one set of roots. */
struct verify_cache *verify_cache_new(const struct trust_roots *roots);
void verify_cache_free(struct verify_cache *cache);
DEFINE_CLEANUP(struct verify_cache *, verify_cache_free)

/* Appends these steps, always all and in this order: format, version, product, chain, validity,
 * revocation, signing_key, extensions, signature, tcb, provisional, tcb_minimum, firmware,
 * report_data, measurement, host_data, debug, migration, guest_policy, abi, platform_info, vmpl,
 * chip, id_block, mitigations. certificates: the GHCB table (may be empty). Fails (returns an
 * error) only for misuse: no roots, no result, too much collateral. */
struct error *verify_snp(const struct verify_policy *policy, const void *report, size_t report_size,
                         const void *certificates, size_t certificates_size,
                         struct verify_result *result) _must_check_;
/* The same steps for a run that got no evidence: none can be told. */
struct error *verify_snp_no_report(const struct verify_policy *policy,
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
