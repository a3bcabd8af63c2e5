#include "cli/verify_print.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "shared/base/encode.h"

static const char *const marks[] = {
    [VERDICT_PASS] = "\xe2\x9c\x93",
    [VERDICT_FAIL] = "\xe2\x9c\x97",
    [VERDICT_UNKNOWN] = "?",
};

static int exit_code_of(enum verdict verdict)
{
    static const int codes[] = {
        [VERDICT_PASS] = EXIT_OK,
        [VERDICT_FAIL] = EXIT_FAILED,
        [VERDICT_UNKNOWN] = EXIT_CANNOT_TELL,
    };

    return codes[verdict];
}

static void print_step(const struct verify_step *step)
{
    const char *shown = step->actual[0] ? step->actual : step->expected;

    bool any = strncmp(step->expected, "any", 3) == 0; /* what was not asked must be seen */

    printf("%s %-12s %s%s%s%s\n", marks[step->verdict], step->id, shown, any ? " (" : "",
           any ? step->expected : "", any ? ")" : "");
    if (step->verdict == VERDICT_PASS)
        return;
    if (step->expected[0] && shown != step->expected)
        printf("  %-12s expected: %s\n", "", step->expected);
    printf("  %-12s why: %s\n", "", step->why);
}

/* "development" is said wherever a result is said. */
static void write_verdict(const struct verify_result *result, char *ret_text, size_t size)
{
    const struct verify_step *problem = verify_result_first_problem(result);
    enum verdict verdict = verify_result_verdict(result);

    if (verdict == VERDICT_PASS)
        snprintf(ret_text, size, "VERIFIED%s", result->development ? " (development root)" : "");
    else
        snprintf(ret_text, size, "%s: %s: %s",
                 verdict == VERDICT_FAIL ? "NOT VERIFIED" : "CANNOT TELL",
                 problem ? problem->id : "nothing was checked",
                 problem ? (problem->actual[0] && verdict == VERDICT_FAIL ? problem->actual
                                                                          : problem->expected)
                         : "");
}

static void hex_of(const struct verify_answer *answer, size_t at, size_t size, char *ret_text)
{
    hex_encode(answer->report + at, size, ret_text);
}

static void print_json(const struct verify_result *result, const struct verify_answer *answer,
                       const char *verdict)
{
    json_auto_t *json = verify_result_to_json(result);
    char text[97];

    json_object_set_new(json, "summary", json_string(verdict));
    if (answer) {
        hex_of(answer, 0x90, 48, text);
        json_object_set_new(json, "measurement", json_string(text));
        hex_of(answer, 0xc0, 32, text);
        json_object_set_new(json, "manifest_sha256", json_string(text));
        json_object_set_new(json, "revocation_checked", json_false());
    }
    json_dumpf(json, stdout, JSON_INDENT(2));
    putchar('\n');
}

static void print_text(const struct verify_result *result, const struct verify_answer *answer,
                       const char *verdict)
{
    char text[97];

    for (size_t i = 0; i < result->n_steps; i++)
        print_step(&result->steps[i]);
    if (answer) {
        hex_of(answer, 0x90, 48, text);
        printf("\nmeasurement    %s\n", text);
        hex_of(answer, 0xc0, 32, text);
        printf("manifest hash  %s\n", text);
        puts("revocation     not checked");
    }
    puts(verdict);
}

int verify_print(const struct verify_result *result, const struct verify_answer *answer,
                 bool as_json)
{
    char verdict[512];

    write_verdict(result, verdict, sizeof(verdict));
    if (as_json)
        print_json(result, answer, verdict);
    else
        print_text(result, answer, verdict);
    return exit_code_of(verify_result_verdict(result));
}
