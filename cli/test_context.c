/* Contexts: what is stored, who may read it, and which one is used. */
#include <sys/stat.h>

#include "cli/command.h"
#include "cli/context.h"
#include "cli/invocation.h"
#include "cli/test_command.h"
#include "cli/test_gateway.h"

#define KEY "secret-key-0123456789"
#define PEM "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

static struct test_gateway gateway;

static int run(const char *const *arguments, char **ret_output, char **ret_errors)
{
    return test_gateway_run(&gateway, arguments, ret_output, ret_errors);
}
#define RUN(ret_output, ret_errors, ...)                                                           \
    run((const char *const[]){__VA_ARGS__, NULL}, ret_output, ret_errors)

/* A command that must do this, and of which nothing else matters. */
static void expect_run(int code, const char *const *arguments)
{
    _cleanup_free_ char *output = NULL;
    _cleanup_free_ char *errors = NULL;
    int got = run(arguments, &output, &errors);

    if (got != code)
        fail_msg("coffer %s %s: exit %d: %s", arguments[0], arguments[1] ?: "", got, errors);
}
#define EXPECT(code, ...) expect_run(code, (const char *const[]){__VA_ARGS__, NULL})

static char *path_of(const char *name)
{
    return xasprintf("%s/.config/coffer/%s", gateway.dir, name);
}

static void write_file(const char *name, const char *text, mode_t mode)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", gateway.dir, name);

    assert_null(file_write_atomic(path, text, strlen(text), 0600));
    assert_int_equal(chmod(path, mode), 0);
}

static void expect_mode(const char *name, mode_t mode)
{
    _cleanup_free_ char *path = path_of(name);
    struct stat info;

    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, mode);
}

static void save(const char *name, const char *url, const char *key)
{
    assert_null(context_save(name, url, key, NULL, false));
}

static int setup(_unused_ void **state)
{
    test_gateway_start(&gateway);
    unsetenv("COFFER_API_URL");
    unsetenv("COFFER_API_KEY");
    write_file("key", KEY "\n", 0600);
    write_file("ca.pem", PEM, 0644);
    return 0;
}

static int teardown(_unused_ void **state)
{
    test_gateway_stop(&gateway);
    return 0;
}

static int forget_all(_unused_ void **state)
{
    _cleanup_free_ char *command = xasprintf("rm -rf '%s/.config'", gateway.dir);

    unsetenv("COFFER_API_URL");
    unsetenv("COFFER_API_KEY");
    unsetenv("COFFER_CONTEXT");
    unsetenv("COFFER_CA_FILE");
    unsetenv("XDG_CONFIG_HOME");
    invocation_set(&(struct invocation){0});
    return system(command) != 0;
}

static const struct test_answer good_answers[] = {{"GET", "/api/v1/accounts/me", 200,
                                                   "{\"accountId\":\"acc-1\",\"name\":\"ours\"}",
                                                   NULL, NULL, 0},
                                                  {0}};

static void test_login_stores_what_the_gateway_takes(_unused_ void **state)
{
    _cleanup_free_ char *key_file = xasprintf("%s/key", gateway.dir);
    _cleanup_free_ char *ca = xasprintf("%s/ca.pem", gateway.dir);
    _cleanup_free_ char *output = NULL;
    _cleanup_free_ char *errors = NULL;

    test_gateway_answer(&gateway, good_answers);
    assert_int_equal(
        RUN(&output, &errors, "login", "prod", "--url", gateway.url, "--key-file", key_file),
        EXIT_OK);
    assert_non_null(strstr(output, "context prod"));
    assert_non_null(strstr(output, "ours (acc-1)"));
    assert_null(strstr(output, KEY));
    assert_null(strstr(errors, KEY));
    assert_string_equal(errors, ""); /* to this machine, so without a word about encryption */
    expect_mode("contexts/prod", 0700);
    expect_mode("contexts/prod/api-key", 0600);
    expect_mode("contexts/prod/url", 0600);

    _cleanup_(context_done) struct context context = {0};
    expect_ok(context_load(&context));
    assert_string_equal(context.name, "prod");
    assert_string_equal(context.url, gateway.url);
    assert_string_equal(context.key, KEY);
    assert_null(context.ca);
    EXPECT(EXIT_OK, "login", "prod", "--key-file", key_file, "--ca", ca); /* its URL is known */
    expect_mode("contexts/prod/ca.pem", 0600);
}

