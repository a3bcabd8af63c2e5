#include "shared/attestation/certificates.h"

#include <string.h>

#include "shared/attestation/tee.h"
#include "shared/base/reader.h"

#define ENTRY_SIZE  24
#define ENTRIES_MAX 16

/* GUIDs in RFC 4122 byte order. */
static const struct kind {
    uint8_t guid[16];
    size_t offset;
} kinds[] = {
    {{0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64, 0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac,
      0xcd},
     offsetof(struct certificate_table, vcek)},
    {{0xa8, 0x07, 0x4b, 0xc2, 0xa2, 0x5a, 0x48, 0x3e, 0xaa, 0xe6, 0x39, 0xc0, 0x45, 0xa0, 0xb8,
      0xa1},
     offsetof(struct certificate_table, vlek)},
    {{0x4a, 0xb7, 0xb3, 0x79, 0xbb, 0xac, 0x4f, 0xe4, 0xa0, 0x2f, 0x05, 0xae, 0xf3, 0x27, 0xc7,
      0x82},
     offsetof(struct certificate_table, ask)},
    {{0xc0, 0xb4, 0x06, 0xa4, 0xa8, 0x03, 0x49, 0x52, 0x97, 0x43, 0x3f, 0xb6, 0x01, 0x4c, 0xd0,
      0xae},
     offsetof(struct certificate_table, ark)},
    {{0x92, 0xf8, 0x1b, 0xc3, 0x58, 0x11, 0x4d, 0x3d, 0x97, 0xff, 0xd1, 0x9f, 0x88, 0xdc, 0x67,
      0xea},
     offsetof(struct certificate_table, crl)},
};

struct entry {
    uint8_t guid[16];
    uint32_t offset;
    uint32_t size;
};

static struct certificate_view *slot(struct certificate_table *table, const struct kind *kind)
{
    return (struct certificate_view *)((uint8_t *)table + kind->offset);
}

static struct error *place(struct certificate_table *table, const struct entry *entry,
                           const uint8_t *data)
{
    for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
        if (memcmp(kinds[i].guid, entry->guid, 16) != 0)
            continue;
        struct certificate_view *view = slot(table, &kinds[i]);
        if (view->data)
            return error_new(ERROR_INVALID_ARGUMENT, "certificate table: duplicate entry");
        *view = (struct certificate_view){data + entry->offset, entry->size};
    }
    return NULL;
}

/* The header: entries up to the all-zero one. */
static struct error *read_entries(const void *data, size_t size, struct entry *entries,
                                  size_t *ret_n)
{
    static const uint8_t zero[16];
    struct reader in;

    reader_init(&in, data, size);
    for (size_t n = 0; n <= ENTRIES_MAX; n++) {
        struct entry entry;

        reader_bytes(&in, entry.guid, sizeof(entry.guid));
        entry.offset = reader_u32le(&in);
        entry.size = reader_u32le(&in);
        if (in.failed)
            return error_new(ERROR_INVALID_ARGUMENT, "certificate table: no end of the entries");
        if (memcmp(entry.guid, zero, sizeof(zero)) == 0) {
            *ret_n = n;
            return NULL;
        }
        if (n < ENTRIES_MAX)
            entries[n] = entry;
    }
    return error_new(ERROR_INVALID_ARGUMENT, "certificate table: more than %d entries",
                     ENTRIES_MAX);
}

struct error *certificate_table_parse(const void *data, size_t size,
                                      struct certificate_table *ret_table)
{
    struct certificate_table table = {};
    struct entry entries[ENTRIES_MAX];
    size_t n = 0;

    if (size == 0) {
        *ret_table = table;
        return NULL;
    }
    if (size > TEE_CERTIFICATES_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "certificate table: more than %d bytes",
                         TEE_CERTIFICATES_MAX);
    struct error *err = read_entries(data, size, entries, &n);
    for (size_t i = 0; !err && i < n; i++) {
        const struct entry *entry = &entries[i];

        if (entry->size == 0 || entry->size > CERTIFICATE_SIZE_MAX ||
            entry->offset < (n + 1) * ENTRY_SIZE || (uint64_t)entry->offset + entry->size > size)
            err = error_new(ERROR_INVALID_ARGUMENT, "certificate table: entry out of bounds");
        else
            err = place(&table, entry, data);
    }
    if (!err)
        *ret_table = table;
    return err;
}

static void add_u32le(struct buffer *buffer, size_t value)
{
    for (int i = 0; i < 4; i++)
        buffer_add_u8(buffer, (uint8_t)(value >> (8 * i)));
}

void certificate_table_write(const struct certificate_table *table, struct buffer *ret_data)
{
    static const uint8_t end[ENTRY_SIZE];
    struct certificate_table copy = *table;
    size_t n = 0;

    for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
        n += slot(&copy, &kinds[i])->data != NULL;
    size_t offset = (n + 1) * ENTRY_SIZE;
    for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
        const struct certificate_view *view = slot(&copy, &kinds[i]);

        if (!view->data)
            continue;
        buffer_add(ret_data, kinds[i].guid, 16);
        add_u32le(ret_data, offset);
        add_u32le(ret_data, view->size);
        offset += view->size;
    }
    buffer_add(ret_data, end, sizeof(end));
    for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
        const struct certificate_view *view = slot(&copy, &kinds[i]);

        if (view->data)
            buffer_add(ret_data, view->data, view->size);
    }
}
