/*
 * The software security processor (development only, TEE_SOFTWARE): signs reports in the exact
 * SEV-SNP format with a development VCEK that chains to a development root. It replaces evidence
 * generation and nothing else; no verifier accepts its root unless told to by name.
 */
#pragma once

#include <stdint.h>

#include "shared/attestation/tee.h"

struct processor;

/* What the "firmware" knows of a guest since its launch. */
struct processor_guest {
    uint8_t measurement[48];
    uint8_t host_data[32];
    uint64_t policy; /* SNP policy bits; 0x30000 */
    uint32_t vmpl;
    uint8_t report_id[32]; /* random per launch */
};

/* dir: fleet/hosts/<h>/tee with vcek.key (PEM, 0600), vcek.der, chip_id (128 hex digits) and
 * ask.der, ark.der beside; crl.der when there is one. */
struct error *processor_open(const char *dir, struct processor **ret_processor) _must_check_;
void processor_free(struct processor *processor);
DEFINE_CLEANUP(struct processor *, processor_free)

const uint8_t *processor_chip_id(const struct processor *processor); /* 64 bytes, lives with it */

struct error *processor_report(struct processor *processor, const struct processor_guest *guest,
                               const uint8_t report_data[TEE_REPORT_DATA_SIZE],
                               struct tee_evidence *ret_evidence) _must_check_;

/*
 * One request of the wire in tee.h answered: request bytes in, response bytes added to
 * *ret_response. Malformed requests are INVALID_ARGUMENT and get no response.
 */
struct error *processor_answer(struct processor *processor, const struct processor_guest *guest,
                               const void *request, size_t size,
                               struct buffer *ret_response) _must_check_;

/* Makes the development root: dir/ark.{pem,der,key}, ask.{pem,der,key}, and crl.der of the ARK with
 * nothing revoked. Keeps what exists; a CRL that ends soon is made anew. */
struct error *tee_dev_init_root(const char *dir) _must_check_;

/* Makes a host's chip: dir/chip_id, vcek.key, vcek.der, and copies ask.der, ark.der and crl.der. */
struct error *tee_dev_init_host(const char *root_dir, const char *dir) _must_check_;
