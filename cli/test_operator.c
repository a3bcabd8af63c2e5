/* images, tiers and hosts against a gateway that writes down what it is asked. */
#include <microhttpd.h>
#include <netinet/in.h>

#include "cli/command.h"
#include "cli/test_command.h"

#define ADMIN_KEY "operator-key-0123456789"

static struct stand {
    struct MHD_Daemon *daemon;
    char dir[64];
    const char *answer; /* JSON */
    unsigned status;
    unsigned calls;
    char method[8];
    char path[128];
    char admin[64];
    char account[64];
    struct buffer body;
    const char *list; /* the answer to GET, with an ETag; NULL: answer */
    char if_match[32];
} stand;

static void keep(struct MHD_Connection *connection, const char *name, char *ret_text, size_t size)
{
    snprintf(ret_text, size, "%s",
             MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name) ?: "");
}

static enum MHD_Result on_request(_unused_ void *data, struct MHD_Connection *connection,
                                  const char *url, const char *method, _unused_ const char *version,
                                  const char *upload, size_t *upload_size, void **place)
{
    if (!*place) {
        *place = &stand;
        buffer_done(&stand.body);
        return MHD_YES;
    }
    if (*upload_size) {
        buffer_add(&stand.body, upload, *upload_size);
        *upload_size = 0;
        return MHD_YES;
    }
    stand.calls++;
    snprintf(stand.method, sizeof(stand.method), "%s", method);
    snprintf(stand.path, sizeof(stand.path), "%s", url);
    keep(connection, "x-api-key", stand.admin, sizeof(stand.admin));
    keep(connection, "Authorization", stand.account, sizeof(stand.account));
    keep(connection, "If-Match", stand.if_match, sizeof(stand.if_match));
    const char *answer = stand.list && strcmp(method, "GET") == 0 ? stand.list : stand.answer;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(answer), (void *)answer, MHD_RESPMEM_MUST_COPY);
    if (stand.list)
        MHD_add_response_header(response, "ETag", "\"7\"");
    enum MHD_Result result = MHD_queue_response(connection, stand.status, response);
    MHD_destroy_response(response);
    return result;
}

