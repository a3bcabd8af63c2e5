/* What an account may have at a time: set by the global admin, judged by the scheduler, which
 * counts all workloads that are not stopped or deleted. */
#pragma once

#include "services/api-gateway/form.h"

/* 0: no limit. */
struct quota {
    uint32_t workloads;
    uint32_t cpus;
    uint64_t memory_mib;
    uint64_t disk_gib;
    uint32_t gpus;
};

/* {"maxWorkloads", "maxCpus", "maxMemoryMb", "maxDiskGb", "maxGpus"}, as answered and as kept. */
json_t *quota_to_json(const struct quota *quota); /* new reference */

/* What quota_to_json() gave; NULL, and what is not in it: no limit. */
struct quota quota_from_json(const json_t *json);

/* The field "quota": false when it is not there, findings for what is wrong in it. What it leaves
 * out has no limit. */
bool quota_read(struct form *form, struct quota *ret_quota);
