#include "shared/base/encode.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "shared/base/alloc.h"

void hex_encode(const void *data, size_t size, char *ret_text)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = data;

    for (size_t i = 0; i < size; i++) {
        ret_text[2 * i] = digits[bytes[i] >> 4];
        ret_text[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret_text[2 * size] = '\0';
}

char *hex_encode_new(const void *data, size_t size)
{
    char *text = xnew_array(char, 2 * size + 1);

    hex_encode(data, size, text);
    return text;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

struct error *hex_decode(const char *text, void *ret_data, size_t size)
{
    _cleanup_free_ uint8_t *bytes = xcalloc(1, size);

    if (strlen(text) != 2 * size)
        return error_new(ERROR_INVALID_ARGUMENT, "expected %zu hex digits, got %zu", 2 * size,
                         strlen(text));
    for (size_t i = 0; i < size; i++) {
        int high = hex_digit(text[2 * i]);
        int low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return error_new(ERROR_INVALID_ARGUMENT, "not a hex digit near position %zu", 2 * i);
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(ret_data, bytes, size);
    return NULL;
}

char *base64_encode_new(const void *data, size_t size)
{
    char *text = xnew_array(char, (size + 2) / 3 * 4 + 1);

    EVP_EncodeBlock((unsigned char *)text, data, (int)size);
    return text;
}

char *base64url_encode_new(const void *data, size_t size)
{
    char *text = base64_encode_new(data, size);

    for (char *p = text; *p; p++) {
        if (*p == '+')
            *p = '-';
        else if (*p == '/')
            *p = '_';
        else if (*p == '=')
            *p = '\0';
    }
    return text;
}

static size_t padding_of(const char *text, size_t length)
{
    if (length >= 2 && text[length - 2] == '=' && text[length - 1] == '=')
        return 2;
    return length >= 1 && text[length - 1] == '=' ? 1 : 0;
}

static bool base64_is_canonical(const char *text, size_t length, const uint8_t *data, size_t size)
{
    _cleanup_free_ char *again = base64_encode_new(data, size);

    return strlen(again) == length && memcmp(again, text, length) == 0;
}

struct error *base64_decode_new(const char *text, size_t max, uint8_t **ret_data, size_t *ret_size)
{
    size_t length = strlen(text);
    size_t padding = padding_of(text, length);

    if (length % 4 != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "base64 length is not a multiple of four");
    size_t size = length / 4 * 3 - padding;
    if (size > max)
        return error_new(ERROR_INVALID_ARGUMENT, "base64 text holds %zu bytes, at most %zu allowed",
                         size, max);
    _cleanup_free_ uint8_t *data = xcalloc(1, length / 4 * 3 + 1);
    /* EVP_DecodeBlock forgives white space and odd padding; encoding again does not. */
    if (length && EVP_DecodeBlock(data, (const unsigned char *)text, (int)length) < 0)
        return error_new(ERROR_INVALID_ARGUMENT, "not base64");
    data[size] = 0;
    if (!base64_is_canonical(text, length, data, size))
        return error_new(ERROR_INVALID_ARGUMENT, "not canonical base64");
    *ret_data = TAKE_PTR(data);
    *ret_size = size;
    return NULL;
}

bool name_is_valid(const char *text)
{
    size_t length = strlen(text);

    if (length == 0 || length > 63 || text[0] == '-' || text[length - 1] == '-')
        return false;
    return strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

void uuid_generate_text(char ret_text[UUID_TEXT_SIZE])
{
    uint8_t id[16];

    if (RAND_bytes(id, sizeof(id)) != 1)
        abort();
    id[6] = (uint8_t)((id[6] & 0x0f) | 0x40);
    id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
    snprintf(ret_text, UUID_TEXT_SIZE,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", id[0], id[1],
             id[2], id[3], id[4], id[5], id[6], id[7], id[8], id[9], id[10], id[11], id[12], id[13],
             id[14], id[15]);
}
