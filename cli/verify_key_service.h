/* What the evidence lacks, from AMD's key service or the cache of its answers. */
#pragma once

#include "cli/verify_answer.h"
#include "cli/verify_reference.h"

/*
 * Adds the chip's certificates and the revocation list to reference->extra when neither the answer
 * nor --certs has them, and the roots are AMD's. offline: only from the cache, which is
 * coffer/collateral below XDG_CACHE_HOME or ~/.cache. Never fails: what could not be had is told in
 * extra.note, and the verifier cannot tell then.
 */
void verify_key_service_ask(struct verify_reference *reference, const struct verify_answer *answer,
                            bool offline);
