/* The same again: a second update of the same coffer.yaml is the same manifest, and changes
 * nothing; and nobody else can tell what the secrets are by it. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/test_program.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"

#define ID   "0a0a0a0a-0000-4000-8000-000000000001"
#define ID2  "0a0a0a0a-0000-4000-8000-000000000002"
#define PATH "/api/v1/workloads/" ID
#define SIGN "1111111111111111111111111111111111111111111111111111111111111111"
#define FLEET                                                                                      \
    "{\"authority\":{\"sign\":\"" SIGN "\",\"box\":\"" SIGN "\"},\"acme\":{\"directory\":"         \
    "\"https://acme.example/dir\",\"ca\":\"\"},\"registryCas\":{},\"workloadDomain\":"             \
    "\"w.example.com\",\"images\":[\"0.3.1\"]}"
#define WORKLOAD(id, generation)                                                                   \
    "{\"workloadId\":\"" id                                                                        \
    "\",\"name\":\"hello\",\"status\":\"running\",\"generation\":" generation                      \
    ",\"manifestHash\":\"00\",\"envVarNames\":[\"A\",\"B\"],\"dockerRegistries\":[\"r.test\"]}"
/* Refused as a whole: so only what is asked counts here. */
#define REFUSED                                                                                    \
    "{\"valid\":false,\"admitted\":false,\"changes\":[],\"findings\":[],\"dataLoss\":[]}"

/* SHA-256 of "{}", which is that document. */
#define HASH "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

static const char changed[] =
    "{\"valid\":true,\"admitted\":true,\"findings\":[],\"changes\":[{\"field\":\"x\",\"from\":"
    "\"a\",\"to\":\"b\"}],\"dataLoss\":[\"all\"],\"manifest\":{\"hash\":\"" HASH "\"},"
    "\"manifestDocument\":{}}";

#define UPDATED(generation)                                                                        \
    "{\"workloadId\":\"" ID "\",\"name\":\"hello\",\"generation\":" generation                     \
    ",\"manifestHash\":\"" HASH                                                                    \
    "\",\"envVarNames\":[\"A\",\"B\"],\"dockerRegistries\":[\"r.test\"]}"

static char project[64];

static void write_project(void)
{
    snprintf(project, sizeof(project), "%s/hello", gateway.dir);
    mkdir(project, 0700);
    gateway_write("hello/compose.yaml", "services:\n  web:\n    image: a\n    environment: {A: "
                                        "'${A}', B: '${B}'}\n");
    gateway_write("hello/coffer.yaml",
                  "name: hello\npublic: {service: web, port: 80}\nenv: {A: {from_env: A}, B: "
                  "{from_env: B}}\nsecret_files: [key, key2]\nregistries: [{server: r.test, "
                  "username: me, password: {from_env: PW}}]\n");
    gateway_write("hello/key", "sec-ret-key");
    gateway_write("hello/key2", "sec-ret-key");
    setenv("A", "sec-ret-a", 1);
    setenv("B", "sec-ret-b", 1);
    setenv("PW", "sec-ret-pw", 1);
}

static int setup(void **state)
{
    int rc = gateway_setup(state);

    write_project();
    return rc;
}

/* The part of what was asked from here to the end of its request; caller frees. */
static char *asked_from(const char *text)
{
    const char *at = strstr(buffer_text(&gateway.asked), text);

    if (!at)
        fail_msg("'%s' is not in: %s", text, buffer_text(&gateway.asked));
    return xstrndup(at, strcspn(at, "\n"));
}

static char *salt_of(const char *file)
{
    _cleanup_free_ char *member = xasprintf("\"%s\":{\"content\":", file);
    _cleanup_free_ char *rest = asked_from(member);
    const char *salt = strstr(rest, "\"salt\":\"");

    assert_non_null(salt);
    return xstrndup(salt + strlen("\"salt\":\""), 64);
}

/* Of a plan of that workload. */
static char *salt_for(const char *id, const char *file)
{
    static const struct gateway_answer rows[] = {
        ROW("GET", PATH, WORKLOAD(ID, "1")),
        ROW("GET", "/api/v1/workloads/" ID2, WORKLOAD(ID2, "1")),
        ROW("POST", "/api/v1/workloads/plan", REFUSED),
    };

    gateway_answer(rows, ELEMENTSOF(rows));
    EXPECT(EXIT_FAILED, "plan", id, project);
    return salt_of(file);
}

