/* A guest's /sys and /dev in a folder, and its GPUs behind the stand-in for NVML. */
#pragma once

#include <stdlib.h>

#include "services/guest-agent/gpus.h"
#include "services/guest-agent/test_support.h"
#include "shared/base/file.h"
#include "shared/nvidia/test_guest_gpus.h"

#define VENDOR "0x10de\n"
#define CLASS  "0x030200\n" /* 3D controller */

struct machine {
    char dir[64];
    char *sys, *dev, *rims;
    struct gpus_options options; /* auto, of this folder */
};

static inline void machine_put(const struct machine *machine, const char *name, const char *content)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", machine->dir, name);
    _cleanup_free_ char *folder = xstrdup(path);

    *strrchr(folder, '/') = '\0';
    support_check(dir_make(folder, 0700));
    support_check(file_write_atomic(path, content, strlen(content), 0600));
}

static inline void machine_take_away(const struct machine *machine, const char *name)
{
    _cleanup_free_ char *command = xasprintf("rm -r '%s/%s'", machine->dir, name);

    assert_int_equal(system(command), 0);
}

static inline void machine_put_pci(const struct machine *machine, const char *address,
                                   const char *vendor, const char *class)
{
    _cleanup_free_ char *vendor_path = xasprintf("sys/bus/pci/devices/%s/vendor", address);
    _cleanup_free_ char *class_path = xasprintf("sys/bus/pci/devices/%s/class", address);

    machine_put(machine, vendor_path, vendor);
    machine_put(machine, class_path, class);
}

/* A virtio disk, so many GPUs and their nodes; no reference values. */
static inline void machine_init(struct machine *machine, const struct test_guest_gpus *gpus,
                                size_t n)
{
    *machine = (struct machine){.dir = "/tmp/test_machine.XXXXXX"};
    assert_non_null(mkdtemp(machine->dir));
    machine->sys = xasprintf("%s/sys", machine->dir);
    machine->dev = xasprintf("%s/dev", machine->dir);
    machine->rims = xasprintf("%s/rims", machine->dir);
    machine->options = (struct gpus_options){.mode = "auto",
                                             .sys = machine->sys,
                                             .dev = machine->dev,
                                             .rims = machine->rims,
                                             .library = FAKE_NVML,
                                             .roots = &gpus->mint.roots};
    machine_put_pci(machine, "0000:00:01.0", "0x1af4\n", "0x010000\n");
    machine_put(machine, "dev/null", "");
    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *address = xasprintf("0000:0%zu:00.0", i + 1);
        _cleanup_free_ char *node = xasprintf("dev/nvidia%zu", i);
        machine_put_pci(machine, address, VENDOR, CLASS);
        machine_put(machine, node, "");
    }
    if (n)
        machine_put(machine, "dev/nvidiactl", "");
}

static inline void machine_done(struct machine *machine)
{
    machine_take_away(machine, "");
    free(machine->sys);
    free(machine->dev);
    free(machine->rims);
}
