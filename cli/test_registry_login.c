#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/registry_login.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"

static char folder[] = "/tmp/coffer-login-XXXXXX";

static void write_config(const char *text)
{
    _cleanup_free_ char *path = xasprintf("%s/config.json", folder);

    assert_null(file_write_atomic(path, text, strlen(text), 0600));
}

static int setup(_unused_ void **state)
{
    assert_non_null(mkdtemp(folder));
    setenv("DOCKER_CONFIG", folder, 1);
    return 0;
}

static int teardown(_unused_ void **state)
{
    _cleanup_free_ char *path = xasprintf("%s/config.json", folder);

    unlink(path);
    return rmdir(folder);
}

static void test_password_from_the_environment(_unused_ void **state)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct registry_login login;

    setenv("COFFER_REGISTRY_PASSWORD", "p=w", 1);
    assert_null(registry_login_find("r.example:5000=me", arena, &login));
    assert_string_equal(login.server, "r.example:5000");
    assert_string_equal(login.username, "me");
    assert_string_equal(login.password, "p=w");
    unsetenv("COFFER_REGISTRY_PASSWORD");
    _cleanup_(error_freep) struct error *err =
        registry_login_find("r.example:5000=me", arena, &login);
    assert_non_null(strstr(error_text(err), "COFFER_REGISTRY_PASSWORD"));
}

static void test_login_from_docker(_unused_ void **state)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct registry_login login;

    write_config("{\"auths\":{\"r.example\":{\"auth\":\"bWU6cDp3\"}}}"); /* me:p:w */
    assert_null(registry_login_find("r.example", arena, &login));
    assert_string_equal(login.username, "me");
    assert_string_equal(login.password, "p:w");
}

static void test_bad_docker_files(_unused_ void **state)
{
    static const char *const bad[] = {
        "",
        "[",
        "{}",
        "{\"auths\":{}}",
        "{\"auths\":{\"r.example\":{}}}",
        "{\"auths\":{\"r.example\":{\"auth\":\"bWU=\"}}}",
        "{\"auths\":{\"r.example\":{\"auth\":\"not base64\"}}}",
        "{\"auths\":{\"r.example\":{\"auth\":7}}}",
    };

    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        _cleanup_(arena_freep) struct arena *arena = arena_new();
        struct registry_login login;
        write_config(bad[i]);
        _cleanup_(error_freep) struct error *err = registry_login_find("r.example", arena, &login);
        assert_non_null(err);
        assert_non_null(strstr(error_text(err), "r.example"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_password_from_the_environment),
        cmocka_unit_test(test_login_from_docker),
        cmocka_unit_test(test_bad_docker_files),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
