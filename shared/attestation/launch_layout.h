/* What a firmware or SVSM image says of its own launch: entry points, hash table and SNP metadata
 * sections (edk2 OvmfPkg/ResetVector); and the steps of a measurement, for callers that measure one
 * image for several numbers of vCPUs. */
#pragma once

#include "shared/attestation/launch.h"

#define LAUNCH_SECTIONS_MAX    32
#define LAUNCH_PAGE_SIZE       4096
#define LAUNCH_HASH_TABLE_SIZE 176

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
    uint32_t reset_eip;      /* of the application processors; SVSM: of all */
    bool is_svsm;            /* the image is an SVSM's */
    uint32_t svsm_entry;     /* its first instruction, in bytes from its start */
};

struct error *launch_layout_parse(const void *firmware, size_t size,
                                  struct launch_layout *ret_layout) _must_check_;

/* The digest after the firmware's own pages: from here on the image is not needed. */
void launch_measure_firmware(const void *firmware, size_t size,
                             uint8_t ret_digest[LAUNCH_DIGEST_SIZE]);

/* What does not depend on the vCPUs: the digest after the pages of the firmware and, if there is
 * one, of the SVSM, and the layout that says how to go on. INVALID_ARGUMENT: as launch_measure().
 */
struct error *launch_measure_images(const struct launch_input *input,
                                    struct launch_layout *ret_layout,
                                    uint8_t ret_digest[LAUNCH_DIGEST_SIZE]) _must_check_;

/* Continues with the layout's sections. */
struct error *launch_measure_sections(const struct launch_layout *layout,
                                      const struct launch_input *input,
                                      uint8_t digest[LAUNCH_DIGEST_SIZE]) _must_check_;

/* Continues from the images: checks, sections, then one VMSA per vCPU. Reads no image. */
struct error *launch_measure_rest(const struct launch_layout *layout,
                                  const struct launch_input *input,
                                  uint8_t digest[LAUNCH_DIGEST_SIZE]) _must_check_;

/* QEMU's table of hashes, which the firmware holds kernel, initrd and command line against. The
 * input has all three. */
void launch_hash_table(const struct launch_input *input, uint8_t ret_table[LAUNCH_HASH_TABLE_SIZE]);

/* The VMSA page of the first vCPU or of the others. INVALID_ARGUMENT: CPU model not known. */
struct error *launch_vmsa(const struct launch_input *input, const struct launch_layout *layout,
                          bool first, uint8_t ret_page[LAUNCH_PAGE_SIZE]) _must_check_;
