/*
 * What AMD's key distribution service (KDS) is asked for: which chip, and the path of each object
 * (AMD 57230, section 4). Paths only; fetch.h asks for them.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "shared/attestation/product.h"
#include "shared/attestation/vek.h"
#include "shared/base/error.h"

#define KDS_PATH_MAX 256

/* Whose endorsement key: a chip at one TCB version (that of REPORTED_TCB, SEV-SNP firmware ABI). */
struct kds_chip {
    enum snp_product product;
    uint8_t hwid[64];
    size_t hwid_size; /* 64; Turin 8: its longer form is not found there */
    struct snp_tcb tcb;
};

/*
 * chip_id: 64 bytes as in a report; reported_tcb: the report's number. INVALID_ARGUMENT: unknown
 * product, or a Turin id longer than 8 bytes; FAILED_PRECONDITION: the id is masked (all zero),
 * so that no certificate can be asked for.
 */
struct error *kds_chip_init(enum snp_product product, const uint8_t chip_id[64],
                            uint64_t reported_tcb, struct kds_chip *ret_chip) _must_check_;

/* The chip's VCEK certificate, DER. */
void kds_path_vcek(const struct kds_chip *chip, char ret_path[KDS_PATH_MAX]);
/* ASK (VLEK: ASVK), then ARK, PEM. */
void kds_path_chain(enum snp_product product, enum vek_kind kind, char ret_path[KDS_PATH_MAX]);
/* The ARK's CRL for that chain, DER. */
void kds_path_crl(enum snp_product product, enum vek_kind kind, char ret_path[KDS_PATH_MAX]);
