#include "shared/attestation/launch.h"

#include <assert.h>
#include <openssl/evp.h>
#include <string.h>

#include "shared/attestation/launch_layout.h"
#include "shared/attestation/launch_vmm.h"

#define IMAGE_MAX        (16 * 1024 * 1024)
#define SECTION_MAX      (64 * 1024 * 1024)
#define VCPUS_MAX        512
#define PAGE_INFO_SIZE   0x70
#define VMSA_GPA         UINT64_C(0xfffffffff000)
#define FIRMWARE_END_GPA UINT64_C(0x100000000)

static void sha384(const void *data, size_t size, uint8_t ret_digest[LAUNCH_DIGEST_SIZE])
{
    int ok = EVP_Digest(data, size, ret_digest, NULL, EVP_sha384(), NULL);

    assert(ok == 1);
}

/* digest := SHA-384(PAGE_INFO); contents NULL: 48 zeros. */
static void add_page(uint8_t digest[LAUNCH_DIGEST_SIZE], enum launch_page_type type, uint64_t gpa,
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

static void add_empty_pages(uint8_t digest[LAUNCH_DIGEST_SIZE], enum launch_page_type type,
                            const struct launch_section *section)
{
    for (uint32_t at = 0; at < section->size; at += LAUNCH_PAGE_SIZE)
        add_page(digest, type, (uint64_t)section->gpa + at, NULL);
}

static void add_image(uint8_t digest[LAUNCH_DIGEST_SIZE], uint64_t gpa, const uint8_t *image,
                      size_t size)
{
    for (size_t at = 0; at < size; at += LAUNCH_PAGE_SIZE)
        add_page(digest, LAUNCH_PAGE_NORMAL, gpa + at, image + at);
}

void launch_measure_firmware(const void *firmware, size_t size,
                             uint8_t ret_digest[LAUNCH_DIGEST_SIZE])
{
    memset(ret_digest, 0, LAUNCH_DIGEST_SIZE);
    add_image(ret_digest, FIRMWARE_END_GPA - size, firmware, size);
}

static struct error *add_kernel_hashes(uint8_t digest[LAUNCH_DIGEST_SIZE],
                                       const struct launch_layout *layout,
                                       const struct launch_section *section,
                                       const struct launch_input *input)
{
    uint8_t page[LAUNCH_PAGE_SIZE] = {};
    uint32_t offset = layout->hash_table_gpa & (LAUNCH_PAGE_SIZE - 1);

    if (section->size != LAUNCH_PAGE_SIZE || layout->hash_table_gpa - offset != section->gpa ||
        offset + LAUNCH_HASH_TABLE_SIZE > LAUNCH_PAGE_SIZE)
        return error_new(ERROR_INVALID_ARGUMENT, "firmware's hash table is not in its section");
    launch_hash_table(input, page + offset);
    add_page(digest, LAUNCH_PAGE_NORMAL, section->gpa, page);
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
        add_empty_pages(digest, launch_vmm_traits(input->vmm)->memory_pages, section);
        return NULL;
    case LAUNCH_SECTION_SVSM_CAA:
        add_empty_pages(digest, LAUNCH_PAGE_ZERO, section);
        return NULL;
    case LAUNCH_SECTION_SECRETS:
        add_empty_pages(digest, LAUNCH_PAGE_SECRETS, section);
        return NULL;
    case LAUNCH_SECTION_CPUID:
        add_empty_pages(digest, LAUNCH_PAGE_CPUID, section);
        return NULL;
    case LAUNCH_SECTION_KERNEL_HASHES:
        if (input->kernel_sha256)
            return add_kernel_hashes(digest, layout, section, input);
        add_empty_pages(digest, LAUNCH_PAGE_ZERO, section);
        return NULL;
    }
    return error_new(ERROR_INVALID_ARGUMENT, "firmware section of unknown type %u", section->type);
}

/* One round over the sections: those of CPUID pages, or the others. */
static struct error *add_sections(uint8_t digest[LAUNCH_DIGEST_SIZE],
                                  const struct launch_layout *layout,
                                  const struct launch_input *input, bool cpuid)
{
    struct error *err = NULL;

    for (size_t i = 0; !err && i < layout->n_sections; i++)
        if ((layout->sections[i].type == LAUNCH_SECTION_CPUID) == cpuid)
            err = add_section(digest, layout, &layout->sections[i], input);
    return err;
}

struct error *launch_measure_sections(const struct launch_layout *layout,
                                      const struct launch_input *input,
                                      uint8_t digest[LAUNCH_DIGEST_SIZE])
{
    struct error *err = NULL;

    if (launch_vmm_traits(input->vmm)->cpuid_last) {
        err = add_sections(digest, layout, input, false);
        return err ? err : add_sections(digest, layout, input, true);
    }
    for (size_t i = 0; !err && i < layout->n_sections; i++)
        err = add_section(digest, layout, &layout->sections[i], input);
    return err;
}

