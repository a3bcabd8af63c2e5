/* The named bits of a report's POLICY and PLATFORM_INFO (SEV-SNP firmware ABI). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/arena.h"

struct report_bit {
    uint8_t number;
    const char *name;    /* as in policy files: "debug", "alias_check_complete" */
    const char *meaning; /* one sentence on what a set bit says */
};

/* Static tables, lowest bit first. POLICY: without bits 15:0 (the ABI version) and 17 (always 1).
 */
const struct report_bit *report_policy_bits(size_t *ret_n);
const struct report_bit *report_platform_bits(size_t *ret_n);

uint64_t report_policy_unknown(uint64_t policy); /* the set bits that have no name here */
uint64_t report_platform_unknown(uint64_t info);

/* "smt, bit 40": the set bits by name, in arena; "none". */
const char *report_bits_text(const struct report_bit *bits, size_t n_bits, uint64_t value,
                             struct arena *arena);
