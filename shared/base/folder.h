/* The files of a folder by their suffix, as somebody put them there. */
#pragma once

#include <stddef.h>

#include "shared/base/buffer.h"
#include "shared/base/error.h"

struct folder_kind {
    const char *suffix; /* ".der"; NULL ends a list */
    size_t size_max;    /* bytes of one file */
    struct error *(*take)(void *data, const struct buffer *bytes);
};

/* Gives each file whose name ends in a listed suffix to that row's function, in no order; others
 * are passed over. NOT_FOUND and the like; the first error of a row, with the file's path. */
struct error *folder_read(const char *dir, const struct folder_kind *kinds,
                          void *data) _must_check_;
