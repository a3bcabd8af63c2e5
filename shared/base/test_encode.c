#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/base/encode.h"

static void test_hex_round_trip_and_refusals(_unused_ void **state)
{
    static const char *const bad[] = {"", "0", "00112", "001122334", "zz112233", "0x112233"};
    uint8_t data[4] = {0xde, 0xad, 0x00, 0x7f};
    uint8_t again[4];
    char text[9];

    hex_encode(data, sizeof(data), text);
    assert_string_equal(text, "dead007f");
    assert_null(hex_decode("DEAD007f", again, sizeof(again)));
    assert_memory_equal(data, again, sizeof(data));
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        _cleanup_(error_freep) struct error *err = hex_decode(bad[i], again, sizeof(again));
        assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
        assert_memory_equal(data, again, sizeof(data));
    }
}

static void test_base64_round_trip(_unused_ void **state)
{
    static const struct {
        const char *plain;
        const char *text;
    } rows[] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}};

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *text = base64_encode_new(rows[i].plain, strlen(rows[i].plain));
        _cleanup_free_ uint8_t *data = NULL;
        size_t size;
        assert_string_equal(text, rows[i].text);
        assert_null(base64_decode_new(rows[i].text, 100, &data, &size));
        assert_int_equal(size, strlen(rows[i].plain));
        assert_string_equal((char *)data, rows[i].plain);
    }
}

static void test_base64_is_strict(_unused_ void **state)
{
    static const char *const bad[] = {"Zg",     "Zg=",       "Zh==",     "Zm9=", "Z===",   "====",
                                      "Zm9v\n", "Zm 9vYmFy", "Zm9v====", "Zm-v", "Zm9vYmF"};
    uint8_t *data;
    size_t size;

    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        _cleanup_(error_freep) struct error *err = base64_decode_new(bad[i], 100, &data, &size);
        assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
    }
    _cleanup_(error_freep) struct error *err = base64_decode_new("Zm9vYmFy", 5, &data, &size);
    assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
}

static void test_names(_unused_ void **state)
{
    static const char *const good[] = {"a", "host-1", "0", "a-b-c"};
    static const char *const bad[] = {
        "",         "-a",
        "a-",       "A",
        "a_b",      "a.b",
        "a b",      "a/b",
        "\xc3\xa4", "0123456789012345678901234567890123456789012345678901234567890123"};

    for (size_t i = 0; i < ELEMENTSOF(good); i++)
        assert_true(name_is_valid(good[i]));
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        assert_false(name_is_valid(bad[i]));
}

static void test_uuids_are_names_and_differ(_unused_ void **state)
{
    char one[UUID_TEXT_SIZE];
    char two[UUID_TEXT_SIZE];

    uuid_generate_text(one);
    uuid_generate_text(two);
    assert_int_equal(strlen(one), 36);
    assert_int_equal(one[14], '4');
    assert_non_null(strchr("89ab", one[19]));
    assert_true(name_is_valid(one));
    assert_string_not_equal(one, two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hex_round_trip_and_refusals),
        cmocka_unit_test(test_base64_round_trip),
        cmocka_unit_test(test_base64_is_strict),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_uuids_are_names_and_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
