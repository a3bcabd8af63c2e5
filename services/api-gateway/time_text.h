/* Times as callers write them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* RFC 3339 in UTC: "2030-01-31T12:00:00Z", with or without milliseconds, as we write it. */
bool time_text_parse(const char *text, int64_t *ret_ms);

/* The same, or how long ago: "90s", "10m", "2h", "7d". */
bool time_text_since(const char *text, int64_t now_ms, int64_t *ret_ms);
