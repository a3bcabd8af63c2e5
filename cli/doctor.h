/*
 * `coffer doctor`: step by step from this machine's files to what the key may do. A step that
 * others need and that fails is followed only by those that do not need it.
 */
#pragma once

#include <jansson.h>

#include "cli/command.h"
#include "cli/context.h"
#include "shared/base/cleanup.h"

enum doctor_state { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL, DOCTOR_SKIPPED };

struct doctor {
    struct context context;
    json_t *checks;      /* [{check, state, text, hint?}] */
    enum exit_code code; /* that of the first failure */
};

/* Notes a step. hint: what to do; NULL: nothing. The text may come from the server. */
void doctor_note(struct doctor *doctor, enum doctor_state state, const char *check,
                 const char *hint, const char *fmt, ...) _printf_(5, 6);

/* Notes a failure, which is the program's exit code when it is the first. */
void doctor_fail(struct doctor *doctor, enum exit_code code, const char *check, const char *hint,
                 const char *fmt, ...) _printf_(5, 6);

/* From the URL to what the gateway says of the key; doctor->context has a URL. */
void doctor_ask_server(struct doctor *doctor);