static bool measures_kernel(const struct launch_layout *layout)
{
    for (size_t i = 0; i < layout->n_sections; i++)
        if (layout->sections[i].type == LAUNCH_SECTION_KERNEL_HASHES)
            return layout->hash_table_gpa != 0;
    return false;
}

static struct error *check_input(const struct launch_layout *layout,
                                 const struct launch_input *input)
{
    bool kernel = input->kernel_sha256 != NULL;

    if (kernel != (input->initrd_sha256 != NULL) || kernel != (input->cmdline != NULL))
        return error_new(ERROR_INVALID_ARGUMENT, "kernel, initrd and command line go together");
    if (kernel && !measures_kernel(layout))
        return error_new(ERROR_INVALID_ARGUMENT, "firmware does not measure the kernel");
    if (layout->is_svsm != (input->vmm == LAUNCH_VMM_SVSM))
        return error_new(ERROR_INVALID_ARGUMENT, "image %s an SVSM, but '%s' is to launch it",
                         layout->is_svsm ? "is" : "is not", launch_vmm_name(input->vmm));
    if (input->vcpus < 1 || input->vcpus > VCPUS_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "%u vCPUs", input->vcpus);
    return NULL;
}

struct error *launch_measure_rest(const struct launch_layout *layout,
                                  const struct launch_input *input,
                                  uint8_t digest[LAUNCH_DIGEST_SIZE])
{
    uint8_t first[LAUNCH_PAGE_SIZE], other[LAUNCH_PAGE_SIZE];

    struct error *err = check_input(layout, input);
    if (!err)
        err = launch_measure_sections(layout, input, digest);
    if (!err)
        err = launch_vmsa(input, layout, true, first);
    if (!err)
        err = launch_vmsa(input, layout, false, other);
    for (uint32_t i = 0; !err && i < input->vcpus; i++)
        add_page(digest, LAUNCH_PAGE_VMSA, VMSA_GPA, i == 0 ? first : other);
    return err;
}

static struct error *check_size(const char *what, size_t size)
{
    if (size == 0 || size > IMAGE_MAX || size % LAUNCH_PAGE_SIZE != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "%s of %zu bytes", what, size);
    return NULL;
}

/* The SVSM ends where the variable store begins, which ends where the firmware begins. Its own
 * sections are launched, not the firmware's. */
static struct error *add_svsm(const struct launch_input *input, struct launch_layout *ret_layout,
                              uint8_t digest[LAUNCH_DIGEST_SIZE])
{
    uint64_t above = input->firmware_size + input->svsm_vars_size;
    uint64_t gpa = FIRMWARE_END_GPA - above - input->svsm_size;
    struct launch_layout layout;

    struct error *err = launch_layout_parse(input->svsm, input->svsm_size, &layout);
    if (err)
        return error_wrap(err, "SVSM");
    if (!layout.is_svsm || layout.svsm_entry >= input->svsm_size)
        return error_new(ERROR_INVALID_ARGUMENT, "SVSM image does not say where it starts");
    layout.reset_eip = (uint32_t)gpa + layout.svsm_entry;
    add_image(digest, gpa, input->svsm, input->svsm_size);
    *ret_layout = layout;
    return NULL;
}

struct error *launch_measure_images(const struct launch_input *input,
                                    struct launch_layout *ret_layout,
                                    uint8_t ret_digest[LAUNCH_DIGEST_SIZE])
{
    bool svsm = input->vmm == LAUNCH_VMM_SVSM;

    struct error *err = check_size("firmware", input->firmware_size);
    if (!err && svsm)
        err = check_size("SVSM", input->svsm_size);
    if (!err && svsm && input->svsm_vars_size > 0)
        err = check_size("variable store", input->svsm_vars_size);
    if (!err && !svsm)
        err = launch_layout_parse(input->firmware, input->firmware_size, ret_layout);
    if (err)
        return err;
    launch_measure_firmware(input->firmware, input->firmware_size, ret_digest);
    return svsm ? add_svsm(input, ret_layout, ret_digest) : NULL;
}

struct error *launch_measure(const struct launch_input *input,
                             uint8_t ret_digest[LAUNCH_DIGEST_SIZE])
{
    struct launch_layout layout;
    uint8_t digest[LAUNCH_DIGEST_SIZE];

    struct error *err = launch_measure_images(input, &layout, digest);
    if (!err)
        err = launch_measure_rest(&layout, input, digest);
    if (!err)
        memcpy(ret_digest, digest, LAUNCH_DIGEST_SIZE);
    return err;
}
