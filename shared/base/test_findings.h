/*
 * What threads of a test find. A failed assertion of cmocka jumps out of the test, which only the
 * test's own thread may do: other threads (and handlers and callbacks, which run on a library's)
 * say what they found with expect_that(), and the test's own thread fails by assert_no_findings()
 * once it has joined them.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "shared/base/error.h"

/* One for the program, whichever of its files include this. */
__attribute__((weak)) atomic_uint findings_count;

static inline bool finding(bool right, const char *file, int line, const char *what)
{
    if (right)
        return true;
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
    atomic_fetch_add(&findings_count, 1);
    return false;
}

/* Whether it is so; counts and tells it if not. From any thread. */
#define expect_that(right) finding((right), __FILE__, __LINE__, #right)

/* The same of a call's success; takes the error. */
#define expect_no_error(call) finding_of_error((call), __FILE__, __LINE__)
static inline bool finding_of_error(struct error *err, const char *file, int line)
{
    bool right = finding(!err, file, line, error_text(err));

    error_free(err);
    return right;
}

/* By the test's own thread, when no other can find anything any more. Begins anew. */
#define assert_no_findings() assert_int_equal(atomic_exchange(&findings_count, 0), 0)
