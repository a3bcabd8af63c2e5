/* What somebody may have meant. */
#pragma once

#include <stddef.h>

/* The name nearest to text, if it is near: up to a third of it mistyped. NULL: none. */
const char *suggest(const char *text, const char *const *names, size_t n);
