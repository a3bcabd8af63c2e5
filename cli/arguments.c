#include "cli/arguments.h"

#include <stdio.h>
#include <string.h>

#include "cli/options.h"
#include "cli/suggest.h"
#include "shared/base/alloc.h"
#include "shared/base/arena.h"

struct reader {
    const struct command *command;
    const struct option_row *rows[OPTIONS_MAX];
    size_t n_rows;
    char **next; /* of those to read */
    struct arguments *out;
};

static void keep(struct reader *reader, char *argument)
{
    reader->out->argv[reader->out->argc++] = argument;
}

static int complain(const struct reader *reader, const char *problem, const char *what,
                    const char *suggestion)
{
    const struct command *c = reader->command;

    return command_fail(
        error_new(ERROR_INVALID_ARGUMENT, "%s '%s'%s%s%s (see: coffer %s%s%s --help)", problem,
                  what, suggestion ? "; did you mean --" : "", suggestion ?: "",
                  suggestion ? "?" : "", c->group ?: "", c->group ? " " : "", c->name));
}

static int complain_unknown(const struct reader *reader, const char *argument, size_t length)
{
    _cleanup_free_ char *name = xstrndup(argument, length);
    const char *names[OPTIONS_MAX];

    for (size_t i = 0; i < reader->n_rows; i++)
        names[i] = reader->rows[i]->name;
    return complain(reader, "unknown option", name,
                    suggest(name + strspn(name, "-"), names, reader->n_rows));
}

/* The option of this name, or the only one that starts so; NULL: none, or more than one. */
static const struct option_row *find_long(const struct reader *reader, const char *name,
                                          size_t length)
{
    const struct option_row *found = NULL;
    size_t n = 0;

    for (size_t i = 0; i < reader->n_rows; i++) {
        const struct option_row *row = reader->rows[i];
        if (strncmp(row->name, name, length) != 0)
            continue;
        if (!row->name[length])
            return row;
        found = row;
        n++;
    }
    return n == 1 ? found : NULL;
}

static const struct option_row *find_letter(const struct reader *reader, char letter)
{
    for (size_t i = 0; i < reader->n_rows; i++)
        if (letter && reader->rows[i]->letter == letter)
            return reader->rows[i];
    return NULL;
}

/* Also when the command's own option says it. */
static bool takes_json(const struct reader *reader)
{
    return find_long(reader, "json", strlen("json")) != NULL;
}

static int take_format(struct reader *reader, const struct option_row *row, const char *value)
{
    static const char *const names[] = {[OUTPUT_TABLE] = "table",
                                        [OUTPUT_WIDE] = "wide",
                                        [OUTPUT_NAME] = "name",
                                        [OUTPUT_JSON] = "json"};
    static char json[] = "--json";

    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        if (strcmp(names[i], value) != 0 || !strstr(row->value, value))
            continue;
        reader->out->asked.format = (enum output_format)i;
        if (i == OUTPUT_JSON && takes_json(reader))
            keep(reader, json);
        return EXIT_OK;
    }
    return command_fail(
        error_new(ERROR_INVALID_ARGUMENT, "-o is one of %s, not '%s'", row->value, value));
}

static int take_of_frame(struct reader *reader, const struct option_row *row, const char *value)
{
    struct arguments *out = reader->out;

    if (row == &option_help)
        out->help = true;
    else if (row == &option_context)
        out->asked.context = value;
    else if (strcmp(row->name, "no-headers") == 0)
        out->asked.no_headers = true;
    else if (strcmp(row->name, "idempotency-key") == 0)
        out->asked.idempotency_key = value;
    else
        return take_format(reader, row, value);
    return EXIT_OK;
}

/* Hands an option to the frame, or on to the command: by its whole name, value in one argument. */
static int take(struct reader *reader, const struct option_row *row, const char *value)
{
    struct arguments *out = reader->out;

    if (option_is_of_frame(row))
        return take_of_frame(reader, row, value);
    if (strcmp(row->name, "json") == 0)
        out->asked.format = OUTPUT_JSON;
    keep(reader, arena_printf(out->arena, "--%s%s%s", row->name, value ? "=" : "", value ?: ""));
    return EXIT_OK;
}

static int take_long(struct reader *reader, const char *argument)
{
    const char *equals = strchr(argument, '=');
    size_t length = equals ? (size_t)(equals - argument) : strlen(argument);
    const struct option_row *row = find_long(reader, argument + 2, length - 2);

    if (!row)
        return complain_unknown(reader, argument, length);
    if (equals && !row->value)
        return complain(reader, "no value goes with", argument, NULL);
    if (row->value && !equals && !*reader->next)
        return complain(reader, "a value is missing behind", argument, NULL);
    return take(reader, row, !row->value ? NULL : equals ? equals + 1 : *reader->next++);
}

/* "-fo json": letters in one argument; a value is what is left of it, or the next one. */
static int take_letters(struct reader *reader, const char *argument)
{
    for (const char *at = argument + 1; *at; at++) {
        const struct option_row *row = find_letter(reader, *at);
        if (!row)
            return complain_unknown(reader, argument, strlen(argument));
        if (row->value && !at[1] && !*reader->next)
            return complain(reader, "a value is missing behind", argument, NULL);
        if (row->value)
            return take(reader, row, at[1] ? at + 1 : *reader->next++);
        int code = take(reader, row, NULL);
        if (code != EXIT_OK)
            return code;
    }
    return EXIT_OK;
}

static int read_all(struct reader *reader)
{
    int code = EXIT_OK;

    while (code == EXIT_OK && *reader->next) {
        char *argument = *reader->next++;
        bool end = strcmp(argument, "--") == 0;
        if (argument[0] != '-' || !argument[1] || end)
            keep(reader, argument);
        else
            code =
                argument[1] == '-' ? take_long(reader, argument) : take_letters(reader, argument);
        while (end && *reader->next)
            keep(reader, *reader->next++);
    }
    return code;
}

int arguments_read(const struct command *command, int argc, char **argv,
                   struct arguments *ret_arguments)
{
    /* "-abc" becomes three arguments: never more than there are bytes. */
    size_t room = 1;
    for (int i = 0; i < argc; i++)
        room += strlen(argv[i]) + 1;
    *ret_arguments = (struct arguments){.arena = arena_new()};
    ret_arguments->argv = arena_alloc(ret_arguments->arena, room * sizeof(char *));
    struct reader reader = {.command = command, .next = argv + 1, .out = ret_arguments};

    reader.n_rows = options_of(command, reader.rows);
    keep(&reader, argv[0]);
    int code = read_all(&reader);
    if (code != EXIT_OK)
        arguments_done(ret_arguments);
    return code;
}

bool arguments_want_json(int argc, char **argv)
{
    static const char *const spellings[] = {"-j", "--json", "-ojson", "--output=json"};

    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        bool output = strcmp(argv[i], "-o") == 0 || strcmp(argv[i], "--output") == 0;
        if (output && i + 1 < argc && strcmp(argv[i + 1], "json") == 0)
            return true;
        for (size_t k = 0; k < ELEMENTSOF(spellings); k++)
            if (strcmp(argv[i], spellings[k]) == 0)
                return true;
    }
    return false;
}

void arguments_done(struct arguments *arguments)
{
    arena_free(arguments->arena);
    *arguments = (struct arguments){0};
}
