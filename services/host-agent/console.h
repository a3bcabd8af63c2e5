/*
 * A VM's serial console in a file that QEMU appends to, kept within twice CONSOLE_SIZE: when it is
 * full it becomes <path>.1 and starts again. The guest writes it, so its bytes are anybody's.
 */
#pragma once

#include "shared/base/buffer.h"
#include "shared/base/error.h"

#define CONSOLE_SIZE (1024 * 1024)

/* Copies and empties the file when it is larger than CONSOLE_SIZE; QEMU keeps it open. */
struct error *console_rotate(const char *path) _must_check_;

/* The console of a new boot starts empty; what was there becomes <path>.1. */
struct error *console_begin(const char *path) _must_check_;

/* The last max bytes over both files, added to *ret_text. No console yet is no error. */
struct error *console_tail(const char *path, size_t max, struct buffer *ret_text) _must_check_;

/* Same, as text for people: printable ASCII and new lines, whole lines, no control sequences.
 * Caller frees; never NULL. */
char *console_tail_text(const char *path, size_t max);
