/* What an OVMF image says of its own launch: reset vector, hash table and SNP metadata sections. */
#pragma once

#include "shared/attestation/launch.h"

#define LAUNCH_SECTIONS_MAX 32
#define LAUNCH_PAGE_SIZE    4096

enum launch_section_type {
    LAUNCH_SECTION_MEMORY = 1,
    LAUNCH_SECTION_SECRETS = 2,
    LAUNCH_SECTION_CPUID = 3,
    LAUNCH_SECTION_SVSM_CAA = 4,
    LAUNCH_SECTION_KERNEL_HASHES = 0x10,
};

struct launch_section {
    uint32_t gpa;
    uint32_t size;
    uint32_t type;
};

struct launch_layout {
    struct launch_section sections[LAUNCH_SECTIONS_MAX]; /* in the order of the file */
    size_t n_sections;
    uint32_t hash_table_gpa; /* 0: the firmware has none */
    uint32_t reset_eip;      /* of the application processors */
};

struct error *launch_layout_parse(const void *firmware, size_t size,
                                  struct launch_layout *ret_layout) _must_check_;

/* The digest after the firmware's own pages: from here on the image is not needed. */
void launch_measure_firmware(const void *firmware, size_t size,
                             uint8_t ret_digest[LAUNCH_DIGEST_SIZE]);

/* Continues from there: sections, then one VMSA per vCPU. Reads no firmware bytes. */
struct error *launch_measure_rest(const struct launch_layout *layout,
                                  const struct launch_input *input,
                                  uint8_t digest[LAUNCH_DIGEST_SIZE]) _must_check_;

/* The VMSA page that QEMU gives a vCPU. INVALID_ARGUMENT: CPU model not known. */
struct error *launch_vmsa(const struct launch_input *input, uint32_t eip,
                          uint8_t ret_page[LAUNCH_PAGE_SIZE]) _must_check_;
