/* What a newcomer gets wrong: it is said in words, in JSON where that is wanted, and by the exit
 * code; and what could not be written was not done. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <jansson.h>

#include "cli/command.h"
#include "cli/frame.h"
#include "cli/test_program.h"
#include "shared/base/alloc.h"

static void test_what_is_wrong_is_named(_unused_ void **state)
{
    static const struct {
        const char *arguments[6];
        const char *says;
    } rows[] = {
        {{"ls", "extra"}, "coffer: one operand too many: 'extra'\n  usage: coffer ls "},
        {{"show"}, "coffer: an operand is missing\n  usage: coffer show WORKLOAD\n"},
        {{"show", "a", "b"}, "one operand too many: 'b'"},
        {{"ls", "--limit", "0"}, "coffer: --limit is a number from 1 to "},
        {{"events", "x", "--limit", "5000"}, "--limit is a number from 1 to 1000, not '5000'"},
        {{"stats", "x", "--interval", "x"}, "--interval is a number from 0 to "},
        {{"audit", "--limit", "x"}, "coffer: --limit is a number from 1 to 100000, not 'x'\n"},
        {{"keys", "ls", "x"}, "one operand too many: 'x'"},
        {{"keys", "rm"}, "an operand is missing\n  usage: coffer keys rm KEY"},
        {{"context", "use"}, "an operand is missing\n  usage: coffer context use NAME"},
        {{"fleet", "init"}, "coffer: an operand is missing\n  usage: coffer fleet init DIR"},
        {{"hosts", "show"}, "coffer: show needs exactly one "},
        {{"images", "ls", "x"}, "coffer: ls takes no operands"},
        {{"--context"}, "coffer: a value is missing behind '--context'"},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const char *const *a = rows[i].arguments;
        EXPECT(EXIT_USAGE, a[0], a[1], a[2], a[3], a[4], a[5]);
        assert_errors(rows[i].says);
        assert_string_equal(gateway.output, "");
        assert_int_equal(gateway.asked.size, 0);
    }
}

/* The only line of stderr is an object that says all of it. */
static void check_json_error(int code, const char *code_name, const char *says)
{
    _cleanup_(json_decrefp) json_t *json = json_loads(gateway.errors, 0, NULL);

    if (!json || strchr(gateway.errors, '\n') != gateway.errors + strlen(gateway.errors) - 1)
        fail_msg("no line of JSON: %s", gateway.errors);
    assert_string_equal(json_string_value(json_object_get(json, "code")), code_name);
    assert_int_equal(json_integer_value(json_object_get(json, "exitCode")), code);
    if (!strstr(json_string_value(json_object_get(json, "error")), says))
        fail_msg("%s: %s", says, gateway.errors);
    assert_string_equal(gateway.output, "");
}

static void test_errors_are_json_where_json_is_wanted(_unused_ void **state)
{
    static const struct {
        const char *arguments[8];
        int code;
        const char *name;
        const char *says;
    } rows[] = {
        {{"show", "x", "-o", "json"}, EXIT_NOT_FOUND, "NOT_FOUND", "no workload is called 'x'"},
        {{"ls", "x", "--json"}, EXIT_USAGE, "INVALID_ARGUMENT", "one operand too many"},
        {{"ls", "--nonsense", "-j"}, EXIT_USAGE, "INVALID_ARGUMENT", "unknown option"},
        {{"ls", "-ojson", "--limit"}, EXIT_USAGE, "INVALID_ARGUMENT", "a value is missing"},
        {{"ls", "--output=json", "--limit", "0"}, EXIT_USAGE, "INVALID_ARGUMENT", "--limit is"},
        {{"plan", "/nowhere", "-o", "json"}, EXIT_NOT_FOUND, "NOT_FOUND", "nowhere"},
        {{"rm", "0a0a0a0a-0000-4000-8000-000000000001", "-o", "json"},
         EXIT_FAILED,
         "FAILED_PRECONDITION",
         "say --yes"},
        {{"events", "-o", "json"}, EXIT_USAGE, "INVALID_ARGUMENT", "events needs a workload"},
        {{"report", "show", "/nowhere", "--json"}, EXIT_FAILED, "NOT_FOUND", "nowhere"},
        {{"hosts", "show", "--json"}, EXIT_USAGE, "INVALID_ARGUMENT", "needs exactly one"},
        {{"--context", "nowhere", "ls", "-o", "json"},
         EXIT_USAGE,
         "INVALID_ARGUMENT",
         "no context 'nowhere'"},
    };

    ANSWERS(ROW("GET", "/api/v1/workloads/list", "[]"));
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const char *const *a = rows[i].arguments;
        EXPECT(rows[i].code, a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]);
        check_json_error(rows[i].code, rows[i].name, rows[i].says);
    }
    EXPECT(EXIT_NOT_FOUND, "show", "x"); /* and only there */
    assert_errors("coffer: no workload is called 'x', and none has that id\n");
}

static void test_what_changes_says_json_too(_unused_ void **state)
{
    ANSWERS(ROW("POST", "/api/v1/api-keys/delete", "{}"),
            ROW("POST", "/api/v1/members/delete", "{}"),
            ROW("POST", "/api/v1/webhooks/delete", "{}"),
            ROW("POST", "/api/v1/webhooks/test", "{\"deliveryId\":\"d\"}"));
    static const char *const rows[][2] = {
        {"keys", "rm"}, {"members", "rm"}, {"webhooks", "rm"}, {"webhooks", "test"}};

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        EXPECT(EXIT_OK, rows[i][0], rows[i][1], "m-1", i < 3 ? "--yes" : NULL, "-o", "json");
        _cleanup_(json_decrefp) json_t *json = json_loads(gateway.output, 0, NULL);
        if (!json)
            fail_msg("%s %s: %s", rows[i][0], rows[i][1], gateway.output);
    }
}

