/*
 * The TEE as a port: where Evidence comes from (RFC 9334: the Attesting Environment).
 * Backends: configfs-tsm (tee_configfs_tsm.c), /dev/sev-guest (tee_sev_guest.c) and, only when
 * built with TEE_SOFTWARE, the development stand-in (tee_software.c), which names itself.
 */
#pragma once

#include <stdint.h>

#include "shared/base/buffer.h"
#include "shared/base/error.h"

#define TEE_REPORT_SIZE      1184 /* SEV-SNP firmware ABI, ATTESTATION_REPORT */
#define TEE_REPORT_DATA_SIZE 64
#define TEE_CERTIFICATES_MAX (64 * 1024)

struct tee;

struct tee_evidence {
    const char *tee;      /* "sev-snp"; static */
    const char *provider; /* "configfs-tsm", "sev-guest", "software"; static */
    uint8_t report[TEE_REPORT_SIZE];
    /* Certificate table (GHCB), may be empty; host-supplied, untrusted. */
    struct buffer certificates;
};
void tee_evidence_done(struct tee_evidence *evidence);

struct tee_ops {
    const char *name;
    struct error *(*get_report)(struct tee *tee, const uint8_t report_data[TEE_REPORT_DATA_SIZE],
                                struct tee_evidence *ret_evidence);
    void (*free)(struct tee *tee);
};

struct tee {
    const struct tee_ops *ops;
};

/* name: "auto" (first that is there: configfs-tsm, sev-guest, software), or a backend's name.
 * path overrides the device or folder (tests, containers); NULL: the usual place. */
struct error *tee_open(const char *name, const char *path, struct tee **ret_tee) _must_check_;
void tee_free(struct tee *tee);
DEFINE_CLEANUP(struct tee *, tee_free)

static inline _must_check_ struct error *
tee_get_report(struct tee *tee, const uint8_t report_data[TEE_REPORT_DATA_SIZE],
               struct tee_evidence *ret_evidence)
{
    return tee->ops->get_report(tee, report_data, ret_evidence);
}

/*
 * The wire between tee_software.c in the guest and the software security processor in the
 * host-agent, over the virtio-serial channel "org.coffer.sp.0" (in the guest
 * /dev/virtio-ports/org.coffer.sp.0, opened, used and closed per report; EBUSY is retried).
 * Request:  "CSP1", u32be length = 68, report_data[64], u32be vmpl.
 * Response: "CSP1", u32be length, u32be status (0 ok), then report[1184] and the certificate table.
 */
#define TEE_SOFTWARE_CHANNEL     "org.coffer.sp.0"
#define TEE_SOFTWARE_MAGIC       "CSP1"
#define TEE_SOFTWARE_REQUEST_MAX 128
