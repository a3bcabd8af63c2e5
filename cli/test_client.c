/* Requests and refusals: exit codes, hints, repetition, and lists of many pages. */
#include "cli/command.h"
#include "cli/problem.h"
#include "cli/test_gateway.h"

static struct test_gateway gateway;

static int run(const char *const *arguments, char **ret_output, char **ret_errors)
{
    return test_gateway_run(&gateway, arguments, ret_output, ret_errors);
}
#define RUN(ret_output, ret_errors, ...)                                                           \
    run((const char *const[]){__VA_ARGS__, NULL}, ret_output, ret_errors)

#define SHOW "/api/v1/workloads/00000000-0000-4000-8000-000000000001"
#define ID   "00000000-0000-4000-8000-000000000001"

static void expect_in(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' is not in: %s", part, text);
}

/* What programs rely on: docs/cli.md has the same table. */
static const struct {
    unsigned status;
    const char *kind; /* NULL: the body is no JSON, as of a proxy */
    int code;
    const char *hint;
} refusals[] = {
    {400, "INVALID_PAYLOAD", EXIT_USAGE, NULL},
    {400, "INVALID_PATH", EXIT_USAGE, NULL},
    {400, "INVALID_IDEMPOTENCY_KEY", EXIT_USAGE, "255"},
    {400, "ARTIFACT_VERSION_DOES_NOT_EXIST", EXIT_USAGE, "coffer images ls"},
    {400, "ARTIFACT_VERSION_NOT_SEMVER", EXIT_USAGE, "1.2.3"},
    {400, "INVALID_WORKLOAD_TIER", EXIT_USAGE, "coffer tiers ls"},
    {400, NULL, EXIT_USAGE, NULL},
    {401, "UNAUTHORIZED", EXIT_DENIED, "coffer login"},
    {401, "ACCESS_DENIED", EXIT_DENIED, "wider scope"},
    {301, NULL, EXIT_FAILED, "https"},
    {302, NULL, EXIT_FAILED, "https"},
    {307, NULL, EXIT_FAILED, "https"},
    {308, NULL, EXIT_FAILED, "https"},
    {401, NULL, EXIT_DENIED, "coffer login"},
    {403, NULL, EXIT_DENIED, "URL"},
    {404, "NOT_FOUND", EXIT_NOT_FOUND, "another account"},
    {404, NULL, EXIT_NOT_FOUND, "coffer doctor"},
    {405, "METHOD_NOT_ALLOWED", EXIT_FAILED, "older"},
    {409, "ALREADY_EXISTS", EXIT_CONFLICT, NULL},
    {409, "CONFLICT", EXIT_CONFLICT, "again"},
    {409, NULL, EXIT_CONFLICT, NULL},
    {412, "FAILED_PRECONDITION", EXIT_CONFLICT, NULL},
    {412, "PRECONDITION_FAILED", EXIT_CONFLICT, "coffer show"},
    {412, "DATA_LOSS_NOT_CONFIRMED", EXIT_CONFLICT, "--confirm-data-loss"},
    {412, "METAL_INSTANCE_ALIVE", EXIT_CONFLICT, "agent"},
    {412, "METAL_INSTANCE_MANAGING_WORKLOADS", EXIT_CONFLICT, "coffer rm"},
    {412, "NOT_ENOUGH_BALANCE", EXIT_LIMIT, "coffer accounts me"},
    {412, "QUOTA_EXCEEDED", EXIT_LIMIT, "larger quota"},
    {412, "SOMETHING_NEW", EXIT_CONFLICT, NULL},
    {412, NULL, EXIT_CONFLICT, NULL},
    {413, "PAYLOAD_TOO_LARGE", EXIT_USAGE, "files"},
    {413, NULL, EXIT_USAGE, "too large"},
    {422, "IDEMPOTENCY_KEY_REUSED", EXIT_CONFLICT, "another one"},
    {422, NULL, EXIT_CONFLICT, NULL},
    {429, NULL, EXIT_LIMIT, "slow down"},
    {429, "TOO_MANY_REQUESTS", EXIT_LIMIT, "slow down"},
    {500, "INTERNAL", EXIT_FAILED, "operator"},
    {500, NULL, EXIT_FAILED, NULL},
    {501, "UNIMPLEMENTED", EXIT_FAILED, "older"},
    {502, "UNTRUSTED_ANSWER", EXIT_FAILED, NULL},
    {502, NULL, EXIT_CANNOT_TELL, "coffer doctor"},
    {503, "NOT_ENOUGH_RESOURCES", EXIT_LIMIT, "no host has room"},
    {504, "DEADLINE_EXCEEDED", EXIT_CANNOT_TELL, "may still happen"},
    {504, NULL, EXIT_CANNOT_TELL, "coffer doctor"},
};

