#include "cli/command.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/invocation.h"
#include "cli/terminal.h"
#include "shared/base/alloc.h"

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

/* One line, for programs. All but ASCII is escaped, as it may go to a terminal. */
static void print_json(const struct error *err, enum exit_code code)
{
    _cleanup_(json_decrefp) json_t *json =
        json_pack("{s:o, s:s, s:i}", "error", json_string(error_text(err)) ?: json_null(), "code",
                  error_code_name(error_get_code(err)), "exitCode", (int)code);

    json_dumpf(json, stderr, JSON_COMPACT | JSON_ENSURE_ASCII);
    fputc('\n', stderr);
}

static int fail(struct error *err, enum exit_code code)
{
    if (invocation()->format == OUTPUT_JSON) {
        print_json(err, code);
    } else {
        _cleanup_free_ char *text = terminal_text(error_text(err), TERMINAL_LINES);
        fprintf(stderr, "coffer: %s\n", text);
    }
    error_free(err);
    return code;
}

int command_fail(struct error *err)
{
    return err ? fail(err, command_exit_code(error_get_code(err))) : EXIT_OK;
}

int command_fail_here(struct error *err)
{
    enum exit_code code = command_exit_code(error_get_code(err));

    return err ? fail(err, code > EXIT_CANNOT_TELL ? EXIT_FAILED : code) : EXIT_OK;
}

int command_usage(const char *problem)
{
    return command_fail(error_new(ERROR_INVALID_ARGUMENT, "%s (see: coffer help)", problem));
}

int command_misused(const char *usage, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    _cleanup_free_ char *problem = xvasprintf(fmt, args);
    va_end(args);
    return command_fail(
        error_new(ERROR_INVALID_ARGUMENT, "%s\n  usage: coffer %s", problem, usage));
}

int command_operands(const char *usage, int argc, char **argv, int least, int most)
{
    int n = argc - optind;

    if (n < least)
        return command_misused(usage, "an operand is missing");
    if (n > most)
        return command_misused(usage, "one operand too many: '%s'", argv[optind + most]);
    return EXIT_OK;
}
