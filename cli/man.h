/* Manual pages in roff (the man macros), from the tables of commands and options. */
#pragma once

#include <stdio.h>

#include "cli/command.h"

void man_page(const struct command *command, FILE *out); /* coffer-keys-create(1) */
void man_page_of_all(FILE *out);                         /* coffer(1) */

/* "coffer-keys-create"; caller frees. */
char *man_name(const struct command *command);