/* As `coffer ls` shows it, whatever it is made of. */
static void test_an_id_of_any_form_is_one(_unused_ void **state)
{
    ANSWERS(ROW("GET", "/api/v1/workloads/list", "[]"),
            ROW("GET", "/api/v1/workloads/w-1", "{\"workloadId\":\"w-1\",\"name\":\"one\"}"));
    EXPECT(EXIT_OK, "show", "w-1");
    assert_output("name           one");
    EXPECT(EXIT_NOT_FOUND, "show", "w-2");
    assert_errors("coffer: no workload is called 'w-2', and none has that id\n");
    EXPECT(EXIT_NOT_FOUND, "show", "../w-1");
    assert_not_asked("/..");
    /* A name comes first. */
    ANSWERS(ROW("GET", "/api/v1/workloads/list", "[{\"workloadId\":\"w-9\",\"name\":\"w-1\"}]"),
            ROW("GET", "/api/v1/workloads/w-9", "{\"workloadId\":\"w-9\",\"name\":\"w-1\"}"));
    EXPECT(EXIT_OK, "show", "w-1");
    assert_output("workload       w-9");
}

/* What answers is no gateway, or something stands before it. */
static void test_strange_answers_are_no_success(_unused_ void **state)
{
    static const struct {
        unsigned status;
        const char *body;
        int code;
        const char *says;
    } rows[] = {
        {200, "", EXIT_FAILED, "gateway: the answer is empty"},
        {200, "null", EXIT_FAILED, "gateway: the answer is neither an object nor a list"},
        {200, "5", EXIT_FAILED, "gateway: the answer is neither an object nor a list"},
        {200, "<html>", EXIT_FAILED, "is the URL that of a gateway?"},
        {301, "", EXIT_FAILED, "is the URL right? https, perhaps"},
        {308, "", EXIT_FAILED, "is the URL right? https, perhaps"},
        {403, "Forbidden", EXIT_DENIED, "something before the gateway refuses"},
        {404, "<html>", EXIT_NOT_FOUND, "is the URL that of a gateway?"},
        {502, "<html>", EXIT_CANNOT_TELL, "the gateway is away"},
        {503, "{\"error\":\"away\",\"kind\":\"UNAVAILABLE\"}", EXIT_CANNOT_TELL,
         "try: again in a moment; coffer doctor looks closer\n"},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const struct gateway_answer answers[] = {{.method = "POST",
                                                  .path = "/api/v1/workloads/stop",
                                                  .status = rows[i].status,
                                                  .body = rows[i].body},
                                                 {.method = "GET",
                                                  .path = "/api/v1/accounts/me",
                                                  .status = rows[i].status,
                                                  .body = rows[i].body}};
        gateway_answer(answers, ELEMENTSOF(answers));
        EXPECT(rows[i].code, "stop", "0a0a0a0a-0000-4000-8000-000000000001", "--yes");
        assert_errors(rows[i].says);
        EXPECT(rows[i].code, "accounts", "me");
    }
}

static void test_exit_codes_fit_a_narrow_terminal(_unused_ void **state)
{
    EXPECT(EXIT_OK, "help", "ls");
    const char *at = strstr(gateway.output, "Exit: ");
    assert_non_null(at);
    for (size_t size; *at; at += size + (at[size] == '\n')) {
        size = strcspn(at, "\n");
        assert_in_range(size, 0, 80);
    }
}

static int run_into(const char *path, int argc, const char *const *arguments)
{
    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    int file = open(path, O_WRONLY | O_CLOEXEC);

    assert_true(saved >= 0 && file >= 0);
    dup2(file, STDOUT_FILENO);
    int code = frame_run(argc, (char **)arguments);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(file);
    return code;
}

static void test_a_full_disk_is_no_success(_unused_ void **state)
{
    static const char *const rows[][5] = {{"coffer", "ls", "-o", "json"},
                                          {"coffer", "help", "ls", "--"},
                                          {"coffer", "keys", "create", "--json"},
                                          {"coffer", "completion", "bash", "--"}};

    ANSWERS(ROW("GET", "/api/v1/workloads/list", "[{\"workloadId\":\"w-1\"}]"),
            ROW("GET", "/api/v1/accounts/me", "{\"accountId\":\"a\"}"),
            ROW("POST", "/api/v1/api-keys/create", "{\"id\":\"secret\",\"keyId\":\"k\"}"));
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        int code = run_into("/dev/full", strcmp(rows[i][3], "--") == 0 ? 3 : 4, rows[i]);
        if (code != EXIT_FAILED)
            fail_msg("%s %s: %d", rows[i][1], rows[i][2], code);
    }
    EXPECT(EXIT_OK, "ls"); /* nothing is left over */
    assert_null(strstr(gateway.output, "secret"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_wrong_is_named),
        cmocka_unit_test(test_errors_are_json_where_json_is_wanted),
        cmocka_unit_test(test_what_changes_says_json_too),
        cmocka_unit_test(test_an_id_of_any_form_is_one),
        cmocka_unit_test(test_exit_codes_fit_a_narrow_terminal),
        cmocka_unit_test(test_strange_answers_are_no_success),
        cmocka_unit_test(test_a_full_disk_is_no_success),
    };

    return cmocka_run_group_tests(tests, gateway_setup, gateway_teardown);
}
