/*
 * The config disk: what the host hands to a guest, in the form that schemas/boot.proto documents.
 * Nothing on it has authority beyond what the manifest, bound by HOST_DATA, says.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "shared/base/buffer.h"
#include "shared/base/error.h"

#define CONFIG_DISK_MAX (32 * 1024 * 1024)
#define CONFIG_DISK_MANIFEST                                                                       \
    (256 * 1024) /* most bytes of the manifest, and of the compose text                            \
                  */

struct config_disk {
    const void *manifest;
    size_t manifest_size;
    const void *compose;
    size_t compose_size;
    const void *files; /* a message with the manifest's plain files as field 3; size 0: none */
    size_t files_size;
    const char *workload_id;
    const char *host_id;
    const char *leaf_url;
    const char *leaf_credentials; /* narrowed to this workload and boot */
    uint64_t generation;
    const void *collateral; /* certificate table of the host's chip; size 0: none */
    size_t collateral_size;
    int64_t collateral_at_ms; /* Unix time of its CRL's coming; 0: not known */
};

/* The whole disk, padded to a multiple of 4 KiB, added to *ret_disk. INVALID_ARGUMENT: files that
 * do not parse; RESOURCE_EXHAUSTED: larger than CONFIG_DISK_MAX. */
struct error *config_disk_build(const struct config_disk *content,
                                struct buffer *ret_disk) _must_check_;
