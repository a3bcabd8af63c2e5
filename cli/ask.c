#include "cli/ask.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool ask_yes(const char *warning)
{
    char line[16];

    fprintf(stderr, "%s\n", warning);
    if (!isatty(STDIN_FILENO)) {
        fputs("No terminal to ask on: say --yes to go on.\n", stderr);
        return false;
    }
    fputs("Go on? [y/N] ", stderr);
    if (!fgets(line, sizeof(line), stdin))
        return false;
    line[strcspn(line, "\n")] = '\0';
    return strcmp(line, "y") == 0 || strcmp(line, "yes") == 0;
}
