/*
 * The release authority (DESIGN section 6): hands a boot its number and a nonce, appraises its
 * evidence, and only then gives out the secrets, sealed to a key that exists only in that guest.
 */
#pragma once

#include "services/scheduler/records.h"

#define NONCE_SIZE    32
#define NONCE_LIFE_MS (60 * 1000)

/* boot.<h>.<w>.challenge. PERMISSION_DENIED: not this host's workload; FAILED_PRECONDITION: it is
 * of another generation, or should not boot now. */
struct error *release_challenge(struct scheduler *scheduler, const char *host_id,
                                const char *workload_id,
                                const Coffer__V1__ChallengeRequest *request, struct arena *arena,
                                Coffer__V1__ChallengeReply *reply) _must_check_;

/*
 * boot.<h>.<w>.attest. PERMISSION_DENIED names the check that failed, and so does an event of the
 * workload; a boot that was refused stays refused. A first release is for a workload that starts,
 * within its deadline and the nonce's life: UNAVAILABLE while it waits for its host,
 * FAILED_PRECONDITION in any other status. The same boot number and guest keys again get an equally
 * good answer as long as that boot lives.
 */
struct error *release_attest(struct scheduler *scheduler, const char *host_id,
                             const char *workload_id, const Coffer__V1__AttestRequest *request,
                             struct arena *arena, Coffer__V1__AttestReply *reply) _must_check_;
