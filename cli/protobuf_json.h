/* Any protobuf-c message as JSON for people: field names as in schemas/, bytes as hex. */
#pragma once

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

/* Walks the message's descriptor. Unset fields with zero values are left out. Credentials and
 * sealed bytes show only their length. Caller decrefs. */
json_t *protobuf_to_json(const ProtobufCMessage *message);
