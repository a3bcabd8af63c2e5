/*
 * A cursor over untrusted bytes: every read is bounds-checked; the first failure sticks, so a
 * parser reads like the wire format and checks once at the end. Failed reads give zeros.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reader {
    const uint8_t *data;
    size_t size;
    size_t offset;
    bool failed;
};

void reader_init(struct reader *reader, const void *data, size_t size);
uint8_t reader_u8(struct reader *reader);
uint16_t reader_u16le(struct reader *reader);
uint32_t reader_u32le(struct reader *reader);
uint64_t reader_u64le(struct reader *reader);
uint32_t reader_u32be(struct reader *reader);
uint64_t reader_u64be(struct reader *reader);
void reader_bytes(struct reader *reader, void *ret_data, size_t size);
const uint8_t *reader_view(struct reader *reader, size_t size); /* NULL on failure */
void reader_skip(struct reader *reader, size_t size);
size_t reader_left(const struct reader *reader);
bool reader_done(const struct reader *reader); /* all read, nothing failed */
