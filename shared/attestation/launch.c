#include "shared/attestation/launch.h"

#include <assert.h>
#include <openssl/evp.h>
#include <string.h>

#include "shared/attestation/launch_layout.h"
#include "shared/base/buffer.h"
#include "shared/seal/seal.h"

#define FIRMWARE_MAX     (16 * 1024 * 1024)
#define SECTION_MAX      (64 * 1024 * 1024)
#define VCPUS_MAX        512
#define PAGE_INFO_SIZE   0x70
#define BSP_EIP          0xfffffff0u
#define VMSA_GPA         UINT64_C(0xfffffffff000)
#define HASH_TABLE_SIZE  168
#define HASH_ENTRY_SIZE  50
#define FIRMWARE_END_GPA UINT64_C(0x100000000)

/* PAGE_TYPE of SNP_LAUNCH_UPDATE */
enum page_type {
    PAGE_NORMAL = 1,
    PAGE_VMSA = 2,
    PAGE_ZERO = 3,
    PAGE_SECRETS = 5,
    PAGE_CPUID = 6,
};

static void sha384(const void *data, size_t size, uint8_t ret_digest[LAUNCH_DIGEST_SIZE])
{
    int ok = EVP_Digest(data, size, ret_digest, NULL, EVP_sha384(), NULL);

    assert(ok == 1);
}

/* digest := SHA-384(PAGE_INFO); contents NULL: 48 zeros. */
static void add_page(uint8_t digest[LAUNCH_DIGEST_SIZE], enum page_type type, uint64_t gpa,
                     const void *contents)
{
    uint8_t info[PAGE_INFO_SIZE] = {};

    memcpy(info, digest, LAUNCH_DIGEST_SIZE);
    if (contents)
        sha384(contents, LAUNCH_PAGE_SIZE, info + 0x30);
    info[0x60] = PAGE_INFO_SIZE;
    info[0x62] = (uint8_t)type;
    for (int i = 0; i < 8; i++)
        info[0x68 + i] = (uint8_t)(gpa >> (8 * i));
    sha384(info, sizeof(info), digest);
}

static void add_empty_pages(uint8_t digest[LAUNCH_DIGEST_SIZE], enum page_type type,
                            const struct launch_section *section)
{
    for (uint32_t at = 0; at < section->size; at += LAUNCH_PAGE_SIZE)
        add_page(digest, type, (uint64_t)section->gpa + at, NULL);
}

void launch_measure_firmware(const void *firmware, size_t size,
                             uint8_t ret_digest[LAUNCH_DIGEST_SIZE])
{
    const uint8_t *bytes = firmware;

    memset(ret_digest, 0, LAUNCH_DIGEST_SIZE);
    for (size_t at = 0; at < size; at += LAUNCH_PAGE_SIZE)
        add_page(ret_digest, PAGE_NORMAL, FIRMWARE_END_GPA - size + at, bytes + at);
}

static uint8_t *put_hash(uint8_t *at, const uint8_t guid[16], const uint8_t sha256_value[32])
{
    memcpy(at, guid, 16);
    at[16] = HASH_ENTRY_SIZE;
    memcpy(at + 18, sha256_value, 32);
    return at + HASH_ENTRY_SIZE;
}

/* QEMU's table of hashes, which the firmware holds kernel, initrd and command line against. */
static void make_hash_table(const struct launch_input *input, uint8_t *at)
{
    static const uint8_t guid_table[16] = {0x06, 0xd6, 0x38, 0x94, 0x22, 0x4f, 0xc9, 0x4c,
                                           0xb4, 0x79, 0xa7, 0x93, 0xd4, 0x11, 0xfd, 0x21};
    static const uint8_t guid_cmdline[16] = {0xd8, 0x2d, 0xd0, 0x97, 0x20, 0xbd, 0x94, 0x4c,
                                             0xaa, 0x78, 0xe7, 0x71, 0x4d, 0x36, 0xab, 0x2a};
    static const uint8_t guid_initrd[16] = {0x31, 0xf7, 0xba, 0x44, 0x2f, 0x3a, 0xd7, 0x4b,
                                            0x9a, 0xf1, 0x41, 0xe2, 0x91, 0x69, 0x78, 0x1d};
    static const uint8_t guid_kernel[16] = {0x37, 0x94, 0xe7, 0x4d, 0xd2, 0xab, 0x7f, 0x42,
                                            0xb8, 0x35, 0xd5, 0xb1, 0x72, 0xd2, 0x04, 0x5b};
    uint8_t cmdline[32];

    sha256(input->cmdline, strlen(input->cmdline) + 1, cmdline);
    memcpy(at, guid_table, 16);
    at[16] = HASH_TABLE_SIZE;
    at = put_hash(at + 18, guid_cmdline, cmdline);
    at = put_hash(at, guid_initrd, input->initrd_sha256);
    put_hash(at, guid_kernel, input->kernel_sha256);
}

