/* The command line by its tables: what is taken, what is refused with which word, and that each
 * command and option is in the help, the manual and the completion. */
#include "cli/arguments.h"
#include "cli/completion.h"
#include "cli/help.h"
#include "cli/man.h"
#include "cli/options.h"
#include "cli/problem.h"
#include "cli/test_gateway.h"
#include "shared/base/file.h"

static struct test_gateway gateway;

static int run(const char *const *arguments, char **ret_output, char **ret_errors)
{
    return test_gateway_run(&gateway, arguments, ret_output, ret_errors);
}

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < n_commands; i++)
        if (command_is(&commands[i], name))
            return &commands[i];
    fail_msg("no command %s", name);
    return NULL;
}

/* "a|b|c" of argv behind its first. */
static char *join(const struct arguments *arguments)
{
    _cleanup_buffer_ struct buffer all = {0};

    for (int i = 1; i < arguments->argc; i++)
        buffer_printf(&all, "%s%s", i > 1 ? "|" : "", arguments->argv[i]);
    return xstrdup(buffer_text(&all));
}

static void test_what_is_taken(_unused_ void **state)
{
    static const struct {
        const char *command;
        char *arguments[6];
        const char *left;
        struct invocation asked;
        bool help;
    } rows[] = {
        {"ls", {NULL}, "", {0}, false},
        {"ls", {"--json"}, "--json", {.format = OUTPUT_JSON}, false},
        {"ls", {"--js"}, "--json", {.format = OUTPUT_JSON}, false},
        {"ls", {"-o", "json"}, "--json", {.format = OUTPUT_JSON}, false},
        {"hosts ls", {"-j"}, "--json", {.format = OUTPUT_JSON}, false},
        {"ls", {"-ojson"}, "--json", {.format = OUTPUT_JSON}, false},
        {"ls", {"--output=wide"}, "", {.format = OUTPUT_WIDE}, false},
        {"ls",
         {"-o", "name", "--no-headers"},
         "",
         {.format = OUTPUT_NAME, .no_headers = true},
         false},
        {"ls", {"--context", "x"}, "", {.context = "x"}, false},
        {"show", {"a", "-h"}, "a", {0}, true},
        {"show", {"--context=x", "a"}, "a", {.context = "x"}, false},
        {"show", {"--", "--json"}, "--|--json", {0}, false},
        {"logs", {"-fc", "web", "w"}, "--follow|--container=web|w", {0}, false},
        {"logs", {"-fcweb", "w"}, "--follow|--container=web|w", {0}, false},
        {"logs", {"w", "--container", "-x-"}, "w|--container=-x-", {0}, false},
        {"keys create", {"--name", "-o", "--scope=read"}, "--name=-o|--scope=read", {0}, false},
        {"stop", {"w", "-y", "--idempotency-key", "k"}, "w|--yes", {.idempotency_key = "k"}, false},
        {"accounts add-balance", {"--", "a", "-5"}, "--|a|-5", {0}, false},
        {"verify", {"https://x", "-o", "json"}, "https://x|--json", {.format = OUTPUT_JSON}, false},
        {"bus decode", {"-s", "evt.x"}, "--subject=evt.x", {0}, false},
        {"bus decode", {"-"}, "-", {0}, false},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        char *argv[8] = {"x"};
        struct arguments got;
        int argc = 1;
        while (argc < 7 && rows[i].arguments[argc - 1])
            argv[argc] = rows[i].arguments[argc - 1], argc++;
        assert_int_equal(arguments_read(find(rows[i].command), argc, argv, &got), EXIT_OK);
        _cleanup_free_ char *left = join(&got);
        const struct invocation *want = &rows[i].asked;
        if (strcmp(left, rows[i].left) != 0 || got.asked.format != want->format ||
            got.asked.no_headers != want->no_headers || got.help != rows[i].help ||
            strcmp(got.asked.context ?: "-", want->context ?: "-") != 0 ||
            strcmp(got.asked.idempotency_key ?: "-", want->idempotency_key ?: "-") != 0)
            fail_msg("row %zu: %s", i, left);
        assert_null(got.argv[got.argc]);
        arguments_done(&got);
    }
}