static void test_the_same_file_has_the_same_salt(_unused_ void **state)
{
    _cleanup_free_ char *first = salt_for(ID, "key");
    _cleanup_free_ char *again = salt_for(ID, "key");
    _cleanup_free_ char *other_file = salt_for(ID, "key2");
    _cleanup_free_ char *other_workload = salt_for(ID2, "key");

    assert_int_equal(strspn(first, "0123456789abcdef"), 64);
    assert_string_equal(first, again);
    assert_string_not_equal(first, other_file); /* of the same content */
    assert_string_not_equal(first, other_workload);
    gateway_write("hello/key", "sec-ret-key2");
    _cleanup_free_ char *other_content = salt_for(ID, "key");
    assert_string_not_equal(first, other_content);
    gateway_write("hello/key", "sec-ret-key");
    _cleanup_free_ char *back = salt_for(ID, "key");
    assert_string_equal(first, back);
    assert_not_said("sec-ret", false);
}

static void test_another_machine_has_other_salts(_unused_ void **state)
{
    _cleanup_free_ char *other_home = xasprintf("%s/other", gateway.dir);
    _cleanup_free_ char *here = salt_for(ID, "key");

    setenv("XDG_CONFIG_HOME", other_home, 1);
    _cleanup_free_ char *there = salt_for(ID, "key");
    assert_string_not_equal(here, there);
    /* Unless it has the same key. */
    _cleanup_free_ char *from = xasprintf("%s/.config/coffer/salt-key", gateway.dir);
    _cleanup_buffer_ struct buffer key = {0};
    assert_null(file_read(from, 1024, &key));
    gateway_write("other/coffer/salt-key", buffer_text(&key));
    _cleanup_free_ char *shared = salt_for(ID, "key");
    unsetenv("XDG_CONFIG_HOME");
    assert_string_equal(here, shared);
}

static void test_the_key_is_nobody_elses(_unused_ void **state)
{
    _cleanup_free_ char *path = xasprintf("%s/.config/coffer/salt-key", gateway.dir);
    _cleanup_free_ char *salt = salt_for(ID, "key");
    struct stat info;

    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    chmod(path, 0644);
    EXPECT(EXIT_DENIED, "plan", ID, project);
    assert_errors("salt-key");
    chmod(path, 0600);
    /* What is no key is not replaced: that would be a new VM. */
    _cleanup_buffer_ struct buffer key = {0};
    assert_null(file_read(path, 1024, &key));
    gateway_write(".config/coffer/salt-key", "nonsense");
    EXPECT(EXIT_FAILED, "plan", ID, project);
    assert_errors("put the right one back");
    gateway_write(".config/coffer/salt-key", buffer_text(&key));
    _cleanup_free_ char *again = salt_for(ID, "key");
    assert_string_equal(salt, again);
}

/* No home that can be written: it works, and says what that means. */
static void test_where_no_key_can_be_kept(_unused_ void **state)
{
    setenv("XDG_CONFIG_HOME", "/proc/nowhere", 1);
    _cleanup_free_ char *first = salt_for(ID, "key");
    assert_errors("salt-key cannot be kept");
    _cleanup_free_ char *second = salt_for(ID, "key");
    unsetenv("XDG_CONFIG_HOME");
    assert_string_not_equal(first, second);
}

/* Nothing secret, nothing to keep. */
static void test_without_secrets_no_key_is_made(_unused_ void **state)
{
    _cleanup_free_ char *home = xasprintf("%s/empty", gateway.dir);
    _cleanup_free_ char *folder = xasprintf("%s/coffer", home);
    const struct gateway_answer rows[] = {
        {.method = "GET", .path = PATH, .body = WORKLOAD(ID, "1"), .etag = "\"1\""},
        {.method = "POST", .path = "/api/v1/workloads/plan", .body = changed},
        {.method = "POST", .path = "/api/v1/workloads/update", .body = UPDATED("2")},
    };

    setenv("XDG_CONFIG_HOME", home, 1);
    gateway_answer(rows, ELEMENTSOF(rows));
    EXPECT(EXIT_OK, "update", ID, "--name", "other", "--confirm-data-loss");
    unsetenv("XDG_CONFIG_HOME");
    assert_string_equal(gateway.errors, "");
    assert_int_equal(access(folder, F_OK), -1);
}

static void expect_create(const char *key, char **ret_request)
{
    ANSWERS(ROW("GET", "/api/v1/fleet", FLEET), ROW("GET", "/api/v1/workloads/list", "[]"));
    EXPECT(EXIT_NOT_FOUND, "deploy", project, key ? "--idempotency-key" : NULL, key);
    free(*ret_request);
    *ret_request = asked_from("POST /api/v1/workloads/create");
}

