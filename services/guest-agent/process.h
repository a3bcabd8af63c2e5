/* Runs one tool: arguments as an array, a given environment, bounded output, a deadline. */
#pragma once

#include "shared/base/buffer.h"
#include "shared/base/error.h"

struct process_options {
    const char *const *argv;        /* NULL-terminated; argv[0] is an absolute path */
    const char *const *environment; /* NULL-terminated "NAME=value"; all the tool gets */
    const char *input;              /* to standard input; NULL: /dev/null */
    size_t output_max;              /* standard output over this ends the tool */
    int timeout_ms;
    /* Each finished line of standard error, without its end; NULL: nobody listens. */
    void (*on_line)(void *data, const char *line);
    void *data;
};

struct process_result {
    int exit_code;        /* 128 + signal when killed by one */
    struct buffer output; /* standard output */
    struct buffer errors; /* the last 8 KiB of standard error */
};
void process_result_done(struct process_result *result);
#define _cleanup_process_result_ _cleanup_(process_result_done)

/*
 * Succeeds whenever the tool ran to its end, whatever it exited with. DEADLINE_EXCEEDED and
 * RESOURCE_EXHAUSTED end its whole process group; *ret_result holds what it said until then.
 */
struct error *process_run(const struct process_options *options,
                          struct process_result *ret_result) _must_check_;
