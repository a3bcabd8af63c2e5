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

/* AMD 56860, SEV Secure Nested Paging Firmware ABI, table ATTESTATION_REPORT: beside each member
 * its name and byte offset there. */
struct report {
    uint32_t version;          /* VERSION 000h */
    uint32_t guest_svn;        /* GUEST_SVN 004h */
    uint64_t policy;           /* POLICY 008h, table Guest Policy */
    uint8_t family_id[16];     /* FAMILY_ID 010h */
    uint8_t image_id[16];      /* IMAGE_ID 020h */
    uint32_t vmpl;             /* VMPL 030h */
    uint32_t signature_algo;   /* SIGNATURE_ALGO 034h, table Encoding for Signing Algorithms */
    uint64_t current_tcb;      /* CURRENT_TCB 038h, table TCB_VERSION */
    uint64_t platform_info;    /* PLATFORM_INFO 040h */
    uint32_t key_info;         /* AUTHOR_KEY_EN, MASK_CHIP_KEY, SIGNING_KEY 048h; 04Ch reserved */
    uint8_t report_data[64];   /* REPORT_DATA 050h */
    uint8_t measurement[48];   /* MEASUREMENT 090h */
    uint8_t host_data[32];     /* HOST_DATA 0C0h */
    uint8_t id_key_digest[48]; /* ID_KEY_DIGEST 0E0h */
    uint8_t author_key_digest[48];    /* AUTHOR_KEY_DIGEST 110h */
    uint8_t report_id[32];            /* REPORT_ID 140h */
    uint8_t report_id_ma[32];         /* REPORT_ID_MA 160h */
    uint64_t reported_tcb;            /* REPORTED_TCB 180h */
    uint8_t cpuid_family;             /* CPUID_FAM_ID 188h; version 2: zero, like the next two */
    uint8_t cpuid_model;              /* CPUID_MOD_ID 189h */
    uint8_t cpuid_stepping;           /* CPUID_STEP 18Ah; 18Bh to 19Fh reserved */
    uint8_t chip_id[64];              /* CHIP_ID 1A0h */
    uint64_t committed_tcb;           /* COMMITTED_TCB 1E0h */
    struct report_firmware current;   /* CURRENT_BUILD, _MINOR, _MAJOR 1E8h; 1EBh reserved */
    struct report_firmware committed; /* COMMITTED_BUILD, _MINOR, _MAJOR 1ECh; 1EFh reserved */
    uint64_t launch_tcb;              /* LAUNCH_TCB 1F0h */
    uint64_t launch_mit_vector;       /* LAUNCH_MIT_VECTOR 1F8h; before version 5 zero */
    uint64_t current_mit_vector;      /* CURRENT_MIT_VECTOR 200h, the same; 208h to 29Fh reserved */
    /* SIGNATURE 2A0h, table Format for an ECDSA P-384 Signature: little endian */
    uint8_t signature_r[REPORT_SCALAR_SIZE]; /* R 2A0h */
    uint8_t signature_s[REPORT_SCALAR_SIZE]; /* S 2E8h; 330h to 49Fh reserved */
    bool reserved_set;                       /* a reserved byte of a known version is not zero */
    bool tail_set; /* a byte behind the signature, which nothing signs, is not zero */
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
