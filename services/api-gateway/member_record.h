/* A member as a record of the store, as JSON for callers, and as an audit entry's details. */
#pragma once

#include "services/api-gateway/members.h"
#include "shared/store/store.h"

/* json NULL: an empty one, which is not active. version is the caller's to set. */
void member_read(const json_t *json, struct arena *arena, struct member *ret_member);
ProtobufCBinaryData member_value(struct arena *arena, const struct member *member);
json_t *member_details(const struct member *member); /* new reference */

enum key_level member_role_level(enum member_role role); /* the most that it may */
