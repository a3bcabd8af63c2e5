/* What is printed: clean, aligned, and as -o says. */
#include <locale.h>

#include "cli/command.h"
#include "cli/invocation.h"
#include "cli/output.h"
#include "cli/suggest.h"
#include "cli/terminal.h"
#include "cli/test_command.h"

static void test_nothing_moves_the_cursor(_unused_ void **state)
{
    static const struct {
        const char *text;
        enum terminal_kind kind;
        const char *clean;
    } rows[] = {
        {"", TERMINAL_LINE, ""},
        {"plain", TERMINAL_LINE, "plain"},
        {"gr\xc3\xbc\xc3\x9f", TERMINAL_LINE, "gr\xc3\xbc\xc3\x9f"},
        {"a\nb\tc", TERMINAL_LINES, "a\nb\tc"},
        {"a\nb\tc", TERMINAL_LINE, "a\\x0ab\\x09c"},
        {"a\rb", TERMINAL_LINES, "a\\x0db"},
        {"\x1b[2J", TERMINAL_LINES, "\\x1b[2J"},
        {"\a\b\x7f", TERMINAL_LINES, "\\x07\\x08\\x7f"},
        {"\xc2\x9b"
         "2J",
         TERMINAL_LINES, "\\x9b2J"}, /* CSI of C1 */
        {"\xe2\x80\xae"
         "x",
         TERMINAL_LINES, "\\u{202e}x"}, /* right to left from here */
        {"\xe2\x81\xa6"
         "x",
         TERMINAL_LINES, "\\u{2066}x"}, /* isolate */
        {"\xe2\x80\xa8"
         "x",
         TERMINAL_LINES, "\\u{2028}x"}, /* line separator */
        {"\xff"
         "a",
         TERMINAL_LINES, "\\xffa"},                                   /* no UTF-8 */
        {"\xc0\xaf", TERMINAL_LINES, "\\xc0\\xaf"},                   /* too long a form */
        {"\xc1\x9b", TERMINAL_LINES, "\\xc1\\x9b"},                   /* '[' in too long a form */
        {"\xed\xa0\x80", TERMINAL_LINES, "\\xed\\xa0\\x80"},          /* half a surrogate pair */
        {"\xe2\x82", TERMINAL_LINES, "\\xe2\\x82"},                   /* ends too early */
        {"\xf4\x90\x80\x80", TERMINAL_LINES, "\\xf4\\x90\\x80\\x80"}, /* behind the last one */
        {"\x9b", TERMINAL_LINES, "\\x9b"},                            /* CSI as a byte */
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *clean = terminal_text(rows[i].text, rows[i].kind);
        if (strcmp(clean, rows[i].clean) != 0)
            fail_msg("row %zu: %s", i, clean);
    }
}

static void test_width_is_that_of_the_terminal(_unused_ void **state)
{
    static const struct {
        const char *text;
        size_t width;
        size_t columns;
        const char *cut;
    } rows[] = {
        {"", 0, 3, ""},
        {"abc", 3, 3, "abc"},
        {"abcd", 4, 3, "ab\xe2\x80\xa6"},
        {"abc", 3, 1, "\xe2\x80\xa6"},
        {"abc", 3, 0, ""},
        {"\xe6\xbc\xa2\xe5\xad\x97", 4, 4, "\xe6\xbc\xa2\xe5\xad\x97"}, /* two of two columns */
        {"\xe6\xbc\xa2\xe5\xad\x97", 4, 3, "\xe6\xbc\xa2\xe2\x80\xa6"},
        {"e\xcc\x81x", 2, 2, "e\xcc\x81x"}, /* an accent of its own has no width */
    };

    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        skip();
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *cut = terminal_cut(rows[i].text, rows[i].columns);
        if (terminal_width(rows[i].text) != rows[i].width || strcmp(cut, rows[i].cut) != 0)
            fail_msg("row %zu: %zu '%s'", i, terminal_width(rows[i].text), cut);
    }
}

