/*
 * Docker's log stream taken apart (Engine API, "Attach to a container", stream format): frames of
 * 1 byte stream type, 3 zero bytes, u32 big-endian length; with a terminal there are no frames.
 * Each line starts with an RFC 3339 time because the caller asks for timestamps.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "services/guest-agent/engine.h"

#define LOG_LINE_MAX (16 * 1024) /* longer lines are cut into pieces */

struct log_frames {
    engine_log_fn on_line;
    void *data;
    bool raw; /* a terminal: no frames */
    bool started;
    uint8_t header[8];
    size_t have;            /* bytes of the header */
    size_t left;            /* bytes of the frame's body still to come */
    struct buffer lines[2]; /* unfinished lines: standard output, standard error */
    int64_t last_ns[2];     /* time of a line that is cut */
};

/* False when on_line wants no more. */
bool log_frames_add(struct log_frames *frames, const void *bytes, size_t size);
bool log_frames_end(struct log_frames *frames); /* gives out unfinished lines */
void log_frames_done(struct log_frames *frames);

/* "2026-01-02T03:04:05.123456789Z", the length to *ret_length; false when it is not one. */
bool log_time_parse(const char *text, size_t size, int64_t *ret_ns, size_t *ret_length);
