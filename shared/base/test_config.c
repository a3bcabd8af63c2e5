#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/base/config.h"

struct settings {
    char *url;
    char *note;
    uint64_t limit;
    bool strict;
    char *id;
};

static const struct config_row rows[] = {
    {"T_URL", CONFIG_STRING, offsetof(struct settings, url), NULL, "where"},
    {"T_NOTE", CONFIG_STRING, offsetof(struct settings, note), "", "a note"},
    {"T_LIMIT", CONFIG_UINT, offsetof(struct settings, limit), "8", "how many"},
    {"T_STRICT", CONFIG_BOOL, offsetof(struct settings, strict), "true", "how strict"},
    {"T_ID", CONFIG_NAME, offsetof(struct settings, id), "host-1", "who"},
    {NULL, CONFIG_STRING, 0, NULL, NULL},
};

static void test_flag_beats_environment_beats_default(_unused_ void **state)
{
    char *argv[] = {"program", "--t-url=nats://a", "--t-limit", "9"};
    struct settings s = {0};

    setenv("T_URL", "nats://b", 1);
    setenv("T_NOTE", "from env", 1);
    assert_null(config_load(rows, 4, argv, &s));
    assert_string_equal(s.url, "nats://a");
    assert_string_equal(s.note, "from env");
    assert_int_equal(s.limit, 9);
    assert_true(s.strict);
    assert_string_equal(s.id, "host-1");
    config_done(rows, &s);
    assert_null(s.url);
    unsetenv("T_URL");
    unsetenv("T_NOTE");
}

static void test_every_problem_is_named(_unused_ void **state)
{
    char *argv[] = {"program", "--t-limit=-1", "--t-strict=maybe", "--t-id=Bad_Name"};
    struct settings s = {0};
    _cleanup_(error_freep) struct error *err = config_load(rows, 4, argv, &s);

    assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(error_text(err), "T_URL is not set"));
    assert_non_null(strstr(error_text(err), "T_LIMIT is not a whole number"));
    assert_non_null(strstr(error_text(err), "T_STRICT must be true or false"));
    assert_non_null(strstr(error_text(err), "T_ID must match"));
}

static void test_bad_command_lines_are_refused(_unused_ void **state)
{
    static char *const bad[][2] = {
        {"program", "operand"},      {"program", "--no-such-flag=1"},
        {"program", "--t-url"},      {"program", "--t-limit=99999999999999999999"},
        {"program", "--t-limit=1x"}, {"program", "--t-url="},
    };

    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        struct settings s = {0};
        _cleanup_(error_freep) struct error *err = config_load(rows, 2, (char **)bad[i], &s);
        assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flag_beats_environment_beats_default),
        cmocka_unit_test(test_every_problem_is_named),
        cmocka_unit_test(test_bad_command_lines_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
