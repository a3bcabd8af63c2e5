/* The %XX of paths and queries. */
#pragma once

#include <stddef.h>

/* In place; returns the new length. What is no %XX stays as it is, and so does %00: a byte 0 would
 * end the text, and what it ends would pass for another name. */
size_t http_unescape(char *text);
