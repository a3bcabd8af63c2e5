/* The doctor before gateways that are well, ill, or not there. */
#include <sys/stat.h>
#include <time.h>

#include "cli/command.h"
#include "cli/context.h"
#include "cli/test_gateway.h"
#include "shared/base/file.h"

static struct test_gateway gateway;

#define GOOD_ME                                                                                    \
    {                                                                                              \
        "GET", "/api/v1/accounts/me", 200, "{\"accountId\":\"acc-1\",\"name\":\"ours\"}", NULL,    \
            NULL, 0                                                                                \
    }
#define GOOD_LIST                                                                                  \
    {                                                                                              \
        "GET", "/api/v1/workloads/list", 200, "[]", NULL, NULL, 0                                  \
    }
#define GOOD_PLAN                                                                                  \
    {                                                                                              \
        "POST", "/api/v1/workloads/plan", 400, "{\"kind\":\"INVALID_PAYLOAD\"}", NULL, NULL, 0     \
    }
#define GOOD_KEYS                                                                                  \
    {                                                                                              \
        "GET", "/api/v1/api-keys/account/acc-1", 200, "[]", NULL, NULL, 0                          \
    }
#define GOOD_IMAGES                                                                                \
    {                                                                                              \
        "GET", "/api/v1/artifacts/list", 200, "[{\"version\":\"1.2.0\"}]", NULL, NULL, 0           \
    }
#define GOOD_HEALTH                                                                                \
    {                                                                                              \
        "GET", "/health", 200, "OK", NULL, NULL, 0                                                 \
    }
#define GOOD_API                                                                                   \
    {                                                                                              \
        "GET", "/openapi.json", 200, "{\"info\":{\"version\":\"9.9\"}}", NULL, NULL, 0             \
    }
#define DENIED "{\"error\":\"no\",\"kind\":\"ACCESS_DENIED\"}"

static json_t *run_json(int *ret_code)
{
    _cleanup_free_ char *output = NULL;
    _cleanup_free_ char *errors = NULL;

    *ret_code = test_gateway_run(&gateway, (const char *const[]){"doctor", "-o", "json", NULL},
                                 &output, &errors);
    json_t *json = json_loads(output, 0, NULL);
    if (!json)
        fail_msg("no JSON: %s%s", output, errors);
    return json;
}

/* "ok", "fail" ... of the last step of that name; "none". */
static const char *state_of(const json_t *answer, const char *check)
{
    const char *state = "none";
    const json_t *row;
    size_t i;

    json_array_foreach(json_object_get(answer, "checks"), i,
                       row) if (strcmp(json_string_value(json_object_get(row, "check")), check) ==
                                0) state = json_string_value(json_object_get(row, "state"));
    return state;
}

static const struct {
    struct test_answer answers[8];
    const char *check;
    const char *state;
    int code;
} findings[] = {
    {{GOOD_HEALTH, GOOD_API, GOOD_ME, GOOD_LIST, GOOD_PLAN, GOOD_KEYS, GOOD_IMAGES},
     "images",
     "ok",
     EXIT_OK},
    {{{"GET", "/health", 404, "", NULL, NULL, 0}}, "health", "fail", EXIT_CANNOT_TELL},
    {{{"GET", "/health", 0, "", NULL, NULL, 0}}, "health", "fail", EXIT_CANNOT_TELL},
    {{{"GET", "/health", 200, "OK", "Date", "Tue, 01 Jan 2030 00:00:00 GMT", 0},
      GOOD_API,
      GOOD_ME,
      GOOD_LIST,
      GOOD_PLAN,
      GOOD_KEYS,
      GOOD_IMAGES},
     "clock",
     "fail",
     EXIT_FAILED},
    {{GOOD_HEALTH, GOOD_ME, GOOD_LIST, GOOD_PLAN, GOOD_KEYS, GOOD_IMAGES}, "API", "warn", EXIT_OK},
    {{GOOD_HEALTH,
      GOOD_API,
      {"GET", "/api/v1/accounts/me", 401, "{\"kind\":\"UNAUTHORIZED\"}", NULL, NULL, 0}},
     "key",
     "fail",
     EXIT_DENIED},
    {{GOOD_HEALTH, /* a key of type user: good, and not for its account */
      GOOD_API,
      {"GET", "/api/v1/accounts/me", 401, DENIED, NULL, NULL, 0},
      GOOD_LIST,
      GOOD_PLAN,
      GOOD_IMAGES},
     "key",
     "ok",
     EXIT_OK},
    {{GOOD_HEALTH, GOOD_API, {"GET", "/api/v1/accounts/me", 403, "{}", NULL, NULL, 0}},
     "key",
     "fail",
     EXIT_DENIED},
    {{GOOD_HEALTH, GOOD_API, {"GET", "/api/v1/accounts/me", 500, "{}", NULL, NULL, 0}},
     "key",
     "fail",
     EXIT_CANNOT_TELL},
    {{GOOD_HEALTH,
      GOOD_API,
      GOOD_ME,
      {"GET", "/api/v1/workloads/list", 401, DENIED, NULL, NULL, 0},
      {"POST", "/api/v1/workloads/plan", 401, DENIED, NULL, NULL, 0},
      {"GET", "/api/v1/api-keys/account/acc-1", 401, DENIED, NULL, NULL, 0},
      GOOD_IMAGES},
     "scopes",
     "warn",
     EXIT_OK},
    {{GOOD_HEALTH,
      GOOD_API,
      GOOD_ME,
      GOOD_LIST,
      GOOD_PLAN,
      GOOD_KEYS,
      {"GET", "/api/v1/artifacts/list", 200, "[]", NULL, NULL, 0}},
     "images",
     "warn",
     EXIT_OK},
};