static void test_a_key_that_is_refused_is_not_stored(_unused_ void **state)
{
    static const struct test_answer answers[] = {{"GET", "/api/v1/accounts/me", 401,
                                                  "{\"error\":\"no\",\"kind\":\"UNAUTHORIZED\"}",
                                                  NULL, NULL, 0},
                                                 {0}};
    _cleanup_free_ char *key_file = xasprintf("%s/key", gateway.dir);
    _cleanup_free_ char *folder = path_of("contexts/prod");

    test_gateway_answer(&gateway, answers);
    EXPECT(EXIT_DENIED, "login", "prod", "--url", gateway.url, "--key-file", key_file);
    assert_int_equal(access(folder, F_OK), -1);
    test_gateway_answer(&gateway, answers);
    EXPECT(EXIT_OK, "login", "prod", "--url", gateway.url, "--key-file", key_file, "--no-check");
    assert_int_equal(gateway.asked.size, 0);
    assert_int_equal(access(folder, F_OK), 0);
}

/* A key that may only see workloads is a key. */
/* Said before the key is, and whether it is taken or not. */
static void test_a_key_goes_out_in_the_open_only_with_a_word(_unused_ void **state)
{
    static const struct test_answer answers[] = {{"GET", "/api/v1/accounts/me", 401,
                                                  "{\"error\":\"no\",\"kind\":\"UNAUTHORIZED\"}",
                                                  NULL, NULL, 0},
                                                 {0}};
    _cleanup_free_ char *key_file = xasprintf("%s/key", gateway.dir);
    _cleanup_free_ char *url = xasprintf("http://0.0.0.0%s", strrchr(gateway.url, ':'));
    _cleanup_free_ char *output = NULL;
    _cleanup_free_ char *errors = NULL;

    test_gateway_answer(&gateway, answers);
    assert_int_equal(RUN(&output, &errors, "login", "open", "--url", url, "--key-file", key_file),
                     EXIT_DENIED);
    assert_non_null(strstr(errors, "is not encrypted"));
}

static void test_a_narrow_key_may_log_in(_unused_ void **state)
{
    static const struct test_answer answers[] = {
        {"GET", "/api/v1/accounts/me", 401, "{\"error\":\"no\",\"kind\":\"ACCESS_DENIED\"}", NULL,
         NULL, 0},
        {"GET", "/api/v1/workloads/list", 200, "[]", NULL, NULL, 0},
        {0}};
    _cleanup_free_ char *key_file = xasprintf("%s/key", gateway.dir);

    test_gateway_answer(&gateway, answers);
    EXPECT(EXIT_OK, "login", "--url", gateway.url, "--key-file", key_file);
    expect_mode("contexts/default/api-key", 0600);
}

static void test_what_login_refuses(_unused_ void **state)
{
    static const char *const keys[] = {"",
                                       "short",
                                       "with space in it",
                                       "tab\tin-the-key",
                                       "\x1b[2J-escape",
                                       "\xc3\xa4-not-ascii",
                                       "control-\x7f-key"};
    static const char *const urls[] = {"",
                                       "api.example.com",
                                       "ftp://api.example.com",
                                       "https://",
                                       "https:///x",
                                       "https://:80",
                                       "https://a b",
                                       "https://user@host",
                                       "https://h/?q=1",
                                       "https://h/#f",
                                       "file:///etc/passwd",
                                       "https://h\r\nx-api-key: y"};
    static const char *const names[] = {"", "..", "a/b", "UPPER", "-x", "a b", "a.b"};
    _cleanup_free_ char *key_file = xasprintf("%s/key", gateway.dir);
    _cleanup_free_ char *bad_file = xasprintf("%s/bad", gateway.dir);

    test_gateway_answer(&gateway, good_answers);
    for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
        write_file("bad", keys[i], 0600);
        EXPECT(EXIT_USAGE, "login", "x", "--url", gateway.url, "--key-file", bad_file);
    }
    for (size_t i = 0; i < ELEMENTSOF(urls); i++)
        EXPECT(EXIT_USAGE, "login", "x", "--url", urls[i], "--key-file", key_file);
    for (size_t i = 0; i < ELEMENTSOF(names); i++)
        EXPECT(EXIT_USAGE, "login", "--url", gateway.url, "--key-file", key_file, "--", names[i]);
    EXPECT(EXIT_USAGE, "login", "--url", gateway.url, "--key-file", key_file, "--key-stdin");
    EXPECT(EXIT_USAGE, "login", "--key-file", key_file); /* no URL */
    EXPECT(EXIT_USAGE, "login", "a", "b", "--url", gateway.url, "--key-file", key_file);
    EXPECT(EXIT_USAGE, "login", "--url", gateway.url, "--key-file", key_file, "--no-check", "--ca",
           key_file); /* no certificate */
    EXPECT(EXIT_NOT_FOUND, "login", "--url", gateway.url, "--key-file", "/nonexistent");
    assert_int_equal(gateway.asked.size, 0);
    _cleanup_free_ char *left = path_of("contexts/default/api-key");
    assert_int_equal(access(left, F_OK), -1);
}

