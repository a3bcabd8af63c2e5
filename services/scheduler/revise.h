/* An update, and what of it differs from before. */
#pragma once

#include "services/scheduler/records.h"
#include "shared/manifest/manifest.h"

/* One side of an update: what the workload was, or will be. */
struct configuration {
    const char *name;
    const char *domain;
    const struct manifest *manifest;
    const Coffer__V1__Secrets *secrets;
};

/* What differs, for people: names of parts, never their content. In the arena. */
const char *configuration_changes(const struct configuration *before,
                                  const struct configuration *after, struct arena *arena);
