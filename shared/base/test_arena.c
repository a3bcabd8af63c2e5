/* Memory of an arena: zero, in one piece, and texts as printf() writes them wherever they fall. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "shared/base/arena.h"
#include "shared/base/cleanup.h"

enum { TEXT_MAX = 9000, ARENAS = 20, PIECES = 50 };

static void expect_zero(struct arena *arena, size_t size)
{
    const uint8_t *data = arena_alloc(arena, size);

    for (size_t i = 0; i < size; i++)
        assert_int_equal(data[i], 0);
}

/* Also at the end of a chunk, where they do not fit any more, and longer than one. */
static void test_texts_of_all_lengths(_unused_ void **state)
{
    static char expected[TEXT_MAX + 1];

    memset(expected, 'x', TEXT_MAX);
    for (size_t length = 0; length <= TEXT_MAX; length += 1 + length / 7) {
        _cleanup_(arena_freep) struct arena *arena = arena_new();
        for (int i = 0; i < PIECES; i++) {
            const char *text = arena_printf(arena, "%.*s", (int)length, expected);
            assert_int_equal(strlen(text), length);
            assert_memory_equal(text, expected, length);
            expect_zero(arena, 40);
        }
    }
}

/* What an arena held is not seen by the next one, which may get the same memory. */
static void test_memory_is_zero_again(_unused_ void **state)
{
    for (int round = 0; round < ARENAS; round++) {
        _cleanup_(arena_freep) struct arena *arena = arena_new();
        for (int i = 0; i < PIECES; i++) {
            expect_zero(arena, 1500);
            memset(arena_alloc(arena, 700), 0xff, 700);
        }
        if (round % 2)
            arena_reset(arena);
        expect_zero(arena, 8000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_of_all_lengths),
        cmocka_unit_test(test_memory_is_zero_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