static void test_the_key_from_stdin(_unused_ void **state)
{
    _cleanup_free_ char *key_file = xasprintf("%s/key", gateway.dir);
    int saved = dup(STDIN_FILENO);
    int fd = open(key_file, O_RDONLY);
    _cleanup_(context_done) struct context context = {0};

    test_gateway_answer(&gateway, good_answers);
    assert_true(saved >= 0 && fd >= 0);
    dup2(fd, STDIN_FILENO);
    EXPECT(EXIT_OK, "login", "--url", gateway.url, "--key-stdin");
    dup2(saved, STDIN_FILENO);
    close(saved);
    close(fd);
    expect_ok(context_load(&context));
    assert_string_equal(context.key, KEY);
}

static void test_a_file_that_others_may_read_is_refused(_unused_ void **state)
{
    static const mode_t modes[] = {0644, 0640, 0604, 0620, 0602, 0610};
    _cleanup_free_ char *path = path_of("contexts/prod/api-key");

    save("prod", gateway.url, KEY);
    for (size_t i = 0; i < ELEMENTSOF(modes); i++) {
        _cleanup_free_ char *output = NULL;
        _cleanup_free_ char *errors = NULL;
        assert_int_equal(chmod(path, modes[i]), 0);
        test_gateway_answer(&gateway, good_answers);
        assert_int_equal(RUN(&output, &errors, "accounts", "me"), EXIT_DENIED);
        assert_non_null(strstr(errors, "chmod 600"));
        assert_int_equal(gateway.asked.size, 0);
    }
    assert_int_equal(chmod(path, 0400), 0);
    EXPECT(EXIT_OK, "accounts", "me");
}

/* Option, then the environment's values, then its context, then the file, then "default". */
static void test_what_comes_first(_unused_ void **state)
{
    static const struct {
        const char *option;
        const char *url;
        const char *key;
        const char *context;
        const char *current;
        const char *expect_url; /* NULL: refused */
        const char *expect_key;
    } rows[] = {
        {NULL, NULL, NULL, NULL, NULL, "http://default", "key-default"},
        {NULL, NULL, NULL, NULL, "one", "http://one", "key-of-one"},
        {NULL, NULL, NULL, "two", "one", "http://two", "key-of-two"},
        {NULL, "http://env", NULL, "two", "one", "http://env", "key-of-two"},
        {NULL, NULL, "key-of-env", "two", "one", "http://two", "key-of-env"},
        {NULL, "http://env/", "key-of-env", "two", "one", "http://env", "key-of-env"},
        {NULL, "http://env", "key-of-env", "none", "none", "http://env", "key-of-env"},
        {"one", "http://env", "key-of-env", "two", NULL, "http://one", "key-of-one"},
        {"none", "http://env", "key-of-env", NULL, NULL, NULL, NULL},
        {NULL, NULL, NULL, "none", NULL, NULL, NULL},
        {NULL, NULL, NULL, "../one", NULL, NULL, NULL},
        {NULL, "", "", "", "two", "http://two", "key-of-two"}, /* empty is as good as not set */
    };

    save("default", "http://default", "key-default");
    save("one", "http://one", "key-of-one");
    save("two", "http://two", "key-of-two");
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(context_done) struct context context = {0};
        unsetenv("COFFER_API_URL");
        unsetenv("COFFER_API_KEY");
        unsetenv("COFFER_CONTEXT");
        if (rows[i].url)
            setenv("COFFER_API_URL", rows[i].url, 1);
        if (rows[i].key)
            setenv("COFFER_API_KEY", rows[i].key, 1);
        if (rows[i].context)
            setenv("COFFER_CONTEXT", rows[i].context, 1);
        _cleanup_free_ char *current = xasprintf("%s\n", rows[i].current ?: "default");
        write_file(".config/coffer/current", current, 0600);
        invocation_set(&(struct invocation){.context = rows[i].option});
        struct error *err = context_load(&context);
        if (!rows[i].expect_url) {
            if (error_get_code(err) != ERROR_INVALID_ARGUMENT)
                fail_msg("row %zu: %s", i, error_text(err));
            error_free(err);
            continue;
        }
        expect_ok(err);
        if (strcmp(context.url, rows[i].expect_url) != 0 ||
            strcmp(context.key, rows[i].expect_key) != 0)
            fail_msg("row %zu: %s %s", i, context.url, context.key);
    }
}

