/*
 * What an account uses at a time, and whether more is within what the gateway allows it. All its
 * workloads count that are neither stopped nor deleted.
 */
#pragma once

#include "services/scheduler/records.h"

struct usage {
    uint64_t usd_micros_per_minute;
    uint64_t workloads;
    uint64_t cpus;
    uint64_t memory_mib;
    uint64_t disk_gib;
    uint64_t gpus;
};

/* Of all its workloads but that one ("": of all). */
struct error *usage_load(struct scheduler *scheduler, const char *account_id, const char *except_id,
                         struct arena *arena, struct usage *ret_usage) _must_check_;

void usage_add(struct usage *usage, const Coffer__V1__Resources *resources,
               uint64_t usd_micros_per_minute);

/* FAILED_PRECONDITION with reason "no_balance" or "over_quota". NULL allows everything. */
struct error *usage_check(const struct usage *usage,
                          const Coffer__V1__Allowance *allowance) _must_check_;

/* The three above for a workload that is about to run (again). NULL: nothing is looked at. */
struct error *allowance_check(struct scheduler *scheduler, const Coffer__V1__Workload *workload,
                              const Coffer__V1__Allowance *allowance,
                              struct arena *arena) _must_check_;
