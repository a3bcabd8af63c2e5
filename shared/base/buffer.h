/* A growing byte buffer with a limit; wiped when it grows away from old memory and at its end. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/error.h"

struct buffer {
    uint8_t
        *data; /* NUL-terminated behind size, so text can be read as a string; NULL when empty */
    size_t size;
    size_t room;
};

void buffer_done(struct buffer *buffer); /* leaves an empty buffer */
static inline void buffer_cleanup_(struct buffer *buffer)
{
    buffer_done(buffer);
}
#define _cleanup_buffer_ _cleanup_(buffer_cleanup_)

/* Room for so many bytes more at once, where their number is known. */
void buffer_reserve(struct buffer *buffer, size_t more);
void buffer_add(struct buffer *buffer, const void *data, size_t size);
void buffer_add_text(struct buffer *buffer, const char *text);
void buffer_printf(struct buffer *buffer, const char *fmt, ...) _printf_(2, 3);
void buffer_add_u8(struct buffer *buffer, uint8_t value);
void buffer_add_u32be(struct buffer *buffer, uint32_t value);
void buffer_add_u64be(struct buffer *buffer, uint64_t value);

/* u32 big-endian length, then the bytes: lp() of DESIGN section 6. */
void buffer_add_lp(struct buffer *buffer, const void *data, size_t size);

const char *buffer_text(const struct buffer *buffer); /* "" when empty */
char *buffer_take_text(struct buffer *buffer);        /* caller frees; empties the buffer */
