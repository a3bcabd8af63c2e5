/* What a VCEK or VLEK certificate says of the chip (AMD 57230, certificate extensions). */
#pragma once

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/attestation/product.h"
#include "shared/attestation/report.h"
#include "shared/base/error.h"

/* 1.3.6.1.4.1.3704.1 and below */
#define VEK_OID_STRUCT_VERSION "1.3.6.1.4.1.3704.1.1"
#define VEK_OID_PRODUCT_NAME   "1.3.6.1.4.1.3704.1.2"
#define VEK_OID_SPL            "1.3.6.1.4.1.3704.1.3."
#define VEK_OID_HWID           "1.3.6.1.4.1.3704.1.4"
#define VEK_OID_CSP_ID         "1.3.6.1.4.1.3704.1.5"

#define VEK_TEXT_SIZE          64

enum vek_kind { VEK_VCEK, VEK_VLEK };

struct vek {
    enum vek_kind kind;
    enum snp_product product; /* product name extension and issuer agree on it */
    struct snp_tcb tcb;
    uint8_t hwid[64]; /* VCEK: 64 bytes, Turin 8 */
    size_t hwid_size;
    char csp_id[VEK_TEXT_SIZE]; /* VLEK: which cloud's; else "" */
};

/* INVALID_ARGUMENT says what is missing, doubled or wrong. */
struct error *vek_parse(X509 *certificate, struct vek *ret_vek) _must_check_;

/* The kind of key, the reported TCB and the chip are the report's. A report that hides its chip may
 * be of any. */
bool vek_is_of_report(const struct vek *vek, const struct report *report);

/* RSASSA-PSS with SHA-384, MGF1 with SHA-384 and a salt of 48 bytes, exactly. */
bool pss_algorithm_is_amd(const X509_ALGOR *algorithm);
bool vek_signature_algorithm_is_amd(const X509 *certificate);
