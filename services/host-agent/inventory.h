/* What the machine has and how much of it is in use. */
#pragma once

#include <stdint.h>

#include "shared/base/error.h"

struct inventory_limits { /* 0: what the machine has */
    uint64_t cpus;
    uint64_t memory_mib;
    uint64_t disk_gib;
};

struct inventory {
    uint32_t cpus;
    uint64_t memory_mib;
    uint64_t disk_gib;
    uint32_t reserved_cpus; /* for the host itself; nothing where the operator set the limit */
    uint64_t reserved_memory_mib;
    uint64_t reserved_disk_gib;
};

struct host_sample {
    double load1;
    uint64_t memory_total, memory_used; /* bytes */
    uint64_t disk_total, disk_used;     /* bytes, of the file system that holds the state */
};

/* root: "" or, in a test, a folder with proc/meminfo and proc/loadavg. */
struct error *inventory_read(const char *root, const char *state_dir,
                             const struct inventory_limits *limits,
                             struct inventory *ret_inventory) _must_check_;
struct error *inventory_sample(const char *root, const char *state_dir,
                               struct host_sample *ret_sample) _must_check_;
