/* Reports of real machines, for tests: loaded once, with what their manifests say. */
#pragma once

#include "shared/attestation/test_attest.h"

#include <jansson.h>
#include <string.h>

#include "shared/attestation/certificates.h"
#include "shared/attestation/verifier.h"
#include "shared/base/alloc.h"
#include "shared/base/buffer.h"

#define VECTORS_MAX      64
#define LEAVES_MAX       4
#define VECTORS_OF_ROOTS 9

struct leaf {
    const char *file;
    struct buffer der;
    int64_t at_ms; /* the first second of its life */
};

struct vector {
    char *dir;
    const char *name;
    json_t *manifest;
    struct buffer report;
    struct buffer ask, asvk, ark;
    struct leaf leaves[LEAVES_MAX];
    size_t n_leaves;
    int64_t at_ms; /* the manifest's hint */
};

struct vectors {
    const char *dir;
    struct vector list[VECTORS_MAX];
    size_t n;
    struct trust_roots *roots; /* AMD's, pinned */
    struct buffer root_files[VECTORS_OF_ROOTS];
    struct certificate_view collateral[VECTORS_OF_ROOTS]; /* ASK, ASVK and ARK of all products */
};

/* NULL: there are none; says so, and the test returns 77. Else vectors_load() as group set-up. */
struct vectors *vectors_find(void);
int vectors_load(void **state);
int vectors_free(void **state);
const struct vector *vectors_get(const char *name);

void vectors_read(struct buffer *ret, const char *fmt, ...) _printf_(2, 3);

bool vector_is_vlek(const struct leaf *leaf);
/* The table that a host would give: leaf, ASK or ASVK, ARK. */
void vector_table(const struct vector *v, const struct leaf *leaf, struct buffer *ret_table);
bool vector_has_finding(const struct vector *v, const char *text);
/* All that is policy is as the report has it: what is left is cryptography. */
struct verify_policy vector_policy(const struct vector *v, const struct leaf *leaf);

void vector_appraise(const struct verify_policy *policy, const struct buffer *report,
                     const struct buffer *table, struct verify_result *ret_result);
const struct verify_step *vector_step(const struct verify_result *result, const char *id);
/* Exactly the steps of these codes do not pass; NULL-ended. */
void vector_expect(const struct verify_policy *policy, const struct buffer *report,
                   const struct buffer *table, const char *name, const char *const codes[]);
