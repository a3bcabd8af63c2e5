/* The program on a terminal of the test's own: keys are not shown, lines fit, colours are used
 * where they may be. */
#include <pty.h>
#include <sys/wait.h>

#include "cli/command.h"
#include "cli/context.h"
#include "cli/frame.h"
#include "cli/test_gateway.h"

#define KEY "secret-key-0123456789"

static struct test_gateway gateway;

struct session {
    const char *arguments[6];
    const char *typed; /* when the prompt is there; NULL: nothing */
    unsigned short columns;
    const char *no_color; /* NULL: not set */
    const char *term;
};

static void be_program(const struct session *session)
{
    const char *argv[8] = {"coffer"};
    int argc = 1;

    for (; session->arguments[argc - 1]; argc++)
        argv[argc] = session->arguments[argc - 1];
    setenv("TERM", session->term ?: "xterm", 1);
    unsetenv("NO_COLOR");
    if (session->no_color)
        setenv("NO_COLOR", session->no_color, 1);
    int code = frame_run(argc, (char **)argv);
    fflush(NULL);
    _exit(code);
}

/* Everything that the terminal shows; caller frees. */
static char *run(const struct session *session, int *ret_code)
{
    const struct winsize size = {.ws_row = 24, .ws_col = session->columns};
    _cleanup_buffer_ struct buffer shown = {0};
    const char *typed = session->typed;
    char block[4096];
    int status;
    int terminal;
    pid_t child = forkpty(&terminal, NULL, NULL, &size);

    assert_true(child >= 0);
    if (child == 0)
        be_program(session);
    for (ssize_t n; (n = read(terminal, block, sizeof(block))) > 0;) {
        buffer_add(&shown, block, (size_t)n);
        if (typed && strstr(buffer_text(&shown), "API key: ")) {
            assert_true(write(terminal, typed, strlen(typed)) > 0);
            typed = NULL;
        }
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    close(terminal);
    *ret_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return xstrdup(buffer_text(&shown));
}

static void test_the_key_is_asked_for_and_not_shown(_unused_ void **state)
{
    const struct session session = {
        .arguments = {"login", "typed", "--url", gateway.url, "--no-check"},
        .typed = KEY "\n",
        .columns = 80,
    };
    _cleanup_(context_done) struct context context = {0};
    int code;
    _cleanup_free_ char *shown = run(&session, &code);

    assert_int_equal(code, EXIT_OK);
    assert_null(strstr(shown, KEY));
    assert_non_null(strstr(shown, "context typed"));
    expect_ok(context_load_named("typed", &context));
    assert_string_equal(context.key, KEY);
}

/* Ctrl-C at the question: nothing is stored, and the program ends by itself. */
static void test_the_question_can_be_left(_unused_ void **state)
{
    const struct session session = {
        .arguments = {"login", "left", "--url", gateway.url, "--no-check"},
        .typed = "half\x03",
        .columns = 80,
    };
    _cleanup_(context_done) struct context context = {0};
    int code;
    _cleanup_free_ char *shown = run(&session, &code);
    _cleanup_(error_freep) struct error *err = context_load_named("left", &context);

    assert_true(code > 0);
    assert_int_equal(error_get_code(err), ERROR_NOT_FOUND);
    assert_null(strstr(shown, "half"));
}

#define LONG_NAME "a-name-that-is-much-longer-than-any-terminal-of-forty-columns-would-show"

static const struct test_answer list[] = {{"GET", "/api/v1/workloads/list", 200,
                                           "[{\"workloadId\":\"w-1\",\"name\":\"" LONG_NAME
                                           "\",\"status\":\"running\","
                                           "\"domain\":\"x.example\"}]",
                                           NULL, NULL, 0},
                                          {0}};

/* Without the marks of colours. */
static size_t longest_line(const char *text)
{
    size_t longest = 0;
    size_t width = 0;

    for (; *text; text++) {
        if (*text == '\x1b')
            text += strcspn(text, "m");
        else if (*text == '\n' || *text == '\r')
            width = 0;
        else if ((*text & 0xc0) != 0x80) /* one for each character */
            width++;
        longest = width > longest ? width : longest;
    }
    return longest;
}

static void test_lines_fit_and_colours_are_used_where_they_may(_unused_ void **state)
{
    static const struct {
        struct session session;
        bool cut;
        bool colours;
    } rows[] = {
        {{{"ls"}, NULL, 60, NULL, NULL}, true, true},
        {{{"ls"}, NULL, 200, NULL, NULL}, false, true},
        {{{"ls"}, NULL, 60, "1", NULL}, true, false},
        {{{"ls"}, NULL, 60, "", NULL}, true, true},
        {{{"ls"}, NULL, 60, NULL, "dumb"}, true, false},
        {{{"ls", "-o", "wide"}, NULL, 60, NULL, NULL}, false, true},
        {{{"ls", "-o", "name"}, NULL, 60, NULL, NULL}, true, false},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        int code;
        test_gateway_answer(&gateway, list);
        _cleanup_free_ char *shown = run(&rows[i].session, &code);
        bool cut = strstr(shown, LONG_NAME) == NULL;
        bool colours = strchr(shown, '\x1b') != NULL;
        if (code != EXIT_OK || cut != rows[i].cut || colours != rows[i].colours ||
            (cut && longest_line(shown) > rows[i].session.columns))
            fail_msg("row %zu: exit %d, longest %zu: %s", i, code, longest_line(shown), shown);
    }
}

static void test_waiting_is_shown_and_wiped_away(_unused_ void **state)
{
    static const struct test_answer answers[] = {
        {"GET", "/api/v1/workloads/list", 503, "{\"kind\":\"UNAVAILABLE\"}", NULL, NULL, 1},
        {"GET", "/api/v1/workloads/list", 200, "[]", NULL, NULL, 0},
        {0}};
    const struct session session = {.arguments = {"ls"}, .columns = 80};
    int code;

    test_gateway_answer(&gateway, answers);
    _cleanup_free_ char *shown = run(&session, &code);
    assert_int_equal(code, EXIT_OK);
    const char *wait = strstr(shown, "the gateway is busy or away: again in 0.");
    assert_non_null(wait);
    assert_non_null(strstr(wait, "\r\x1b[K"));
}

/* JSON escapes what a terminal would obey. */
static void test_json_on_a_terminal_is_plain(_unused_ void **state)
{
    static const struct test_answer answers[] = {
        {"GET", "/api/v1/workloads/list", 200, "[{\"name\":\"a\\u009b2J\\u202e\"}]", NULL, NULL, 0},
        {0}};
    const struct session session = {.arguments = {"ls", "-o", "json"}, .columns = 80};
    int code;

    test_gateway_answer(&gateway, answers);
    _cleanup_free_ char *shown = run(&session, &code);
    assert_int_equal(code, EXIT_OK);
    assert_non_null(strstr(shown, "a\\u009B2J\\u202E"));
}

#define STEERS "\\u009b2J\\u202e"

/* The same of what comes line by line. */
static void test_lines_of_json_on_a_terminal_are_plain(_unused_ void **state)
{
    static const char id[] = "0a0a0a0a-0000-4000-8000-000000000001";
    static const struct test_answer answers[] = {
        {"POST", "/api/v1/workload-events/list", 200,
         "{\"events\":[{\"details\":{\"message\":\"" STEERS "\"}}]}", NULL, NULL, 0},
        {"POST", "/api/v1/workloads/logs", 200, "{\"lines\":[\"" STEERS "\"]}", NULL, NULL, 0},
        {"POST", "/api/v1/workloads/stats", 200, "{\"disks\":[{\"mountPoint\":\"" STEERS "\"}]}",
         NULL, NULL, 0},
        {0}};
    static const char *const rows[][5] = {
        {"events", id, "--json"},
        {"logs", id, "--json"},
        {"stats", id, "--json", "--watch", "--count=1"},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        struct session session = {.columns = 80};
        int code;
        memcpy(session.arguments, rows[i], sizeof(rows[i]));
        test_gateway_answer(&gateway, answers);
        _cleanup_free_ char *shown = run(&session, &code);
        if (code != EXIT_OK || !strstr(shown, "\\u009B2J\\u202E"))
            fail_msg("%s: exit %d: %s", rows[i][0], code, shown);
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
        cmocka_unit_test(test_the_key_is_asked_for_and_not_shown),
        cmocka_unit_test(test_the_question_can_be_left),
        cmocka_unit_test(test_lines_fit_and_colours_are_used_where_they_may),
        cmocka_unit_test(test_waiting_is_shown_and_wiped_away),
        cmocka_unit_test(test_json_on_a_terminal_is_plain),
        cmocka_unit_test(test_lines_of_json_on_a_terminal_are_plain),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
