/*
 * Fresh evidence for many callers: the processor answers about once in two seconds, so the nonces
 * that wait meanwhile share the next report under a Merkle root.
 */
#pragma once

#include <stdint.h>

#include "services/attester/evidence.h"
#include "services/attester/live_key.h"

#define BATCH_NONCES_MAX 256 /* waiting at most; also the largest batch */

struct batch;

/* Starts the worker. Neither maker nor key is owned. */
struct batch *batch_new(struct evidence_maker *maker, struct live_key *key);
/* Waiting callers get UNAVAILABLE. No caller may come after. */
void batch_free(struct batch *batch);
DEFINE_CLEANUP(struct batch *, batch_free)

/*
 * Blocks until evidence for this nonce is there, bound to the key that is live at its end.
 * RESOURCE_EXHAUSTED when too many wait; UNAVAILABLE when TEE or proxy do not answer.
 */
struct error *batch_answer(struct batch *batch, const uint8_t nonce[32],
                           struct buffer *ret_json) _must_check_;
