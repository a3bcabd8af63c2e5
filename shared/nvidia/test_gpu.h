/* What the tests of this folder share. */
#pragma once

#include <setjmp.h> /* cmocka wants these four first */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "shared/base/error.h"
#include "shared/nvidia/gpu_verify.h"

static inline void expect_ok(struct error *err)
{
    if (err)
        fail_msg("%s (%s)", error_text(err), error_origin(err));
}

static inline void expect_error(struct error *err, enum error_code code)
{
    if (error_get_code(err) != code)
        fail_msg("expected %s, got %s: %s", error_code_name(code),
                 error_code_name(error_get_code(err)), error_text(err));
    error_free(err);
}

static inline const struct verify_step *find_step(const struct verify_result *result,
                                                  const char *id)
{
    for (size_t i = 0; i < result->n_steps; i++)
        if (strcmp(result->steps[i].id, id) == 0)
            return &result->steps[i];
    fail_msg("no step '%s'", id);
    return NULL;
}

static inline void expect_step(const struct verify_result *result, const char *id,
                               enum verdict verdict)
{
    const struct verify_step *step = find_step(result, id);

    if (step->verdict != verdict)
        fail_msg("step '%s': verdict %d, not %d: expected '%s', actual '%s'", id, step->verdict,
                 verdict, step->expected, step->actual);
}

/* Exactly these steps do not pass, each with this verdict; ids ends with NULL. */
static inline void expect_only(const struct verify_result *result, const char *const *ids,
                               enum verdict verdict)
{
    for (size_t i = 0; i < result->n_steps; i++) {
        bool listed = false;

        for (const char *const *id = ids; *id; id++)
            listed |= strcmp(*id, result->steps[i].id) == 0;
        expect_step(result, result->steps[i].id, listed ? verdict : VERDICT_PASS);
    }
}
#define EXPECT_ONLY(result, verdict, ...)                                                          \
    expect_only((result), (const char *const[]){__VA_ARGS__, NULL}, (verdict))
#define EXPECT_PASS(result) expect_only((result), (const char *const[]){NULL}, VERDICT_PASS)
