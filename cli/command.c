#include "cli/command.h"

#include <stdio.h>

#include "cli/terminal.h"

const struct exit_meaning exit_meanings[] = {
    {EXIT_OK, "done"},
    {EXIT_FAILED, "failed"},
    {EXIT_USAGE, "wrong usage or input"},
    {EXIT_CANNOT_TELL, "cannot tell (not reached, something missing)"},
    {EXIT_NOT_FOUND, "not found"},
    {EXIT_DENIED, "access denied"},
    {EXIT_CONFLICT, "conflict, or not in this state"},
    {EXIT_LIMIT, "a limit is reached (balance, quota, room, rate)"},
};
const size_t n_exit_meanings = ELEMENTSOF(exit_meanings);

enum exit_code command_exit_code(enum error_code code)
{
    static const enum exit_code codes[] = {
        [ERROR_OK] = EXIT_OK,
        [ERROR_INVALID_ARGUMENT] = EXIT_USAGE,
        [ERROR_OUT_OF_RANGE] = EXIT_USAGE,
        [ERROR_DEADLINE_EXCEEDED] = EXIT_CANNOT_TELL,
        [ERROR_UNAVAILABLE] = EXIT_CANNOT_TELL,
        [ERROR_NOT_FOUND] = EXIT_NOT_FOUND,
        [ERROR_UNAUTHENTICATED] = EXIT_DENIED,
        [ERROR_PERMISSION_DENIED] = EXIT_DENIED,
        [ERROR_ALREADY_EXISTS] = EXIT_CONFLICT,
        [ERROR_FAILED_PRECONDITION] = EXIT_CONFLICT,
        [ERROR_ABORTED] = EXIT_CONFLICT,
        [ERROR_RESOURCE_EXHAUSTED] = EXIT_LIMIT,
    };

    if (code == ERROR_OK)
        return EXIT_OK;
    return (size_t)code < ELEMENTSOF(codes) && codes[code] ? codes[code] : EXIT_FAILED;
}

static void print_and_free(struct error *err)
{
    _cleanup_free_ char *text = terminal_text(error_text(err), TERMINAL_LINES);

    fprintf(stderr, "coffer: %s\n", text);
    error_free(err);
}

int command_fail(struct error *err)
{
    enum exit_code code = command_exit_code(error_get_code(err));

    if (!err)
        return EXIT_OK;
    print_and_free(err);
    return code;
}

int command_fail_here(struct error *err)
{
    int code = command_fail(err);

    return code > EXIT_CANNOT_TELL ? EXIT_FAILED : code;
}

int command_usage(const char *problem)
{
    fprintf(stderr, "coffer: %s (see: coffer help)\n", problem);
    return EXIT_USAGE;
}
