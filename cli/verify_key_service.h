/* What the evidence lacks, and what was revoked, from AMD's key service and the cache of its
 * answers. */
#pragma once

#include "cli/verify_answer.h"
#include "cli/verify_reference.h"

struct verify_key_service {
    const char *url; /* NULL: offline, only the cache */
    bool allow_http; /* of a test */
};

/*
 * Adds chain and revocation list to reference->extra, whatever the answer carries: the prover does
 * not choose the list. Of a report signed by a VCEK also that, when neither the answer nor --certs
 * has the report's own. The cache (coffer/collateral below XDG_CACHE_HOME or ~/.cache) serves as
 * collateral.h says. Never fails: extra.note tells what came from where, and what could not be had;
 * the verifier judges what is there.
 */
void verify_key_service_ask(struct verify_reference *reference, const struct verify_answer *answer,
                            const struct verify_key_service *service);

/* Where answers are kept; NULL: there is no home. Caller frees. */
char *verify_key_service_cache_dir(void);
