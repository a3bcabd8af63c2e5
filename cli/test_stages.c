/* What is shown while somebody waits, on a terminal and elsewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/stages.h"

static char *shown(bool terminal)
{
    struct clock_fake clock;
    struct stages stages;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    clock_fake_init(&clock, 1000);
    stages_start(&stages, out, terminal, &clock.base);
    stages_stage(&stages, "scheduled");
    clock_fake_advance(&clock, 2500);
    stages_tick(&stages);
    stages_line(&stages, "stage", "pull", 1500, "image\033[2J of 3");
    stages_stage(&stages, "starting");
    clock_fake_advance(&clock, 1000);
    assert_int_equal(stages_elapsed_ms(&stages), 3500);
    stages_end(&stages);
    fclose(out);
    return text;
}

static void test_elsewhere_there_are_only_lines(_unused_ void **state)
{
    _cleanup_free_ char *text = shown(false);

    assert_string_equal(text, "     2.5 s  stage         pull (1.5 s)  image\\x1b[2J of 3\n");
}

static void test_a_terminal_has_one_line_that_moves(_unused_ void **state)
{
    _cleanup_free_ char *text = shown(true);

    assert_non_null(strstr(text, "\r\033[K     2.5 s  scheduled ... 2 s"));
    assert_non_null(strstr(text, "\r\033[K     2.5 s  stage         pull (1.5 s)"));
    assert_null(strstr(text, "\033[2J")); /* somebody else's text steers nothing */
    assert_string_equal(text + strlen(text) - 4, "\r\033[K");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elsewhere_there_are_only_lines),
        cmocka_unit_test(test_a_terminal_has_one_line_that_moves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
