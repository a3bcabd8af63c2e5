/* The stream's own events: what was asked for has expired from it. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#define STREAM_GAP "gap"

/* True when the event is a gap; then out says how much is missing at most. */
bool stream_gap(const char *name, const char *text, FILE *out);
