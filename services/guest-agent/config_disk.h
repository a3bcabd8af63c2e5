/*
 * The config disk: what the host hands to the guest (framing in schemas/boot.proto). The disk
 * belongs to the host and may change under us: it is copied into memory once, everything in the
 * copy is checked against the manifest, the manifest against HOST_DATA of a report of our own,
 * and only then is the copy used. The hints carry no authority.
 *
 * On failure *ret_code gets a stable name: config_disk_missing, config_disk_malformed,
 * manifest_invalid, config_hash_mismatch, host_data_mismatch, report_failed.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "shared/attestation/tee.h"
#include "shared/base/arena.h"
#include "shared/base/buffer.h"
#include "shared/base/error.h"
#include "shared/manifest/manifest.h"

#define CONFIG_DISK_MAX    (32 * 1024 * 1024) /* header and message */
#define CONFIG_DISK_SERIAL "coffer-config"

struct config_file {
    const char *path;
    const uint8_t *data;
    size_t size;
};

/* A parsed copy; everything lives in the arena it was parsed into. */
struct guest_config {
    const uint8_t *manifest_json;
    size_t manifest_size;
    uint8_t manifest_sha256[32];
    const struct manifest *manifest; /* NULL until config_check() */
    const uint8_t *compose;
    size_t compose_size;
    struct config_file *files;
    size_t n_files;
    const char *workload_id; /* hints: valid names, but only the host's word */
    const char *host_id;
    const char *leaf_url;
    const char *leaf_credentials;
    uint64_t generation;
    struct buffer collateral; /* certificate table of the host's chip; not its own memory */
    int64_t collateral_at_ms; /* when its CRL came from the vendor; 0: not known */
};

/* The block device whose serial is CONFIG_DISK_SERIAL, below sys ("/sys"). Caller frees. */
struct error *config_disk_find(const char *sys, char **ret_path) _must_check_;

/* Reads every byte once; adds header and message, without the padding, to *ret_copy. */
struct error *config_disk_read(const char *path, struct buffer *ret_copy) _must_check_;

/* Framing, message and hints. A wrong byte anywhere is INVALID_ARGUMENT. */
struct error *config_disk_parse(const void *data, size_t size, struct arena *arena,
                                struct guest_config **ret_config) _must_check_;

/* Parses the manifest and holds compose text and files against it: exactly those, no others. */
struct error *config_check_hashes(struct guest_config *config, struct arena *arena,
                                  const char **ret_code) _must_check_;

/* SHA-256 of the manifest must be HOST_DATA of a report that is made now. tee NULL: there is
 * none, report_failed. */
struct error *config_check_host_data(const struct guest_config *config, struct tee *tee,
                                     const char **ret_code) _must_check_;

/* A relative path of [A-Za-z0-9._/-] without empty, "." or ".." parts, at most 255 bytes. */
bool config_path_is_valid(const char *path);