static void test_refusals_become_exit_codes_and_hints(_unused_ void **state)
{
    for (size_t i = 0; i < ELEMENTSOF(refusals); i++) {
        _cleanup_free_ char *body =
            refusals[i].kind
                ? xasprintf("{\"error\":\"why\",\"kind\":\"%s\",\"requestId\":\"r-7\"}",
                            refusals[i].kind)
                : xstrdup("<html>");
        const struct test_answer answers[] = {
            {"GET", SHOW, refusals[i].status, body, NULL, NULL, 0}, {0}};
        _cleanup_free_ char *output = NULL;
        _cleanup_free_ char *errors = NULL;
        test_gateway_answer(&gateway, answers);
        int code = RUN(&output, &errors, "show", ID);
        if (code != refusals[i].code)
            fail_msg("row %zu (%u %s): exit %d", i, refusals[i].status, refusals[i].kind ?: "-",
                     code);
        assert_string_equal(output, "");
        expect_in(errors, refusals[i].kind ?: "no kind");
        if (refusals[i].hint)
            expect_in(strstr(errors, "try: ") ?: "", refusals[i].hint);
        else
            assert_null(strstr(errors, "try: "));
    }
}

static bool is_tried(const char *kind, long status)
{
    for (size_t i = 0; i < ELEMENTSOF(refusals); i++)
        if (kind ? refusals[i].kind && strcmp(refusals[i].kind, kind) == 0
                 : !refusals[i].kind && refusals[i].status == status)
            return true;
    return false;
}

/* Those that are retried have their own test below. */
static void test_each_kind_is_tried(_unused_ void **state)
{
    for (size_t i = 0; i < n_problem_kinds; i++) {
        const struct problem_kind *row = &problem_kinds[i];
        bool retried = row->code == ERROR_UNAVAILABLE && row->status == 503;
        if (row->status && !retried && strcmp(row->kind ?: "", "IDEMPOTENCY_KEY_IN_USE") != 0 &&
            !is_tried(row->kind, row->status))
            fail_msg("%s %ld", row->kind ?: "any", row->status);
    }
}

static void test_a_refusal_names_its_findings_and_request(_unused_ void **state)
{
    static const struct test_answer answers[] = {
        {"GET", SHOW, 500,
         "{\"error\":\"internal error\",\"kind\":\"INTERNAL\",\"requestId\":\"req-42\","
         "\"findings\":[{\"where\":\"services.web\",\"what\":\"it is privileged\","
         "\"why\":\"it owns the VM\",\"fix\":\"drop it\"}]}",
         NULL, NULL, 0},
        {0}};
    _cleanup_free_ char *output = NULL;
    _cleanup_free_ char *errors = NULL;

    test_gateway_answer(&gateway, answers);
    assert_int_equal(RUN(&output, &errors, "show", ID), EXIT_FAILED);
    expect_in(errors, "services.web: it is privileged");
    expect_in(errors, "why: it owns the VM");
    expect_in(errors, "fix: drop it");
    expect_in(errors, "request id: req-42");
}

