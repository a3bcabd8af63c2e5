/*
 * What an account uses at a time, and whether more is within what the gateway allows it. All its
 * workloads count that are neither stopped nor deleted.
 */
#pragma once

#include "services/scheduler/records.h"

/* Of all that counts; from memory where it is known. */
struct error *usage_load(struct scheduler *scheduler, const char *account_id, struct arena *arena,
                         struct usage *ret_usage) _must_check_;

/* Whether a workload with this record counts now. */
bool usage_counts(const Coffer__V1__Workload *workload);

void usage_add(struct usage *usage, const Coffer__V1__Resources *resources,
               uint64_t usd_micros_per_minute);

/* For one more with this price; what has none needs no balance. FAILED_PRECONDITION with reason
 * "no_balance" or "over_quota". NULL allows everything. */
struct error *usage_check(const struct usage *usage, uint64_t usd_micros_per_minute,
                          const Coffer__V1__Allowance *allowance) _must_check_;

/* Load, add unless it counts already, and check, for a workload that is about to run (again). NULL:
 * nothing is looked at. */
struct error *allowance_check(struct scheduler *scheduler, const Coffer__V1__Workload *workload,
                              const Coffer__V1__Allowance *allowance,
                              struct arena *arena) _must_check_;
