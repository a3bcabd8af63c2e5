/* What Caddy's log says about certificates. */
#pragma once

#include <stddef.h>

/* A line of its JSON log: the reason in its own words when it tells of a certificate that could
 * not be had; NULL otherwise. Caller frees. */
char *caddy_problem(const char *line, size_t size);
