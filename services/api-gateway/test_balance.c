/* Amounts in and out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "services/api-gateway/balance.h"

static json_t *parse(const char *text)
{
    return json_loads(text, JSON_DECODE_ANY, NULL);
}

static void test_amounts_are_exact(_unused_ void **state)
{
    static const struct {
        const char *text;
        int64_t micro;
    } rows[] = {
        {"0", 0},
        {"-0.0", 0},
        {"1", 1000000},
        {"0.1", 100000},
        {"0.000001", 1},
        {"-0.000001", -1},
        {"1.1", 1100000},
        {"4.35", 4350000},
        {"1e3", INT64_C(1000000000)},
        {"0.3", 300000},
        {"999999999.999999", BALANCE_MAX_MICRO},
        {"-999999999.999999", -BALANCE_MAX_MICRO},
        {"123456789.123457", INT64_C(123456789123457)},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(json_decrefp) json_t *json = parse(rows[i].text);
        int64_t micro = -7;
        assert_null(balance_from_json(json, &micro));
        assert_int_equal(micro, rows[i].micro);
        _cleanup_(json_decrefp) json_t *back = balance_to_json(micro);
        int64_t again = -7;
        assert_null(balance_from_json(back, &again));
        assert_int_equal(again, micro);
    }
}

static void test_what_is_no_amount(_unused_ void **state)
{
    static const char *const rows[] = {
        "\"1\"",      "null",        "true",  "[1]",    "{}",
        "1000000000", "-1000000000", "1e300", "-1e300", "9223372036854775807",
        "0.0000001",  "1.0000001",   "1e-300"};

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(json_decrefp) json_t *json = parse(rows[i]);
        int64_t micro = 42;
        struct error *err = balance_from_json(json, &micro);
        assert_non_null(json);
        assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
        assert_int_equal(micro, 42);
        error_free(err);
    }
}

static void test_sums_stay_in_bounds(_unused_ void **state)
{
    static const struct {
        int64_t balance;
        int64_t amount;
        enum error_code code;
    } rows[] = {
        {0, 0, ERROR_OK},
        {5, -5, ERROR_OK},
        {5, -6, ERROR_FAILED_PRECONDITION},
        {BALANCE_MAX_MICRO - 1, 1, ERROR_OK},
        {BALANCE_MAX_MICRO, 1, ERROR_OUT_OF_RANGE},
        {INT64_MAX, 1, ERROR_OUT_OF_RANGE},
        {0, -BALANCE_MAX_MICRO, ERROR_FAILED_PRECONDITION},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        int64_t sum = 42;
        struct error *err = balance_add(rows[i].balance, rows[i].amount, &sum);
        assert_int_equal(error_get_code(err), rows[i].code);
        assert_int_equal(sum, err ? 42 : rows[i].balance + rows[i].amount);
        error_free(err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_amounts_are_exact),
        cmocka_unit_test(test_what_is_no_amount),
        cmocka_unit_test(test_sums_stay_in_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
