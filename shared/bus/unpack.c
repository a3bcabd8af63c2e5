/* Unpacking of foreign bytes: bounded memory, valid text. */
#include "shared/bus/bus.h"

/* What a small payload may grow to: empty sub-messages are two bytes packed, a hundred unpacked. */
enum { UNPACKED_BASE = 4 * 1024 * 1024, UNPACKED_FACTOR = 8 };

struct limited_allocator {
    ProtobufCAllocator base;
    struct arena *arena;
    size_t left;
};

static void *limited_alloc(void *data, size_t size)
{
    struct limited_allocator *allocator = data;

    if (size > allocator->left)
        return NULL;
    allocator->left -= size;
    return arena_alloc(allocator->arena, size);
}

static void limited_free(void *data, void *pointer)
{
    (void)data;
    (void)pointer;
}

/* RFC 3629: shortest form only, no surrogates, nothing above U+10FFFF. Length of one character. */
static size_t utf8_length(const unsigned char *text)
{
    size_t length = text[0] < 0x80   ? 1
                    : text[0] < 0xc2 ? 0
                    : text[0] < 0xe0 ? 2
                    : text[0] < 0xf0 ? 3
                    : text[0] < 0xf5 ? 4
                                     : 0;

    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) ||
        (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f))
        return 0;
    return length;
}

static bool text_is_valid(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;

    while (*at) {
        size_t length = utf8_length(at);
        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

static bool message_text_is_valid(const ProtobufCMessage *message);

static bool element_is_valid(const ProtobufCFieldDescriptor *field, const void *element)
{
    const void *pointer = *(void *const *)element;

    if (!pointer)
        return true;
    return field->type == PROTOBUF_C_TYPE_STRING ? text_is_valid(pointer)
                                                 : message_text_is_valid(pointer);
}

/* No message contains itself, so the depth is bounded. */
static bool message_text_is_valid(const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;

    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        const char *member = (const char *)message + field->offset;
        if (field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        if (field->label != PROTOBUF_C_LABEL_REPEATED) {
            if (!element_is_valid(field, member))
                return false;
            continue;
        }
        size_t n = *(const size_t *)((const char *)message + field->quantifier_offset);
        const char *elements = *(const char *const *)member;
        for (size_t k = 0; k < n; k++) {
            if (!element_is_valid(field, elements + k * sizeof(void *)))
                return false;
        }
    }
    return true;
}

struct error *bus_unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t size,
                         struct arena *arena, void **ret_message)
{
    struct limited_allocator allocator = {
        .base = {limited_alloc, limited_free, &allocator},
        .arena = arena,
        .left = UNPACKED_BASE + UNPACKED_FACTOR * size,
    };
    static const uint8_t nothing[1];

    ProtobufCMessage *message =
        protobuf_c_message_unpack(type, &allocator.base, size, size ? data : nothing);
    if (!message)
        return error_new(ERROR_INVALID_ARGUMENT, "malformed '%s' of %zu bytes", type->name, size);
    if (!message_text_is_valid(message))
        return error_new(ERROR_INVALID_ARGUMENT, "text in '%s' is not valid UTF-8", type->name);
    *ret_message = message;
    return NULL;
}
