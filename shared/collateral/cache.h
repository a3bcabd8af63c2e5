/*
 * The disk cache of key service objects, by the path they are asked for with, which names product,
 * chip and TCB. It is not trusted: nothing is written or handed out that the caller's check does
 * not accept. The time of fetching is the file's own word, so whoever can write here can keep an
 * older list of the vendor's in use, until its own next update or until the service is asked; all
 * else that a poisoned cache can do is make things fail. Files are replaced whole (written beside,
 * fsync, rename). Objects are told apart by what they certify, never by their
 * bytes: the service signs anew at every request.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "shared/base/error.h"
#include "shared/collateral/item.h"

struct cache_key {
    const char *path; /* at most CACHE_KEY_MAX bytes */
    bool kept;        /* of a product, not of one chip: few, and never evicted */
};

struct cache_check {
    struct error *(*check)(void *data, const void *body, size_t size);
    void *data;
};

struct cache;
/* Makes the folder (0755) when it is not there. max_chips: files of chips at most; the oldest go.
 */
struct error *cache_open(const char *dir, size_t max_chips, struct cache **ret_cache) _must_check_;
void cache_free(struct cache *cache);
DEFINE_CLEANUP(struct cache *, cache_free)

/* NOT_FOUND: nothing is there. Any other error: something is, and must not be used. Any thread. */
struct error *cache_read(struct cache *cache, const struct cache_key *key,
                         const struct cache_check *check, struct item *ret_item) _must_check_;

/* Replaces what is there. The check's error, or why it could not be written. Any thread. */
struct error *cache_write(struct cache *cache, const struct cache_key *key,
                          const struct cache_check *check, const struct item *item) _must_check_;
