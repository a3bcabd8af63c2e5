#include "shared/base/alloc.h"

#include <stdint.h>

static void *check(void *p)
{
    if (p)
        return p;
    fputs("out of memory\n", stderr);
    abort();
}

void *xcalloc(size_t n, size_t size)
{
    return check(calloc(n ? n : 1, size ? size : 1));
}

void *xrealloc_array(void *p, size_t n, size_t size)
{
    return check(reallocarray(p, n ? n : 1, size ? size : 1));
}

void *xmemdup(const void *data, size_t size)
{
    void *copy = check(malloc(size ? size : 1));

    if (size)
        memcpy(copy, data, size);
    return copy;
}

char *xstrdup(const char *text)
{
    return text ? check(strdup(text)) : NULL;
}

char *xstrndup(const char *text, size_t size)
{
    return check(strndup(text, size));
}

char *xvasprintf(const char *fmt, va_list args)
{
    char *text = NULL;

    if (vasprintf(&text, fmt, args) < 0)
        text = NULL;
    return check(text);
}

char *xasprintf(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    char *text = xvasprintf(fmt, args);
    va_end(args);
    return text;
}
