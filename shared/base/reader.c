#include "shared/base/reader.h"

#include <string.h>

void reader_init(struct reader *reader, const void *data, size_t size)
{
    *reader = (struct reader){.data = data, .size = size};
}

const uint8_t *reader_view(struct reader *reader, size_t size)
{
    if (reader->failed || size > reader->size - reader->offset) {
        reader->failed = true;
        return NULL;
    }
    const uint8_t *view = reader->data + reader->offset;
    reader->offset += size;
    return view;
}

static uint64_t read_le(struct reader *reader, size_t size)
{
    const uint8_t *bytes = reader_view(reader, size);
    uint64_t value = 0;

    for (size_t i = 0; bytes && i < size; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static uint64_t read_be(struct reader *reader, size_t size)
{
    const uint8_t *bytes = reader_view(reader, size);
    uint64_t value = 0;

    for (size_t i = 0; bytes && i < size; i++)
        value = value << 8 | bytes[i];
    return value;
}

uint8_t reader_u8(struct reader *reader)
{
    return (uint8_t)read_le(reader, 1);
}

uint16_t reader_u16le(struct reader *reader)
{
    return (uint16_t)read_le(reader, 2);
}

uint32_t reader_u32le(struct reader *reader)
{
    return (uint32_t)read_le(reader, 4);
}

uint64_t reader_u64le(struct reader *reader)
{
    return read_le(reader, 8);
}

uint32_t reader_u32be(struct reader *reader)
{
    return (uint32_t)read_be(reader, 4);
}

uint64_t reader_u64be(struct reader *reader)
{
    return read_be(reader, 8);
}

void reader_bytes(struct reader *reader, void *ret_data, size_t size)
{
    const uint8_t *bytes = reader_view(reader, size);

    if (bytes)
        memcpy(ret_data, bytes, size);
    else
        memset(ret_data, 0, size);
}

void reader_skip(struct reader *reader, size_t size)
{
    reader_view(reader, size);
}

size_t reader_left(const struct reader *reader)
{
    return reader->failed ? 0 : reader->size - reader->offset;
}

bool reader_done(const struct reader *reader)
{
    return !reader->failed && reader->offset == reader->size;
}
