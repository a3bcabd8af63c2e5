/* Running tools, and what is made of their words. */
#include <signal.h>

#include "services/guest-agent/caddy_words.h"
#include "services/guest-agent/engine_words.h"
#include "services/guest-agent/process.h"
#include "services/guest-agent/scrub.h"
#include "services/guest-agent/test_support.h"

static const char *const environment[] = {"PATH=/usr/bin:/bin", "TOKEN=secret value", NULL};

struct lines {
    struct buffer text;
};

static void on_line(void *data, const char *line)
{
    struct lines *lines = data;

    buffer_printf(&lines->text, "<%s>", line);
}

static struct error *run(const char *script, const char *input, int timeout_ms, struct lines *lines,
                         struct process_result *result)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    const struct process_options options = {
        .argv = argv,
        .environment = environment,
        .input = input,
        .output_max = 1000,
        .timeout_ms = timeout_ms,
        .on_line = lines ? on_line : NULL,
        .data = lines,
    };

    return process_run(&options, result);
}

static void test_output_lines_exit_code_and_input(void **state)
{
    _cleanup_process_result_ struct process_result result = {0};
    struct lines lines = {0};

    (void)state;
    support_check(run("cat; echo \"$TOKEN|$HOME\"; echo one >&2; printf 'two\\rthree' >&2; exit 5",
                      "given\n", 60000, &lines, &result));
    assert_int_equal(result.exit_code, 5);
    assert_string_equal(buffer_text(&result.output), "given\nsecret value|\n");
    assert_string_equal(buffer_text(&lines.text), "<one><two><three>");
    buffer_done(&lines.text);
}

static void test_a_tool_that_reads_nothing_or_dies_is_no_trouble(void **state)
{
    _cleanup_buffer_ struct buffer big = {0};
    struct process_result result = {0};

    (void)state;
    for (int i = 0; i < 100000; i++)
        buffer_add_text(&big, "0123456789");
    support_check(run("exec true", buffer_text(&big), 60000, NULL, &result));
    assert_int_equal(result.exit_code, 0);
    process_result_done(&result);
    result = (struct process_result){0};
    support_check(run("kill -9 $$", NULL, 60000, NULL, &result));
    assert_int_equal(result.exit_code, 128 + 9);
    process_result_done(&result);
}

static void test_limits_end_the_tool_and_its_children(void **state)
{
    struct process_result result = {0};

    (void)state;
    for (int limit_ms = 300; limit_ms < 60000; limit_ms *= 4) { /* a slow machine begins later */
        process_result_done(&result);
        result = (struct process_result){0};
        support_refused(run("echo begun >&2; sleep 600 & sleep 600", NULL, limit_ms, NULL, &result),
                        ERROR_DEADLINE_EXCEEDED);
        if (result.errors.size)
            break;
    }
    assert_string_equal(buffer_text(&result.errors), "begun\n");
    process_result_done(&result);
    result = (struct process_result){0};
    support_refused(run("while :; do echo 0123456789; done", NULL, 60000, NULL, &result),
                    ERROR_RESOURCE_EXHAUSTED);
    assert_in_range(result.output.size, 0, 1000);
    process_result_done(&result);
    result = (struct process_result){0};
    support_check(run("i=0; while [ $i -lt 3000 ]; do echo line $i >&2; i=$((i+1)); done", NULL,
                      60000, NULL, &result));
    assert_in_range(result.errors.size, 1, 8192);
    assert_non_null(strstr(buffer_text(&result.errors), "line 2999\n"));
    process_result_done(&result);
}

static void test_a_tool_that_is_not_there(void **state)
{
    const char *const argv[] = {"/nonexistent/tool", NULL};
    const struct process_options options = {
        .argv = argv, .environment = environment, .timeout_ms = 1000};
    struct process_result result = {0};

    (void)state;
    support_refused(process_run(&options, &result), ERROR_NOT_FOUND);
}

static void test_secrets_are_taken_out(void **state)
{
    static const struct {
        const char *text;
        const char *clean;
    } rows[] = {
        {"", ""},
        {"nothing here", "nothing here"},
        {"hunter2", "[secret]"},
        {"a hunter2hunter2 b", "a [secret] b"}, /* the longer one as a whole */
        {"xhunter2x", "x[secret]x"},
        {"the value abc is too short", "the value abc is too short"},
        {"first line / second line", "[secret] / [secret]"},
    };
    struct scrub scrub = {0};

    (void)state;
    scrub_add(&scrub, "hunter2");
    scrub_add(&scrub, "hunter2hunter2");
    scrub_add(&scrub, "abc");
    scrub_add(&scrub, "");
    scrub_add(&scrub, "first line\nsecond line\n");
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *clean = scrub_text(&scrub, rows[i].text);
        assert_string_equal(clean, rows[i].clean);
    }
    scrub_done(&scrub);
    _cleanup_free_ char *same = scrub_text(NULL, "hunter2");
    assert_string_equal(same, "hunter2");
}

static void test_words_of_the_tools(void **state)
{
    static const struct {
        const char *errors;
        enum error_code code;
        const char *words;
    } rows[] = {
        {" web Pulling \n web Error \nError response from daemon: manifest for x:1 not found: "
         "manifest unknown: manifest unknown",
         ERROR_NOT_FOUND,
         "Error response from daemon: manifest for x:1 not found: manifest unknown: manifest "
         "unknown"},
        {"Error response from daemon: Get \"https://r/v2/\": unauthorized: authentication required",
         ERROR_UNAUTHENTICATED,
         "Error response from daemon: Get \"https://r/v2/\": unauthorized: authentication "
         "required"},
        {"Error response from daemon: Get \"https://r/v2/\": dial tcp: lookup r: no such host",
         ERROR_UNAVAILABLE,
         "Error response from daemon: Get \"https://r/v2/\": dial tcp: lookup r: no such host"},
        {"yaml: line 2: found character that cannot start any token", ERROR_INTERNAL,
         "yaml: line 2: found character that cannot start any token"},
        {"", ERROR_INTERNAL, "the tool said nothing"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        assert_int_equal(engine_words_code(rows[i].errors), rows[i].code);
        assert_string_equal(engine_last_words(rows[i].errors), rows[i].words);
    }
}

static void test_words_of_caddy(void **state)
{
    static const struct {
        const char *line;
        const char *problem;
    } rows[] = {
        {"{\"level\":\"error\",\"msg\":\"could not get certificate from issuer\",\"error\":\"HTTP "
         "400\"}",
         "could not get certificate from issuer: HTTP 400"},
        {"{\"level\":\"info\",\"msg\":\"certificate obtained successfully\"}", NULL},
        {"{\"level\":\"error\",\"msg\":\"x\"}", NULL},
        {"{\"level\":\"error\",\"msg\":1,\"error\":2}", NULL},
        {"not json", NULL},
        {"", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *problem = caddy_problem(rows[i].line, strlen(rows[i].line));
        if (rows[i].problem)
            assert_string_equal(problem, rows[i].problem);
        else
            assert_null(problem);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output_lines_exit_code_and_input),
        cmocka_unit_test(test_a_tool_that_reads_nothing_or_dies_is_no_trouble),
        cmocka_unit_test(test_limits_end_the_tool_and_its_children),
        cmocka_unit_test(test_a_tool_that_is_not_there),
        cmocka_unit_test(test_secrets_are_taken_out),
        cmocka_unit_test(test_words_of_the_tools),
        cmocka_unit_test(test_words_of_caddy),
    };

    signal(SIGPIPE, SIG_IGN); /* as the program does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
