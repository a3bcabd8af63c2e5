/* What is at hand beside the evidence: certificates and revocation lists from a folder, and from
 * the key service (verify_key_service.h). All of it is untrusted. */
#pragma once

#include "cli/verify_options.h"
#include "shared/attestation/verifier.h"
#include "shared/base/arena.h"
#include "shared/base/error.h"

/* Of each, from a folder: the key service's VCEK, chain and list must find room beside them. */
#define VERIFY_FOLDER_MAX (VERIFY_COLLATERAL_MAX - 3)

struct verify_extra {
    struct certificate_view certificates[VERIFY_COLLATERAL_MAX];
    struct certificate_view crls[VERIFY_COLLATERAL_MAX];
    struct verify_collateral collateral; /* of these */
    const char *note; /* of the key service: what came whence and what not; or NULL */
};

/* Every file in dir that ends in .der, .crt, .cer, .pem or .crl; bytes live in arena. NOT_FOUND, or
 * INVALID_ARGUMENT for a file that is neither a certificate nor a CRL; RESOURCE_EXHAUSTED. */
struct error *verify_extra_load(const char *dir, struct arena *arena,
                                struct verify_extra *extra) _must_check_;
