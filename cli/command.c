#include "cli/command.h"

#include <stdio.h>

int command_fail(struct error *err)
{
    enum error_code code = error_get_code(err);

    if (!err)
        return EXIT_OK;
    fprintf(stderr, "coffer: %s\n", error_text(err));
    error_free(err);
    if (code == ERROR_UNAVAILABLE || code == ERROR_DEADLINE_EXCEEDED)
        return EXIT_CANNOT_TELL;
    return code == ERROR_INVALID_ARGUMENT ? EXIT_USAGE : EXIT_FAILED;
}

int command_usage(const char *problem)
{
    fprintf(stderr, "coffer: %s (see: coffer help)\n", problem);
    return EXIT_USAGE;
}
