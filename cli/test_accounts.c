/* accounts, keys and audit against a server of the test's own: what is asked, and what is shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <microhttpd.h>

#include "cli/command.h"
#include "cli/invocation.h"
#include "cli/test_command.h"

#define ME     "{\"accountId\":\"acc-1\",\"name\":\"ours\",\"balance\":1.5,\"burnRatePerMin\":0}"
#define SECRET "coffer_secret-secret-secret"
#define ENTRY(id)                                                                                  \
    "{\"id\":\"" id "\",\"at\":\"2030\",\"actor\":{\"type\":\"user\",\"keyId\":\"k-9\"},"          \
    "\"action\":\"workloads/"                                                                      \
    "stop\",\"object\":\"w-1\",\"result\":\"ok\",\"address\":\"192.0.2.9\"}"

static struct {
    struct MHD_Daemon *daemon;
    struct buffer asked;  /* "METHOD PATH&QUERY KEY BODY\n" of every request */
    struct buffer upload; /* of the one in hand: there is one thread */
    char dir[32];
    char admin_key[64];
    char *output;
} server;

static const struct {
    const char *method;
    const char *path;
    const char *answer;
} answers[] = {
    {"GET", "/api/v1/accounts/me", ME},
    {"GET", "/api/v1/accounts/list", "[" ME "]"},
    {"GET", "/api/v1/accounts/acc-1", ME},
    {"POST", "/api/v1/accounts/create", ME},
    {"POST", "/api/v1/accounts/add-balance", ME},
    {"POST", "/api/v1/api-keys/create",
     "{\"id\":\"" SECRET "\",\"keyId\":\"k-1\",\"accountId\":\"acc-1\",\"type\":\"user\"}"},
    {"GET", "/api/v1/api-keys/account/acc-1",
     "[{\"id\":\"k-1\",\"name\":\"ci\",\"type\":\"user\",\"scopes\":[\"read\",\"deploy\"],"
     "\"active\":false,\"expiresAt\":null,\"lastUsedAt\":\"2030-01-01T00:00:00.000Z\"}]"},
    {"PUT", "/api/v1/api-keys/update", "{\"id\":\"k-1\"}"},
    {"POST", "/api/v1/api-keys/delete", "{}"},
};

static const char *answer_of(struct MHD_Connection *connection, const char *method,
                             const char *path, unsigned *ret_status)
{
    const char *cursor = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "cursor");

    if (strcmp(path, "/api/v1/audit") == 0)
        return cursor ? "{\"entries\":[" ENTRY("e-2") "],\"nextCursor\":null}"
                      : "{\"entries\":[" ENTRY("e-1") "],\"nextCursor\":\"e-1\"}";
    for (size_t i = 0; i < ELEMENTSOF(answers); i++)
        if (strcmp(answers[i].method, method) == 0 && strcmp(answers[i].path, path) == 0)
            return answers[i].answer;
    *ret_status = 404;
    return "{\"error\":\"no such thing\",\"kind\":\"NOT_FOUND\"}";
}

static enum MHD_Result on_argument(void *text, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    (void)kind;
    buffer_printf(text, "&%s=%s", name, value);
    return MHD_YES;
}

static enum MHD_Result on_request(void *state, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **place)
{
    unsigned status = 200;

