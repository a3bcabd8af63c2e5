/*
 * The launch measurement of an SEV-SNP guest started by QEMU with kernel hashes (SEV-SNP firmware
 * ABI, SNP_LAUNCH_UPDATE; ATTESTATION.md section 8).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "shared/base/error.h"

#define LAUNCH_DIGEST_SIZE 48

struct launch_input {
    const void *firmware; /* the OVMF file, at most 16 MiB */
    size_t firmware_size;
    const uint8_t *kernel_sha256; /* NULL: no direct boot, then all three are NULL */
    const uint8_t *initrd_sha256;
    const char *cmdline;     /* without the final NUL */
    uint32_t vcpus;          /* 1..512 */
    const char *cpu_model;   /* QEMU's name, "EPYC-v4" ... */
    uint64_t guest_features; /* 0x1 */
};

/* INVALID_ARGUMENT: unknown CPU model, firmware without SNP metadata, or one that does not measure
 * the kernel although there is one. */
struct error *launch_measure(const struct launch_input *input,
                             uint8_t ret_digest[LAUNCH_DIGEST_SIZE]) _must_check_;
