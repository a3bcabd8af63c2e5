#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/base/arena.h"
#include "shared/base/buffer.h"
#include "shared/base/reader.h"

static void test_reads_in_both_orders(_unused_ void **state)
{
    const uint8_t data[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    struct reader r;

    reader_init(&r, data, sizeof(data));
    assert_int_equal(reader_u8(&r), 1);
    assert_int_equal(reader_u16le(&r), 0x0302);
    assert_int_equal(reader_u32be(&r), 0x04050607);
    assert_int_equal(reader_u32le(&r), 0x0b0a0908);
    assert_true(reader_done(&r));
}

static void test_first_failure_sticks(_unused_ void **state)
{
    const uint8_t data[] = {1, 2, 3};
    uint8_t out[4] = {9, 9, 9, 9};
    struct reader r;

    reader_init(&r, data, sizeof(data));
    assert_int_equal(reader_u32le(&r), 0);
    assert_int_equal(reader_u8(&r), 0);
    reader_bytes(&r, out, sizeof(out));
    assert_int_equal(out[0], 0);
    assert_null(reader_view(&r, 0));
    assert_int_equal(reader_left(&r), 0);
    assert_false(reader_done(&r));
}

static void test_sizes_near_the_maximum_do_not_wrap(_unused_ void **state)
{
    const uint8_t data[] = {1, 2, 3};
    struct reader r;

    reader_init(&r, data, sizeof(data));
    reader_skip(&r, 1);
    assert_null(reader_view(&r, SIZE_MAX));
    assert_true(r.failed);
}

static void test_buffer_grows_and_stays_text(_unused_ void **state)
{
    _cleanup_buffer_ struct buffer b = {0};

    assert_string_equal(buffer_text(&b), "");
    for (int i = 0; i < 1000; i++)
        buffer_printf(&b, "%d,", i % 10);
    assert_int_equal(b.size, 2000);
    assert_int_equal(strlen(buffer_text(&b)), 2000);
    _cleanup_free_ char *text = buffer_take_text(&b);
    assert_memory_equal(text, "0,1,2,", 6);
    assert_int_equal(b.size, 0);
}

static void test_length_prefix_is_big_endian(_unused_ void **state)
{
    const uint8_t expected[] = {0, 0, 0, 2, 'h', 'i', 0, 0, 0, 0};
    _cleanup_buffer_ struct buffer b = {0};

    buffer_add_lp(&b, "hi", 2);
    buffer_add_lp(&b, NULL, 0);
    assert_int_equal(b.size, sizeof(expected));
    assert_memory_equal(b.data, expected, sizeof(expected));
}

static void test_arena_gives_zeroed_aligned_memory_of_any_size(_unused_ void **state)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();

    for (size_t size = 1; size < 40000; size = size * 3 + 1) {
        uint8_t *p = arena_alloc(arena, size);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, size);
    }
    assert_string_equal(arena_strdup(arena, NULL), "");
    assert_string_equal(arena_printf(arena, "%s-%d", "a", 7), "a-7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_in_both_orders),
        cmocka_unit_test(test_first_failure_sticks),
        cmocka_unit_test(test_sizes_near_the_maximum_do_not_wrap),
        cmocka_unit_test(test_buffer_grows_and_stays_text),
        cmocka_unit_test(test_length_prefix_is_big_endian),
        cmocka_unit_test(test_arena_gives_zeroed_aligned_memory_of_any_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