static void test_what_it_finds(_unused_ void **state)
{
    for (size_t i = 0; i < ELEMENTSOF(findings); i++) {
        int code;
        test_gateway_answer(&gateway, findings[i].answers);
        json_auto_t *answer = run_json(&code);
        if (code != findings[i].code ||
            strcmp(state_of(answer, findings[i].check), findings[i].state) != 0 ||
            json_integer_value(json_object_get(answer, "exitCode")) != code)
            fail_msg("row %zu: exit %d, %s is %s", i, code, findings[i].check,
                     state_of(answer, findings[i].check));
        assert_int_equal(json_is_true(json_object_get(answer, "ok")), code == EXIT_OK);
    }
}

/* Each failure, and each warning, says what to do. */
static void test_what_is_wrong_has_a_hint(_unused_ void **state)
{
    static const struct test_answer answers[] = {
        GOOD_HEALTH, {"GET", "/api/v1/accounts/me", 401, "{}", NULL, NULL, 0}, {0}};
    const json_t *row;
    size_t i;
    int code;

    test_gateway_answer(&gateway, answers);
    json_auto_t *answer = run_json(&code);
    json_array_foreach(json_object_get(answer, "checks"), i, row)
    {
        const char *s = json_string_value(json_object_get(row, "state"));
        assert_true((strcmp(s, "fail") != 0 && strcmp(s, "warn") != 0) ||
                    json_object_get(row, "hint"));
    }
}

static void test_for_people(_unused_ void **state)
{
    static const struct test_answer answers[] = {GOOD_HEALTH, GOOD_API,  GOOD_ME,     GOOD_LIST,
                                                 GOOD_PLAN,   GOOD_KEYS, GOOD_IMAGES, {0}};
    static const char *const words[] = {"ok    context", "ok    DNS",   "ok    TCP",
                                        "ok    health",  "ok    clock", "ok    key",
                                        "ok    images",  "ok    cache", "acc-1"};
    _cleanup_free_ char *output = NULL;
    _cleanup_free_ char *errors = NULL;

    test_gateway_answer(&gateway, answers);
    assert_int_equal(
        test_gateway_run(&gateway, (const char *const[]){"doctor", NULL}, &output, &errors),
        EXIT_OK);
    for (size_t i = 0; i < ELEMENTSOF(words); i++)
        if (!strstr(output, words[i]))
            fail_msg("'%s' is not in: %s", words[i], output);
    assert_null(strstr(output, "user-key-1"));
    assert_null(strchr(output, '\x1b'));
}

