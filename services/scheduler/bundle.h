/* The sealed bundle: what a verified guest gets (schemas/boot.proto). */
#pragma once

#include "services/scheduler/records.h"

/* Opens the stored secrets, seals the bundle to the guest's box key and signs it; fills the reply,
 * whose memory is the arena's (which wipes what it held). ABORTED: the workload is of another
 * generation or boot by now. */
struct error *bundle_make(struct scheduler *scheduler, const Coffer__V1__Workload *workload,
                          const Coffer__V1__AttestRequest *request, struct arena *arena,
                          Coffer__V1__AttestReply *reply) _must_check_;
