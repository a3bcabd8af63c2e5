/* The known word that somebody probably meant. */
#pragma once

#include <stddef.h>

/* Of n words, each a `const char *` at first + i * stride bytes: the nearest one within a third of
 * the word's letters (insert, leave out, change, swap two), or NULL. */
const char *spelling_nearest(const char *word, const char *const *first, size_t n, size_t stride);