static void test_what_the_server_says_does_not_move_the_cursor(_unused_ void **state)
{
    static const struct test_answer answers[] = {
        {"GET", "/api/v1/workloads/list", 200,
         "[{\"workloadId\":\"" ID "\",\"name\":\"a\\u001b]0;x\\u0007b\\u009b2Jc\\u202ed\","
         "\"status\":\"run\\nning\"}]",
         NULL, NULL, 0},
        {"GET", SHOW, 404, "{\"error\":\"no \\u001b[2J\",\"kind\":\"NOT_FOUND\"}", NULL, NULL, 0},
        {0}};
    _cleanup_free_ char *output = NULL;
    _cleanup_free_ char *errors = NULL;
    _cleanup_free_ char *none = NULL;
    _cleanup_free_ char *refusal = NULL;

    test_gateway_answer(&gateway, answers);
    assert_int_equal(RUN(&output, &errors, "ls"), EXIT_OK);
    expect_in(output, "a\\x1b]0;x\\x07b\\x9b2Jc\\u{202e}d");
    expect_in(output, "run\\x0aning");
    assert_int_equal(RUN(&none, &refusal, "show", ID), EXIT_NOT_FOUND);
    expect_in(refusal, "no \\x1b[2J");
}

/* Said again until it is answered, under one name. */
static void test_what_can_be_said_twice_is(_unused_ void **state)
{
    static const char busy[] = "{\"error\":\"the bus is away\",\"kind\":\"UNAVAILABLE\"}";
    static const char in_use[] = "{\"error\":\"wait\",\"kind\":\"IDEMPOTENCY_KEY_IN_USE\"}";
    static const char good[] = "{\"workloadId\":\"" ID "\"}";
    static const struct {
        struct test_answer answers[3];
        const char *arguments[4];
        unsigned asked;
        int code;
    } rows[] = {
        {{{"GET", SHOW, 503, busy, NULL, NULL, 2}, {"GET", SHOW, 200, good, NULL, NULL, 0}},
         {"show", ID},
         3,
         EXIT_OK},
        {{{"GET", SHOW, 0, NULL, NULL, NULL, 1}, {"GET", SHOW, 200, good, NULL, NULL, 0}},
         {"show", ID},
         2,
         EXIT_OK},
        {{{"POST", "/api/v1/workloads/start", 503, busy, NULL, NULL, 1},
          {"POST", "/api/v1/workloads/start", 200, good, NULL, NULL, 0}},
         {"start", ID},
         2,
         EXIT_OK},
        {{{"POST", "/api/v1/workloads/start", 0, NULL, NULL, NULL, 1},
          {"POST", "/api/v1/workloads/start", 200, good, NULL, NULL, 0}},
         {"start", ID},
         2,
         EXIT_OK},
        {{{"POST", "/api/v1/workloads/start", 409, in_use, "Retry-After", "0", 1},
          {"POST", "/api/v1/workloads/start", 200, good, NULL, NULL, 0}},
         {"start", ID},
         2,
         EXIT_OK},
        {{{"GET", SHOW, 503, busy, NULL, NULL, 0}}, {"show", ID}, 5, EXIT_CANNOT_TELL},
        {{{"GET", SHOW, 503, busy, "Retry-After", "600", 0}}, {"show", ID}, 1, EXIT_CANNOT_TELL},
        {{{"GET", SHOW, 503, "{\"kind\":\"NOT_ENOUGH_RESOURCES\"}", NULL, NULL, 0}},
         {"show", ID},
         1,
         EXIT_LIMIT},
        {{{"GET", SHOW, 500, "{}", NULL, NULL, 0}}, {"show", ID}, 1, EXIT_FAILED},
        {{{"GET", SHOW, 502, "<html>", NULL, NULL, 0}}, {"show", ID}, 1, EXIT_CANNOT_TELL},
        {{{"GET", SHOW, 504, "<html>", NULL, NULL, 0}}, {"show", ID}, 1, EXIT_CANNOT_TELL},
        {{{"GET", SHOW, 429, "{}", "Retry-After", "7", 0}}, {"show", ID}, 1, EXIT_LIMIT},
        {{{"PUT", "/api/v1/api-keys/update", 503, busy, NULL, NULL, 0}},
         {"keys", "disable", "k-1"},
         1,
         EXIT_CANNOT_TELL},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        struct test_answer answers[ELEMENTSOF(rows[i].answers) + 1] = {0};
        _cleanup_free_ char *output = NULL;
        _cleanup_free_ char *errors = NULL;
        unsigned asked = 0;
        memcpy(answers, rows[i].answers, sizeof(rows[i].answers));
        test_gateway_answer(&gateway, answers);
        int code = run(rows[i].arguments, &output, &errors);
        const char *keys = buffer_text(&gateway.keys);
        size_t line = strcspn(keys, "\n");
        for (const char *at = keys; *at; at += line + 1, asked++)
            if (strncmp(at, keys, line + 1) != 0)
                fail_msg("row %zu: another key: %s", i, keys);
        if (code != rows[i].code || asked != rows[i].asked)
            fail_msg("row %zu: exit %d after %u requests", i, code, asked);
        assert_int_equal(line > 1, strcmp(rows[i].arguments[0], "start") == 0);
    }
}