static void test_files_of_before_contexts_go_on(_unused_ void **state)
{
    _cleanup_(context_done) struct context context = {0};
    _cleanup_free_ char *folder = path_of("");
    _cleanup_free_ char *output = NULL;
    _cleanup_free_ char *errors = NULL;

    expect_ok(dir_make(folder, 0700));
    write_file(".config/coffer/url", "http://old/\n", 0644);
    write_file(".config/coffer/api-key", "key-of-old\n", 0600);
    expect_ok(context_load(&context));
    assert_string_equal(context.name, "default");
    assert_string_equal(context.url, "http://old");
    assert_string_equal(context.key, "key-of-old");
    assert_int_equal(RUN(&output, &errors, "context", "ls", "-o", "name"), EXIT_OK);
    assert_string_equal(output, "default\n");
    EXPECT(EXIT_OK, "logout");
    _cleanup_free_ char *key = path_of("api-key");
    assert_int_equal(access(key, F_OK), -1);
}

/* A new login takes the place of the old files: the old key does not stay, nor come back. */
static void test_a_login_replaces_what_was_before_contexts(_unused_ void **state)
{
    static const char *const old[] = {"url", "api-key", "ca.pem"};
    _cleanup_free_ char *folder = path_of("");
    struct context context;

    expect_ok(dir_make(folder, 0700));
    write_file(".config/coffer/url", "http://old/\n", 0644);
    write_file(".config/coffer/api-key", "key-of-old\n", 0600);
    write_file(".config/coffer/ca.pem", PEM, 0600);
    save("default", "http://new", "key-of-new");
    for (size_t i = 0; i < ELEMENTSOF(old); i++) {
        _cleanup_free_ char *path = path_of(old[i]);
        if (access(path, F_OK) == 0)
            fail_msg("%s is still there", path);
    }
    EXPECT(EXIT_OK, "context", "rm", "default", "--yes");
    struct error *err = context_load_named("default", &context);
    assert_int_equal(error_get_code(err), ERROR_NOT_FOUND);
    error_free(err);
}

static void test_contexts_are_listed_used_and_removed(_unused_ void **state)
{
    _cleanup_free_ char *list = NULL;
    _cleanup_free_ char *json = NULL;
    _cleanup_free_ char *errors = NULL;
    _cleanup_free_ char *no_errors = NULL;

    save("one", "http://one", "key-of-one");
    save("two", "http://two", "key-of-two");
    EXPECT(EXIT_OK, "context", "use", "two");
    assert_int_equal(RUN(&list, &errors, "context", "ls"), EXIT_OK);
    assert_string_equal(list, "CONTEXT  CURRENT  URL         KEY\n"
                              "one      -        http://one  yes\n"
                              "two      yes      http://two  yes\n");
    assert_int_equal(RUN(&json, &no_errors, "context", "show", "-o", "json"), EXIT_OK);
    assert_non_null(strstr(json, "\"name\": \"two\""));
    assert_null(strstr(json, "key-of-two"));
    EXPECT(EXIT_OK, "logout", "two");
    EXPECT(EXIT_NOT_FOUND, "logout", "two");
    EXPECT(EXIT_DENIED, "ls"); /* there is no key */
    EXPECT(EXIT_FAILED, "context", "rm", "two");
    EXPECT(EXIT_OK, "context", "rm", "two", "--yes");
    EXPECT(EXIT_NOT_FOUND, "context", "rm", "two", "--yes");
    EXPECT(EXIT_NOT_FOUND, "context", "use", "two");
    EXPECT(EXIT_USAGE, "context", "use");
    EXPECT(EXIT_USAGE, "context", "use", "../one");
}

