#include "services/api-gateway/allowance.h"

#include "services/api-gateway/auth_cache.h"

enum { MINUTES_AHEAD = 5, LEFT_OVER_MICRO = 10000 };

Coffer__V1__Allowance *allowance_of(int64_t balance_micro, const struct quota *quota,
                                    struct arena *arena)
{
    Coffer__V1__Allowance *allowance = arena_alloc(arena, sizeof(*allowance));
    int64_t spendable = balance_micro - LEFT_OVER_MICRO;

    coffer__v1__allowance__init(allowance);
    allowance->limits_cost = true;
    allowance->usd_micros_per_minute = spendable > 0 ? (uint64_t)spendable / MINUTES_AHEAD : 0;
    allowance->workloads = quota->workloads;
    allowance->cpus = quota->cpus;
    allowance->memory_mib = quota->memory_mib;
    allowance->disk_gib = quota->disk_gib;
    allowance->gpus = quota->gpus;
    return allowance;
}

struct error *allowance_load(struct request *request, Coffer__V1__Allowance **ret_allowance)
{
    struct auth_account account;
    struct error *err = auth_account_find(request, &account);

    if (!err)
        *ret_allowance = allowance_of(account.balance_micro, &account.quota, request->arena);
    return error_wrap(err, "account");
}