/* A script may say it twice: the same request, so the gateway answers as before. */
static void test_the_same_deployment_again(_unused_ void **state)
{
    _cleanup_free_ char *first = NULL;
    _cleanup_free_ char *again = NULL;

    expect_create("pipeline-7", &first);
    expect_create("pipeline-7", &again);
    assert_non_null(strstr(first, "\"workloadId\":\""));
    assert_string_equal(first, again);
    expect_create("pipeline-8", &again);
    assert_string_not_equal(first, again);
    expect_create(NULL, &first);
    expect_create(NULL, &again);
    assert_string_not_equal(strstr(first, "\"workloadId\""), strstr(again, "\"workloadId\""));
}

/* What a plan with that key says is what the deployment is. */
static void test_a_plan_with_the_key_is_that_of_the_deployment(_unused_ void **state)
{
    _cleanup_free_ char *request = NULL;
    ANSWERS(ROW("GET", "/api/v1/fleet", FLEET), ROW("POST", "/api/v1/workloads/plan", REFUSED));

    EXPECT(EXIT_FAILED, "deploy", project, "--dry-run", "--idempotency-key", "pipeline-7");
    assert_not_asked("workloadId");
    _cleanup_free_ char *planned = salt_of("key");
    expect_create("pipeline-7", &request);
    _cleanup_free_ char *deployed = salt_of("key");
    assert_string_equal(planned, deployed);
}

/* One update that is taken: from is what the workload was, to what it became. */
static void update_from(const char *from, const char *to)
{
    const struct gateway_answer rows[] = {
        {.method = "GET", .path = PATH, .body = from, .etag = "\"1\""},
        {.method = "POST", .path = "/api/v1/workloads/plan", .body = changed},
        {.method = "POST", .path = "/api/v1/workloads/update", .body = to},
    };

    gateway_answer(rows, ELEMENTSOF(rows));
    EXPECT(EXIT_OK, "env", "set", ID, "A", "B", "--confirm-data-loss");
}

/* What an update of the project would say now of environment and registries. */
static void plan_at(const char *present)
{
    const struct gateway_answer rows[] = {
        {.method = "GET", .path = PATH, .body = present},
        {.method = "POST", .path = "/api/v1/workloads/plan", .body = REFUSED},
    };

    gateway_answer(rows, ELEMENTSOF(rows));
    EXPECT(EXIT_FAILED, "plan", ID, project);
}

static void test_values_that_are_there_are_not_sent_again(_unused_ void **state)
{
    update_from(UPDATED("1"), UPDATED("2"));
    assert_asked("sec-ret-a");
    plan_at(UPDATED("2"));
    assert_not_asked("EnvVars");
    assert_asked("sec-ret-pw"); /* which has not been sent from here yet */
    setenv("A", "sec-ret-other", 1);
    plan_at(UPDATED("2"));
    assert_asked("\"setEnvVars\":{\"A\":\"sec-ret-other\"}");
    setenv("A", "sec-ret-a", 1);
    /* What somebody else did since makes all of it unknown. */
    plan_at(UPDATED("3"));
    assert_asked("\"envVars\":{\"A\":\"sec-ret-a\",\"B\":\"sec-ret-b\"}");
    /* A name that it does not have is sent, and one too many goes. */
    plan_at("{\"workloadId\":\"" ID "\",\"generation\":2,\"envVarNames\":[\"A\",\"C\"]}");
    assert_asked("\"unsetEnvVars\":[\"C\"],\"setEnvVars\":{\"B\":\"sec-ret-b\"}");
    assert_not_said("sec-ret", false);
}

static void test_what_was_deployed_is_there(_unused_ void **state)
{
    const struct gateway_answer rows[] = {
        ROW("GET", "/api/v1/fleet", FLEET),
        ROW("GET", "/api/v1/workloads/list", "[]"),
        ROW("POST", "/api/v1/workloads/create", UPDATED("1")),
    };

    gateway_answer(rows, ELEMENTSOF(rows));
    EXPECT(EXIT_FAILED, "deploy", project); /* of another manifest; it was created all the same */
    plan_at(UPDATED("1"));
    assert_not_asked("EnvVars");
    assert_not_asked("dockerCredentials");
    setenv("PW", "sec-ret-other", 1);
    plan_at(UPDATED("1"));
    setenv("PW", "sec-ret-pw", 1);
    assert_asked("dockerCredentials");
    assert_not_asked("EnvVars");
}

