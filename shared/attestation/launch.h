/*
 * The launch measurement of an SEV-SNP guest: firmware pages, the sections that its metadata
 * names, one VMSA per vCPU (SEV-SNP firmware ABI, SNP_LAUNCH_UPDATE; ATTESTATION.md section 8).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/error.h"

#define LAUNCH_DIGEST_SIZE 48

/* Who launches: registers, page types and the order differ. */
enum launch_vmm {
    LAUNCH_VMM_QEMU, /* with KVM; the one that Coffer's hosts use */
    LAUNCH_VMM_EC2,
    LAUNCH_VMM_EC2_LEGACY, /* EC2 as it was in 2023: RDX is zero */
    LAUNCH_VMM_GCE,
    LAUNCH_VMM_SVSM, /* COCONUT-SVSM under QEMU, which then starts the firmware */
};

/* Static. */
const char *launch_vmm_name(enum launch_vmm vmm);

/* "qemu", "ec2", "ec2-legacy", "gce", "svsm"; false: another. */
bool launch_vmm_find(const char *name, enum launch_vmm *ret_vmm);

struct launch_input {
    const void *firmware; /* the OVMF file, at most 16 MiB */
    size_t firmware_size;
    const uint8_t *kernel_sha256; /* NULL: no direct boot, then all three are NULL */
    const uint8_t *initrd_sha256;
    const char *cmdline;     /* without the final NUL */
    uint32_t vcpus;          /* 1..512 */
    const char *cpu_model;   /* QEMU's name, "EPYC-v4" ...; EC2, GCE: not measured, may be NULL */
    uint64_t guest_features; /* 0x1; SVSM: always that, whatever stands here */
    enum launch_vmm vmm;
    const void *svsm; /* LAUNCH_VMM_SVSM: its image, at most 16 MiB; else NULL */
    size_t svsm_size;
    size_t svsm_vars_size; /* bytes of the firmware's variable store, between both in memory */
};

/* INVALID_ARGUMENT: unknown CPU model, firmware without SNP metadata, or one that does not measure
 * the kernel although there is one; an SVSM that is not one, or is absent. */
struct error *launch_measure(const struct launch_input *input,
                             uint8_t ret_digest[LAUNCH_DIGEST_SIZE]) _must_check_;
