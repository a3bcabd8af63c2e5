/* The initial VM save area of a vCPU (AMD APM volume 2, appendix B). */
#include <string.h>

#include "shared/attestation/launch_layout.h"
#include "shared/attestation/launch_vmm.h"
#include "shared/base/cleanup.h"

/* CPUID 1 EAX of QEMU's models, which KVM puts in RDX at reset. */
static const struct {
    const char *model;
    uint32_t signature;
} cpus[] = {
    {"EPYC", 0x800f12},          {"EPYC-v1", 0x800f12},       {"EPYC-v2", 0x800f12},
    {"EPYC-v3", 0x800f12},       {"EPYC-v4", 0x800f12},       {"EPYC-IBPB", 0x800f12},
    {"EPYC-Rome", 0x830f10},     {"EPYC-Rome-v1", 0x830f10},  {"EPYC-Rome-v2", 0x830f10},
    {"EPYC-Rome-v3", 0x830f10},  {"EPYC-Milan", 0xa00f11},    {"EPYC-Milan-v1", 0xa00f11},
    {"EPYC-Milan-v2", 0xa00f11}, {"EPYC-Genoa", 0xa10f10},    {"EPYC-Genoa-v1", 0xa10f10},
    {"EPYC-Turin", 0xb00f00},    {"EPYC-Turin-v1", 0xb00f00},
};

static void put(uint8_t *page, size_t at, uint64_t value, int size)
{
    for (int i = 0; i < size; i++)
        page[at + (size_t)i] = (uint8_t)(value >> (8 * i));
}

static void put_segment(uint8_t *page, size_t at, struct launch_segment segment, uint64_t base)
{
    put(page, at, segment.selector, 2);
    put(page, at + 2, segment.attributes, 2);
    put(page, at + 4, segment.limit, 4);
    put(page, at + 8, base, 8);
}

static void put_segments(uint8_t *page, const struct launch_vmm_traits *vmm, bool first,
                         uint32_t cs_base)
{
    static const struct launch_segment gs = {0, 0x93, 0xffff}, table = {0, 0, 0xffff},
                                       ldtr = {0, 0x82, 0xffff};

    put_segment(page, 0x000, vmm->data, 0); /* es */
    put_segment(page, 0x010, first ? vmm->boot_cs : vmm->cs, cs_base);
    put_segment(page, 0x020, vmm->ss, 0);
    put_segment(page, 0x030, vmm->data, 0); /* ds */
    put_segment(page, 0x040, vmm->data, 0); /* fs */
    put_segment(page, 0x050, gs, 0);
    put_segment(page, 0x060, table, 0); /* gdtr */
    put_segment(page, 0x070, ldtr, 0);
    put_segment(page, 0x080, table, 0); /* idtr */
    put_segment(page, 0x090, vmm->tr, 0);
}

static void put_registers(uint8_t *page, const struct launch_vmm_traits *vmm, uint32_t rip,
                          uint64_t rdx, uint64_t features)
{
    put(page, 0x0d0, 0x1000, 8); /* efer: SVME */
    put(page, 0x148, 0x40, 8);   /* cr4: MCE */
    put(page, 0x158, vmm->cr0, 8);
    put(page, 0x160, 0x400, 8);      /* dr7 */
    put(page, 0x168, 0xffff0ff0, 8); /* dr6 */
    put(page, 0x170, 0x2, 8);        /* rflags */
    put(page, 0x178, rip, 8);
    put(page, 0x268, vmm->g_pat, 8);
    put(page, 0x310, rdx, 8);
    put(page, 0x3b0, features, 8); /* sev_features */
    put(page, 0x3e8, 0x1, 8);      /* xcr0 */
    put(page, 0x408, vmm->mxcsr, 4);
    put(page, 0x410, vmm->x87_control, 2);
}

static struct error *find_rdx(const struct launch_vmm_traits *vmm, const char *model,
                              uint64_t *ret_rdx)
{
    *ret_rdx = vmm->rdx;
    if (!vmm->rdx_is_signature)
        return NULL;
    for (size_t i = 0; model && i < ELEMENTSOF(cpus); i++) {
        if (strcmp(cpus[i].model, model) != 0)
            continue;
        *ret_rdx = cpus[i].signature;
        return NULL;
    }
    return error_new(ERROR_INVALID_ARGUMENT, "CPU model '%s' is not known", model ? model : "");
}

struct error *launch_vmsa(const struct launch_input *input, const struct launch_layout *layout,
                          bool first, uint8_t ret_page[LAUNCH_PAGE_SIZE])
{
    const struct launch_vmm_traits *vmm = launch_vmm_traits(input->vmm);
    uint32_t eip = first && vmm->boot_eip ? vmm->boot_eip : layout->reset_eip;
    uint64_t rdx;

    struct error *err = find_rdx(vmm, input->cpu_model, &rdx);
    if (err)
        return err;
    memset(ret_page, 0, LAUNCH_PAGE_SIZE);
    put_segments(ret_page, vmm, first, eip & vmm->cs_base);
    put_registers(ret_page, vmm, eip & ~vmm->cs_base, rdx,
                  vmm->sev_features ? vmm->sev_features : input->guest_features);
    return NULL;
}
