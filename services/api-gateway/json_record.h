/* The gateway's own records are JSON objects in the store. */
#pragma once

#include <jansson.h>

#include "shared/store/store.h"

/* *ret_json is NULL and *ret_version 0 when there is none; the caller owns *ret_json. INTERNAL
 * when it is damaged. ret_version may be NULL. */
struct error *json_record_load(struct store *store, const char *key, struct arena *arena,
                               json_t **ret_json, uint64_t *ret_version) _must_check_;

/* A record that was read already; NULL unless it is a JSON object. */
json_t *json_record_parse(const struct store_record *record);

/* The bytes to write, in the arena. */
ProtobufCBinaryData json_record_value(struct arena *arena, const json_t *json);

/* A member's text in the arena; "" when it is missing or something else. */
const char *json_record_text(const json_t *json, const char *name, struct arena *arena);