static struct error *add_kernel_hashes(uint8_t digest[LAUNCH_DIGEST_SIZE],
                                       const struct launch_layout *layout,
                                       const struct launch_section *section,
                                       const struct launch_input *input)
{
    uint8_t page[LAUNCH_PAGE_SIZE] = {};
    uint32_t offset = layout->hash_table_gpa & (LAUNCH_PAGE_SIZE - 1);

    if (section->size != LAUNCH_PAGE_SIZE || layout->hash_table_gpa - offset != section->gpa ||
        offset + HASH_TABLE_SIZE + 8 > LAUNCH_PAGE_SIZE)
        return error_new(ERROR_INVALID_ARGUMENT, "firmware's hash table is not in its section");
    make_hash_table(input, page + offset);
    add_page(digest, PAGE_NORMAL, section->gpa, page);
    return NULL;
}

static struct error *add_section(uint8_t digest[LAUNCH_DIGEST_SIZE],
                                 const struct launch_layout *layout,
                                 const struct launch_section *section,
                                 const struct launch_input *input)
{
    if (section->size % LAUNCH_PAGE_SIZE != 0 || section->size > SECTION_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "firmware section of %u bytes", section->size);
    switch (section->type) {
    case LAUNCH_SECTION_MEMORY:
    case LAUNCH_SECTION_SVSM_CAA:
        add_empty_pages(digest, PAGE_ZERO, section);
        return NULL;
    case LAUNCH_SECTION_SECRETS:
        add_empty_pages(digest, PAGE_SECRETS, section);
        return NULL;
    case LAUNCH_SECTION_CPUID:
        add_empty_pages(digest, PAGE_CPUID, section);
        return NULL;
    case LAUNCH_SECTION_KERNEL_HASHES:
        if (input->kernel_sha256)
            return add_kernel_hashes(digest, layout, section, input);
        add_empty_pages(digest, PAGE_ZERO, section);
        return NULL;
    }
    return error_new(ERROR_INVALID_ARGUMENT, "firmware section of unknown type %u", section->type);
}

static bool measures_kernel(const struct launch_layout *layout)
{
    for (size_t i = 0; i < layout->n_sections; i++)
        if (layout->sections[i].type == LAUNCH_SECTION_KERNEL_HASHES)
            return layout->hash_table_gpa != 0;
    return false;
}

static struct error *check_input(const struct launch_input *input)
{
    bool kernel = input->kernel_sha256 != NULL;

    if (kernel != (input->initrd_sha256 != NULL) || kernel != (input->cmdline != NULL))
        return error_new(ERROR_INVALID_ARGUMENT, "kernel, initrd and command line go together");
    if (input->vcpus < 1 || input->vcpus > VCPUS_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "%u vCPUs", input->vcpus);
    return NULL;
}

struct error *launch_measure_rest(const struct launch_layout *layout,
                                  const struct launch_input *input,
                                  uint8_t digest[LAUNCH_DIGEST_SIZE])
{
    uint8_t boot[LAUNCH_PAGE_SIZE], other[LAUNCH_PAGE_SIZE];

    struct error *err = check_input(input);
    if (!err && input->kernel_sha256 && !measures_kernel(layout))
        err = error_new(ERROR_INVALID_ARGUMENT, "firmware does not measure the kernel");
    for (size_t i = 0; !err && i < layout->n_sections; i++)
        err = add_section(digest, layout, &layout->sections[i], input);
    if (!err)
        err = launch_vmsa(input, BSP_EIP, boot);
    if (!err)
        err = launch_vmsa(input, layout->reset_eip, other);
    for (uint32_t i = 0; !err && i < input->vcpus; i++)
        add_page(digest, PAGE_VMSA, VMSA_GPA, i == 0 ? boot : other);
    return err;
}

struct error *launch_measure(const struct launch_input *input,
                             uint8_t ret_digest[LAUNCH_DIGEST_SIZE])
{
    struct launch_layout layout;
    uint8_t digest[LAUNCH_DIGEST_SIZE];

    if (input->firmware_size > FIRMWARE_MAX || input->firmware_size % LAUNCH_PAGE_SIZE != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "firmware of %zu bytes", input->firmware_size);
    struct error *err = launch_layout_parse(input->firmware, input->firmware_size, &layout);
    if (err)
        return err;
    launch_measure_firmware(input->firmware, input->firmware_size, digest);
    err = launch_measure_rest(&layout, input, digest);
    if (!err)
        memcpy(ret_digest, digest, LAUNCH_DIGEST_SIZE);
    return err;
}