static void test_how_long_ago(_unused_ void **state)
{
    static const struct {
        const char *time;
        const char *age;
    } rows[] = {
        {"2026-01-31T12:00:00.000Z", "0s"},
        {"2026-01-31T11:59:01Z", "59s"},
        {"2026-01-31T11:58:01Z", "119s"},
        {"2026-01-31T11:58:00Z", "2m"},
        {"2026-01-31T10:00:01Z", "119m"},
        {"2026-01-31T10:00:00Z", "2h"},
        {"2026-01-29T12:00:00Z", "2d"},
        {"2025-01-31T12:00:00Z", "365d"},
        {"2026-01-31T12:30:00.5Z", "in 30m"},
        {"2026-02-05T12:00:00Z", "in 5d"},
        {"2026-01-31", "2026-01-31"},
        {"2026-01-31T12:00:00+01:00", "2026-01-31T12:00:00+01:00"},
        {"never", "never"},
        {"", "-"},
        {NULL, "-"},
    };
    int64_t now;
    char text[COLUMN_TEXT_MAX];

    assert_true(output_time("2026-01-31T12:00:00Z", &now));
    for (size_t i = 0; i < ELEMENTSOF(rows); i++)
        if (strcmp(output_age(rows[i].time, now, text), rows[i].age) != 0)
            fail_msg("row %zu: %s", i, output_age(rows[i].time, now, text));
}

static const struct column columns[] = {
    {.title = "ID", .member = "id"},
    {.title = "OWNER", .member = "by.name"},
    {.title = "N", .member = "n", .kind = COLUMN_INT},
    {.title = "USD", .member = "usd", .kind = COLUMN_USD},
    {.title = "AT", .member = "at", .kind = COLUMN_TIME, .wide = true},
};

static int print_list(_unused_ int argc, _unused_ char **argv)
{
    json_auto_t *rows =
        json_loads("[{\"id\":\"a\",\"by\":{\"name\":\"\\u6f22\"},\"n\":7,\"usd\":0.5,"
                   "\"at\":\"2026-01-31T12:00:00.000Z\"},"
                   "{\"id\":\"longer\",\"n\":1234,\"usd\":10}]",
                   0, NULL);

    return output_list(rows, columns, ELEMENTSOF(columns));
}

static void test_a_list_is_printed_as_asked(_unused_ void **state)
{
    static const struct {
        struct invocation asked;
        const char *text;
    } rows[] = {
        {{.format = OUTPUT_TABLE},
         "ID      OWNER     N        USD\n"
         "a       \xe6\xbc\xa2        7   0.500000\n"
         "longer  -      1234  10.000000\n"},
        {{.format = OUTPUT_TABLE, .no_headers = true},
         "a       \xe6\xbc\xa2     7   0.500000\n"
         "longer  -   1234  10.000000\n"},
        {{.format = OUTPUT_NAME}, "a\nlonger\n"},
        {{.format = OUTPUT_WIDE},
         "ID      OWNER     N        USD  AT\n"
         "a       \xe6\xbc\xa2        7   0.500000  2026-01-31T12:00:00.000Z\n"
         "longer  -      1234  10.000000  -\n"},
    };
    static char path[] = "/tmp/coffer-output-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    close(fd);
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        skip();
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *output = NULL;
        invocation_set(&rows[i].asked);
        assert_int_equal(test_command(print_list, path, (const char *const[]){"x"}, 1, &output),
                         EXIT_OK);
        assert_string_equal(output, rows[i].text);
    }
    invocation_set(&(struct invocation){0});
    unlink(path);
}

static void test_what_somebody_may_have_meant(_unused_ void **state)
{
    static const char *const names[] = {"deploy", "logs", "login", "logout", "ls", "rm"};
    static const struct {
        const char *text;
        const char *meant;
    } rows[] = {
        {"deplyo", "deploy"},
        {"deply", "deploy"},
        {"log", "logs"},
        {"lgoin", "login"},
        {"logotu", "logout"},
        {"sl", "ls"},
        {"xyzzy", NULL},
        {"", NULL},
        {"mr", "rm"},
        {"q", NULL},
        {"helm", NULL},
        {"-", NULL},
        {"a-very-long-word-that-nobody-would-ever-type-here", NULL},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const char *meant = suggest(rows[i].text, names, ELEMENTSOF(names));
        if (strcmp(meant ?: "-", rows[i].meant ?: "-") != 0)
            fail_msg("'%s': %s", rows[i].text, meant ?: "nothing");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_moves_the_cursor),
        cmocka_unit_test(test_width_is_that_of_the_terminal),
        cmocka_unit_test(test_how_long_ago),
        cmocka_unit_test(test_a_list_is_printed_as_asked),
        cmocka_unit_test(test_what_somebody_may_have_meant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
