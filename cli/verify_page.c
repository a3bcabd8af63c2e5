#include "cli/verify_page.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "shared/base/clock.h"
#include "shared/base/encode.h"

static const struct {
    const char *mark; /* UTF-8 */
    const char *word;
    int exit_code;
} verdicts[] = {
    [VERDICT_PASS] = {"\xe2\x9c\x93", "VERIFIED", EXIT_OK},
    [VERDICT_FAIL] = {"\xe2\x9c\x97", "NOT VERIFIED", EXIT_FAILED},
    [VERDICT_UNKNOWN] = {"?", "CANNOT TELL", EXIT_CANNOT_TELL},
};

void verify_page_add(struct verify_page *page, const char *id, const char *label, const char *value)
{
    assert(page->n_facts < VERIFY_FACTS_MAX);
    page->facts[page->n_facts++] = (struct verify_fact){id, label, value};
}

void verify_page_add_hex(struct verify_page *page, const char *id, const char *label,
                         const void *data, size_t size)
{
    char *text = data ? arena_alloc(page->result->arena, 2 * size + 1) : NULL;

    if (data)
        hex_encode(data, size, text);
    verify_page_add(page, id, label, text);
}

/* "development" is said wherever a result is said. */
static const char *summary_of(const struct verify_page *page)
{
    const struct verify_result *result = page->result;
    const struct verify_step *problem = verify_result_first_problem(result);
    enum verdict verdict = verify_result_verdict(result);
    const char *word = verdicts[verdict].word;

    if (verdict == VERDICT_PASS)
        return arena_printf(
            result->arena, "%s%s%s%s", word, result->development ? " (development root)" : "",
            page->gives_up ? " under policy " : "", page->gives_up ? page->policy : "");
    if (!problem)
        return arena_printf(result->arena, "%s: nothing was checked", word);
    bool show_actual = problem->actual[0] && verdict == VERDICT_FAIL;
    return arena_printf(result->arena, "%s: %s: %s", word, problem->id,
                        show_actual ? problem->actual : problem->expected);
}

static void print_step(const struct verify_step *step)
{
    const char *shown = step->actual[0] ? step->actual : step->expected;
    bool any = strncmp(step->expected, "any", 3) == 0; /* what was not asked must be seen */

    printf("%s %-13s %s%s%s%s\n", verdicts[step->verdict].mark, step->id, shown, any ? " (" : "",
           any ? step->expected : "", any ? ")" : "");
    if (step->verdict == VERDICT_PASS)
        return;
    if (step->expected[0] && shown != step->expected)
        printf("  %-13s expected: %s\n", "", step->expected);
    if (step->expected[0]) /* else there was nothing that it could have been compared with */
        printf("  %-13s why: %s\n", "", step->why);
    if (step->code[0])
        printf("  %-13s code: %s\n", "", step->code);
}

static void print_text(const struct verify_page *page, const char *summary, const char *at)
{
    for (size_t i = 0; i < page->result->n_steps; i++)
        print_step(&page->result->steps[i]);
    putchar('\n');
    for (size_t i = 0; i < page->n_facts; i++)
        if (page->facts[i].value)
            printf("%-15s %s\n", page->facts[i].label, page->facts[i].value);
    printf("%-15s %s\n%-15s %s\n", "policy", page->policy, "judged for", at);
    for (size_t i = 0; page->gives_up && page->gives_up[i]; i++)
        printf("%-15s %s\n", i == 0 ? "gives up" : "", page->gives_up[i]);
    puts(summary);
}

static void print_json(const struct verify_page *page, const char *summary, const char *at)
{
    json_auto_t *root = verify_result_to_json(page->result);
    json_t *gives_up = json_array();

    for (size_t i = 0; page->gives_up && page->gives_up[i]; i++)
        json_array_append_new(gives_up, json_string(page->gives_up[i]));
    for (size_t i = 0; i < page->n_facts; i++)
        json_object_set_new(root, page->facts[i].id,
                            page->facts[i].value ? json_string(page->facts[i].value) : json_null());
    json_object_set_new(root, "policy", json_string(page->policy));
    json_object_set_new(root, "gives_up", gives_up);
    json_object_set_new(root, "at", json_string(at));
    json_object_set_new(root, "summary", json_string(summary));
    json_dumpf(root, stdout, JSON_INDENT(2));
    putchar('\n');
}

int verify_page_print(const struct verify_page *page, bool as_json)
{
    const char *summary = summary_of(page);
    char at[CLOCK_TEXT_SIZE];

    clock_format(page->at_ms, at);
    if (as_json)
        print_json(page, summary, at);
    else
        print_text(page, summary, at);
    return verdicts[verify_result_verdict(page->result)].exit_code;
}
