/* The guest's own figures from /proc and the mounted file systems. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "shared/base/error.h"

#define STATS_CPUS_MAX  256
#define STATS_DISKS_MAX 16

struct stats_cpu {
    char name[16];
    uint64_t busy; /* clock ticks since boot */
    uint64_t total;
    double usage_percent; /* since the sample before */
    uint64_t frequency_mhz;
};

struct stats_disk {
    char name[64];
    char mount_point[128];
    char filesystem[32];
    uint64_t size_bytes;
    uint64_t used_bytes;
};

/* Kept between samples: usage is what happened since the last one. */
struct stats {
    uint64_t memory_total_bytes;
    uint64_t memory_used_bytes; /* total less available */
    struct stats_cpu *cpus;
    size_t n_cpus;
    struct stats_disk disks[STATS_DISKS_MAX];
    size_t n_disks;
};

/* proc is "/proc"; tests give a folder of their own. */
struct error *stats_read(struct stats *stats, const char *proc) _must_check_;
void stats_done(struct stats *stats);
