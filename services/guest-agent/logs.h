/*
 * Log lines on their way to the bus: rate limits, a bounded spool for when the bus is away, and
 * the marks that say what was lost. Sources are this program ("guest-agent") and the services.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/arena.h"
#include "shared/base/clock.h"

#define LOGS_OWN              "guest-agent"
#define LOGS_SOURCES_MAX      48
#define LOGS_LINES_PER_SECOND 200 /* a source may send this many for long */
#define LOGS_BURST            2000
#define LOGS_SPOOL_BYTES      (256 * 1024) /* a source may wait with this much */
#define LOGS_BATCH_LINES      256
#define LOGS_BATCH_BYTES      (200 * 1024)
#define LOGS_LINE_MAX         (16 * 1024)
#define LOGS_KEEP_LINES       500 /* of our own log, for queries */
#define LOGS_KEEP_BYTES       (128 * 1024)

struct logs;

struct log_line {
    int64_t at_ms;
    bool standard_error;
    const char *text;
    size_t size;
    uint64_t dropped; /* lines lost just before this one */
};

struct log_batch {
    const char *source;
    uint64_t first_sequence; /* counts the lines that were not dropped, from 1 */
    struct log_line *lines;
    size_t n;
};

struct logs *logs_new(struct clock *clock);
void logs_free(struct logs *logs);
DEFINE_CLEANUP(struct logs *, logs_free)

/* Never blocks, never fails: what does not fit is counted. Thread-safe. */
void logs_add(struct logs *logs, const char *source, int64_t at_ms, bool standard_error,
              const char *text, size_t size);

/* The next batch of any source, in turn; its memory is the arena's. False when nothing waits. */
bool logs_take(struct logs *logs, struct arena *arena, struct log_batch *ret_batch);

/* The newest (tail) or oldest kept lines of our own log, at most max, in order. */
void logs_own(struct logs *logs, bool tail, size_t max, struct arena *arena,
              struct log_line **ret_lines, size_t *ret_n);
