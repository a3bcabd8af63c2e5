#include "services/host-agent/inventory.h"

#include <inttypes.h>
#include <sys/statvfs.h>

#include "shared/base/alloc.h"
#include "shared/base/file.h"

#define HOST_MEMORY_MIB 1024
#define HOST_DISK_GIB   5

static struct error *read_proc(const char *root, const char *name, char **ret_text)
{
    _cleanup_free_ char *path = xasprintf("%s/proc/%s", root, name);

    return file_read_text(path, 64 * 1024, ret_text);
}

/* proc(5): "MemTotal:       16384 kB" */
static uint64_t meminfo_bytes(const char *text, const char *name)
{
    const char *line = strstr(text, name);
    uint64_t kib = 0;

    if (line && sscanf(line + strlen(name), ": %" SCNu64, &kib) == 1)
        return kib * 1024;
    return 0;
}

static struct error *read_memory(const char *root, uint64_t *ret_total, uint64_t *ret_used)
{
    _cleanup_free_ char *text = NULL;
    struct error *err = read_proc(root, "meminfo", &text);

    if (err)
        return err;
    uint64_t total = meminfo_bytes(text, "MemTotal");
    uint64_t available = meminfo_bytes(text, "MemAvailable");
    if (!total || available > total)
        return error_new(ERROR_INTERNAL, "meminfo has no usable MemTotal");
    *ret_total = total;
    *ret_used = total - available;
    return NULL;
}

static struct error *read_disk(const char *state_dir, uint64_t *ret_total, uint64_t *ret_used)
{
    struct statvfs fs;

    if (statvfs(state_dir, &fs) < 0)
        return error_errno(errno, "statvfs '%s'", state_dir);
    *ret_total = (uint64_t)fs.f_blocks * fs.f_frsize;
    *ret_used = (uint64_t)(fs.f_blocks - fs.f_bfree) * fs.f_frsize;
    return NULL;
}

struct error *inventory_read(const char *root, const char *state_dir,
                             const struct inventory_limits *limits, struct inventory *ret_inventory)
{
    uint64_t memory, memory_used, disk, disk_used;
    struct error *err = read_memory(root, &memory, &memory_used);

    if (!err)
        err = read_disk(state_dir, &disk, &disk_used);
    if (err)
        return err;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    *ret_inventory = (struct inventory){
        .cpus = limits->cpus ? (uint32_t)limits->cpus : (uint32_t)(cpus > 0 ? cpus : 1),
        .memory_mib = limits->memory_mib ? limits->memory_mib : memory >> 20,
        .disk_gib = limits->disk_gib ? limits->disk_gib : disk >> 30,
        .reserved_memory_mib = limits->memory_mib ? 0 : HOST_MEMORY_MIB,
        .reserved_disk_gib = limits->disk_gib ? 0 : HOST_DISK_GIB,
    };
    return NULL;
}

struct error *inventory_sample(const char *root, const char *state_dir,
                               struct host_sample *ret_sample)
{
    _cleanup_free_ char *text = NULL;
    struct host_sample sample = {0};
    struct error *err = read_proc(root, "loadavg", &text);

    if (!err && sscanf(text, "%lf", &sample.load1) != 1)
        err = error_new(ERROR_INTERNAL, "loadavg has no number");
    if (!err)
        err = read_memory(root, &sample.memory_total, &sample.memory_used);
    if (!err)
        err = read_disk(state_dir, &sample.disk_total, &sample.disk_used);
    if (!err)
        *ret_sample = sample;
    return err;
}
