/*
 * A file of the cache: "COFFERKC", u32 version 1, u64 fetched at (Unix ms), lp(key), lp(body), end;
 * integers big-endian, lp(x) = u32 length and x. The key stands inside, so that a file under
 * another's name is not taken for it.
 */
#pragma once

#include <stddef.h>

#include "shared/base/error.h"
#include "shared/collateral/item.h"

#define CACHE_BODY_MAX (256 * 1024)
#define CACHE_KEY_MAX  256
#define CACHE_FILE_MAX (CACHE_BODY_MAX + CACHE_KEY_MAX + 64)

/* INVALID_ARGUMENT: not such a file, or of another key. The item is the caller's. */
struct error *cache_file_parse(const void *data, size_t size, const char *key,
                               struct item *ret_item) _must_check_;

/* Adds the file's bytes. */
void cache_file_write(const char *key, const struct item *item, struct buffer *ret_file);
