/*
 * Guest images on this host: <dir>/<version>/{image.json, and the files it names}. An image is
 * ready when image.json carries the release key's signature and every file has its SHA-256. A file
 * is hashed once as long as it stays the same file (device, inode, size, times).
 *
 * One thread (the worker) scans; image_cache_copy_states() may be called from any.
 */
#pragma once

#include <stdint.h>

#include "shared/attestation/image.h"
#include "shared/base/arena.h"
#include "shared/base/error.h"

#define IMAGE_CACHE_MAX 64

struct image_cache;

struct image_state {
    char version[65];
    char root_hash[129]; /* hex; "" when image.json is not good */
    bool ready;
    char reason[256];
};

struct image_cache *image_cache_new(const char *dir, const uint8_t release_public[32]);
void image_cache_free(struct image_cache *cache);
DEFINE_CLEANUP(struct image_cache *, image_cache_free)

/* Looks at every version in the folder; hashes what is new or changed. */
struct error *image_cache_scan(struct image_cache *cache) _must_check_;

/* Caller frees; at most IMAGE_CACHE_MAX. */
struct image_state *image_cache_copy_states(struct image_cache *cache, size_t *ret_n);

/* The image, checked now. NOT_FOUND; FAILED_PRECONDITION with the reason when it is not ready. */
struct error *image_cache_open(struct image_cache *cache, const char *version, struct arena *arena,
                               struct image **ret_image) _must_check_;

/* <dir>/<version>/<name>; caller frees. */
char *image_cache_path(const struct image_cache *cache, const char *version, const char *name);

/* 64 hex digits, or the path of a fleet.json with "image_release_public". */
struct error *image_release_key(const char *text, uint8_t ret_public[32]) _must_check_;
