/*
 * Fresh evidence for many callers: the processor answers about once in two seconds, so the nonces
 * that wait meanwhile share the next report under a Merkle root.
 */
#pragma once

#include "services/attester/desk.h"
#include "services/attester/evidence.h"
#include "services/attester/live_key.h"

struct batch {
    struct evidence_maker *maker; /* not owned, like the key */
    struct live_key *key;
};

/*
 * Of a desk whose context is a struct batch: evidence for each nonce, bound to the key that is live
 * at its end. UNAVAILABLE when TEE or proxy do not answer.
 */
desk_serve batch_serve;
