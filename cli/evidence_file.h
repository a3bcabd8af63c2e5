/* Evidence from a file: a bare report, or an attester's answer as it was received. */
#pragma once

#include <stdbool.h>

#include "shared/base/buffer.h"
#include "shared/base/error.h"

#define EVIDENCE_FILE_MAX (1024 * 1024)

/* *ret_is_answer: JSON rather than the bytes of a report. Neither is judged here. NOT_FOUND,
 * RESOURCE_EXHAUSTED (too large), or INVALID_ARGUMENT when it is neither. */
struct error *evidence_file_read(const char *path, struct buffer *ret_bytes,
                                 bool *ret_is_answer) _must_check_;