    (void)state;
    (void)version;
    if (!*place) {
        *place = &server;
        return MHD_YES;
    }
    if (*size) {
        buffer_add(&server.upload, data, *size);
        *size = 0;
        return MHD_YES;
    }
    const char *text = answer_of(connection, method, path, &status);
    buffer_printf(&server.asked, "%s %s", method, path);
    MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, on_argument, &server.asked);
    const char *key = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "x-api-key");
    const char *bearer = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization");
    buffer_printf(&server.asked, " %s%s %s\n", key ? "x-api-key: " : "Authorization: ",
                  key ?: bearer ?: "", buffer_text(&server.upload));
    buffer_done(&server.upload);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static int setup(_unused_ void **state)
{
    strcpy(server.dir, "/tmp/coffer-accounts-XXXXXX");
    assert_non_null(mkdtemp(server.dir));
    server.daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, on_request,
                                     NULL, MHD_OPTION_END);
    assert_non_null(server.daemon);
    _cleanup_free_ char *url = xasprintf(
        "http://127.0.0.1:%u", MHD_get_daemon_info(server.daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    setenv("HOME", server.dir, 1);
    setenv("COFFER_API_URL", url, 1);
    setenv("COFFER_API_KEY", "user-key", 1);
    snprintf(server.admin_key, sizeof(server.admin_key), "%s/admin-key", server.dir);
    assert_null(file_write_atomic(server.admin_key, "admin-key\n", 10, 0600));
    setenv("COFFER_ADMIN_KEY_FILE", server.admin_key, 1);
    setenv("no_proxy", "127.0.0.1", 1);
    return 0;
}

static int teardown(_unused_ void **state)
{
    _cleanup_free_ char *path = xasprintf("%s/output", server.dir);

    MHD_stop_daemon(server.daemon);
    buffer_done(&server.asked);
    buffer_done(&server.upload);
    unlink(path);
    unlink(server.admin_key);
    return rmdir(server.dir);
}

/* Runs a command; its stdout is server.output, and what it asked server.asked. */
static int run(int (*command)(int, char **), const char *const *arguments, size_t n)
{
    _cleanup_free_ char *path = xasprintf("%s/output", server.dir);

    buffer_done(&server.asked);
    server.asked = (struct buffer){0};
    server.upload = (struct buffer){0};
    free(server.output);
    return test_command(command, path, arguments, n, &server.output);
}
#define RUN(command, ...)                                                                          \
    run(command, (const char *const[]){"x", __VA_ARGS__},                                          \
        ELEMENTSOF(((const char *const[]){"x", __VA_ARGS__})))

static void assert_asked(const char *text)
{
    if (!strstr(buffer_text(&server.asked), text))
        fail_msg("'%s' is not in: %s", text, buffer_text(&server.asked));
}

static void assert_shown(const char *text)
{
    if (!strstr(server.output, text))
        fail_msg("'%s' is not in: %s", text, server.output);
}

static void test_accounts(_unused_ void **state)
{
    assert_int_equal(RUN(accounts_create_main, "ours", "--balance", "0.1"), EXIT_OK);
    assert_asked(
        "POST /api/v1/accounts/create x-api-key: admin-key {\"name\":\"ours\",\"balance\":0.1");
    assert_shown("acc-1");
    assert_int_equal(RUN(accounts_list_main, "--json"), EXIT_OK);
    assert_asked("GET /api/v1/accounts/list&limit=500 x-api-key: admin-key");
    assert_shown("\"balance\": 1.5");
    assert_int_equal(RUN(accounts_list_main, NULL), EXIT_OK);
    assert_shown("1.500000");
    assert_int_equal(RUN(accounts_me_main, NULL), EXIT_OK);
    assert_asked("GET /api/v1/accounts/me Authorization: Bearer user-key");
    assert_shown("burn rate");
    assert_int_equal(RUN(accounts_show_main, "acc-1", "--admin"), EXIT_OK);
    assert_asked("GET /api/v1/accounts/acc-1 x-api-key: admin-key");
}

static void test_amounts(_unused_ void **state)
{
    assert_int_equal(RUN(accounts_add_balance_main, "acc-1", "5"), EXIT_OK);
    assert_asked("x-api-key: admin-key {\"accountId\":\"acc-1\",\"balance\":5}");
    assert_int_equal(RUN(accounts_add_balance_main, "--", "acc-1", "-2.5"), EXIT_OK);
    assert_asked("\"balance\":-2.5}");
    static const char *const bad[] = {"", "five", "\"5\"", "0x5", "NaN", "1 2", "[1]"};
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        assert_int_equal(RUN(accounts_add_balance_main, "acc-1", bad[i]), EXIT_USAGE);
        assert_int_equal(server.asked.size, 0);
    }
}

static void test_the_secret_is_all_of_stdout(_unused_ void **state)
{
    assert_int_equal(RUN(keys_create_main, "--name", "ci", "--scope", "read", "--expires",
                         "2030-01-01T00:00:00Z"),
                     EXIT_OK);
    assert_string_equal(server.output, SECRET "\n");
    assert_asked(
        "GET /api/v1/accounts/me Authorization: Bearer user-key"); /* whose key it is to be */
    assert_asked(
        "POST /api/v1/api-keys/create Authorization: Bearer user-key {\"accountId\":\"acc-1\","
        "\"type\":\"user\",\"name\":\"ci\",\"expiresAt\":\"2030-01-01T00:00:00Z\","
        "\"scopes\":[\"read\"]}");
}

