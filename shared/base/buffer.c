#include "shared/base/buffer.h"

#include "shared/base/alloc.h"

void buffer_done(struct buffer *buffer)
{
    if (buffer->data)
        OPENSSL_cleanse(buffer->data, buffer->size);
    free(buffer->data);
    *buffer = (struct buffer){0};
}

static void reserve(struct buffer *buffer, size_t more)
{
    size_t need = buffer->size + more + 1;

    if (need <= buffer->size)
        abort();
    if (need <= buffer->room)
        return;
    size_t room = need < 64 ? 64 : need + need / 2;
    uint8_t *data = xcalloc(1, room);
    if (buffer->data) {
        memcpy(data, buffer->data, buffer->size);
        OPENSSL_cleanse(buffer->data, buffer->size);
        free(buffer->data);
    }
    buffer->data = data;
    buffer->room = room;
}

void buffer_reserve(struct buffer *buffer, size_t more)
{
    reserve(buffer, more);
}

void buffer_add(struct buffer *buffer, const void *data, size_t size)
{
    reserve(buffer, size);
    if (size)
        memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    buffer->data[buffer->size] = 0;
}

void buffer_add_text(struct buffer *buffer, const char *text)
{
    buffer_add(buffer, text, strlen(text));
}

void buffer_printf(struct buffer *buffer, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    _cleanup_free_ char *text = xvasprintf(fmt, args);
    va_end(args);
    buffer_add_text(buffer, text);
}

void buffer_add_u8(struct buffer *buffer, uint8_t value)
{
    buffer_add(buffer, &value, 1);
}

void buffer_add_u32be(struct buffer *buffer, uint32_t value)
{
    uint8_t bytes[4];

    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> (24 - 8 * i));
    buffer_add(buffer, bytes, sizeof(bytes));
}

void buffer_add_u64be(struct buffer *buffer, uint64_t value)
{
    buffer_add_u32be(buffer, (uint32_t)(value >> 32));
    buffer_add_u32be(buffer, (uint32_t)value);
}

void buffer_add_lp(struct buffer *buffer, const void *data, size_t size)
{
    if (size > UINT32_MAX)
        abort();
    buffer_add_u32be(buffer, (uint32_t)size);
    buffer_add(buffer, data, size);
}

const char *buffer_text(const struct buffer *buffer)
{
    return buffer->data ? (const char *)buffer->data : "";
}

char *buffer_take_text(struct buffer *buffer)
{
    char *text = buffer->data ? (char *)TAKE_PTR(buffer->data) : xstrdup("");

    *buffer = (struct buffer){0};
    return text;
}
