/* An API key as a record of the store, as JSON for callers, and as an audit entry's details. */
#pragma once

#include "services/api-gateway/api_keys.h"
#include "shared/store/store.h"

/* json NULL: an empty key. sha256 and version are the caller's to set. */
void api_key_read(const json_t *json, struct arena *arena, struct api_key *ret_key);
ProtobufCBinaryData api_key_value(struct arena *arena, const struct api_key *key);
json_t *api_key_details(const struct api_key *key); /* new reference */
