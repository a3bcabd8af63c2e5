/*
 * An SEV-SNP ATTESTATION_REPORT field by field, with the names of the SEV-SNP firmware ABI (AMD
 * 56860, table ATTESTATION_REPORT): what `coffer report show` prints, as text and as JSON. Decoded
 * is not verified.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "shared/attestation/product.h"
#include "shared/base/arena.h"
#include "shared/base/error.h"

/* A bit, a group of bits or a byte inside of a field. */
struct report_part {
    const char *where; /* "19", "7:0"; "" for the bytes of a TCB */
    const char *name;
    const char *value;
    const char *meaning; /* "" when there is nothing to say */
};

struct report_field {
    uint32_t offset;
    uint32_t size;
    const char *name;
    const char *value; /* number, or hex in the order of the bytes */
    const char *meaning;
    struct report_part *parts;
    size_t n_parts;
};

#define REPORT_FIELDS_MAX 48

struct report_fields {
    struct report_field fields[REPORT_FIELDS_MAX]; /* every byte stands in exactly one */
    size_t n;
    enum snp_product product; /* that the TCB versions are read as; UNKNOWN: they are not */
    const char *problem;      /* code (verify_codes) of the format rule that is broken, or NULL */
};

/* product UNKNOWN: as the report's own CPUID says. Texts live in the arena. INVALID_ARGUMENT: not a
 * report. */
struct error *report_fields_read(const void *report, size_t size, enum snp_product product,
                                 struct arena *arena,
                                 struct report_fields *ret_fields) _must_check_;
