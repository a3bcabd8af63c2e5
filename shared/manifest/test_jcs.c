/* RFC 8785, byte by byte. The vectors are our own, worked out by hand from the RFC's rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "shared/manifest/manifest.h"

struct vector {
    const char *in;
    const char *out; /* NULL: refused */
};

static const struct vector vectors[] = {
    {"{}", "{}"},
    {"[]", "[]"},
    {" [ 1 , true , false , null ] ", "[1,true,false,null]"},
    {"{\"b\": 1, \"a\": [ {\"d\": \"x\", \"c\": -7} ]}",
     "{\"a\":[{\"c\":-7,\"d\":\"x\"}],\"b\":1}"},
    /* short escapes, other controls in lower case, DEL and the slash as they are */
    {"[\"\\b\\t\\n\\f\\r\\\"\\\\\\/\"]", "[\"\\b\\t\\n\\f\\r\\\"\\\\/\"]"},
    {"[\"\\u0001\\u001F\\u000b\\u007f\"]", "[\"\\u0001\\u001f\\u000b\x7f\"]"},
    /* escapes of printable characters vanish; no normalisation of e + combining acute */
    {"[\"\\u0041\\u20ac\\ud83d\\ude00\"]", "[\"A\xe2\x82\xac\xf0\x9f\x98\x80\"]"},
    {"[\"\\u00e9\", \"e\\u0301\"]", "[\"\xc3\xa9\",\"e\xcc\x81\"]"},
    {"[\"\\u2028\\u2029\"]", "[\"\xe2\x80\xa8\xe2\x80\xa9\"]"},
    /* UTF-16 order: U+1F600 (d83d de00) sorts before U+E000 and U+FB33, after U+D7FF */
    {"{\"\\ufb33\":1,\"\\ud83d\\ude00\":2,\"\\ue000\":3,\"\\ud7ff\":4,\"\\u20ac\":5,\"1\":6,\"\":7,"
     "\"\\r\":8}",
     "{\"\":7,\"\\r\":8,\"1\":6,\"\xe2\x82\xac\":5,\"\xed\x9f\xbf\":4,\"\xf0\x9f\x98\x80\":2,"
     "\"\xee\x80\x80\":3,\"\xef\xac\xb3\":1}"},
    {"{\"aa\":1,\"a\":2,\"A\":3,\"a\\u0000b\":4}", NULL},
    {"{\"aa\":1,\"a\":2,\"A\":3}", "{\"A\":3,\"a\":2,\"aa\":1}"},
    {"[9007199254740991,-9007199254740991,0]", "[9007199254740991,-9007199254740991,0]"},
    {"[9007199254740992]", NULL},
    {"[-9007199254740992]", NULL},
    {"[1.5]", NULL},
    {"[1e3]", NULL},
};

static void check_vector(const struct vector *vector)
{
    _cleanup_(json_decrefp) json_t *value = json_loads(vector->in, 0, NULL);
    _cleanup_buffer_ struct buffer out = {0};

    if (!value) { /* jansson itself refuses (NUL in a key) */
        assert_null(vector->out);
        return;
    }
    _cleanup_(error_freep) struct error *err = canonical_json(value, &out);
    if (!vector->out) {
        assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
        assert_int_equal(out.size, 0);
        return;
    }
    assert_null(err);
    assert_string_equal(buffer_text(&out), vector->out);
}

static void test_vectors_are_reproduced_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(vectors); i++)
        check_vector(&vectors[i]);
}

static void test_deep_nesting_is_refused(void **state)
{
    _cleanup_buffer_ struct buffer out = {0};
    _cleanup_(json_decrefp) json_t *value = json_array();

    (void)state;
    for (int i = 0; i < 100; i++) {
        json_t *outer = json_array();
        json_array_append_new(outer, value);
        value = outer;
    }
    _cleanup_(error_freep) struct error *err = canonical_json(value, &out);
    assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
}

static void test_string_with_nul_is_refused(void **state)
{
    _cleanup_buffer_ struct buffer out = {0};
    _cleanup_(json_decrefp) json_t *value = json_stringn("a\0b", 3);

    (void)state;
    _cleanup_(error_freep) struct error *err = canonical_json(value, &out);
    assert_int_equal(error_get_code(err), ERROR_INVALID_ARGUMENT);
}

static void test_output_is_added_behind_what_is_there(void **state)
{
    _cleanup_buffer_ struct buffer out = {0};
    _cleanup_(json_decrefp) json_t *value = json_integer(5);

    (void)state;
    buffer_add_text(&out, "x=");
    assert_null(canonical_json(value, &out));
    assert_string_equal(buffer_text(&out), "x=5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors_are_reproduced_byte_by_byte),
        cmocka_unit_test(test_deep_nesting_is_refused),
        cmocka_unit_test(test_string_with_nul_is_refused),
        cmocka_unit_test(test_output_is_added_behind_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
