/* Whole files, with limits and durable replacement. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "shared/base/buffer.h"
#include "shared/base/error.h"

/* Reads at most max bytes; a longer file is RESOURCE_EXHAUSTED. Adds to *ret_buffer. */
struct error *file_read(const char *path, size_t max, struct buffer *ret_buffer) _must_check_;

/* Same, as text without NUL bytes and without trailing white space; caller frees. */
struct error *file_read_text(const char *path, size_t max, char **ret_text) _must_check_;

/* Writes beside the target, fsyncs, renames over it: readers see the old or the new file. */
struct error *file_write_atomic(const char *path, const void *data, size_t size,
                                mode_t mode) _must_check_;

struct error *dir_make(const char *path, mode_t mode) _must_check_; /* mkdir -p */
