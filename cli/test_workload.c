/* ls, show and the verbs; names that are not clear. */
#include "cli/command.h"
#include "cli/test_program.h"
#include "shared/base/alloc.h"

#define ID   "0a0a0a0a-0000-4000-8000-000000000001"
#define PATH "/api/v1/workloads/" ID
#define W(id, name)                                                                                \
    "{\"workloadId\":\"" id "\",\"name\":\"" name "\",\"status\":\"running\",\"domain\":\"d\"}"
#define LIST "[" W("w-1", "twin") "," W("w-2", "twin") "," W(ID, "mine") "]"

static void test_filters_go_to_the_gateway(_unused_ void **state)
{
    ANSWERS(ROW("GET", "/api/v1/workloads/list", LIST));
    EXPECT(EXIT_OK, "ls", "--status", "running,error", "--name", "a b&c", "--image", "0.3.1",
           "--sort", "-createdAt");
    assert_asked("&status=running,error&name=a b&c&artifactsVersion=0.3.1&sort=-createdAt");
    assert_output("twin");
    EXPECT(EXIT_OK, "ls", "-o", "json");
    assert_output("\"workloadId\": \"w-2\"");
}

static void test_a_limit_is_kept_over_pages(_unused_ void **state)
{
    ANSWERS(ROW("GET", "/api/v1/workloads/list", "[" W("w-1", "a") "," W("w-2", "b") "]",
                .cursor = "c2"),
            ROW("GET", "/api/v1/workloads/list", "[" W("w-3", "c") "," W("w-4", "d") "]",
                .cursor = "c4"));
    EXPECT(EXIT_OK, "ls", "--limit", "3", "--json");
    assert_asked("GET /api/v1/workloads/list&limit=3 \n");
    assert_asked("GET /api/v1/workloads/list&limit=1&cursor=c2 \n");
    assert_output("w-3");
    assert_null(strstr(gateway.output, "w-4")); /* more than was asked for */
    EXPECT(EXIT_OK, "ls", "--limit", "2");
    assert_not_asked("cursor");
}

static void test_a_name_that_two_have(_unused_ void **state)
{
    ANSWERS(ROW("GET", "/api/v1/workloads/list", LIST));
    EXPECT(EXIT_USAGE, "show", "twin");
    assert_errors("2 workloads are called 'twin': w-1 w-2");
    EXPECT(EXIT_NOT_FOUND, "show", "nobodys");
}

static void test_show_says_what_to_do_next(_unused_ void **state)
{
    static const struct {
        const char *status;
        const char *next;
    } rows[] = {
        {"running", "coffer logs " ID " -f"},
        {"stopped", "coffer start " ID},
        {"error", "coffer events " ID},
        {"starting", "coffer events " ID " -f"},
        {"awaitingCert", "coffer domains ls " ID},
        {"waiting", "coffer events " ID},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *w = xasprintf(
            "{\"workloadId\":\"" ID "\",\"name\":\"mine\",\"status\":\"%s\"}", rows[i].status);
        const struct gateway_answer answers[] = {ROW("GET", PATH, w, .etag = "\"1-2-x\"")};
        gateway_answer(answers, ELEMENTSOF(answers));
        EXPECT(EXIT_OK, "show", ID);
        assert_output("ETag           \"1-2-x\"\n");
        assert_output(rows[i].next);
        EXPECT(EXIT_OK, "show", ID, "--json");
        assert_null(strstr(gateway.output, "coffer "));
    }
}

/* What a gateway says becomes part of a command that people paste: never as it comes. */
static void test_no_command_is_made_of_what_is_no_name(_unused_ void **state)
{
    static const char *const domains[] = {"$(reboot).example.com", "a.example.com;reboot", "-x.y",
                                          "a b.example.com", ""};

    for (size_t i = 0; i < ELEMENTSOF(domains); i++) {
        _cleanup_free_ char *w =
            xasprintf("{\"workloadId\":\"" ID
                      "\",\"status\":\"running\",\"domain\":\"%s\",\"artifactsVersion\":"
                      "\"1.0\",\"manifestHash\":"
                      "\"1111111111111111111111111111111111111111111111111111111111111111\"}",
                      domains[i]);
        const struct gateway_answer answers[] = {ROW("GET", PATH, w)};
        gateway_answer(answers, ELEMENTSOF(answers));
        EXPECT(EXIT_OK, "show", ID);
        assert_null(strstr(gateway.output, "coffer verify"));
    }
}

static void test_verbs(_unused_ void **state)
{
    ANSWERS(
        ROW("GET", "/api/v1/workloads/list", LIST), ROW("POST", "/api/v1/workloads/start", "{}"),
        ROW("POST", "/api/v1/workloads/stop", "{}"), ROW("POST", "/api/v1/workloads/restart", "{}"),
        ROW("POST", "/api/v1/workloads/delete",
            "{\"error\":\"it changed\",\"kind\":\"PRECONDITION_FAILED\"}", .status = 412));
    EXPECT(EXIT_OK, "start", "mine");
    assert_asked("POST /api/v1/workloads/start {\"workloadId\":\"" ID "\"}");
    EXPECT(EXIT_OK, "stop", "mine", "--yes", "--if-match", "\"3-4-x\"", "-o", "json");
    assert_asked("POST /api/v1/workloads/stop [If-Match: \"3-4-x\"] {\"workloadId\":\"" ID "\"}");
    assert_output("\"state\": \"stopping\"");
    EXPECT(EXIT_CONFLICT, "rm", "mine", "--yes", "--if-match", "\"3\"");
    EXPECT(EXIT_FAILED, "restart", "mine"); /* nobody to ask */
    assert_not_asked("/restart");
    assert_errors("ephemeral");
}

static void test_restart_with_a_new_environment(_unused_ void **state)
{
    ANSWERS(ROW("POST", "/api/v1/workloads/restart", "{}"));
    setenv("ONE", "sec-ret-one", 1);
    EXPECT(EXIT_OK, "restart", ID, "--yes", "--env", "ONE", "--env-file",
           gateway_write("e", "TWO=sec-ret-two\n"));
    assert_asked("{\"workloadId\":\"" ID
                 "\",\"envVars\":{\"TWO\":\"sec-ret-two\",\"ONE\":\"sec-ret-one\"}}");
    assert_not_said("sec-ret", false);
    EXPECT(EXIT_OK, "restart", ID, "--yes");
    assert_not_asked("envVars");
    EXPECT(EXIT_USAGE, "restart", ID, "--yes", "--env", "ONE=sec-ret");
    assert_not_said("sec-ret", true);
    EXPECT(EXIT_USAGE, "restart", ID, "--yes", "--env", "NOT_SET_ANYWHERE");
    EXPECT(EXIT_FAILED, "restart", ID, "--env", "ONE");
    assert_errors("not given");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filters_go_to_the_gateway),
        cmocka_unit_test(test_a_limit_is_kept_over_pages),
        cmocka_unit_test(test_a_name_that_two_have),
        cmocka_unit_test(test_show_says_what_to_do_next),
        cmocka_unit_test(test_no_command_is_made_of_what_is_no_name),
        cmocka_unit_test(test_verbs),
        cmocka_unit_test(test_restart_with_a_new_environment),
    };

    return cmocka_run_group_tests(tests, gateway_setup, gateway_teardown);
}
