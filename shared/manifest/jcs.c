/* JSON Canonicalization Scheme (RFC 8785) for strings, integers, booleans, null and containers. */
#include <string.h>

#include "shared/base/alloc.h"
#include "shared/manifest/manifest.h"

#define DEPTH_MAX   64
#define INTEGER_MAX 9007199254740991LL /* RFC 7493 section 2.2: exact in every implementation */

struct member {
    const char *key;
    const json_t *value;
};

static struct error *write_value(const json_t *value, unsigned depth, struct buffer *json);

/*
 * RFC 8785 section 3.2.3 sorts by UTF-16 code units. That order is the byte order of UTF-8, except
 * that what lies beyond U+FFFF (lead bytes from 0xf0) is written with surrogates, which sort
 * before U+E000..U+FFFF (lead bytes 0xee and 0xef).
 */
static int compare_utf16(const char *a, const char *b)
{
    const unsigned char *x = (const unsigned char *)a;
    const unsigned char *y = (const unsigned char *)b;

    while (*x && *x == *y) {
        x++;
        y++;
    }
    if (*x >= 0xf0 && (*y == 0xee || *y == 0xef))
        return -1;
    if (*y >= 0xf0 && (*x == 0xee || *x == 0xef))
        return 1;
    return (int)*x - (int)*y;
}

static int compare_members(const void *a, const void *b)
{
    return compare_utf16(((const struct member *)a)->key, ((const struct member *)b)->key);
}

/* How much of it stands for itself. */
static size_t plain_length(const char *text)
{
    size_t n = 0;

    while ((unsigned char)text[n] >= 0x20 && text[n] != '"' && text[n] != '\\')
        n++;
    return n;
}

/* RFC 8785 section 3.2.2.2: the short escapes, \u00xx for other controls, all else as it is. */
static void write_string(const char *text, struct buffer *json)
{
    static const char short_escapes[32] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};

    buffer_add_u8(json, '"');
    for (const char *p = text; *p; p++) {
        size_t plain = plain_length(p);
        buffer_add(json, p, plain);
        p += plain;
        unsigned char c = (unsigned char)*p;
        if (!c)
            break;
        if (c == '"' || c == '\\') {
            buffer_add_u8(json, '\\');
            buffer_add_u8(json, c);
        } else if (short_escapes[c]) {
            buffer_add_u8(json, '\\');
            buffer_add_u8(json, (uint8_t)short_escapes[c]);
        } else {
            buffer_printf(json, "\\u%04x", c);
        }
    }
    buffer_add_u8(json, '"');
}

static struct error *write_integer(json_int_t value, struct buffer *json)
{
    if (value > INTEGER_MAX || value < -INTEGER_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "integer %lld does not fit in 53 bits",
                         (long long)value);
    buffer_printf(json, "%lld", (long long)value);
    return NULL;
}

static struct error *write_array(const json_t *array, unsigned depth, struct buffer *json)
{
    buffer_add_u8(json, '[');
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i)
            buffer_add_u8(json, ',');
        struct error *err = write_value(json_array_get(array, i), depth, json);
        if (err)
            return err;
    }
    buffer_add_u8(json, ']');
    return NULL;
}

static struct error *write_object(const json_t *object, unsigned depth, struct buffer *json)
{
    _cleanup_free_ struct member *members = xnew_array(struct member, json_object_size(object));
    size_t n = 0;

    for (void *i = json_object_iter((json_t *)object); i;
         i = json_object_iter_next((json_t *)object, i))
        members[n++] = (struct member){json_object_iter_key(i), json_object_iter_value(i)};
    qsort(members, n, sizeof(*members), compare_members);

    buffer_add_u8(json, '{');
    for (size_t i = 0; i < n; i++) {
        if (i)
            buffer_add_u8(json, ',');
        write_string(members[i].key, json);
        buffer_add_u8(json, ':');
        struct error *err = write_value(members[i].value, depth, json);
        if (err)
            return err;
    }
    buffer_add_u8(json, '}');
    return NULL;
}

static struct error *write_value(const json_t *value, unsigned depth, struct buffer *json)
{
    if (depth == 0)
        return error_new(ERROR_INVALID_ARGUMENT, "nested deeper than %d", DEPTH_MAX);
    switch (value ? json_typeof(value) : JSON_REAL) {
    case JSON_OBJECT:
        return write_object(value, depth - 1, json);
    case JSON_ARRAY:
        return write_array(value, depth - 1, json);
    case JSON_STRING:
        if (strlen(json_string_value(value)) != json_string_length(value))
            return error_new(ERROR_INVALID_ARGUMENT, "string with a NUL character");
        write_string(json_string_value(value), json);
        return NULL;
    case JSON_INTEGER:
        return write_integer(json_integer_value(value), json);
    case JSON_TRUE:
        buffer_add_text(json, "true");
        return NULL;
    case JSON_FALSE:
        buffer_add_text(json, "false");
        return NULL;
    case JSON_NULL:
        buffer_add_text(json, "null");
        return NULL;
    case JSON_REAL:
        break;
    }
    return error_new(ERROR_INVALID_ARGUMENT, "number with a fraction or an exponent");
}

struct error *canonical_json(const json_t *value, struct buffer *ret_json)
{
    _cleanup_buffer_ struct buffer json = {0};

    struct error *err = write_value(value, DEPTH_MAX, &json);
    if (err)
        return err;
    buffer_add(ret_json, json.data, json.size);
    return NULL;
}