static void test_what_is_refused_and_how(_unused_ void **state)
{
    static const struct {
        const char *arguments[6];
        const char *word;
    } rows[] = {
        {{"deplyo"}, "did you mean 'coffer deploy'?"},
        {{"xyzzy"}, "unknown command 'xyzzy'"},
        {{"keys"}, "coffer keys create"},
        {{"keys", "lst"}, "did you mean 'coffer keys ls'?"},
        {{"help", "keys", "lst"}, "did you mean 'coffer keys ls'?"},
        {{"help", "xyzzy"}, "unknown command"},
        {{"ls", "--jsom"}, "did you mean --json?"},
        {{"ls", "--json=x"}, "no value goes with"},
        {{"ls", "-x"}, "unknown option '-x'"},
        {{"ls", "-o"}, "a value is missing behind '-o'"},
        {{"ls", "--output"}, "a value is missing behind '--output'"},
        {{"ls", "-o", "yaml"}, "-o is one of json|table|wide|name"},
        {{"ls", "-o", "jso"}, "-o is one of"},
        {{"ls", "-o", ""}, "-o is one of"},
        {{"show", "-o", "wide", "w"}, "-o is one of json|table"},
        {{"ls", "--idempotency-key", "k"}, "unknown option"},
        {{"ls", "x"}, "coffer ls"},
        {{"verify", "--re", "x"}, "unknown option '--re'"}, /* report, report-data, release-key */
        {{"--context"}, "a value is missing behind '--context'"},
        {{"--context", "x"}, "coffer login"},
        {{"--nonsense", "ls"}, "unknown command"},
        {{"completion", "tcsh"}, "bash, zsh or fish"},
        {{"completion"}, "bash, zsh or fish"},
        {{NULL}, "coffer login"},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *output = NULL;
        _cleanup_free_ char *errors = NULL;
        int code = run(rows[i].arguments, &output, &errors);
        if (code != EXIT_USAGE || !strstr(errors, rows[i].word) || output[0])
            fail_msg("row %zu: exit %d: %s%s", i, code, errors, output);
    }
    assert_int_equal(gateway.asked.size, 0);
}

static void test_help_is_there_in_each_way(_unused_ void **state)
{
    static const struct {
        const char *arguments[4];
        const char *word;
    } rows[] = {
        {{"help"}, "coffer deploy"},
        {{"--help"}, "coffer deploy"},
        {{"help", "keys"}, "coffer keys create"},
        {{"keys", "--help"}, "coffer keys create"},
        {{"help", "keys", "create"}, "--scope"},
        {{"keys", "create", "--help"}, "--scope"},
        {{"keys", "create", "-h"}, "7 a limit is reached"},
        {{"--context", "x", "help"}, "coffer deploy"},
        {{"--version"}, COFFER_VERSION},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *output = NULL;
        _cleanup_free_ char *errors = NULL;
        if (run(rows[i].arguments, &output, &errors) != EXIT_OK || !strstr(output, rows[i].word))
            fail_msg("row %zu: %s%s", i, errors, output);
    }
}

/* Of what prints to a stream; caller frees. */
static char *text_of(void (*print)(const struct command *, FILE *), const struct command *command)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    print(command, out);
    fclose(out);
    return text;
}

static void print_bash(_unused_ const struct command *command, FILE *out)
{
    assert_true(completion_print("bash", out));
}

static void print_zsh(_unused_ const struct command *command, FILE *out)
{
    assert_true(completion_print("zsh", out));
}

static void print_fish(_unused_ const struct command *command, FILE *out)
{
    assert_true(completion_print("fish", out));
}

static char *roff_of(const char *text)
{
    _cleanup_buffer_ struct buffer roff = {0};

    for (; *text; text++)
        buffer_printf(&roff, "%s%c", *text == '-' ? "\\" : "", *text);
    return buffer_take_text(&roff);
}

/* The line of a command in a script of bash or zsh: 'keys create') echo '--account ... */
static void expect_shell_option(const char *script, const struct command *c, const char *option)
{
    _cleanup_free_ char *start =
        xasprintf("    '%s%s%s') echo '--", c->group ?: "", c->group ? " " : "", c->name);
    const char *line = strstr(script, start);
    _cleanup_free_ char *whole = line ? xstrndup(line, strcspn(line, "\n")) : NULL;
    _cleanup_free_ char *word = xasprintf("--%s ", option);

    if (!whole || !strstr(whole, word))
        fail_msg("--%s of %s is not in the script", option, c->name);
}

