/* The guest images whose signed image.json the operator put into one folder, as
 * <version>/image.json or <version>.json: the Reference Values of a release. */
#pragma once

#include "shared/attestation/image.h"
#include "shared/store/store.h"

enum { IMAGE_VERSIONS_MAX = 256 };

struct images;

struct error *images_open(const char *dir, const uint8_t release_public[SIGN_KEY_SIZE],
                          struct images **ret_images) _must_check_;
void images_free(struct images *images);
DEFINE_CLEANUP(struct images *, images_free)

/* NOT_FOUND when the version is not there; PERMISSION_DENIED when its signature is not the release
 * key's. Read anew each time, so that an image can be added while we run. */
struct error *images_find(const struct images *images, const char *version, struct arena *arena,
                          struct image **ret_image) _must_check_;

/* Whether images_find() would find it; a file that was good and is still the same one is not read
 * again. From any thread. */
struct error *images_check(struct images *images, const char *version) _must_check_;

/* Names that look like versions in the folder, at most IMAGE_VERSIONS_MAX, whatever their files
 * hold; no folder: none. They live in the arena. */
struct error *images_versions(const struct images *images, struct arena *arena,
                              const char ***ret_versions, size_t *ret_n) _must_check_;

/* When the version's image.json was written, by the file's time; 0 when it cannot be told. */
int64_t images_written_at_ms(const struct images *images, const char *version);

/* Puts every valid image.json of the folder into the store, for the gateway to serve. */
struct error *images_publish(const struct images *images, struct store *store,
                             uint64_t term) _must_check_;
