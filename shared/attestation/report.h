/* The whole ATTESTATION_REPORT (SEV-SNP firmware ABI, versions 2, 3 and 5), read by a cursor. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/attestation/product.h"
#include "shared/attestation/tee.h"
#include "shared/base/error.h"

#define REPORT_SIGNED_SIZE       0x2a0
#define REPORT_SCALAR_SIZE       72 /* container of R and S, of which P-384 uses 48 */

#define REPORT_POLICY_RESERVED_1 (UINT64_C(1) << 17) /* must be 1 */
#define REPORT_POLICY_MIGRATE_MA (UINT64_C(1) << 18)
#define REPORT_POLICY_DEBUG      (UINT64_C(1) << 19)

enum report_signing_key {
    REPORT_SIGNING_KEY_VCEK = 0,
    REPORT_SIGNING_KEY_VLEK = 1,
};

struct report_firmware {
    uint8_t build;
    uint8_t minor;
    uint8_t major;
};

struct report {
    uint32_t version;
    uint32_t guest_svn;
    uint64_t policy;
    uint8_t family_id[16];
    uint8_t image_id[16];
    uint32_t vmpl;
    uint32_t signature_algo;
    uint64_t current_tcb;
    uint64_t platform_info;
    uint32_t key_info;
    uint8_t report_data[64];
    uint8_t measurement[48];
    uint8_t host_data[32];
    uint8_t id_key_digest[48];
    uint8_t author_key_digest[48];
    uint8_t report_id[32];
    uint8_t report_id_ma[32];
    uint64_t reported_tcb;
    uint8_t cpuid_family; /* zero in version 2, like the next two */
    uint8_t cpuid_model;
    uint8_t cpuid_stepping;
    uint8_t chip_id[64];
    uint64_t committed_tcb;
    struct report_firmware current;
    struct report_firmware committed;
    uint64_t launch_tcb;
    uint64_t launch_mit_vector; /* version 5 and later, else zero */
    uint64_t current_mit_vector;
    uint8_t signature_r[REPORT_SCALAR_SIZE]; /* little endian */
    uint8_t signature_s[REPORT_SCALAR_SIZE];
    bool reserved_set; /* a reserved byte of a known version is not zero */
    bool tail_set;     /* a byte behind the signature, which nothing signs, is not zero */
};

/* Exactly TEE_REPORT_SIZE bytes; versions before 2 are refused, those after 5 are read as 5. */
struct error *report_parse(const void *data, size_t size, struct report *ret_report) _must_check_;

bool report_version_is_known(uint32_t version);
static inline bool report_has_cpuid(const struct report *report)
{
    return report->version >= 3;
}
static inline bool report_author_key_is_enabled(const struct report *report)
{
    return report->key_info & 1;
}
static inline bool report_chip_key_is_masked(const struct report *report)
{
    return report->key_info & 2;
}
static inline uint32_t report_signing_key(const struct report *report)
{
    return report->key_info >> 2 & 7;
}

/* The code (verify_codes) of the format rule that is broken, or NULL. */
const char *report_format_problem(const struct report *report, bool accept_reserved);

/* From CPUID; version 2 has none: then UNKNOWN. */
enum snp_product report_product(const struct report *report);