static void test_each_option_is_in_help_manual_and_completion(_unused_ void **state)
{
    _cleanup_free_ char *bash = text_of(print_bash, NULL);
    _cleanup_free_ char *zsh = text_of(print_zsh, NULL);
    _cleanup_free_ char *fish = text_of(print_fish, NULL);

    for (size_t i = 0; i < n_commands; i++) {
        const struct command *c = &commands[i];
        _cleanup_free_ char *help = text_of(help_command, c);
        _cleanup_free_ char *man = text_of(man_page, c);
        const struct option_row *rows[OPTIONS_MAX];
        size_t n = options_of(c, rows);
        for (size_t k = 0; k < n; k++) {
            _cleanup_free_ char *in_help = xasprintf("--%s ", rows[k]->name);
            _cleanup_free_ char *name = roff_of(rows[k]->name);
            _cleanup_free_ char *in_man = xasprintf("\\fB\\-\\-%s\\fR", name);
            _cleanup_free_ char *in_fish = xasprintf("\"%s%s%s\"' -l %s ", c->group ?: "",
                                                     c->group ? " " : "", c->name, rows[k]->name);
            if (!strstr(help, in_help) || !strstr(help, rows[k]->help) || !strstr(man, in_man) ||
                !strstr(fish, in_fish))
                fail_msg("--%s of %s", rows[k]->name, c->name);
            expect_shell_option(bash, c, rows[k]->name);
            expect_shell_option(zsh, c, rows[k]->name);
        }
    }
}

static void print_all(_unused_ const struct command *command, FILE *out)
{
    man_page_of_all(out);
}

static void print_help(_unused_ const struct command *command, FILE *out)
{
    help_all(out);
}

static void test_each_command_and_exit_code_is_in_help_and_manual(_unused_ void **state)
{
    _cleanup_free_ char *help = text_of(print_help, NULL);
    _cleanup_free_ char *man = text_of(print_all, NULL);

    for (size_t i = 0; i < n_commands; i++) {
        const struct command *c = &commands[i];
        _cleanup_free_ char *in_help =
            xasprintf("coffer %s%s%s", c->group ?: "", c->group ? " " : "", c->name);
        _cleanup_free_ char *page = man_name(c);
        _cleanup_free_ char *in_man = roff_of(page);
        if (!strstr(help, in_help) || !strstr(man, in_man))
            fail_msg("%s", page);
    }
    for (size_t i = 0; i < n_exit_meanings; i++) {
        _cleanup_free_ char *in_man = xasprintf(".TP\n\\fB%d\\fR\n", exit_meanings[i].code);
        assert_int_equal(exit_meanings[i].code, i);
        assert_non_null(strstr(help, exit_meanings[i].meaning));
        assert_non_null(strstr(man, in_man));
    }
}

/* No two options of a command have one name or letter, and none is long or ends in a full stop. */
static void test_the_table_is_sound(_unused_ void **state)
{
    for (size_t i = 0; i < n_commands; i++) {
        const struct option_row *rows[OPTIONS_MAX];
        size_t n = options_of(&commands[i], rows);
        assert_true(n > 1 || strcmp(commands[i].name, "use") == 0 ||
                    strcmp(commands[i].name, "completion") == 0);
        for (size_t k = 0; k < n; k++) {
            assert_true(strlen(rows[k]->name) > 1 && strlen(rows[k]->name) < 25);
            assert_true(rows[k]->help[strlen(rows[k]->help) - 1] != '.');
            for (size_t j = 0; j < k; j++) {
                if (strcmp(rows[j]->name, rows[k]->name) == 0)
                    fail_msg("%s has --%s twice", commands[i].name, rows[k]->name);
                if (rows[j]->letter && rows[j]->letter == rows[k]->letter)
                    fail_msg("%s has -%c twice", commands[i].name, rows[k]->letter);
            }
        }
        for (size_t j = 0; j < i; j++)
            assert_false(strcmp(commands[j].name, commands[i].name) == 0 &&
                         strcmp(commands[j].group ?: "", commands[i].group ?: "") == 0);
    }
}

