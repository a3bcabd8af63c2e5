/* Times that users write: RFC 3339 in UTC, "2030-01-31T12:00:00Z", with or without milliseconds, as
 * we write them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

bool time_parse(const char *text, int64_t *ret_ms);
