#include <assert.h>
#include <string.h>

#include "shared/attestation/verifier.h"
#include "shared/attestation/verify_codes.h"

static const char *const verdict_names[] = {
    [VERDICT_PASS] = "pass",
    [VERDICT_FAIL] = "fail",
    [VERDICT_UNKNOWN] = "unknown",
};

void verify_result_init(struct verify_result *result)
{
    *result = (struct verify_result){.arena = arena_new()};
}

void verify_result_done(struct verify_result *result)
{
    if (result->arena)
        arena_free(result->arena);
    *result = (struct verify_result){};
}

/* Texts may come from evidence: keep terminals and JSON safe from them. */
static char *printable(struct arena *arena, const char *text)
{
    char *copy = arena_strdup(arena, text);

    for (char *c = copy; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    return copy;
}

static void add(struct verify_result *result, const char *id, enum verdict verdict,
                const char *code, const char *expected, const char *actual, const char *why)
{
    assert(result->n_steps < VERIFY_STEPS_MAX);
    result->steps[result->n_steps++] = (struct verify_step){
        .id = arena_strdup(result->arena, id),
        .verdict = verdict,
        .code = code,
        .expected = printable(result->arena, expected),
        .actual = printable(result->arena, actual),
        .why = arena_strdup(result->arena, why),
    };
}

void verify_step_add(struct verify_result *result, const char *id, enum verdict verdict,
                     const char *expected, const char *actual, const char *why)
{
    const struct verify_code *code = verify_code_of_step(id, verdict);

    assert(code || verdict == VERDICT_PASS);
    add(result, id, verdict, code ? code->code : "", expected, actual, why);
}

void verify_problem_add(struct verify_result *result, const char *code, const char *expected,
                        const char *actual, const char *why)
{
    const struct verify_code *row = verify_code_find(code);

    assert(row);
    add(result, row->step, row->verdict, row->code, expected, actual, why);
}

static const struct verify_step *first_with(const struct verify_result *result,
                                            enum verdict verdict)
{
    for (size_t i = 0; i < result->n_steps; i++)
        if (result->steps[i].verdict == verdict)
            return &result->steps[i];
    return NULL;
}

enum verdict verify_result_verdict(const struct verify_result *result)
{
    if (first_with(result, VERDICT_FAIL))
        return VERDICT_FAIL;
    if (result->n_steps == 0 || first_with(result, VERDICT_UNKNOWN))
        return VERDICT_UNKNOWN; /* nothing checked is nothing known */
    return VERDICT_PASS;
}

const struct verify_step *verify_result_first_problem(const struct verify_result *result)
{
    const struct verify_step *step = first_with(result, VERDICT_FAIL);

    return step ? step : first_with(result, VERDICT_UNKNOWN);
}

bool verify_result_passed(const struct verify_result *result, const char *id)
{
    for (size_t i = 0; i < result->n_steps; i++)
        if (strcmp(result->steps[i].id, id) == 0)
            return result->steps[i].verdict == VERDICT_PASS;
    return false;
}

static json_t *step_to_json(const struct verify_step *step)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "id", step->id, "verdict",
                     verdict_names[step->verdict], "code", step->code, "expected", step->expected,
                     "actual", step->actual, "why", step->why);
}

json_t *verify_result_to_json(const struct verify_result *result)
{
    json_t *steps = json_array();

    for (size_t i = 0; i < result->n_steps; i++)
        json_array_append_new(steps, step_to_json(&result->steps[i]));
    return json_pack("{s:s, s:b, s:o}", "verdict", verdict_names[verify_result_verdict(result)],
                     "development", result->development, "steps", steps);
}
