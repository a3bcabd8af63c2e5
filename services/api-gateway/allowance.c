#include "services/api-gateway/allowance.h"

enum { MINUTES_AHEAD = 5, LEFT_OVER_MICRO = 10000 };

Coffer__V1__Allowance *allowance_of(const struct account *account, struct arena *arena)
{
    Coffer__V1__Allowance *allowance = arena_alloc(arena, sizeof(*allowance));
    int64_t spendable = account->balance_micro - LEFT_OVER_MICRO;

    coffer__v1__allowance__init(allowance);
    allowance->limits_cost = true;
    allowance->usd_micros_per_minute = spendable > 0 ? (uint64_t)spendable / MINUTES_AHEAD : 0;
    allowance->workloads = account->quota.workloads;
    allowance->cpus = account->quota.cpus;
    allowance->memory_mib = account->quota.memory_mib;
    allowance->disk_gib = account->quota.disk_gib;
    allowance->gpus = account->quota.gpus;
    return allowance;
}

struct error *allowance_load(struct request *request, Coffer__V1__Allowance **ret_allowance)
{
    struct account account;
    struct error *err = account_load(request, request->account, &account);

    if (!err)
        *ret_allowance = allowance_of(&account, request->arena);
    return error_wrap(err, "account");
}
