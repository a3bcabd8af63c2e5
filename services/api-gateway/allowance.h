/* What an account's quota and balance leave for its workloads, as the scheduler is told. */
#pragma once

#include "schemas/workload.pb-c.h"
#include "services/api-gateway/accounts.h"

/*
 * Of the caller's account, in the arena. Cost: what all its workloads together may cost so that
 * the balance pays for five minutes and a cent is left: balance >= cost x 5 + 0.01 USD. The
 * scheduler looks at it only where the workload in question has a price.
 */
struct error *allowance_load(struct request *request,
                             Coffer__V1__Allowance **ret_allowance) _must_check_;

/* Of an account with that much. */
Coffer__V1__Allowance *allowance_of(int64_t balance_micro, const struct quota *quota,
                                    struct arena *arena);
