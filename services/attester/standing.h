/* The report without a nonce: the existing system's form, kept until the TLS key changes. */
#pragma once

#include "services/attester/desk.h"
#include "services/attester/evidence.h"
#include "services/attester/live_key.h"

struct standing;

/* Neither maker nor key is owned. */
struct standing *standing_new(struct evidence_maker *maker, struct live_key *key);
void standing_free(struct standing *standing);
DEFINE_CLEANUP(struct standing *, standing_free)

/* Makes the report when there is none for the live key; true in *ret_new when it did. */
struct error *standing_refresh(struct standing *standing, bool *ret_new) _must_check_;

/* Of a desk whose context is a struct standing: the answer for the key that is live when it is
 * made; never one for an older key. */
desk_serve standing_serve;
