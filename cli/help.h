/* Help for people, from the tables of commands and options. */
#pragma once

#include <stdio.h>

#include "cli/command.h"

void help_all(FILE *out);
void help_command(const struct command *command, FILE *out);

/* The commands of a group; false: there is no such group. */
void help_exit_codes(FILE *out);

bool help_group(const char *group, FILE *out);
