#include "shared/nvidia/devices.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/alloc.h"

struct devices_nvml {
    struct devices base;
    struct nvml *nvml;
};

static struct error *collect(struct devices *devices, const uint8_t root[32],
                             const uint8_t key_hash[32], struct gpu_evidence_list *ret_list)
{
    return nvml_collect(((struct devices_nvml *)devices)->nvml, root, key_hash, ret_list);
}

static struct error *set_ready(struct devices *devices, bool ready)
{
    return nvml_set_ready(((struct devices_nvml *)devices)->nvml, ready);
}

static void devices_nvml_free(struct devices *devices)
{
    nvml_close(((struct devices_nvml *)devices)->nvml);
    free(devices);
}

struct error *devices_open(const char *name, const char *library, struct devices **ret_devices)
{
    static const struct devices_ops ops = {collect, set_ready, devices_nvml_free};
    struct nvml *nvml = NULL;

    *ret_devices = NULL;
    if (strcmp(name, "none") == 0)
        return NULL;
    if (strcmp(name, "nvml") != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "unknown kind of GPUs '%s'", name);
    struct error *err = nvml_open(library, &nvml);
    if (err)
        return err;
    struct devices_nvml *devices = xnew(struct devices_nvml);
    devices->base.ops = &ops;
    devices->nvml = nvml;
    *ret_devices = &devices->base;
    return NULL;
}
