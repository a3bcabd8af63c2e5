/*
 * The arguments of a command against the table of options: what is unknown, lacks its value or
 * has one too many is said here, the same way for every command. What the frame takes (--context,
 * -o, --help ...) is taken out; the command parses the rest itself.
 */
#pragma once

#include "cli/command.h"
#include "cli/invocation.h"
#include "shared/base/arena.h"

struct arguments {
    struct arena *arena; /* owns argv and what was made for it */
    char **argv;         /* argv[0] and what is left; NULL at the end */
    int argc;
    bool help; /* was asked for */
    struct invocation asked;
};

/* argv[0] is the command's name. EXIT_OK, or EXIT_USAGE after saying why on stderr. */
int arguments_read(const struct command *command, int argc, char **argv,
                   struct arguments *ret_arguments);
/* Whether JSON is asked for, as far as can be told before it is known what the options mean: for
 * what is wrong with them. */
bool arguments_want_json(int argc, char **argv);

void arguments_done(struct arguments *arguments);
