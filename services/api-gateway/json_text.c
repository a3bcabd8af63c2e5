#include "services/api-gateway/json_text.h"

#include <string.h>

#include "shared/base/buffer.h"

/* Length of the UTF-8 sequence at p (RFC 3629 section 4), 0 when it is none. */
static size_t sequence_size(const unsigned char *p, size_t left)
{
    size_t size = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

    if (size == 0 || size > left || p[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return size;
}

json_t *json_text(const void *data, size_t size)
{
    const unsigned char *p = data ?: "";
    json_t *json = memchr(p, '\0', size) ? NULL : json_stringn((const char *)p, size);

    if (json)
        return json;
    _cleanup_buffer_ struct buffer text = {0};
    for (size_t i = 0; i < size;) {
        size_t n = p[i] ? sequence_size(p + i, size - i) : 0;
        if (n)
            buffer_add(&text, p + i, n);
        else
            buffer_add_text(&text, "\xef\xbf\xbd");
        i += n ?: 1;
    }
    return json_stringn(buffer_text(&text), text.size);
}
