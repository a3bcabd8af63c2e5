/* The initial VM save area that QEMU and KVM give a vCPU (AMD APM volume 2, appendix B). */
#include <string.h>

#include "shared/attestation/launch_layout.h"
#include "shared/base/cleanup.h"

/* CPUID 1 EAX of QEMU's models, which KVM puts in RDX. */
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

static void put_segment(uint8_t *page, size_t at, uint16_t selector, uint16_t attributes,
                        uint64_t base)
{
    put(page, at, selector, 2);
    put(page, at + 2, attributes, 2);
    put(page, at + 4, 0xffff, 4); /* limit */
    put(page, at + 8, base, 8);
}

static void put_segments(uint8_t *page, uint32_t eip)
{
    static const size_t data_segments[] = {0x000, 0x020, 0x030, 0x040, 0x050};

    for (size_t i = 0; i < ELEMENTSOF(data_segments); i++)
        put_segment(page, data_segments[i], 0, 0x93, 0);
    put_segment(page, 0x010, 0xf000, 0x9b, eip & 0xffff0000); /* cs */
    put_segment(page, 0x060, 0, 0, 0);                        /* gdtr */
    put_segment(page, 0x070, 0, 0x82, 0);                     /* ldtr */
    put_segment(page, 0x080, 0, 0, 0);                        /* idtr */
    put_segment(page, 0x090, 0, 0x8b, 0);                     /* tr */
}

static void put_registers(uint8_t *page, uint32_t eip, uint32_t signature, uint64_t features)
{
    put(page, 0x0d0, 0x1000, 8);                       /* efer: SVME */
    put(page, 0x148, 0x40, 8);                         /* cr4: MCE */
    put(page, 0x158, 0x10, 8);                         /* cr0: ET */
    put(page, 0x160, 0x400, 8);                        /* dr7 */
    put(page, 0x168, 0xffff0ff0, 8);                   /* dr6 */
    put(page, 0x170, 0x2, 8);                          /* rflags */
    put(page, 0x178, eip & 0xffff, 8);                 /* rip */
    put(page, 0x268, UINT64_C(0x0007040600070406), 8); /* g_pat */
    put(page, 0x310, signature, 8);                    /* rdx */
    put(page, 0x3b0, features, 8);                     /* sev_features */
    put(page, 0x3e8, 0x1, 8);                          /* xcr0 */
    put(page, 0x408, 0x1f80, 4);                       /* mxcsr */
    put(page, 0x410, 0x37f, 2);                        /* x87 control word */
}

struct error *launch_vmsa(const struct launch_input *input, uint32_t eip,
                          uint8_t ret_page[LAUNCH_PAGE_SIZE])
{
    for (size_t i = 0; i < ELEMENTSOF(cpus); i++) {
        if (strcmp(cpus[i].model, input->cpu_model) != 0)
            continue;
        memset(ret_page, 0, LAUNCH_PAGE_SIZE);
        put_segments(ret_page, eip);
        put_registers(ret_page, eip, cpus[i].signature, input->guest_features);
        return NULL;
    }
    return error_new(ERROR_INVALID_ARGUMENT, "CPU model '%s' is not known", input->cpu_model);
}
