/*
 * The options of all commands, as one table: it drives the checks on the command line, the help,
 * the man pages and the completion of shells.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cli/command.h"

struct option_row {
    const char *name;  /* "public" of --public; NULL ends a list */
    char letter;       /* 'f' of -f; '\0': none */
    const char *value; /* what it takes, as "FILE", or its choices as "a|b"; NULL: a flag */
    const char *help;  /* one line, no full stop */
};

enum { OPTIONS_MAX = 40 }; /* of one command */

/* The options of a command, its own first, then those it shares. Returns how many. */
size_t options_of(const struct command *command, const struct option_row *ret_rows[OPTIONS_MAX]);

/* What the frame takes itself, before a command sees its arguments; NULL: the command's own. */
bool option_is_of_frame(const struct option_row *row);

/* Of a command without options of its own: --context and --help. A list ended by name NULL. */
extern const struct option_row option_context;
extern const struct option_row option_help;