static void test_keys(_unused_ void **state)
{
    assert_int_equal(RUN(keys_list_main, "--account", "acc-1", "--admin"), EXIT_OK);
    assert_asked("GET /api/v1/api-keys/account/acc-1&limit=500 x-api-key: admin-key");
    assert_shown("deploy  disabled");
    assert_null(strstr(server.output, "2030-01-01T00:00:00.000Z")); /* how long ago instead */
    invocation_set(&(struct invocation){.format = OUTPUT_WIDE});
    assert_int_equal(RUN(keys_list_main, "--account", "acc-1", "--admin"), EXIT_OK);
    assert_shown("2030-01-01T00:00:00.000Z");
    invocation_set(&(struct invocation){.format = OUTPUT_TABLE});
    assert_int_equal(RUN(keys_disable_main, "k-1"), EXIT_OK);
    assert_asked("PUT /api/v1/api-keys/update Authorization: Bearer user-key "
                 "{\"id\":\"k-1\",\"active\":false}");
    assert_int_equal(RUN(keys_enable_main, "k-1"), EXIT_OK);
    assert_asked("\"active\":true}");
    assert_int_equal(RUN(keys_delete_main, "k-1", "--yes"), EXIT_OK);
    assert_asked("POST /api/v1/api-keys/delete Authorization: Bearer user-key {\"id\":\"k-1\"}");
}

static void test_audit_reads_on_to_the_limit(_unused_ void **state)
{
    assert_int_equal(RUN(audit_main, "--limit", "2"), EXIT_OK);
    assert_asked("GET /api/v1/audit&limit=2 Authorization: Bearer user-key");
    assert_asked("GET /api/v1/audit&limit=1&cursor=e-1 Authorization: Bearer user-key");
    assert_shown("192.0.2.9");
    assert_int_equal(RUN(audit_main, "--limit", "1", "--account", "acc-1", "--admin"), EXIT_OK);
    assert_asked("GET /api/v1/audit&limit=1&accountId=acc-1 x-api-key: admin-key");
    assert_null(strstr(buffer_text(&server.asked), "cursor"));
}

static void test_what_is_refused_before_anything_is_asked(_unused_ void **state)
{
    static const struct {
        int (*command)(int, char **);
        const char *arguments[3];
    } rows[] = {
        {accounts_create_main, {NULL}},
        {accounts_create_main, {"a", "b"}},
        {accounts_create_main, {"a", "--balance", "x"}},
        {accounts_create_main, {"a", "--scope", "x"}},
        {accounts_list_main, {"x"}},
        {accounts_show_main, {NULL}},
        {accounts_show_main, {"../list"}},
        {accounts_show_main, {"a?b"}},
        {accounts_me_main, {"--unknown"}},
        {accounts_add_balance_main, {"acc-1"}},
        {keys_create_main, {"x"}},
        {keys_create_main, {"--account", "../x"}},
        {keys_create_main, {"--admin"}},
        {keys_list_main, {"--admin"}},
        {keys_disable_main, {NULL}},
        {keys_delete_main, {"a", "b"}},
        {audit_main, {"--limit", "0"}},
        {audit_main, {"--limit", "1x"}},
        {audit_main, {"--account", "a&b"}},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const char *const *a = rows[i].arguments;
        if (RUN(rows[i].command, a[0], a[1], a[2]) != EXIT_USAGE || server.asked.size)
            fail_msg("row %zu", i);
        assert_string_equal(server.output, "");
    }
}

static void test_a_refusal_is_told(_unused_ void **state)
{
    assert_int_equal(RUN(accounts_show_main, "nobodys"), EXIT_NOT_FOUND);
    assert_string_equal(server.output, "");
    unsetenv("COFFER_ADMIN_KEY_FILE");
    assert_int_equal(RUN(accounts_list_main, NULL), EXIT_DENIED);
    assert_int_equal(RUN(accounts_show_main, "acc-1", "--admin"), EXIT_DENIED);
    assert_int_equal(server.asked.size, 0);
    assert_int_equal(RUN(accounts_show_main, "acc-1", "--admin-key-file", server.admin_key),
                     EXIT_OK);
    assert_asked("x-api-key: admin-key");
    setenv("COFFER_ADMIN_KEY_FILE", server.admin_key, 1);
    free(server.output);
    server.output = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accounts),
        cmocka_unit_test(test_amounts),
        cmocka_unit_test(test_the_secret_is_all_of_stdout),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_audit_reads_on_to_the_limit),
        cmocka_unit_test(test_what_is_refused_before_anything_is_asked),
        cmocka_unit_test(test_a_refusal_is_told),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
