/* Semantic versions (semver.org 2.0.0), with or without a "v" in front. */
#pragma once

#include <stdbool.h>

bool semver_is_valid(const char *text);

/* < 0, 0 or > 0 by precedence (section 11: build metadata does not count). Both must be valid. */
int semver_compare(const char *a, const char *b);
