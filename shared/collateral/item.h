/* One object of the key service, with its age told. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/buffer.h"

struct item {
    struct buffer body;
    int64_t fetched_at_ms; /* Unix time when the service gave it */
    bool cached;           /* from the disk; else the service gave it now */
    bool stale;            /* a newer one was wanted and not to be had */
    char *note;            /* why it is stale or was not kept; NULL: nothing to say */
};
void item_done(struct item *item);
void item_copy(const struct item *item, struct item *ret_item);
