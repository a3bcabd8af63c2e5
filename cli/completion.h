/* Completion in shells, from the tables of commands and options. */
#pragma once

#include <stdio.h>

#include "cli/command.h"

/* Where the words for an operand or an option's value come from. */
enum completion_kind {
    COMPLETION_NOTHING,
    COMPLETION_WORDS, /* those of text, between '|' */
    COMPLETION_FILES,
    COMPLETION_FOLDERS,
    COMPLETION_ASK, /* `coffer __complete TEXT` */
};

struct completion {
    enum completion_kind kind;
    const char *text;
};

/* Of "json|table", "FILE", "WORKLOAD [--yes]" ...; NULL: none. */
struct completion completion_of(const char *value);

/* Of what a command takes besides options. */
struct completion completion_of_operands(const struct command *command);

/* Prints the script for "bash", "zsh" or "fish"; false: there is none for that shell. */
bool completion_print(const char *shell, FILE *out);

void completion_print_fish(FILE *out);