/* Our own stops and starts change no value; those with new values do. */
static void test_what_is_done_from_here_is_known(_unused_ void **state)
{
    update_from(UPDATED("1"), UPDATED("2"));
    ANSWERS(ROW("POST", "/api/v1/workloads/stop", UPDATED("3")),
            ROW("POST", "/api/v1/workloads/start", UPDATED("4")),
            ROW("POST", "/api/v1/workloads/restart", UPDATED("5")),
            ROW("POST", "/api/v1/workloads/delete", UPDATED("6")));
    EXPECT(EXIT_OK, "stop", ID, "--yes");
    EXPECT(EXIT_OK, "start", ID);
    plan_at(UPDATED("4"));
    assert_not_asked("EnvVars");
    ANSWERS(ROW("POST", "/api/v1/workloads/restart", UPDATED("5")),
            ROW("POST", "/api/v1/workloads/delete", UPDATED("6")));
    EXPECT(EXIT_OK, "restart", ID, "--yes", "--env", "A");
    plan_at(UPDATED("5"));
    assert_asked("\"envVars\"");
    update_from(UPDATED("5"), UPDATED("7")); /* somebody was in between */
    plan_at(UPDATED("7"));
    assert_not_asked("EnvVars"); /* all were sent in the last one */
    ANSWERS(ROW("POST", "/api/v1/workloads/delete", UPDATED("8")));
    EXPECT(EXIT_OK, "rm", ID, "--yes");
    plan_at(UPDATED("7"));
    assert_asked("\"envVars\"");
}

/* Hashes under this machine's key, in a file for its owner. */
static void test_what_is_kept_is_no_secret(_unused_ void **state)
{
    _cleanup_free_ char *path = xasprintf("%s/.config/coffer/sent/" ID ".json", gateway.dir);
    _cleanup_buffer_ struct buffer text = {0};
    struct stat info;

    update_from(UPDATED("1"), UPDATED("2"));
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_null(file_read(path, 65536, &text));
    assert_null(strstr(buffer_text(&text), "sec-ret"));
    /* Another gateway's workload of that id is another one. */
    _cleanup_free_ char *url = xstrdup(getenv("COFFER_API_URL"));
    _cleanup_free_ char *alias = xasprintf("http://localhost%s", strrchr(url, ':'));
    setenv("no_proxy", "localhost,127.0.0.1", 1);
    setenv("COFFER_API_URL", alias, 1);
    plan_at(UPDATED("2"));
    setenv("COFFER_API_URL", url, 1);
    assert_asked("\"setEnvVars\":{\"A\":\"sec-ret-a\",\"B\":\"sec-ret-b\"}");
    /* What cannot be read counts for nothing. */
    gateway_write(".config/coffer/sent/" ID ".json", "[nonsense");
    plan_at(UPDATED("2"));
    assert_asked("\"envVars\"");
    /* And an id that is a path is none. */
    update_from(UPDATED("2"), "{\"workloadId\":\"../../../x\",\"generation\":3,\"manifestHash\":"
                              "\"" HASH "\"}");
    _cleanup_free_ char *escaped = xasprintf("%s/x.json", gateway.dir);
    assert_int_equal(access(escaped, F_OK), -1);
}

/* A gateway that finds nothing: that is said, and nothing is done. */
static void test_no_change_is_said(_unused_ void **state)
{
    static const char same[] =
        "{\"valid\":true,\"admitted\":true,\"findings\":[],\"changes\":[],\"dataLoss\":[],"
        "\"manifest\":{\"hash\":\"" HASH "\",\"previousHash\":\"" HASH
        "\",\"unchanged\":true},\"manifestDocument\":{}}";
    static const struct gateway_answer rows[] = {ROW("GET", PATH, UPDATED("1")),
                                                 ROW("POST", "/api/v1/workloads/plan", same)};

    gateway_answer(rows, ELEMENTSOF(rows));
    EXPECT(EXIT_OK, "plan", ID, "--name", "hello");
    assert_output("changes        none: unchanged\n");
    EXPECT(EXIT_OK, "update", ID, "--name", "hello");
    assert_output("nothing would change: nothing was done\n");
    assert_not_asked("/update");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_file_has_the_same_salt),
        cmocka_unit_test(test_another_machine_has_other_salts),
        cmocka_unit_test(test_the_key_is_nobody_elses),
        cmocka_unit_test(test_where_no_key_can_be_kept),
        cmocka_unit_test(test_without_secrets_no_key_is_made),
        cmocka_unit_test(test_the_same_deployment_again),
        cmocka_unit_test(test_a_plan_with_the_key_is_that_of_the_deployment),
        cmocka_unit_test(test_values_that_are_there_are_not_sent_again),
        cmocka_unit_test(test_what_was_deployed_is_there),
        cmocka_unit_test(test_what_is_done_from_here_is_known),
        cmocka_unit_test(test_what_is_kept_is_no_secret),
        cmocka_unit_test(test_no_change_is_said),
    };

    return cmocka_run_group_tests(tests, setup, gateway_teardown);
}