static void test_where_nothing_can_be_asked(_unused_ void **state)
{
    static const struct {
        const char *url;
        const char *key;
        const char *check;
        int code;
    } rows[] = {
        {NULL, NULL, "context", EXIT_DENIED},
        {"http://127.0.0.1:1", "user-key-1", "TCP", EXIT_CANNOT_TELL},
        {"http://nowhere.invalid", "user-key-1", "DNS", EXIT_CANNOT_TELL},
        {"nonsense", "user-key-1", "URL", EXIT_USAGE},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        int code;
        if (rows[i].url) {
            setenv("COFFER_API_URL", rows[i].url, 1);
            setenv("COFFER_API_KEY", rows[i].key, 1);
        } else {
            unsetenv("COFFER_API_URL");
            unsetenv("COFFER_API_KEY");
        }
        json_auto_t *answer = run_json(&code);
        if (code != rows[i].code || strcmp(state_of(answer, rows[i].check), "fail") != 0)
            fail_msg("row %zu: exit %d", i, code);
    }
    setenv("COFFER_API_URL", gateway.url, 1);
    setenv("COFFER_API_KEY", "user-key-1", 1);
}

static void test_files_that_others_may_use(_unused_ void **state)
{
    static const struct test_answer answers[] = {GOOD_HEALTH, GOOD_API,  GOOD_ME,     GOOD_LIST,
                                                 GOOD_PLAN,   GOOD_KEYS, GOOD_IMAGES, {0}};
    static const struct test_answer denied[] = {
        GOOD_HEALTH, {"GET", "/api/v1/accounts/me", 401, "{}", NULL, NULL, 0}, {0}};
    _cleanup_free_ char *folder = xasprintf("%s/.config/coffer/contexts/one", gateway.dir);
    _cleanup_free_ char *key = xasprintf("%s/api-key", folder);
    int code;

    assert_null(context_save("one", "http://one", "key-of-one", NULL, false));
    test_gateway_answer(&gateway, answers);
    json_auto_t *good = run_json(&code);
    assert_string_equal(state_of(good, "files"), "ok");
    assert_int_equal(chmod(key, 0644), 0);
    json_auto_t *bad = run_json(&code);
    assert_int_equal(code, EXIT_FAILED);
    assert_string_equal(state_of(bad, "files"), "fail");
    test_gateway_answer(&gateway, denied);
    json_auto_t *both = run_json(&code);
    assert_int_equal(code, EXIT_FAILED); /* the first failure's */
    assert_string_equal(state_of(both, "key"), "fail");
    assert_int_equal(chmod(key, 0600), 0);
    _cleanup_free_ char *salt_key = xasprintf("%s/.config/coffer/salt-key", gateway.dir);
    assert_null(file_write_atomic(salt_key, "x", 1, 0644));
    json_auto_t *salted = run_json(&code);
    assert_string_equal(state_of(salted, "files"), "fail");
    unlink(salt_key);
    assert_int_equal(chmod(folder, 0777), 0);
    json_auto_t *open = run_json(&code);
    assert_string_equal(state_of(open, "files"), "fail");
    assert_null(context_remove("one"));
}

/* One check, one line, and the hint where hints are. */
static void test_what_an_error_advises_is_the_hint(_unused_ void **state)
{
    _cleanup_free_ char *key = xasprintf("%s/.config/coffer/contexts/one/api-key", gateway.dir);
    const char *url = getenv("COFFER_API_URL");
    _cleanup_free_ char *kept = xstrdup(url);
    _cleanup_free_ char *output = NULL;
    _cleanup_free_ char *errors = NULL;
    static const char *const doctor[] = {"doctor", NULL};

    assert_null(context_save("one", "http://one", "key-of-one", NULL, true));
    assert_int_equal(chmod(key, 0644), 0);
    unsetenv("COFFER_API_URL");
    unsetenv("COFFER_API_KEY");
    test_gateway_run(&gateway, doctor, &output, &errors);
    setenv("COFFER_API_URL", kept, 1);
    setenv("COFFER_API_KEY", "user-key-1", 1);
    assert_non_null(strstr(output, "fail  context  others may read"));
    assert_non_null(strstr(output, "\n               try: chmod 600 '"));
    assert_null(strstr(output, "\n  try: "));
    assert_int_equal(chmod(key, 0600), 0);
    assert_null(context_remove("one"));
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
        cmocka_unit_test(test_what_it_finds),
        cmocka_unit_test(test_what_is_wrong_has_a_hint),
        cmocka_unit_test(test_for_people),
        cmocka_unit_test(test_where_nothing_can_be_asked),
        cmocka_unit_test(test_files_that_others_may_use),
        cmocka_unit_test(test_what_an_error_advises_is_the_hint),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
