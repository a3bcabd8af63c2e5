/* What the files of this folder share: the bounds of a manifest, checked on both ways. */
#pragma once

#include "shared/manifest/manifest.h"

#define MANIFEST_SCHEMA           "coffer.manifest/v1"
#define MANIFEST_ENV_MAX          256
#define MANIFEST_DOMAINS_MAX      16
#define MANIFEST_REGISTRIES_MAX   16
#define MANIFEST_SERVICES_MAX     32
#define MANIFEST_SECRET_FILES_MAX 64
#define MANIFEST_PEM_MAX          (32 * 1024)

/* Every field within its bounds; not: order and duplicates. */
struct error *manifest_check(const struct manifest *manifest) _must_check_;
