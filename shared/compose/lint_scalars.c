/* How compose reads single values: as a number, a truth, a size, a time. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shared/compose/lint_private.h"

enum { NUMBER_MAX = 64 };

bool lint_word_is_in(const char *text, const char *words)
{
    for (size_t size = strlen(text); *words; words += *words == '|') {
        size_t n = strcspn(words, "|");
        if (n == size && strncasecmp(words, text, n) == 0)
            return true;
        words += n;
    }
    return false;
}

/* Of YAML: also 0x1f, 0o17, 1_000, .inf and .nan. */
static bool plain_number(const char *text, double *ret_number)
{
    char digits[NUMBER_MAX];
    char *end;
    size_t n = 0;

    if (!strchr("+-.0123456789", text[0]) || strlen(text) >= sizeof(digits))
        return false;
    if (lint_word_is_in(text + strspn(text, "+-"), ".inf|.nan")) {
        *ret_number = NAN;
        return true;
    }
    for (const char *p = text; *p; p++)
        if (*p != '_')
            digits[n++] = *p;
    digits[n] = '\0';
    bool octal = strncmp(digits, "0o", 2) == 0 && isdigit((unsigned char)digits[2]);
    *ret_number = octal ? (double)strtoull(digits + 2, &end, 8) : strtod(digits, &end);
    return !*end && end > digits && !isalpha((unsigned char)digits[strspn(digits, "+-")]);
}

/* 2001-01-01, which is a day and no text, also with a time behind it. */
static bool is_date(const char *text)
{
    static const char form[] = "0000-00-00";

    for (size_t i = 0; form[i]; i++)
        if (form[i] == '0' ? !isdigit((unsigned char)text[i]) : text[i] != form[i])
            return false;
    return !text[10] || ((text[10] == 'T' || text[10] == ' ') && strchr(text, ':'));
}

enum scalar lint_scalar(const struct node *node)
{
    double number;

    if (!node->plain)
        return SCALAR_TEXT;
    if (node_is_null(node))
        return SCALAR_NULL;
    if (lint_word_is_in(node->text, "true|false"))
        return SCALAR_BOOL;
    if (plain_number(node->text, &number))
        return SCALAR_NUMBER;
    return is_date(node->text) ? SCALAR_DATE : SCALAR_TEXT;
}

/* Decimal, without blanks. */
static bool text_number(const char *text, double *ret_number)
{
    char *end;

    if (!*text || strspn(text, "+-.0123456789eE") < strlen(text))
        return false;
    *ret_number = strtod(text, &end);
    return !*end;
}

bool lint_number(const struct node *node, double *ret_number)
{
    double number;

    if (!node || node->kind != NODE_SCALAR)
        return false;
    if (!(node->plain && plain_number(node->text, &number)) && !text_number(node->text, &number))
        return false;
    if (!isfinite(number))
        return false;
    *ret_number = number;
    return true;
}

/* "512", "1.5g", "2 GiB": a power of 1024. */
static bool text_size(const char *text, double *ret_bytes)
{
    static const char powers[] = "bkmgtp";
    size_t size = strspn(text, "0123456789.");
    const char *unit = text + size + (text[size] == ' ');
    char *end;
    double number = strtod(text, &end);

    if (size == 0 || end != text + size)
        return false;
    const char *power = *unit ? strchr(powers, tolower((unsigned char)*unit)) : powers;
    if (!power)
        return false;
    *ret_bytes = trunc(ldexp(number, 10 * (int)(power - powers)));
    return !*unit || !unit[1] || (power > powers && lint_word_is_in(unit + 1, "b|ib"));
}

bool lint_size(const struct node *node, double *ret_bytes)
{
    double number;

    if (!node || node->kind != NODE_SCALAR)
        return false;
    if (!node->plain || !plain_number(node->text, &number))
        return text_size(node->text, ret_bytes);
    *ret_bytes = number;
    return isfinite(number) && trunc(number) == number;
}

bool lint_span(const char *text)
{
    static const char *const units[] = {"ns", "us", "\u00b5s", "\u03bcs", "ms", "s", "m", "h"};
    bool any = false;

    if (strcmp(text, "0") == 0)
        return true;
    while (*text) {
        size_t digits = strspn(text, "0123456789");
        size_t fraction = text[digits] == '.' ? strspn(text + digits + 1, "0123456789") : 0;
        size_t size = 0;
        text += digits + (text[digits] == '.') + fraction;
        for (size_t i = 0; i < ELEMENTSOF(units); i++)
            if (strncmp(text, units[i], strlen(units[i])) == 0 && strlen(units[i]) > size)
                size = strlen(units[i]);
        if (digits + fraction == 0 || size == 0)
            return false;
        text += size;
        any = true;
    }
    return any;
}
