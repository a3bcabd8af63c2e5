/* AMD's product lines and the layout of their TCB versions (SEV-SNP firmware ABI, TCB_VERSION). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum snp_product {
    SNP_PRODUCT_UNKNOWN,
    SNP_PRODUCT_MILAN,
    SNP_PRODUCT_GENOA, /* also Bergamo, Siena, Genoa-X: Genoa's roots and layout */
    SNP_PRODUCT_TURIN,
};

struct snp_tcb {
    uint8_t fmc; /* Turin only */
    uint8_t bootloader;
    uint8_t tee;
    uint8_t snp;
    uint8_t microcode;
};

const char *snp_product_name(enum snp_product product); /* "Milan" ..., "unknown" */
enum snp_product snp_product_from_cpuid(uint8_t family, uint8_t model);
/* "Genoa", or "Milan-B0": what stands before '-'. */
enum snp_product snp_product_from_name(const char *name);

struct snp_tcb snp_tcb_decode(enum snp_product product, uint64_t raw);
bool snp_tcb_equal(const struct snp_tcb *a, const struct snp_tcb *b);
/* Component by component: the number as a whole has no order. */
bool snp_tcb_at_most(const struct snp_tcb *a, const struct snp_tcb *b);

/* "bootloader 4, tee 0, snp 28, microcode 222"; text has room for SNP_TCB_TEXT_SIZE. */
#define SNP_TCB_TEXT_SIZE 80
void snp_tcb_format(enum snp_product product, const struct snp_tcb *tcb, char *ret_text);
