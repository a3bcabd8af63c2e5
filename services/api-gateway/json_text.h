/* Bytes of users, hosts and guests as JSON strings. */
#pragma once

#include <jansson.h>
#include <stddef.h>

/* Always a string: what is not UTF-8 (RFC 3629), and NUL, becomes U+FFFD. */
json_t *json_text(const void *data, size_t size);
