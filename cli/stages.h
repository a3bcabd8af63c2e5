/*
 * What happens while somebody waits: finished stages, a line each; the present one with the time
 * that it has taken so far, on a line that is written over on a terminal, and not at all otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "shared/base/clock.h"

struct stages {
    FILE *out;
    bool terminal;
    struct clock *clock;
    int64_t started_ms;
    int64_t stage_started_ms;
    char stage[64]; /* present one; "" none */
};

void stages_start(struct stages *stages, FILE *out, bool terminal, struct clock *clock);

/* The present stage has another name from here on. */
void stages_stage(struct stages *stages, const char *stage);

/* A line that stays. took_ms 0: it says no time. Control characters of text are not printed. */
void stages_line(struct stages *stages, const char *kind, const char *stage, int64_t took_ms,
                 const char *text);

/* Writes the present stage's line again; nothing unless on a terminal. */
void stages_tick(struct stages *stages);

/* Takes the present stage's line away. */
void stages_end(struct stages *stages);

int64_t stages_elapsed_ms(const struct stages *stages);
