/*
 * Reference values of NVIDIA's driver and VBIOS: RIM files (TCG PC Client RIM as a SWID tag,
 * ISO/IEC 19770-2, with an enveloped XML signature). The whole XML world is made small first: no
 * DTD, no entities, no network, one signature over the whole document with one set of algorithms.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/nvidia/spdm.h"
#include "shared/nvidia/x509_path.h"

#define RIM_SIZE_MAX         (256 * 1024)
#define RIM_ALTERNATIVES_MAX 16
#define RIM_HASH_SIZE        48
#define RIM_TEXT_SIZE        32

struct rim_measurement {
    bool active;
    size_t n; /* alternatives: any one of them is right */
    uint8_t alternatives[RIM_ALTERNATIVES_MAX][RIM_HASH_SIZE];
};

struct rim {
    /* Why its measurements are not to be used, or NULL. Then product and version are only claims,
     * and no measurement is active. A static text. */
    const char *problem;
    char product[RIM_TEXT_SIZE]; /* "GH100" */
    char version[RIM_TEXT_SIZE]; /* "550.144.03", "96.00.5E.00.01" */
    size_t n_active;
    struct rim_measurement measurements[SPDM_MEASUREMENTS_MAX]; /* by SPDM block index - 1 */
    struct x509_path signer;                                    /* its dates: x509_path_in_date() */
};

/* Reads a RIM file and checks its signer's chain to the root with this SHA-256 fingerprint, then
 * the signature with the key of that chain's leaf. INVALID_ARGUMENT: not a RIM file at all. A RIM
 * that is one but not NVIDIA's comes back with its problem. Caller frees. Any thread. */
struct error *rim_open(const void *xml, size_t size,
                       const uint8_t root_fingerprint[X509_PATH_FINGERPRINT],
                       struct rim **ret_rim) _must_check_;
void rim_free(struct rim *rim);
DEFINE_CLEANUP(struct rim *, rim_free)