static void test_another_folder(_unused_ void **state)
{
    _cleanup_free_ char *other = xasprintf("%s/other", gateway.dir);
    _cleanup_free_ char *key = xasprintf("%s/coffer/contexts/one/api-key", other);
    _cleanup_free_ char *path = NULL;

    setenv("XDG_CONFIG_HOME", other, 1);
    save("one", "http://one", "key-of-one");
    assert_int_equal(access(key, F_OK), 0);
    setenv("XDG_CONFIG_HOME", "relative", 1); /* which its specification says to ignore */
    expect_ok(context_folder(&path));
    assert_non_null(strstr(path, "/.config/coffer"));
}

/* Whatever happens on the way, the key of one gateway is not left beside the address of another. */
static void test_a_key_never_meets_another_address(_unused_ void **state)
{
    _cleanup_(context_done) struct context context = {0};
    save("prod", "https://one.example", KEY);
    _cleanup_free_ char *path = path_of("contexts/prod/api-key");
    _cleanup_free_ char *next = xasprintf("%s.%d.new", path, (int)getpid());
    assert_int_equal(mkdir(next, 0700), 0); /* so the key cannot be written */
    struct error *err =
        context_save("prod", "https://two.example", "another-key-0123", NULL, false);
    assert_non_null(err);
    error_free(err);
    expect_ok(context_load_named("prod", &context));
    assert_true(!context.key || strcmp(context.url, "https://one.example") == 0);
    /* The same address: a key that cannot be replaced stays. */
    context_done(&context);
    rmdir(next);
    save("prod", "https://two.example", KEY);
    assert_int_equal(mkdir(next, 0700), 0);
    err = context_save("prod", "https://two.example", "another-key-0123", NULL, false);
    assert_non_null(err);
    error_free(err);
    expect_ok(context_load_named("prod", &context));
    assert_string_equal(context.key, KEY);
}

static void test_what_can_be_read_on_the_way(_unused_ void **state)
{
    static const struct {
        const char *url;
        bool plain;
    } rows[] = {
        {"https://api.example.com", false},
        {"http://api.example.com", true},
        {"http://localhost", false},
        {"http://localhost:8080/x", false},
        {"http://localhost.example", true},
        {"http://127.0.0.1:1", false},
        {"http://[::1]:80", false},
        {"http://10.0.0.1", true},
        {"http://127.1.2.3/x", false},
        {"http://127.evil.example", true},
        {"http://127.0.0.1.evil.example:80", true},
        {"http://127.0.0.1%2f", true},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++)
        if (context_is_plain(rows[i].url) != rows[i].plain)
            fail_msg("%s", rows[i].url);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, forget_all)
    const struct CMUnitTest tests[] = {
        TEST(test_login_stores_what_the_gateway_takes),
        TEST(test_a_key_that_is_refused_is_not_stored),
        TEST(test_a_key_goes_out_in_the_open_only_with_a_word),
        TEST(test_a_narrow_key_may_log_in),
        TEST(test_what_login_refuses),
        TEST(test_the_key_from_stdin),
        TEST(test_a_file_that_others_may_read_is_refused),
        TEST(test_what_comes_first),
        TEST(test_files_of_before_contexts_go_on),
        TEST(test_a_login_replaces_what_was_before_contexts),
        TEST(test_contexts_are_listed_used_and_removed),
        TEST(test_another_folder),
        TEST(test_a_key_never_meets_another_address),
        TEST(test_what_can_be_read_on_the_way),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
