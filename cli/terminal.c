#include "cli/terminal.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "shared/base/alloc.h"
#include "shared/base/buffer.h"

/* One character of UTF-8 (RFC 3629): shortest form, no surrogates. Its size, 0: it is none. */
static size_t decode(const char *text, uint32_t *ret_char)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t *bytes = (const uint8_t *)text;
    size_t size = bytes[0] < 0x80   ? 1
                  : bytes[0] < 0xc0 ? 0
                  : bytes[0] < 0xe0 ? 2
                  : bytes[0] < 0xf0 ? 3
                  : bytes[0] < 0xf8 ? 4
                                    : 0;

    if (size < 2) {
        *ret_char = bytes[0];
        return size;
    }
    uint32_t value = bytes[0] & (0x7fU >> size);
    for (size_t i = 1; i < size; i++) {
        if ((bytes[i] & 0xc0) != 0x80) /* also the NUL at the end */
            return 0;
        value = value << 6 | (bytes[i] & 0x3f);
    }
    if (value < least[size] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *ret_char = value;
    return size;
}

static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

/* LRM, RLM, line and paragraph separators, embeddings, overrides and isolates, ALM, BOM. */
static bool turns_text(uint32_t c)
{
    return c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069) || c == 0x061c || c == 0xfeff;
}

char *terminal_text(const char *text, enum terminal_kind kind)
{
    _cleanup_buffer_ struct buffer clean = {0};

    while (*text) {
        uint32_t c = 0;
        size_t size = decode(text, &c);
        bool stays = kind == TERMINAL_LINES && (c == '\n' || c == '\t');
        if (size == 0)
            buffer_printf(&clean, "\\x%02x", (uint8_t)*text);
        else if (is_control(c) && !stays)
            buffer_printf(&clean, "\\x%02x", (unsigned)c);
        else if (turns_text(c))
            buffer_printf(&clean, "\\u{%04x}", (unsigned)c);
        else
            buffer_add(&clean, text, size);
        text += size ?: 1;
    }
    return clean.size ? buffer_take_text(&clean) : xstrdup("");
}

static void print(FILE *file, const char *fmt, va_list args) _printf_(2, 0);
static void print(FILE *file, const char *fmt, va_list args)
{
    _cleanup_free_ char *text = xvasprintf(fmt, args);
    _cleanup_free_ char *clean = terminal_text(text, TERMINAL_LINES);

    fputs(clean, file);
}

void terminal_printf(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    print(stdout, fmt, args);
    va_end(args);
}

void terminal_fprintf(FILE *file, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    print(file, fmt, args);
    va_end(args);
}

static size_t width_of(uint32_t c)
{
    int width = wcwidth((wchar_t)c);

    return width < 0 ? 1 : (size_t)width; /* unknown to the locale: most likely one */
}

size_t terminal_width(const char *text)
{
    size_t width = 0;

    while (*text) {
        uint32_t c = 0;
        size_t size = decode(text, &c);
        width += width_of(c);
        text += size ?: 1;
    }
    return width;
}

char *terminal_cut(const char *text, size_t columns)
{
    size_t width = 0;
    const char *at = text;

    if (terminal_width(text) <= columns || columns == 0)
        return xstrdup(columns ? text : "");
    while (*at) {
        uint32_t c = 0;
        size_t size = decode(at, &c);
        width += width_of(c);
        if (width > columns - 1)
            break;
        at += size ?: 1;
    }
    return xasprintf("%.*s…", (int)(at - text), text);
}

size_t terminal_columns(FILE *file)
{
    struct winsize size = {0};
    int fd = fileno(file);

    if (!isatty(fd))
        return 0;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

bool terminal_has_colours(FILE *file)
{
    const char *off = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    return !(off && off[0]) && term && strcmp(term, "dumb") != 0 && isatty(fileno(file));
}