static int start(_unused_ void **state)
{
    strcpy(stand.dir, "/tmp/coffer-operator-XXXXXX");
    assert_non_null(mkdtemp(stand.dir));
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    stand.daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, on_request,
                                    NULL, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_END);
    assert_non_null(stand.daemon);
    _cleanup_free_ char *url = xasprintf(
        "http://127.0.0.1:%u", MHD_get_daemon_info(stand.daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    _cleanup_free_ char *key = xasprintf("%s/key", stand.dir);
    expect_ok(file_write_atomic(key, ADMIN_KEY "\n", strlen(ADMIN_KEY) + 1, 0600));
    setenv("COFFER_API_URL", url, 1);
    setenv("COFFER_API_KEY", "account-key-0123456789", 1);
    setenv("no_proxy", "*", 1);
    return 0;
}

static int stop(_unused_ void **state)
{
    _cleanup_free_ char *key = xasprintf("%s/key", stand.dir);
    _cleanup_free_ char *out = xasprintf("%s/out", stand.dir);

    MHD_stop_daemon(stand.daemon);
    buffer_done(&stand.body);
    unlink(key);
    unlink(out);
    return rmdir(stand.dir);
}

static int fresh(_unused_ void **state)
{
    _cleanup_free_ char *key = xasprintf("%s/key", stand.dir);

    setenv("COFFER_ADMIN_KEY_FILE", key, 1);
    stand.answer = "{}";
    stand.status = 200;
    stand.calls = 0;
    return 0;
}

#define RUN(command, output, ...)                                                                  \
    run(command, (const char *const[]){#command, __VA_ARGS__},                                     \
        sizeof((const char *const[]){#command, __VA_ARGS__}) / sizeof(char *), output)

static int run(int (*command)(int, char **), const char *const *arguments, size_t n,
               char **ret_output)
{
    _cleanup_free_ char *path = xasprintf("%s/out", stand.dir);

    return test_command(command, path, arguments, n, ret_output);
}

static void check_request(const char *method, const char *path, const char *body)
{
    assert_int_equal(stand.calls, 1);
    assert_string_equal(stand.method, method);
    assert_string_equal(stand.path, path);
    assert_string_equal(stand.admin, ADMIN_KEY);
    assert_string_equal(stand.account, "");
    assert_string_equal(buffer_text(&stand.body), body);
}

static void test_images(_unused_ void **state)
{
    _cleanup_free_ char *list = NULL;
    _cleanup_free_ char *enabled = NULL;
    _cleanup_free_ char *disabled = NULL;

    stand.answer = "[{\"version\":\"1.2.0\",\"builtAt\":\"2026-01-02T03:04:05.000Z\"}]";
    assert_int_equal(RUN(images_list_main, &list, NULL), EXIT_OK);
    check_request("GET", "/api/v1/artifacts/list", "");
    assert_non_null(strstr(list, "VERSION  BUILT\n1.2.0    "));
    stand.calls = 0;
    assert_int_equal(RUN(images_enable_main, &enabled, "1.2.0"), EXIT_OK);
    check_request("POST", "/api/v1/artifacts/enable", "{\"version\":\"1.2.0\"}");
    assert_string_equal(enabled, "1.2.0 enabled\n");
    stand.calls = 0;
    assert_int_equal(RUN(images_disable_main, &disabled, "1.2.0"), EXIT_OK);
    check_request("POST", "/api/v1/artifacts/disable", "{\"version\":\"1.2.0\"}");
}

static void test_tiers(_unused_ void **state)
{
    _cleanup_free_ char *list = NULL;
    _cleanup_free_ char *created = NULL;
    _cleanup_free_ char *changed = NULL;
    _cleanup_free_ char *removed = NULL;

    stand.answer = "[{\"tierId\":\"t-1\",\"name\":\"small\",\"cpus\":2,\"gpus\":0,"
                   "\"memoryMb\":2048,\"diskGb\":10,\"cost\":0.25}]";
    assert_int_equal(RUN(tiers_list_main, &list, NULL), EXIT_OK);
    assert_non_null(strstr(list, "small"));
    assert_non_null(strstr(list, "0.250000\n"));
    stand.calls = 0;
    stand.answer = "{\"tierId\":\"t-1\"}";
    assert_int_equal(RUN(tiers_create_main, &created, "--name", "small", "--cpus", "2", "--memory",
                         "2048", "--disk", "10", "--cost", "0.25"),
                     EXIT_OK);
    check_request("POST", "/api/v1/workload-tiers/create",
                  "{\"name\":\"small\",\"cpus\":2,\"memoryMb\":2048,\"diskGb\":10,\"cost\":0.25}");
    assert_string_equal(created, "t-1 created\n");
    stand.calls = 0;
    assert_int_equal(RUN(tiers_remove_main, &removed, "t-1", "--yes"), EXIT_OK);
    check_request("POST", "/api/v1/workload-tiers/delete", "{\"tierId\":\"t-1\"}");
}

/* The API takes a tier as a whole; people say what is to change. */
static void test_a_tier_keeps_what_is_not_given(_unused_ void **state)
{
    _cleanup_free_ char *changed = NULL;
    _cleanup_free_ char *missing = NULL;
    _cleanup_free_ char *nothing = NULL;

    stand.list = "[{\"tierId\":\"t-0\"},{\"tierId\":\"t-1\",\"name\":\"small\",\"cpus\":2,"
                 "\"gpus\":1,\"memoryMb\":2048,\"diskGb\":10,\"cost\":0.25}]";
    stand.answer = "{\"tierId\":\"t-1\"}";
    assert_int_equal(RUN(tiers_update_main, &changed, "t-1", "--memory", "4096"), EXIT_OK);
    assert_string_equal(changed, "t-1 changed\n");
    assert_string_equal(stand.method, "PUT");
    assert_string_equal(stand.path, "/api/v1/workload-tiers/update");
    assert_string_equal(stand.if_match, "\"7\"");
    assert_string_equal(buffer_text(&stand.body),
                        "{\"tierId\":\"t-1\",\"name\":\"small\",\"cpus\":2,\"gpus\":1,"
                        "\"memoryMb\":4096,\"diskGb\":10,\"cost\":0.25}");
    stand.calls = 0;
    assert_int_equal(RUN(tiers_update_main, &missing, "t-2", "--memory", "4096"), EXIT_NOT_FOUND);
    assert_int_equal(stand.calls, 1); /* it has looked, and changed nothing */
    stand.calls = 0;
    assert_int_equal(RUN(tiers_update_main, &nothing, "t-1"), EXIT_USAGE);
    assert_int_equal(stand.calls, 0);
    stand.list = NULL;
}

#define HOST                                                                                       \
    "{\"metalInstanceId\":\"h1\",\"state\":\"ready\",\"eligible\":%s,\"cpus\":{\"reserved\":2,"    \
    "\"total\":64,\"used\":4},\"images\":[{\"version\":\"1.0\",\"ready\":true}],"                  \
    "\"workloads\":[\"w1\"]}"

static void test_hosts(_unused_ void **state)
{
    _cleanup_free_ char *ready = xasprintf("[" HOST "]", "true");
    _cleanup_free_ char *cordoned = xasprintf(HOST, "false");
    _cleanup_free_ char *list = NULL;
    _cleanup_free_ char *shown = NULL;
    _cleanup_free_ char *removed = NULL;

    stand.answer = ready;
    assert_int_equal(RUN(hosts_list_main, &list, NULL), EXIT_OK);
    check_request("GET", "/api/v1/metal-instances/list", "");
    assert_non_null(strstr(list, "ready  4/62"));
    stand.calls = 0;
    stand.answer = cordoned;
    assert_int_equal(RUN(hosts_show_main, &shown, "h1"), EXIT_OK);
    check_request("GET", "/api/v1/metal-instances/h1", "");
    assert_non_null(strstr(shown, "state        cordoned\n"));
    assert_non_null(strstr(shown, "images       1.0 ready\n"));
    assert_non_null(strstr(shown, "workloads    w1\n"));
    stand.calls = 0;
    assert_int_equal(RUN(hosts_remove_main, &removed, "--yes", "h1"), EXIT_OK);
    check_request("POST", "/api/v1/metal-instances/delete", "{\"metalInstanceId\":\"h1\"}");
}

/* Lists go on as the account, everything else says what is missing. */
static void test_without_an_operators_key(_unused_ void **state)
{
    _cleanup_free_ char *list = NULL;
    _cleanup_free_ char *hosts = NULL;
    _cleanup_free_ char *json = NULL;

    unsetenv("COFFER_ADMIN_KEY_FILE");
    stand.answer = "[]";
    assert_int_equal(RUN(tiers_list_main, &list, NULL), EXIT_OK);
    assert_string_equal(stand.account, "Bearer account-key-0123456789");
    assert_string_equal(stand.admin, "");
    assert_int_equal(RUN(hosts_list_main, &hosts, NULL), EXIT_DENIED);
    assert_int_equal(stand.calls, 1);
    _cleanup_free_ char *key = xasprintf("%s/key", stand.dir);
    stand.calls = 0;
    assert_int_equal(RUN(images_list_main, &json, "--json", "--admin-key-file", key), EXIT_OK);
    check_request("GET", "/api/v1/artifacts/list", "");
    assert_string_equal(json, "[]\n");
}

static void test_usage(_unused_ void **state)
{
    static const struct {
        int (*command)(int, char **);
        const char *arguments[4];
        int code;
    } rows[] = {
        {images_list_main, {"ls", "x"}, EXIT_USAGE},
        {images_enable_main, {"enable"}, EXIT_USAGE},
        {images_enable_main, {"enable", "a", "b"}, EXIT_USAGE},
        {images_enable_main, {"enable", "\xff"}, EXIT_USAGE},
        {images_disable_main, {"disable", "--nonsense", "a"}, EXIT_USAGE},
        {tiers_create_main, {"create", "--cpus", "two"}, EXIT_USAGE},
        {tiers_create_main, {"create", "--cpus", "2x"}, EXIT_USAGE},
        {tiers_create_main, {"create", "--cost", "cheap"}, EXIT_USAGE},
        {tiers_create_main, {"create", "--cost", "inf"}, EXIT_USAGE},
        {tiers_create_main, {"create", "--name", "\xff"}, EXIT_USAGE},
        {tiers_create_main, {"create", "operand"}, EXIT_USAGE},
        {tiers_update_main, {"update", "--cpus", "2"}, EXIT_USAGE},
        {tiers_remove_main, {"rm"}, EXIT_USAGE},
        {hosts_show_main, {"show"}, EXIT_USAGE},
        {hosts_show_main, {"show", "../x"}, EXIT_USAGE},
        {hosts_list_main, {"ls", "--admin-key-file", "/nonexistent"}, EXIT_DENIED},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *output = NULL;
        int code = run(rows[i].command, rows[i].arguments, 4, &output);
        if (code != rows[i].code)
            fail_msg("row %zu: %d", i, code);
    }
    assert_int_equal(stand.calls, 0);
}

static void test_refusals_become_exit_codes(_unused_ void **state)
{
    _cleanup_free_ char *output = NULL;

    stand.status = 412;
    stand.answer = "{\"error\":\"host 'h1' has 1 workload\","
                   "\"kind\":\"METAL_INSTANCE_MANAGING_WORKLOADS\"}";
    assert_int_equal(RUN(hosts_remove_main, &output, "h1", "--yes"), EXIT_CONFLICT);
    assert_string_equal(output, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_images, fresh),
        cmocka_unit_test_setup(test_tiers, fresh),
        cmocka_unit_test_setup(test_a_tier_keeps_what_is_not_given, fresh),
        cmocka_unit_test_setup(test_hosts, fresh),
        cmocka_unit_test_setup(test_without_an_operators_key, fresh),
        cmocka_unit_test_setup(test_usage, fresh),
        cmocka_unit_test_setup(test_refusals_become_exit_codes, fresh),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
