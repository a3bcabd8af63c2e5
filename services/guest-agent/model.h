/* What the guest reads from compose's own model (`config --format json`), besides the lint. */
#pragma once

#include "shared/base/arena.h"
#include "shared/manifest/manifest.h"

struct model_facts {
    const char **networks; /* of the public service, sorted */
    size_t n_networks;
};

/*
 * The model of the user's file alone: its services and images must be those of the manifest,
 * PERMISSION_DENIED otherwise. Texts live in the arena.
 */
struct error *model_read(const char *json, size_t size, const struct manifest *manifest,
                         struct arena *arena, struct model_facts *ret_facts) _must_check_;
