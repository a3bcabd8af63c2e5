/*
 * The appraisal policy (RFC 9334: Appraisal Policy for Evidence, with its Reference Values) as
 * data. A zeroed struct is the strict default: what is not given is "cannot tell" or the safe
 * choice, never "not checked"; that any value is fine is a word of its own (any_..., accept_...).
 *
 * The same as JSON: policy.schema.json beside this file describes every member. A policy file is
 * worth as much as its signature, which is the caller's business.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/attestation/product.h"
#include "shared/base/arena.h"
#include "shared/base/error.h"

#define POLICY_SCHEMA   "coffer.policy/v1"
#define POLICY_MAX      (256 * 1024) /* bytes of JSON */
#define POLICY_LIST_MAX 1024         /* entries of any list */
#define POLICY_GPUS_MAX 16           /* of one guest */

struct trust_roots;       /* verifier.h */
struct verify_collateral; /* verifier.h */
struct verify_cache;      /* verifier.h */

/* Bits of the report's POLICY or PLATFORM_INFO; names: report_bits.h. A bit is judged by the
 * default unless it stands in one of the three. */
struct policy_bits {
    uint64_t allow;
    uint64_t forbid;
    uint64_t require;
};

enum policy_level { POLICY_REPORTED, POLICY_COMMITTED, POLICY_CURRENT, POLICY_LAUNCH };
#define POLICY_LEVELS 4

/* The lowest firmware levels for processors by CPUID: microcode counts differ inside one product
 * line (section 2 of AMD 57230 keys certificates by product; levels are per model). */
struct policy_minimum {
    uint8_t family;
    uint8_t first_model, last_model;
    uint8_t first_stepping, last_stepping;
    const char *basis; /* the bulletin or reason that the levels come from */
    struct snp_tcb levels[POLICY_LEVELS];
};

struct policy_firmware {
    uint8_t major, minor, build;
};

/* Evidence of GPUs, which shared/nvidia judges; the CPU's verifier does not look at it. */
struct policy_gpus {
    bool has_count;                 /* else as many as the caller says */
    uint32_t count;                 /* exactly, switches not counted */
    bool accept_expired_rims;       /* signers of reference values that are out of date */
    bool accept_unnamed_firmware;   /* devices that do not name their firmware */
    bool accept_unknown_revocation; /* no OCSP response at hand; a revoked key still fails */
};

enum policy_crl {
    POLICY_CRL_REQUIRED, /* none at hand, or out of date: cannot tell */
    POLICY_CRL_SOFT,     /* the same passes, and is said; a revoked key still fails */
};

struct verify_policy {
    const char *name;            /* NULL: strict */
    const char *const *gives_up; /* named compatibility policies: NULL-ended sentences, or NULL */

    /* What a run is given; never part of the JSON. */
    const struct trust_roots *roots;
    const struct verify_collateral *collateral; /* NULL: none beside the evidence */
    struct verify_cache *cache;                 /* NULL: none */
    int64_t at_ms;                              /* time of verification, Unix milliseconds */

    /* Reference values. */
    const uint8_t *report_data; /* 64; there is no "any" */
    const uint8_t *host_data;   /* 32: SHA-256 of the manifest */
    bool any_host_data;
    const uint8_t (*measurements)[48]; /* allow-list; all-zero entries are refused */
    size_t n_measurements;
    bool any_measurement;
    const char *image_version;     /* NULL, or: measurements are those of this signed image, and of
                                    * the list, if any; the caller looks them up */
    const uint8_t (*chip_ids)[64]; /* allow-list */
    size_t n_chip_ids;
    bool any_chip_id;
    const uint8_t (*denied_chip_ids)[64];
    size_t n_denied_chip_ids;
    uint32_t vmpl; /* exact */

    /* The report and its key. */
    uint32_t report_versions;     /* bit n: version n; 0: 3 and 5 */
    bool accept_unknown_versions; /* above 5: read as 5, reserved bytes not judged */
    bool accept_reserved;         /* reserved bytes of a known version may be set */
    bool accept_vlek;             /* a cloud's key, which names no chip, of these CSP_IDs: */
    const char *const *csp_ids;
    size_t n_csp_ids;
    bool any_csp_id;
    bool accept_masked_chip; /* the report hides its chip: the VCEK cannot be matched to it */
    enum policy_crl crl;
    int64_t crl_grace_ms; /* a CRL counts for so long after its nextUpdate */

    /* What the guest was launched with, and on what. */
    struct policy_bits guest_policy;  /* default: debug, migrate_ma, cxl_allow forbidden */
    struct policy_bits platform_info; /* default: alias_check_complete required */
    bool refuse_unknown_bits;         /* of either; else they are only shown */
    bool accept_migration_agent;
    uint8_t abi_major, abi_minor; /* POLICY.ABI at least */
    const struct policy_minimum *minimums;
    size_t n_minimums; /* 0: policy_default_minimums() */
    bool any_tcb;
    struct policy_firmware firmware;  /* current and committed at least */
    bool accept_provisional_firmware; /* committed is not current: can be rolled back */
    const uint8_t (*id_keys)[48];     /* SHA-384 of the ID block's key; none: not asked for */
    size_t n_id_keys;
    const uint8_t (*author_keys)[48];
    size_t n_author_keys;
    uint32_t guest_svn; /* at least; means something only with id_keys */
    uint64_t launch_mitigations, current_mitigations; /* bits of the MIT vectors that must be set */

    struct policy_gpus gpus;
};

/* The built-in levels, and when they were looked over last; static. */
#define POLICY_MINIMUMS_VERSION "2026-11-28"
const struct policy_minimum *policy_default_minimums(size_t *ret_n);

/* "strict", or "nilcc": evidence of the existing system's report endpoint (its binding has no
 * nonce and no manifest; gives_up says all). NOT_FOUND: no such name. */
struct error *policy_named(const char *name, struct verify_policy *ret_policy) _must_check_;

/* A policy file. Unknown, doubled or ill-typed members are INVALID_ARGUMENT and named; members
 * that are absent are the strict default. Texts and lists live in arena. The caller adds roots,
 * time, collateral and what it computes itself (report_data, host_data, measurements). */
struct error *policy_parse(const char *text, size_t size, struct arena *arena,
                           struct verify_policy *ret_policy) _must_check_;
