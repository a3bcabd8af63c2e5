#include "cli/query.h"

#include <inttypes.h>
#include <string.h>

static void add_encoded(struct buffer *path, const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-._~";

    for (; *text; text++)
        if (strchr(plain, *text))
            buffer_add(path, text, 1);
        else
            buffer_printf(path, "%%%02X", (unsigned char)*text);
}

void query_add(struct buffer *path, const char *name, const char *value)
{
    if (!value)
        return;
    buffer_printf(path, "%c%s=", strchr(buffer_text(path), '?') ? '&' : '?', name);
    add_encoded(path, value);
}

void query_add_number(struct buffer *path, const char *name, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, value);
    query_add(path, name, text);
}
