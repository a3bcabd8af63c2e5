#include <ctype.h>

#include "services/api-gateway/http_internal.h"

static unsigned digit(char c)
{
    return isdigit((unsigned char)c) ? (unsigned)(c - '0')
                                     : (unsigned)(tolower((unsigned char)c) - 'a') + 10;
}

/* 0: none begins here, or it would end the text. */
static unsigned escaped(const char *text)
{
    if (text[0] != '%' || !isxdigit((unsigned char)text[1]) || !isxdigit((unsigned char)text[2]))
        return 0;
    return 16 * digit(text[1]) + digit(text[2]);
}

size_t http_unescape(_unused_ void *state, _unused_ struct MHD_Connection *connection, char *text)
{
    size_t n = 0;

    for (const char *at = text; *at;) {
        unsigned value = escaped(at);
        text[n++] = value ? (char)value : *at;
        at += value ? 3 : 1;
    }
    text[n] = '\0';
    return n;
}
