/* Hostile texts end with a finding, after little work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <time.h>

#include "shared/base/buffer.h"
#include "shared/compose/node.h"

static const struct compose_options options = {.public_service = "web", .public_port = 80};

/* Work is counted in processor time with much room to spare: a quadratic or exponential step over
 * these inputs takes minutes. */
#define CPU_SECONDS_MAX 5.0

static struct findings *lint(struct arena *arena, const struct buffer *text)
{
    struct findings *findings = arena_alloc(arena, sizeof(*findings));
    clock_t start = clock();

    compose_lint(buffer_text(text), text->size, &options, arena, findings, NULL);
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < CPU_SECONDS_MAX);
    return findings;
}

static bool has(const struct findings *findings, const char *rule)
{
    for (size_t i = 0; i < findings->n; i++)
        if (strcmp(findings->items[i].rule, rule) == 0)
            return true;
    return false;
}

static void check(const struct buffer *text, const char *rule)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();

    struct findings *findings = lint(arena, text);
    if (!has(findings, rule)) {
        _cleanup_free_ char *found = findings_to_text(findings);
        fail_msg("%.20s: expected %s, found: %.200s", buffer_text(text), rule, found);
    }
}

static void test_two_megabytes_of_aliases(void **state)
{
    _cleanup_buffer_ struct buffer text = {0};

    (void)state;
    buffer_add_text(&text, "a: &a [x]\nb: [");
    while (text.size < 2 * 1024 * 1024)
        buffer_add_text(&text, "*a,");
    check(&text, "size");
}

static void test_aliases_as_many_as_fit(void **state)
{
    _cleanup_buffer_ struct buffer text = {0};

    (void)state;
    buffer_add_text(&text, "a: &a [x]\nb: [");
    while (text.size < COMPOSE_TEXT_MAX - 8)
        buffer_add_text(&text, "*a,");
    check(&text, "yaml-limit");
}

static void test_aliases_that_multiply(void **state)
{
    _cleanup_buffer_ struct buffer text = {0};

    (void)state;
    buffer_add_text(&text, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 8; i++) {
        buffer_printf(&text, "a%d: &a%d [", i, i);
        for (int j = 0; j < 8; j++)
            buffer_printf(&text, "*a%d,", i - 1);
        buffer_add_text(&text, "]\n");
    }
    check(&text, "yaml-limit");
}

static void repeat(const char *piece, const char *rule)
{
    _cleanup_buffer_ struct buffer text = {0};
    size_t size = strlen(piece);

    while (text.size + size < COMPOSE_TEXT_MAX)
        buffer_add(&text, piece, size);
    check(&text, rule);
}

static void test_repeated_pieces(void **state)
{
    (void)state;
    repeat("[", "yaml-limit");
    repeat("{", "yaml-limit");
    repeat("- ", "yaml-limit");
    repeat("- a\n", "yaml-limit");
    repeat("? ", "yaml-limit");
    repeat("&a ", "yaml");
    repeat("!", "yaml-tag");
    repeat("\"", "yaml");
    repeat("a: ", "yaml");
    repeat("---\n", "yaml");
    repeat(" ", "size");
    repeat("*a ", "yaml");
    repeat("a", "type");
    repeat("x-a: 1\n", "duplicate-key");
}

static void test_many_keys(void **state)
{
    _cleanup_buffer_ struct buffer text = {0};

    (void)state;
    for (int i = 0; i < 9000; i++)
        buffer_printf(&text, "key%d: 1\n", i);
    check(&text, "yaml-limit");
}

static void test_merges_that_multiply(void **state)
{
    _cleanup_buffer_ struct buffer text = {0};

    (void)state;
    buffer_add_text(&text, "x-a: &a\n");
    for (int i = 0; i < 1000; i++)
        buffer_printf(&text, "  key%d: 1\n", i);
    buffer_add_text(&text, "x-b: {");
    for (int i = 0; i < 60; i++)
        buffer_add_text(&text, "<<: *a, ");
    buffer_add_text(&text, "}\n");
    check(&text, "yaml-limit");
}

static void test_findings_have_a_limit(void **state)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_buffer_ struct buffer text = {0};

    (void)state;
    buffer_add_text(&text, "services:\n  web:\n    image: a\n");
    for (int i = 0; i < 500; i++)
        buffer_printf(&text, "    unknown%d: 1\n", i);
    struct findings *findings = lint(arena, &text);
    assert_int_equal(findings->n, COMPOSE_FINDINGS_MAX);
    assert_string_equal(findings->items[findings->n - 1].rule, "too-many-findings");
}

static void test_too_many_services(void **state)
{
    _cleanup_buffer_ struct buffer text = {0};

    (void)state;
    buffer_add_text(&text, "services:\n");
    for (int i = 0; i < 33; i++)
        buffer_printf(&text, "  web%d: {image: a}\n", i);
    check(&text, "too-many-services");
}

static void test_shown_text_is_short_and_valid_utf8(void **state)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    _cleanup_buffer_ struct buffer text = {0};

    (void)state;
    buffer_add_text(&text, "services: {web: {image: a, \"x");
    for (int i = 0; i < 50; i++)
        buffer_add_text(&text, "\xe2\x82\xac");
    buffer_add_text(&text, "\\n\": 1}}");
    struct findings *findings = lint(arena, &text);
    assert_int_equal(findings->n, 1);
    const char *where = findings->items[0].where;
    assert_true(strlen(where) < 120);
    assert_string_equal(where + strlen(where) - 6, "\xe2\x82\xac...");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_megabytes_of_aliases),
        cmocka_unit_test(test_aliases_as_many_as_fit),
        cmocka_unit_test(test_aliases_that_multiply),
        cmocka_unit_test(test_repeated_pieces),
        cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_merges_that_multiply),
        cmocka_unit_test(test_findings_have_a_limit),
        cmocka_unit_test(test_too_many_services),
        cmocka_unit_test(test_shown_text_is_short_and_valid_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
