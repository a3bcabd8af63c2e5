#include "services/api-gateway/http_unescape.h"

#include <string.h>

/* -1: none. */
static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* 0: what is there stays. */
static char byte_of(const char *text)
{
    int high = text[0] == '%' ? digit(text[1]) : -1;
    int low = high >= 0 ? digit(text[2]) : -1;

    return low >= 0 ? (char)(16 * high + low) : '\0';
}

size_t http_unescape(char *text)
{
    char *out = text;

    for (const char *in = text; *in;) {
        char byte = byte_of(in);
        *out++ = byte ? byte : *in;
        in += byte ? 3 : 1;
    }
    *out = '\0';
    return (size_t)(out - text);
}
