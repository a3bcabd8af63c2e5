#include "cli/protobuf_json.h"

#include <stdint.h>

#include "shared/base/alloc.h"
#include "shared/base/encode.h"

enum { BYTES_SHOWN = 4096 };

static bool is_private(const char *field)
{
    static const char *const names[] = {"guest_credentials", "leaf_credentials",
                                        "sealed_secrets",    "sealed_bundle",
                                        "password",          "acme_eab_mac_key"};

    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        if (strcmp(field, names[i]) == 0)
            return true;
    }
    return false;
}

static json_t *bytes_to_json(const ProtobufCBinaryData *bytes, bool hidden)
{
    if (hidden || bytes->len > BYTES_SHOWN) {
        _cleanup_free_ char *text = xasprintf("(%zu bytes)", bytes->len);
        return json_string(text);
    }
    _cleanup_free_ char *text = hex_encode_new(bytes->data, bytes->len);
    return json_string(text);
}

static json_t *enum_to_json(const ProtobufCFieldDescriptor *field, int value)
{
    const ProtobufCEnumValue *known =
        protobuf_c_enum_descriptor_get_value(field->descriptor, value);

    return known ? json_string(known->name) : json_integer(value);
}

static json_t *text_to_json(const char *text, bool hidden)
{
    json_t *json = json_string(hidden && text[0] ? "(hidden)" : text);

    return json ? json : json_string("(not valid UTF-8)");
}

/* One value at its place in the message struct. */
static json_t *value_to_json(const ProtobufCFieldDescriptor *field, const void *at)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return json_integer(*(const int32_t *)at);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return json_integer(*(const uint32_t *)at);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return json_integer(*(const int64_t *)at);
    case PROTOBUF_C_TYPE_FLOAT:
        return json_real((double)*(const float *)at);
    case PROTOBUF_C_TYPE_DOUBLE:
        return json_real(*(const double *)at);
    case PROTOBUF_C_TYPE_BOOL:
        return json_boolean(*(const protobuf_c_boolean *)at);
    case PROTOBUF_C_TYPE_ENUM:
        return enum_to_json(field, *(const int *)at);
    case PROTOBUF_C_TYPE_STRING:
        return text_to_json(*(char *const *)at, is_private(field->name));
    case PROTOBUF_C_TYPE_BYTES:
        return bytes_to_json(at, is_private(field->name));
    case PROTOBUF_C_TYPE_MESSAGE:
        return *(ProtobufCMessage *const *)at ? protobuf_to_json(*(ProtobufCMessage *const *)at)
                                              : json_null();
    }
    return json_null();
}

static size_t element_size(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    default:
        return 4;
    }
}

static json_t *list_to_json(const ProtobufCFieldDescriptor *field, const ProtobufCMessage *message)
{
    const char *base = (const char *)message;
    size_t n = *(const size_t *)(base + field->quantifier_offset);
    const char *items = *(char *const *)(base + field->offset);
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, value_to_json(field, items + i * element_size(field->type)));
    return list;
}

static bool is_empty(const json_t *value)
{
    const char *text = json_string_value(value);

    return json_is_null(value) || json_is_false(value) || (text && !text[0]) ||
           (json_is_integer(value) && json_integer_value(value) == 0) ||
           (json_is_array(value) && json_array_size(value) == 0);
}

json_t *protobuf_to_json(const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    json_t *json = json_object();

    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        json_t *value = field->label == PROTOBUF_C_LABEL_REPEATED
                            ? list_to_json(field, message)
                            : value_to_json(field, (const char *)message + field->offset);
        if (is_empty(value))
            json_decref(value);
        else
            json_object_set_new(json, field->name, value);
    }
    return json;
}
