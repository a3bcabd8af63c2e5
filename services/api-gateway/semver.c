#include "services/api-gateway/semver.h"

#include <stddef.h>
#include <string.h>

static const char digits[] = "0123456789";
static const char identifier[] = "0123456789-"
                                 "abcdefghijklmnopqrstuvwxyz"
                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

static const char *skip_v(const char *text)
{
    return *text == 'v' ? text + 1 : text;
}

/* The length of a number without leading zeros; 0: none. */
static size_t number_size(const char *text)
{
    size_t size = strspn(text, digits);

    return size > 1 && text[0] == '0' ? 0 : size;
}

/* Dot-separated identifiers; numeric ones of a pre-release have no leading zeros. The end, or
 * NULL. */
static const char *skip_identifiers(const char *text, bool is_pre_release)
{
    for (;;) {
        size_t size = strspn(text, identifier);
        bool numeric = size && strspn(text, digits) == size;
        if (!size || (is_pre_release && numeric && !number_size(text)))
            return NULL;
        text += size;
        if (*text != '.')
            return text;
        text++;
    }
}

bool semver_is_valid(const char *text)
{
    text = skip_v(text);
    for (int i = 0; i < 3; i++) {
        size_t size = number_size(text);
        if (!size || (i < 2 && text[size] != '.'))
            return false;
        text += size + (i < 2);
    }
    if (*text == '-')
        text = skip_identifiers(text + 1, true);
    if (text && *text == '+')
        text = skip_identifiers(text + 1, false);
    return text && !*text;
}

/* Numbers of any length, without leading zeros. */
static int compare_numbers(const char *a, size_t a_size, const char *b, size_t b_size)
{
    if (a_size != b_size)
        return a_size < b_size ? -1 : 1;
    return memcmp(a, b, a_size);
}

/* Numbers before words, words by their bytes, the shorter of two that begin alike first. */
static int compare_identifiers(const char *a, size_t a_size, const char *b, size_t b_size)
{
    bool a_numeric = strspn(a, digits) >= a_size;
    bool b_numeric = strspn(b, digits) >= b_size;

    if (a_numeric && b_numeric)
        return compare_numbers(a, a_size, b, b_size);
    if (a_numeric != b_numeric)
        return a_numeric ? -1 : 1;
    int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
    return order ? order : (a_size > b_size) - (a_size < b_size);
}

/* Both at their first identifier; what has more of them comes later. */
static int compare_pre_releases(const char *a, const char *b)
{
    for (;;) {
        size_t a_size = strspn(a, identifier);
        size_t b_size = strspn(b, identifier);
        int order = compare_identifiers(a, a_size, b, b_size);
        if (order)
            return order;
        bool a_more = a[a_size] == '.';
        bool b_more = b[b_size] == '.';
        if (!a_more || !b_more)
            return a_more - b_more;
        a += a_size + 1;
        b += b_size + 1;
    }
}

int semver_compare(const char *a, const char *b)
{
    a = skip_v(a);
    b = skip_v(b);
    for (int i = 0; i < 3; i++) {
        size_t a_size = number_size(a);
        size_t b_size = number_size(b);
        int order = compare_numbers(a, a_size, b, b_size);
        if (order)
            return order;
        a += a_size + (i < 2);
        b += b_size + (i < 2);
    }
    if (*a == '-' && *b == '-')
        return compare_pre_releases(a + 1, b + 1);
    return (*b == '-') - (*a == '-');
}