/* What a command says to one of its options, and behind it to one that nobody has. */
static char *say(const struct command *c, const struct option_row *row)
{
    _cleanup_free_ char *option = xasprintf("--%s%s", row->name, row->value ? "=1" : "");
    char *argv[] = {"x", option, "--zzz", NULL};
    _cleanup_free_ char *path = xasprintf("%s/said", gateway.dir);
    _cleanup_buffer_ struct buffer text = {0};
    int saved = dup(STDERR_FILENO);

    assert_non_null(freopen(path, "w", stderr));
    c->run(3, argv);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    assert_null(file_read(path, 65536, &text));
    return xstrdup(buffer_text(&text));
}

/* The table is no promise that a command does not keep. */
static void test_commands_take_what_the_table_says(_unused_ void **state)
{
    for (size_t i = 0; i < n_commands; i++) {
        const struct option_row *rows[OPTIONS_MAX];
        size_t n = options_of(&commands[i], rows);
        for (size_t k = 0; k < n; k++) {
            if (option_is_of_frame(rows[k]))
                continue;
            _cleanup_free_ char *said = say(&commands[i], rows[k]);
            _cleanup_free_ char *unknown = xasprintf("unrecognized option '--%s", rows[k]->name);
            _cleanup_free_ char *no_value = xasprintf("option '--%s' doesn't allow", rows[k]->name);
            if (strstr(said, unknown) || strstr(said, no_value) || !said[0])
                fail_msg("%s %s: %s", commands[i].group ?: "", commands[i].name, said);
        }
    }
    assert_int_equal(gateway.asked.size, 0);
}

/* docs/cli.md, which people read first, says the same as the tables. */
static void test_the_document_says_the_same(_unused_ void **state)
{
    _cleanup_buffer_ struct buffer text = {0};

    assert_null(file_read("docs/cli.md", 1 << 20, &text));
    for (size_t i = 0; i < n_exit_meanings; i++) {
        _cleanup_free_ char *row =
            xasprintf("\n| %d | %s |\n", exit_meanings[i].code, exit_meanings[i].meaning);
        if (!strstr(buffer_text(&text), row))
            fail_msg("%s", row);
    }
    for (size_t i = 0; i < n_problem_kinds; i++) {
        const struct problem_kind *kind = &problem_kinds[i];
        if (!kind->kind)
            continue;
        _cleanup_free_ char *row = xasprintf("\n| %s | %ld | %d |\n", kind->kind, kind->status,
                                             command_exit_code(kind->code));
        if (!strstr(buffer_text(&text), row))
            fail_msg("%s", row);
    }
}

/* mandoc and groff, where they are. */
static void test_the_manual_is_good_roff(_unused_ void **state)
{
    if (system("command -v mandoc >/dev/null || command -v groff >/dev/null") != 0) {
        print_message("neither mandoc nor groff is here: skipped\n");
        skip();
    }
    for (size_t i = 0; i <= n_commands; i++) {
        _cleanup_free_ char *page =
            i < n_commands ? text_of(man_page, &commands[i]) : text_of(print_all, NULL);
        _cleanup_free_ char *path = xasprintf("%s/page.1", gateway.dir);
        _cleanup_free_ char *command = xasprintf(
            "if command -v mandoc >/dev/null; then mandoc -T lint -W warning '%s' >&2 || exit 1; "
            "fi; if command -v groff >/dev/null; then "
            "test -z \"$(groff -man -Tascii -ww -z '%s' 2>&1)\"; fi",
            path, path);
        assert_null(file_write_atomic(path, page, strlen(page), 0600));
        if (system(command) != 0)
            fail_msg("page %zu: %s", i, page);
    }
}

static int setup(_unused_ void **state)
{
    test_gateway_start(&gateway);
    return 0;
}

static int teardown(_unused_ void **state)
{
    test_gateway_stop(&gateway);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_taken),
        cmocka_unit_test(test_what_is_refused_and_how),
        cmocka_unit_test(test_help_is_there_in_each_way),
        cmocka_unit_test(test_each_option_is_in_help_manual_and_completion),
        cmocka_unit_test(test_each_command_and_exit_code_is_in_help_and_manual),
        cmocka_unit_test(test_the_table_is_sound),
        cmocka_unit_test(test_commands_take_what_the_table_says),
        cmocka_unit_test(test_the_document_says_the_same),
        cmocka_unit_test(test_the_manual_is_good_roff),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
