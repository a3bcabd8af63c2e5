/* What virtual machine monitors do differently at a launch, as data. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/attestation/launch.h"

/* PAGE_TYPE of SNP_LAUNCH_UPDATE (SEV-SNP firmware ABI). */
enum launch_page_type {
    LAUNCH_PAGE_NORMAL = 1,
    LAUNCH_PAGE_VMSA = 2,
    LAUNCH_PAGE_ZERO = 3,
    LAUNCH_PAGE_UNMEASURED = 4,
    LAUNCH_PAGE_SECRETS = 5,
    LAUNCH_PAGE_CPUID = 6,
};

struct launch_segment {
    uint16_t selector;
    uint16_t attributes; /* as in the VMCB */
    uint32_t limit;
};

struct launch_vmm_traits {
    const char *name;
    struct launch_segment boot_cs; /* of the first vCPU */
    struct launch_segment cs;      /* of the others */
    struct launch_segment ss;
    struct launch_segment data; /* es, ds, fs */
    struct launch_segment tr;
    uint32_t boot_eip; /* of the first vCPU; 0: the layout's, as the others */
    uint32_t cs_base;  /* which bits of EIP are the base of CS; RIP has the rest */
    uint64_t cr0;
    uint64_t g_pat;        /* page attribute table */
    bool rdx_is_signature; /* of the CPU model, else: */
    uint64_t rdx;
    uint64_t sev_features; /* 0: as the input says */
    uint32_t mxcsr;
    uint16_t x87_control;
    enum launch_page_type memory_pages; /* of LAUNCH_SECTION_MEMORY */
    bool cpuid_last;                    /* launched behind all other sections */
};

/* Never NULL; static. */
const struct launch_vmm_traits *launch_vmm_traits(enum launch_vmm vmm);
