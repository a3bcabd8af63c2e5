#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/base/error.h"

static void test_wrap_prefixes_text_and_keeps_code_and_origin(_unused_ void **state)
{
    _cleanup_(error_freep) struct error *err = error_new(ERROR_NOT_FOUND, "no vm '%s'", "a1");
    _cleanup_free_ char *origin = strdup(error_origin(err));

    err = error_wrap(err, "start workload '%s'", "w1");
    assert_string_equal(error_text(err), "start workload 'w1': no vm 'a1'");
    assert_int_equal(error_get_code(err), ERROR_NOT_FOUND);
    assert_string_equal(error_origin(err), origin);
    assert_non_null(strstr(origin, "test_error.c:"));
}

static void test_null_is_success_everywhere(_unused_ void **state)
{
    assert_null(error_wrap(NULL, "context"));
    assert_null(error_recode(NULL, ERROR_INTERNAL));
    assert_int_equal(error_get_code(NULL), ERROR_OK);
    assert_string_equal(error_text(NULL), "ok");
    error_free(NULL);
}

static void test_errno_gives_code_and_words(_unused_ void **state)
{
    static const struct {
        int errnum;
        enum error_code code;
    } rows[] = {
        {ENOENT, ERROR_NOT_FOUND},
        {EEXIST, ERROR_ALREADY_EXISTS},
        {EACCES, ERROR_PERMISSION_DENIED},
        {ETIMEDOUT, ERROR_DEADLINE_EXCEEDED},
        {ENOSPC, ERROR_RESOURCE_EXHAUSTED},
        {ECONNREFUSED, ERROR_UNAVAILABLE},
        {EIO, ERROR_INTERNAL},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(error_freep) struct error *err = error_errno(rows[i].errnum, "open 'x'");
        assert_int_equal(error_get_code(err), rows[i].code);
        assert_memory_equal(error_text(err), "open 'x': ", 10);
    }
}

static void test_code_names_round_trip(_unused_ void **state)
{
    enum error_code code;

    for (int i = 0; i <= ERROR_UNAUTHENTICATED; i++) {
        assert_true(error_code_from_name(error_code_name((enum error_code)i), &code));
        assert_int_equal(code, i);
    }
    assert_false(error_code_from_name("NO_SUCH", &code));
    assert_string_equal(error_code_name((enum error_code)99), "UNKNOWN");
}

static void test_text_is_limited(_unused_ void **state)
{
    char big[20000];

    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    _cleanup_(error_freep) struct error *err = error_new(ERROR_INTERNAL, "%s", big);
    assert_int_equal(strlen(error_text(err)), 8192);
    err = error_wrap(err, "%s", big);
    assert_int_equal(strlen(error_text(err)), 8192);
}

static void test_reason_stays_with_the_error(_unused_ void **state)
{
    _cleanup_(error_freep) struct error *err = error_new(ERROR_FAILED_PRECONDITION, "no");

    assert_string_equal(error_reason(err), "");
    err = error_wrap(error_set_reason(err, "over_quota"), "create");
    assert_string_equal(error_reason(err), "over_quota");
    err = error_set_reason(err, "a reason that is longer than a reason may be");
    assert_int_equal(strlen(error_reason(err)), ERROR_REASON_MAX - 1);
    assert_null(error_set_reason(NULL, "x"));
    assert_string_equal(error_reason(NULL), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrap_prefixes_text_and_keeps_code_and_origin),
        cmocka_unit_test(test_null_is_success_everywhere),
        cmocka_unit_test(test_errno_gives_code_and_words),
        cmocka_unit_test(test_code_names_round_trip),
        cmocka_unit_test(test_text_is_limited),
        cmocka_unit_test(test_reason_stays_with_the_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
