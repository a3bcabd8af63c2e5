/*
 * The VMMs whose launches are known. Where the values come from: KVM's reset state of a vCPU
 * (AMD APM volume 2, table 14-1) as each VMM changes it, seen in published measurements
 * (ATTESTATION.md section 8.3).
 */
#include "shared/attestation/launch_vmm.h"

#include <assert.h>
#include <string.h>

#include "shared/base/cleanup.h"

#define REAL(attributes)                                                                           \
    {                                                                                              \
        0, (attributes), 0xffff                                                                    \
    }
#define REAL_CODE(attributes)                                                                      \
    {                                                                                              \
        0xf000, (attributes), 0xffff                                                               \
    }
#define FLAT(selector, attributes)                                                                 \
    {                                                                                              \
        (selector), (attributes), 0xffffffff                                                       \
    }
#define RESET_VECTOR 0xfffffff0
#define REAL_CS_BASE 0xffff0000
#define CR0_ET       0x10
#define CR0_PE       0x01
#define PAT_RESET    UINT64_C(0x0007040600070406)

#define EC2(title, rdx_value)                                                                      \
    {                                                                                              \
        .name = (title), .boot_cs = REAL_CODE(0x9a), .cs = REAL_CODE(0x9b), .ss = REAL(0x92),      \
        .data = REAL(0x93), .tr = REAL(0x83), .boot_eip = RESET_VECTOR, .cs_base = REAL_CS_BASE,   \
        .cr0 = CR0_ET, .g_pat = PAT_RESET, .rdx = (rdx_value), .memory_pages = LAUNCH_PAGE_ZERO,   \
        .cpuid_last = true,                                                                        \
    }

static const struct launch_vmm_traits vmms[] = {
    [LAUNCH_VMM_QEMU] = {.name = "qemu",
                         .boot_cs = REAL_CODE(0x9b),
                         .cs = REAL_CODE(0x9b),
                         .ss = REAL(0x93),
                         .data = REAL(0x93),
                         .tr = REAL(0x8b),
                         .boot_eip = RESET_VECTOR,
                         .cs_base = REAL_CS_BASE,
                         .cr0 = CR0_ET,
                         .g_pat = PAT_RESET,
                         .rdx_is_signature = true,
                         .mxcsr = 0x1f80,
                         .x87_control = 0x37f,
                         .memory_pages = LAUNCH_PAGE_ZERO},
    [LAUNCH_VMM_EC2] = EC2("ec2", 0x600),
    [LAUNCH_VMM_EC2_LEGACY] = EC2("ec2-legacy", 0),
    [LAUNCH_VMM_GCE] = {.name = "gce",
                        .boot_cs = REAL_CODE(0x9b),
                        .cs = REAL_CODE(0x9b),
                        .ss = REAL(0x93),
                        .data = REAL(0x93),
                        .tr = REAL(0x8b),
                        .boot_eip = RESET_VECTOR,
                        .cs_base = REAL_CS_BASE,
                        .cr0 = CR0_ET,
                        .g_pat = 0x00070106,
                        .rdx = 0x600,
                        .memory_pages = LAUNCH_PAGE_UNMEASURED},
    /* Starts in protected mode, all vCPUs alike. */
    [LAUNCH_VMM_SVSM] = {.name = "svsm",
                         .boot_cs = FLAT(0x08, 0xc9b),
                         .cs = FLAT(0x08, 0xc9b),
                         .ss = FLAT(0x10, 0xc93),
                         .data = FLAT(0x10, 0xc93),
                         .tr = REAL(0x8b),
                         .cr0 = CR0_ET | CR0_PE,
                         .g_pat = PAT_RESET,
                         .rdx_is_signature = true,
                         .sev_features = 0x1,
                         .mxcsr = 0x1f80,
                         .memory_pages = LAUNCH_PAGE_ZERO},
};

const struct launch_vmm_traits *launch_vmm_traits(enum launch_vmm vmm)
{
    assert((size_t)vmm < ELEMENTSOF(vmms));
    return &vmms[vmm];
}

const char *launch_vmm_name(enum launch_vmm vmm)
{
    return launch_vmm_traits(vmm)->name;
}

bool launch_vmm_find(const char *name, enum launch_vmm *ret_vmm)
{
    for (size_t i = 0; i < ELEMENTSOF(vmms); i++) {
        if (strcmp(vmms[i].name, name) != 0)
            continue;
        *ret_vmm = (enum launch_vmm)i;
        return true;
    }
    return false;
}
