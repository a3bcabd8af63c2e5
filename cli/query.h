/* Paths with query arguments, percent-encoded (RFC 3986 section 2.1). */
#pragma once

#include "shared/base/buffer.h"

/* Adds "?name=value" or "&name=value"; nothing for a value that is NULL. */
void query_add(struct buffer *path, const char *name, const char *value);
void query_add_number(struct buffer *path, const char *name, uint64_t value);
