#include "services/api-gateway/quota.h"

#include <assert.h>

static const struct row {
    const char *name;
    uint64_t max; /* what the scheduler can be told */
} rows[] = {
    {"maxWorkloads", UINT32_MAX}, {"maxCpus", UINT32_MAX}, {"maxMemoryMb", INT64_MAX},
    {"maxDiskGb", INT64_MAX},     {"maxGpus", UINT32_MAX},
};

static struct quota quota_of(const uint64_t numbers[ELEMENTSOF(rows)])
{
    return (struct quota){.workloads = (uint32_t)numbers[0],
                          .cpus = (uint32_t)numbers[1],
                          .memory_mib = numbers[2],
                          .disk_gib = numbers[3],
                          .gpus = (uint32_t)numbers[4]};
}

json_t *quota_to_json(const struct quota *quota)
{
    const uint64_t numbers[] = {quota->workloads, quota->cpus, quota->memory_mib, quota->disk_gib,
                                quota->gpus};
    json_t *json = json_object();

    static_assert(ELEMENTSOF(numbers) == ELEMENTSOF(rows), "one number a row");
    for (size_t i = 0; i < ELEMENTSOF(rows); i++)
        json_object_set_new(json, rows[i].name, json_integer((json_int_t)numbers[i]));
    return json;
}

struct quota quota_from_json(const json_t *json)
{
    uint64_t numbers[ELEMENTSOF(rows)];

    for (size_t i = 0; i < ELEMENTSOF(rows); i++)
        numbers[i] = (uint64_t)json_integer_value(json_object_get(json, rows[i].name));
    return quota_of(numbers);
}

bool quota_read(struct form *form, struct quota *ret_quota)
{
    const json_t *json = form_member(form, "quota", JSON_OBJECT, ELEMENTSOF(rows));
    uint64_t numbers[ELEMENTSOF(rows)];
    struct form members;

    if (!json)
        return false;
    form_init(&members, form->request, json);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++)
        numbers[i] = form_uint(&members, rows[i].name, 0, rows[i].max, 0);
    form_finish(&members);
    *ret_quota = quota_of(numbers);
    return true;
}
