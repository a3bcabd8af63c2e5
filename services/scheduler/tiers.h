/*
 * Sizes that can be had, and what they cost. While there is none, any size may be created, for
 * nothing; as soon as there is one, a create must match one exactly. What a workload costs is
 * copied into it when it is created: later changes of the tier do not reach it.
 */
#pragma once

#include "schemas/catalog.pb-c.h"
#include "services/scheduler/records.h"

/*
 * Of each: a request that was done already (done_request.h) is answered as it was, and nothing is
 * judged again. ABORTED, reason if_match: the record of all tiers is not what the caller believes.
 *
 * INVALID_ARGUMENT says what is wrong; ALREADY_EXISTS: another tier has that size, and a create
 * could not tell which one it pays, or one that is otherwise has the id; FAILED_PRECONDITION: too
 * many. With an id, a repeated create gives the tier that there is; without, one is made. The
 * times of *wanted are not looked at. What is returned lives in the arena; audited: the entry that
 * came with it is in the audit trail.
 */
struct error *tier_create(struct scheduler *scheduler, const Coffer__V1__WorkloadTier *wanted,
                          struct arena *arena, Coffer__V1__WorkloadTier **ret_tier) _must_check_;

/* Replaces name, size and cost of the tier with that id; also NOT_FOUND. */
struct error *tier_update(struct scheduler *scheduler, const Coffer__V1__WorkloadTier *wanted,
                          struct arena *arena, Coffer__V1__WorkloadTier **ret_tier) _must_check_;

/* NOT_FOUND when there is none. */
struct error *tier_delete(struct scheduler *scheduler,
                          const Coffer__V1__WorkloadTierRequest *request, struct arena *arena,
                          bool *ret_audited) _must_check_;

/* The tier of exactly this size. NULL: there are no tiers. OUT_OF_RANGE, reason "no_tier": there
 * are, and none has this size. */
struct error *tier_match(struct scheduler *scheduler, const Coffer__V1__Resources *resources,
                         struct arena *arena, Coffer__V1__WorkloadTier **ret_tier) _must_check_;

/* The same in two steps, of the record of KEY_TIERS. *ret_all is never NULL. */
struct error *tiers_read(const struct store_record *record, struct arena *arena,
                         Coffer__V1__WorkloadTiers **ret_all) _must_check_;
struct error *tier_find(const Coffer__V1__WorkloadTiers *all,
                        const Coffer__V1__Resources *resources,
                        Coffer__V1__WorkloadTier **ret_tier) _must_check_;
