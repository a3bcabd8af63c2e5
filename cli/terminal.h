/* What may go to a terminal, and how wide it is there. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "shared/base/cleanup.h"

enum terminal_kind {
    TERMINAL_LINE,  /* one line: new lines are escaped too */
    TERMINAL_LINES, /* new lines and tabs stay */
};

/* The text with each control character (C0, DEL, C1), each mark that turns the direction of
 * writing, and each byte that is no UTF-8, as \xNN or \u{NNNN}. Somebody else's text may not move
 * the cursor or rename the window. Caller frees. */
char *terminal_text(const char *text, enum terminal_kind kind);

/* printf to stdout; what is printed goes through terminal_text(TERMINAL_LINES). */
void terminal_printf(const char *fmt, ...) _printf_(1, 2);
void terminal_fprintf(FILE *file, const char *fmt, ...) _printf_(2, 3);

/* In columns of a terminal; of clean text. */
size_t terminal_width(const char *text);

/* As much of the text as fits into so many columns, with "…" at the end where some is left out.
 * Caller frees. */
char *terminal_cut(const char *text, size_t columns);

/* Columns of the terminal behind it; 0: it is none. */
size_t terminal_columns(FILE *file);

/* Whether to use colours: a terminal, not a dumb one, and nobody set NO_COLOR. */
bool terminal_has_colours(FILE *file);
