/* Inside of struct verify_cache (verifier.h). */
#pragma once

#include "shared/attestation/chain.h"

/* The chain for this input, made when it is not there; lives with the cache until the next call.
 * NULL: the cache is for other roots. */
const struct chain *verify_cache_get(struct verify_cache *cache, const struct chain_input *input);
