/* What the gateway says when it refuses, as an error that says what to do next. */
#pragma once

#include "shared/base/buffer.h"
#include "shared/base/error.h"

/* One kind of refusal. */
struct problem_kind {
    const char *kind; /* NULL: whatever the kind is */
    long status;      /* HTTP */
    enum error_code code;
    const char *hint; /* what to do; NULL: the text says it */
};

extern const struct problem_kind problem_kinds[];
extern const size_t n_problem_kinds;

/* By kind, else by status. Never NULL. */
const struct problem_kind *problem_find(long status, const char *kind);

/* From the body of an answer, with each finding and the hint. retry_after: seconds; 0: unsaid. */
struct error *problem_error(long status, const struct buffer *body,
                            unsigned retry_after) _must_check_ _never_null_;

/* Whether the same request may well be taken in a moment. */
bool problem_passes(long status, const struct buffer *body);
