
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/host-agent/console.h"
#include "services/host-agent/testdata/folder.h"
#include "shared/base/file.h"

struct fixture {
    char *dir, *path, *older;
};

static int setup(void **state)
{
    struct fixture *f = xnew(struct fixture);

    f->dir = test_folder_new();
    f->path = xasprintf("%s/console.log", f->dir);
    f->older = xasprintf("%s/console.log.1", f->dir);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    test_folder_free(f->dir);
    free(f->path);
    free(f->older);
    free(f);
    return 0;
}

static void append(const char *path, const char *text, size_t times)
{
    FILE *file = fopen(path, "ae");

    assert_non_null(file);
    for (size_t i = 0; i < times; i++)
        fputs(text, file);
    fclose(file);
}

static size_t size_of(const char *path)
{
    struct stat st;

    return stat(path, &st) < 0 ? 0 : (size_t)st.st_size;
}

static void test_tail_spans_both_files(void **state)
{
    struct fixture *f = *state;
    _cleanup_buffer_ struct buffer text = {0};

    append(f->older, "old line\n", 1);
    append(f->path, "new line\n", 1);
    assert_null(console_tail(f->path, 14, &text));
    assert_string_equal(buffer_text(&text), "line\nnew line\n");
    buffer_done(&text);
    assert_null(console_tail(f->path, 1000, &text));
    assert_string_equal(buffer_text(&text), "old line\nnew line\n");
}

static void test_no_console_is_empty(void **state)
{
    struct fixture *f = *state;
    _cleanup_buffer_ struct buffer text = {0};
    _cleanup_free_ char *tail = console_tail_text(f->path, 100);

    assert_null(console_tail(f->path, 100, &text));
    assert_int_equal(text.size, 0);
    assert_string_equal(tail, "");
    assert_null(console_rotate(f->path));
    assert_null(console_begin(f->path));
}

static void test_full_console_is_rotated_and_bounded(void **state)
{
    struct fixture *f = *state;
    FILE *writer = fopen(f->path, "ae"); /* QEMU keeps it open, in append mode */

    assert_non_null(writer);
    append(f->path, "0123456789abcdef\n", 1000);
    assert_null(console_rotate(f->path));
    assert_int_equal(size_of(f->older), 0);
    append(f->path, "0123456789abcdef\n", 2 * CONSOLE_SIZE / 17);
    assert_null(console_rotate(f->path));
    assert_int_equal(size_of(f->path), 0);
    assert_int_equal(size_of(f->older), CONSOLE_SIZE);
    fputs("after\n", writer);
    fclose(writer);
    assert_int_equal(size_of(f->path), 6); /* no hole */
}

static void test_text_is_for_people(void **state)
{
    struct fixture *f = *state;

    append(f->path, "cut off line\n\x1b[31mred\x1b[0m\r\n\x1b]0;title\x07 \xff tab\there\n", 1);
    _cleanup_free_ char *tail = console_tail_text(f->path, 48);
    assert_null(strchr(tail, '\x1b'));
    assert_null(strstr(tail, "cut off"));
    assert_memory_equal(tail, "red\n", 4);
    assert_non_null(strstr(tail, "? tab\there\n"));
}

static void test_new_boot_starts_empty(void **state)
{
    struct fixture *f = *state;

    append(f->path, "first boot\n", 1);
    assert_null(console_begin(f->path));
    assert_int_equal(size_of(f->path), 0);
    assert_int_equal(size_of(f->older), 11);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_tail_spans_both_files),
        TEST(test_no_console_is_empty),
        TEST(test_full_console_is_rotated_and_bounded),
        TEST(test_text_is_for_people),
        TEST(test_new_boot_starts_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
