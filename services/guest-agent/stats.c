#include "services/guest-agent/stats.h"

#include <sys/statvfs.h>

#include "shared/base/alloc.h"
#include "shared/base/file.h"

enum { PROC_MAX = 1024 * 1024 };

static struct error *read_proc(const char *proc, const char *name, char **ret_text)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", proc, name);

    return file_read_text(path, PROC_MAX, ret_text);
}

static uint64_t meminfo_kib(const char *text, const char *field)
{
    const char *at = strstr(text, field);

    return at ? strtoull(at + strlen(field), NULL, 10) : 0;
}

static struct error *read_memory(struct stats *stats, const char *proc)
{
    _cleanup_free_ char *text = NULL;
    struct error *err = read_proc(proc, "meminfo", &text);

    if (err)
        return err;
    uint64_t total = meminfo_kib(text, "MemTotal:");
    uint64_t available = meminfo_kib(text, "MemAvailable:");
    stats->memory_total_bytes = total * 1024;
    stats->memory_used_bytes = available < total ? (total - available) * 1024 : 0;
    return NULL;
}

/* proc(5), /proc/stat: user nice system idle iowait irq softirq steal. */
static void read_cpu_line(const char *line, struct stats_cpu *cpu)
{
    unsigned long long v[8] = {0};
    uint64_t total = 0;

    sscanf(line, "%15s %llu %llu %llu %llu %llu %llu %llu %llu", cpu->name, &v[0], &v[1], &v[2],
           &v[3], &v[4], &v[5], &v[6], &v[7]);
    for (size_t i = 0; i < ELEMENTSOF(v); i++)
        total += v[i];
    uint64_t busy = total - v[3] - v[4];
    uint64_t passed = total - cpu->total;
    uint64_t worked = busy - cpu->busy;
    cpu->usage_percent = cpu->total && passed ? 100.0 * (double)worked / (double)passed : 0;
    if (cpu->usage_percent > 100)
        cpu->usage_percent = 100;
    cpu->busy = busy;
    cpu->total = total;
}

static struct error *read_cpus(struct stats *stats, const char *proc)
{
    _cleanup_free_ char *text = NULL;
    struct error *err = read_proc(proc, "stat", &text);
    size_t n = 0;

    if (err)
        return err;
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, "cpu", 3) != 0 || line[3] < '0' || line[3] > '9' || n == STATS_CPUS_MAX)
            continue;
        if (n == stats->n_cpus) {
            stats->cpus = xrealloc_array(stats->cpus, n + 1, sizeof(*stats->cpus));
            stats->cpus[n] = (struct stats_cpu){0};
            stats->n_cpus++;
        }
        read_cpu_line(line, &stats->cpus[n++]);
    }
    return NULL;
}

static void read_frequencies(struct stats *stats, const char *proc)
{
    _cleanup_free_ char *text = NULL;
    struct error *err = read_proc(proc, "cpuinfo", &text);
    size_t n = 0;

    if (err) {
        error_free(err);
        return;
    }
    for (const char *at = strstr(text, "cpu MHz"); at && n < stats->n_cpus;
         at = strstr(at + 1, "cpu MHz")) {
        const char *colon = strchr(at, ':');
        stats->cpus[n++].frequency_mhz = colon ? (uint64_t)strtod(colon + 1, NULL) : 0;
    }
}

static bool is_storage(const char *device, const char *filesystem)
{
    static const char *const types[] = {"ext4",  "ext3",     "xfs", "btrfs",
                                        "erofs", "squashfs", "f2fs"};

    if (device[0] != '/')
        return false;
    for (size_t i = 0; i < ELEMENTSOF(types); i++) {
        if (strcmp(filesystem, types[i]) == 0)
            return true;
    }
    return false;
}

/* The same device mounted again, as containers do, is no other disk. */
static bool is_known(const struct stats *stats, const char *device)
{
    for (size_t i = 0; i < stats->n_disks; i++) {
        if (strcmp(stats->disks[i].name, device) == 0)
            return true;
    }
    return false;
}

static void read_disk_line(struct stats *stats, const char *line)
{
    struct stats_disk disk = {0};
    struct statvfs info;

    if (sscanf(line, "%63s %127s %31s", disk.name, disk.mount_point, disk.filesystem) != 3)
        return;
    if (!is_storage(disk.name, disk.filesystem) || is_known(stats, disk.name))
        return;
    if (statvfs(disk.mount_point, &info) < 0)
        return;
    disk.size_bytes = (uint64_t)info.f_blocks * info.f_frsize;
    disk.used_bytes = (uint64_t)(info.f_blocks - info.f_bfree) * info.f_frsize;
    stats->disks[stats->n_disks++] = disk;
}

static struct error *read_disks(struct stats *stats, const char *proc)
{
    _cleanup_free_ char *text = NULL;
    struct error *err = read_proc(proc, "self/mounts", &text);

    if (err)
        return err;
    stats->n_disks = 0;
    for (const char *line = text; line && stats->n_disks < STATS_DISKS_MAX;
         line = strchr(line, '\n')) {
        line += *line == '\n';
        read_disk_line(stats, line);
    }
    return NULL;
}

struct error *stats_read(struct stats *stats, const char *proc)
{
    struct error *err = read_memory(stats, proc);

    if (!err)
        err = read_cpus(stats, proc);
    if (!err)
        err = read_disks(stats, proc);
    if (!err)
        read_frequencies(stats, proc);
    return error_wrap(err, "read statistics");
}

void stats_done(struct stats *stats)
{
    free(stats->cpus);
    *stats = (struct stats){0};
}