static void test_when_to_come_back_is_said(_unused_ void **state)
{
    static const struct test_answer answers[] = {
        {"GET", SHOW, 429, "{\"error\":\"too many\",\"kind\":\"TOO_MANY_REQUESTS\"}", "Retry-After",
         "7", 0},
        {0}};
    _cleanup_free_ char *output = NULL;
    _cleanup_free_ char *errors = NULL;

    test_gateway_answer(&gateway, answers);
    assert_int_equal(RUN(&output, &errors, "show", ID), EXIT_LIMIT);
    expect_in(errors, "try: again in 7 s");
}

static void test_changes_carry_a_key_of_their_own(_unused_ void **state)
{
    static const struct test_answer answers[] = {
        {"POST", "/api/v1/workloads/start", 200, "{}", NULL, NULL, 0},
        {"POST", "/api/v1/workloads/stats", 200, "{}", NULL, NULL, 0},
        {0}};
    char *output[4] = {0};
    char *errors[4] = {0};

    test_gateway_answer(&gateway, answers);
    assert_int_equal(RUN(&output[0], &errors[0], "start", ID), EXIT_OK);
    assert_int_equal(RUN(&output[1], &errors[1], "start", ID), EXIT_OK);
    const char *keys = buffer_text(&gateway.keys);
    assert_int_equal(strlen(keys), 2 * 37); /* two UUIDs */
    assert_memory_not_equal(keys, keys + 37, 36);
    test_gateway_answer(&gateway, answers);
    assert_int_equal(RUN(&output[2], &errors[2], "start", ID, "--idempotency-key", "mine-1"),
                     EXIT_OK);
    assert_int_equal(RUN(&output[3], &errors[3], "stats", ID), EXIT_OK);
    assert_string_equal(buffer_text(&gateway.keys), "mine-1\n-\n");
    for (size_t i = 0; i < ELEMENTSOF(output); i++) {
        free(output[i]);
        free(errors[i]);
    }
}

static void test_bad_idempotency_keys_are_not_sent(_unused_ void **state)
{
    static const char *const bad[] = {"", "a b", "a\tb", "\xc3\xa4", "a\x7f", "a\r\nx-api-key: y"};
    static const struct test_answer answers[] = {
        {"POST", "/api/v1/workloads/start", 200, "{}", NULL, NULL, 0}, {0}};
    _cleanup_free_ char *longest = xnew_array(char, 300);

    memset(longest, 'k', 256);
    for (size_t i = 0; i <= ELEMENTSOF(bad); i++) {
        _cleanup_free_ char *output = NULL;
        _cleanup_free_ char *errors = NULL;
        test_gateway_answer(&gateway, answers);
        const char *key = i < ELEMENTSOF(bad) ? bad[i] : longest;
        if (RUN(&output, &errors, "start", ID, "--idempotency-key", key) != EXIT_USAGE)
            fail_msg("row %zu", i);
        assert_int_equal(gateway.asked.size, 0);
    }
}

