#include "services/scheduler/allowance.h"

#include <inttypes.h>

bool usage_counts(const Coffer__V1__Workload *workload)
{
    return workload->status != COFFER__V1__WORKLOAD_STATUS__STOPPED &&
           workload->status != COFFER__V1__WORKLOAD_STATUS__DELETED;
}

void usage_add(struct usage *usage, const Coffer__V1__Resources *resources,
               uint64_t usd_micros_per_minute)
{
    usage->workloads++;
    usage->usd_micros_per_minute += usd_micros_per_minute;
    if (!resources)
        return;
    usage->cpus += resources->cpus;
    usage->memory_mib += resources->memory_mib;
    usage->disk_gib += resources->disk_gib;
    usage->gpus += resources->gpus;
}

static struct error *read_usage(struct scheduler *scheduler, const char *account_id,
                                struct arena *arena, struct usage *ret_usage)
{
    struct usage usage = {0};
    void **workloads;
    uint64_t *versions;
    size_t n;
    struct error *err = records_load_all(
        scheduler, arena_printf(arena, "%s%s", KEY_WORKLOADS_OF, account_id), KEY_WORKLOAD,
        &coffer__v1__workload__descriptor, WORKLOADS_MAX, arena, &workloads, &versions, &n);

    if (err)
        return error_wrap(err, "what account '%s' uses", account_id);
    for (size_t i = 0; i < n; i++) {
        const Coffer__V1__Workload *workload = workloads[i];
        if (usage_counts(workload))
            usage_add(&usage, workload->resources, workload->usd_micros_per_minute);
    }
    *ret_usage = usage;
    return NULL;
}

struct error *usage_load(struct scheduler *scheduler, const char *account_id, struct arena *arena,
                         struct usage *ret_usage)
{
    int64_t now_ms = clock_monotonic_ms(scheduler->clock);

    if (ledger_find(&scheduler->ledger, account_id, now_ms, ret_usage))
        return NULL;
    const struct ledger_reading reading = ledger_begin_reading(&scheduler->ledger);
    struct error *err = read_usage(scheduler, account_id, arena, ret_usage);
    if (!err)
        ledger_remember(&scheduler->ledger, reading, account_id, ret_usage, now_ms);
    return err;
}

static struct error *check_cost(const struct usage *usage, const Coffer__V1__Allowance *allowance)
{
    if (!allowance->limits_cost || usage->usd_micros_per_minute <= allowance->usd_micros_per_minute)
        return NULL;
    struct error *err = error_new(ERROR_FAILED_PRECONDITION,
                                  "the account's balance covers %" PRIu64
                                  " millionths of a USD a minute, not %" PRIu64,
                                  allowance->usd_micros_per_minute, usage->usd_micros_per_minute);
    return error_set_reason(err, "no_balance");
}

struct error *usage_check(const struct usage *usage, uint64_t usd_micros_per_minute,
                          const Coffer__V1__Allowance *allowance)
{
    if (!allowance)
        return NULL;
    const struct {
        const char *what;
        uint64_t used;
        uint64_t most; /* 0: no limit */
    } rows[] = {
        {"workloads", usage->workloads, allowance->workloads},
        {"cpus", usage->cpus, allowance->cpus},
        {"MiB of memory", usage->memory_mib, allowance->memory_mib},
        {"GiB of disk", usage->disk_gib, allowance->disk_gib},
        {"gpus", usage->gpus, allowance->gpus},
    };
    for (size_t i = 0; i < ELEMENTSOF(rows); i++)
        if (rows[i].most && rows[i].used > rows[i].most) {
            struct error *err =
                error_new(ERROR_FAILED_PRECONDITION,
                          "the account may have %" PRIu64 " %s at a time, this makes it %" PRIu64,
                          rows[i].most, rows[i].what, rows[i].used);
            return error_set_reason(err, "over_quota");
        }
    return usd_micros_per_minute ? check_cost(usage, allowance) : NULL;
}

struct error *allowance_check(struct scheduler *scheduler, const Coffer__V1__Workload *workload,
                              const Coffer__V1__Allowance *allowance, struct arena *arena)
{
    struct usage usage;

    if (!allowance)
        return NULL;
    struct error *err = usage_load(scheduler, workload->account_id, arena, &usage);
    if (err)
        return err;
    if (!usage_counts(workload))
        usage_add(&usage, workload->resources, workload->usd_micros_per_minute);
    return usage_check(&usage, workload->usd_micros_per_minute, allowance);
}
