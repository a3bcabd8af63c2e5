/* OVMF's footer table and SNP metadata (edk2 OvmfPkg/ResetVector). GUIDs are mixed endian. */
#include "shared/attestation/launch_layout.h"

#include <string.h>

#include "shared/base/reader.h"

#define FOOTER_FROM_END 32
#define ENTRY_TAIL      18 /* u16 size, GUID */

static const uint8_t guid_footer[16] = {0xde, 0x82, 0xb5, 0x96, 0xb2, 0x1f, 0xf7, 0x45,
                                        0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d};
static const uint8_t guid_hash_table[16] = {0x1f, 0x37, 0x55, 0x72, 0x3b, 0x3a, 0x04, 0x4b,
                                            0x92, 0x7b, 0x1d, 0xa6, 0xef, 0xa8, 0xd4, 0x54};
static const uint8_t guid_reset[16] = {0xde, 0x71, 0xf7, 0x00, 0x7e, 0x1a, 0xcb, 0x4f,
                                       0x89, 0x0e, 0x68, 0xc7, 0x7e, 0x2f, 0xb4, 0x4e};
static const uint8_t guid_metadata[16] = {0x66, 0x65, 0x88, 0xdc, 0x4a, 0x98, 0x98, 0x47,
                                          0xa7, 0x5e, 0x55, 0x85, 0xa7, 0xbf, 0x67, 0xcc};
static const uint8_t guid_svsm[16] = {0x12, 0xa6, 0x89, 0xa7, 0x97, 0x05, 0x4b, 0x4c,
                                      0xa4, 0x9f, 0xcb, 0xb1, 0xfe, 0x9d, 0x1d, 0xdd};

/* Entries lie backwards: each ends with its size and GUID, its data stands before. */
struct footer {
    const uint8_t *start;
    size_t size;
};

struct entry {
    const uint8_t *guid;
    const uint8_t *data;
    size_t size;
};

/* The last entry is cut off; false: none left, or it is damaged. */
static bool footer_pop(struct footer *footer, struct entry *ret_entry)
{
    struct reader in;

    if (footer->size < ENTRY_TAIL)
        return false;
    reader_init(&in, footer->start + footer->size - ENTRY_TAIL, ENTRY_TAIL);
    size_t size = reader_u16le(&in);
    const uint8_t *guid = reader_view(&in, 16);
    if (size < ENTRY_TAIL || size > footer->size)
        return false;
    footer->size -= size;
    *ret_entry = (struct entry){guid, footer->start + footer->size, size - ENTRY_TAIL};
    return true;
}

static struct error *find_footer(const uint8_t *firmware, size_t size, struct footer *ret_footer)
{
    struct footer all = {firmware, size - FOOTER_FROM_END};
    struct entry table;

    if (!footer_pop(&all, &table) || memcmp(table.guid, guid_footer, 16) != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "firmware has no OVMF footer table");
    *ret_footer = (struct footer){table.data, table.size};
    return NULL;
}

static struct error *read_sections(const uint8_t *firmware, size_t size, uint32_t from_end,
                                   struct launch_layout *layout)
{
    struct reader in;

    if (from_end > size)
        return error_new(ERROR_INVALID_ARGUMENT, "firmware's SNP metadata is out of bounds");
    reader_init(&in, firmware + size - from_end, from_end);
    const uint8_t *magic = reader_view(&in, 4);
    reader_u32le(&in); /* size of the whole */
    uint32_t version = reader_u32le(&in), n = reader_u32le(&in);
    if (in.failed || memcmp(magic, "ASEV", 4) != 0 || version != 1 || n > LAUNCH_SECTIONS_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "firmware's SNP metadata is not version 1");
    for (uint32_t i = 0; i < n; i++) {
        struct launch_section *section = &layout->sections[i];

        section->gpa = reader_u32le(&in);
        section->size = reader_u32le(&in);
        section->type = reader_u32le(&in);
    }
    layout->n_sections = n;
    return in.failed ? error_new(ERROR_INVALID_ARGUMENT, "firmware's SNP metadata is cut") : NULL;
}

static struct error *read_entry(const uint8_t *firmware, size_t size, const struct entry *entry,
                                struct launch_layout *layout)
{
    struct reader in;

    reader_init(&in, entry->data, entry->size);
    if (memcmp(entry->guid, guid_hash_table, 16) == 0)
        layout->hash_table_gpa = reader_u32le(&in);
    else if (memcmp(entry->guid, guid_reset, 16) == 0)
        layout->reset_eip = reader_u32le(&in);
    else if (memcmp(entry->guid, guid_svsm, 16) == 0) {
        layout->svsm_entry = reader_u32le(&in);
        layout->is_svsm = true;
    } else if (memcmp(entry->guid, guid_metadata, 16) == 0)
        return read_sections(firmware, size, reader_u32le(&in), layout);
    return in.failed ? error_new(ERROR_INVALID_ARGUMENT, "firmware's footer entry is cut") : NULL;
}

struct error *launch_layout_parse(const void *firmware, size_t size,
                                  struct launch_layout *ret_layout)
{
    struct launch_layout layout = {};
    struct footer footer;
    struct entry entry;

    if (size < LAUNCH_PAGE_SIZE)
        return error_new(ERROR_INVALID_ARGUMENT, "firmware is smaller than a page");
    struct error *err = find_footer(firmware, size, &footer);
    while (!err && footer_pop(&footer, &entry))
        err = read_entry(firmware, size, &entry, &layout);
    if (err)
        return err;
    if (layout.n_sections == 0)
        return error_new(ERROR_INVALID_ARGUMENT, "firmware has no SNP metadata");
    if (layout.reset_eip == 0)
        return error_new(ERROR_INVALID_ARGUMENT, "firmware has no reset vector for other vCPUs");
    *ret_layout = layout;
    return NULL;
}
