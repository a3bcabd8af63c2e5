/*
 * The newest revocation lists that this platform has seen. Evidence brings its own list, so who
 * brings it could choose an older one that is still in date and does not name a revoked key yet.
 */
#pragma once

#include "services/scheduler/records.h"

/*
 * Remembers the list of the evidence's table when it is the root's own and newer than what is
 * remembered, and judges the report's chain by all that are: *ret_problem (static) says that one of
 * them names a key of the chain, else NULL. An older list is not refused for its age: hosts do not
 * fetch at the same time. What is remembered never makes up for a list that is missing or bad.
 */
struct error *revocation_check(struct scheduler *scheduler, const struct trust_roots *roots,
                               const Coffer__V1__Evidence *evidence, struct arena *arena,
                               const char **ret_problem) _must_check_;
