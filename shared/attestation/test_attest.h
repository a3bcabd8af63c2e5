/* What the tests of this folder share. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/base/error.h"

static inline void expect_ok_at(struct error *err, const char *file, int line)
{
    if (err) {
        print_error("%s (%s)\n", error_text(err), error_origin(err));
        error_free(err);
        _fail(file, line);
    }
}
#define expect_ok(err) expect_ok_at((err), __FILE__, __LINE__)

static inline void expect_code_at(struct error *err, enum error_code code, const char *file,
                                  int line)
{
    enum error_code actual = error_get_code(err);

    if (actual != code) {
        print_error("code %s, not %s: %s\n", error_code_name(actual), error_code_name(code),
                    error_text(err));
        error_free(err);
        _fail(file, line);
    }
    error_free(err);
}
#define expect_code(err, code) expect_code_at((err), (code), __FILE__, __LINE__)
