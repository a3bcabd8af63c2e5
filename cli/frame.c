#include "cli/frame.h"

#include <errno.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>

#include "cli/arguments.h"
#include "cli/help.h"
#include "cli/suggest.h"
#include "shared/base/alloc.h"

/* Of the group when it is one, else of all first words. */
static int unknown(const char *group, const char *word)
{
    _cleanup_free_ const char **names = xnew_array(const char *, n_commands);
    size_t n = 0;

    for (size_t i = 0; i < n_commands; i++) {
        const struct command *c = &commands[i];
        if (group && c->group && strcmp(c->group, group) == 0)
            names[n++] = c->name;
        else if (!group)
            names[n++] = c->group ?: c->name;
    }
    const char *near = suggest(word, names, n);
    _cleanup_free_ char *hint =
        near ? xasprintf("; did you mean 'coffer %s%s%s'?", group ?: "", group ? " " : "", near)
             : NULL;
    return command_fail(error_new(ERROR_INVALID_ARGUMENT,
                                  "unknown command '%s%s%s'%s (see: coffer help)", group ?: "",
                                  group ? " " : "", word, hint ?: ""));
}

static bool is_group(const char *word)
{
    for (size_t i = 0; i < n_commands; i++)
        if (commands[i].group && strcmp(commands[i].group, word) == 0)
            return true;
    return false;
}

static int no_command(int argc, char **argv)
{
    if (!is_group(argv[0]))
        return unknown(NULL, argv[0]);
    if (argc > 1 && argv[1][0] != '-')
        return unknown(argv[0], argv[1]);
    bool asked = argc > 1 && strcmp(argv[1], "--help") == 0;
    help_group(argv[0], asked ? stdout : stderr);
    return asked ? EXIT_OK : EXIT_USAGE;
}

/* `coffer help [COMMAND]`; argv[0] is the first word behind "help". */
static int help(int argc, char **argv)
{
    int words;

    if (argc == 0) {
        help_all(stdout);
        return EXIT_OK;
    }
    const struct command *command = command_find(argc, argv, &words);
    if (command)
        help_command(command, stdout);
    else if (argc > 1 || !help_group(argv[0], stdout))
        return no_command(argc, argv);
    return EXIT_OK;
}

/* argv[0] is the last word of the command. */
static int run(const struct command *command, int argc, char **argv)
{
    struct arguments arguments;
    int code = arguments_read(command, argc, argv, &arguments);

    if (code != EXIT_OK)
        return code;
    if (arguments.help) {
        help_command(command, stdout);
    } else {
        invocation_set(&arguments.asked);
        code = command->run(arguments.argc, arguments.argv);
    }
    arguments_done(&arguments);
    return code;
}

/* "--context NAME" before the command goes behind it. How many arguments it is. */
static int count_leading(int argc, char **argv)
{
    int n = 1;

    while (n < argc && strncmp(argv[n], "--context", strlen("--context")) == 0)
        n += argv[n][strlen("--context")] == '=' ? 1 : 2;
    return n - 1;
}

static int find_and_run(int argc, char **argv, int leading)
{
    int words;
    const struct command *command = command_find(argc - leading, argv + leading, &words);

    if (!command)
        return no_command(argc - leading, argv + leading);
    _cleanup_free_ char **moved = xnew_array(char *, (size_t)argc + 1);
    int n = argc - words + 1;
    moved[0] = argv[leading + words - 1];
    memcpy(moved + 1, argv, (size_t)leading * sizeof(char *));
    memcpy(moved + 1 + leading, argv + leading + words,
           (size_t)(argc - leading - words) * sizeof(char *));
    return run(command, n, moved);
}

static int run_words(int argc, char **argv)
{
    int leading = count_leading(argc, argv);

    if (1 + leading > argc)
        return command_usage("a value is missing behind '--context'");
    if (argc < 2 || 1 + leading >= argc) {
        help_all(stderr);
        return EXIT_USAGE;
    }
    const char *word = argv[1 + leading];
    if (strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return help(argc - leading - 2, argv + leading + 2);
    if (strcmp(word, "--version") == 0) {
        puts("coffer " COFFER_VERSION);
        return EXIT_OK;
    }
    if (strcmp(word, "__complete") == 0) /* for the scripts of `coffer completion` */
        return complete_main(argc - leading - 1, argv + leading + 1);
    return find_and_run(argc - 1, argv + 1, leading);
}

/* What was printed, a new key's secret for one, may not have arrived: that is no success. */
static int check_written(int code)
{
    bool flushed = fflush(stdout) == 0;

    if (flushed && !ferror(stdout))
        return code;
    const char *why = flushed ? "an error of writing" : strerror(errno);
    __fpurge(stdout);
    clearerr(stdout);
    command_fail(error_new(ERROR_INTERNAL, "not all of the output could be written: %s", why));
    return code == EXIT_OK ? EXIT_FAILED : code;
}

int frame_run(int argc, char **argv)
{
    const struct invocation early = {.format = arguments_want_json(argc, argv) ? OUTPUT_JSON
                                                                               : OUTPUT_TABLE};

    invocation_set(&early);
    return check_written(run_words(argc, argv));
}