static void test_lists_are_read_to_their_end(_unused_ void **state)
{
    static const struct test_answer answers[] = {
        {"GET", "/api/v1/workloads/list", 200, "[{\"workloadId\":\"w-1\",\"name\":\"n\"}]",
         "Coffer-Next-Cursor", "c1", 1},
        {"GET", "/api/v1/workloads/list", 200, "[{\"workloadId\":\"w-2\",\"name\":\"n\"}]",
         "Coffer-Next-Cursor", "c2", 1},
        {"GET", "/api/v1/workloads/list", 200, "[{\"workloadId\":\"w-3\",\"name\":\"n\"}]", NULL,
         NULL, 1},
        {0}};
    _cleanup_free_ char *output = NULL;
    _cleanup_free_ char *errors = NULL;

    test_gateway_answer(&gateway, answers);
    assert_int_equal(RUN(&output, &errors, "ls", "-o", "name"), EXIT_OK);
    assert_string_equal(output, "w-1\nw-2\nw-3\n");
    assert_string_equal(buffer_text(&gateway.asked),
                        "GET /api/v1/workloads/list&limit=500 \n"
                        "GET /api/v1/workloads/list&limit=500&cursor=c1 \n"
                        "GET /api/v1/workloads/list&limit=500&cursor=c2 \n");
}

/* A page that is empty ends a list, whatever its cursor; a cursor that is none is not followed. */
static void test_a_list_without_an_end_is_left(_unused_ void **state)
{
    static const struct test_answer rows[][2] = {
        {{"GET", "/api/v1/workloads/list", 200, "[]", "Coffer-Next-Cursor", "c1", 0}, {0}},
        {{"GET", "/api/v1/workloads/list", 200, "[{}]", "Coffer-Next-Cursor", "a b", 0}, {0}},
        {{"GET", "/api/v1/workloads/list", 200, "[{}]", "Coffer-Next-Cursor", "a&limit=1", 0}, {0}},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *output = NULL;
        _cleanup_free_ char *errors = NULL;
        test_gateway_answer(&gateway, rows[i]);
        assert_int_equal(RUN(&output, &errors, "ls", "--json"), EXIT_OK);
        assert_string_equal(buffer_text(&gateway.asked), "GET /api/v1/workloads/list&limit=500 \n");
    }
}

static void test_answers_that_are_no_list(_unused_ void **state)
{
    static const char *const bodies[] = {"{}", "1", "\"x\"", "<html>", "[", "[1] [2]"};

    for (size_t i = 0; i < ELEMENTSOF(bodies); i++) {
        const struct test_answer answers[] = {
            {"GET", "/api/v1/workloads/list", 200, bodies[i], NULL, NULL, 0}, {0}};
        _cleanup_free_ char *output = NULL;
        _cleanup_free_ char *errors = NULL;
        test_gateway_answer(&gateway, answers);
        if (RUN(&output, &errors, "ls") != EXIT_FAILED)
            fail_msg("row %zu: %s", i, errors);
    }
}

static void test_nobody_there(_unused_ void **state)
{
    _cleanup_free_ char *output = NULL;
    _cleanup_free_ char *errors = NULL;

    setenv("COFFER_API_URL", "http://127.0.0.1:1", 1);
    int code = RUN(&output, &errors, "ls");
    setenv("COFFER_API_URL", gateway.url, 1);
    assert_int_equal(code, EXIT_CANNOT_TELL);
    expect_in(errors, "is the URL right");
    expect_in(errors, "coffer doctor");
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
        cmocka_unit_test(test_refusals_become_exit_codes_and_hints),
        cmocka_unit_test(test_each_kind_is_tried),
        cmocka_unit_test(test_a_refusal_names_its_findings_and_request),
        cmocka_unit_test(test_what_the_server_says_does_not_move_the_cursor),
        cmocka_unit_test(test_what_can_be_said_twice_is),
        cmocka_unit_test(test_when_to_come_back_is_said),
        cmocka_unit_test(test_changes_carry_a_key_of_their_own),
        cmocka_unit_test(test_bad_idempotency_keys_are_not_sent),
        cmocka_unit_test(test_lists_are_read_to_their_end),
        cmocka_unit_test(test_a_list_without_an_end_is_left),
        cmocka_unit_test(test_answers_that_are_no_list),
        cmocka_unit_test(test_nobody_there),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
