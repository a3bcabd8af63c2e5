/* Waiting for a workload to run, with its stages shown as they pass. */
#pragma once

#include "cli/client.h"

struct wait_options {
    const char *workload;  /* id */
    json_int_t generation; /* events of earlier ones are history; 0: all count */
    unsigned timeout_s;    /* 0: none */
    bool quiet_stdout;     /* stdout is for a program: stages go to stderr */
};

/* FAILED_PRECONDITION: it will not run; the text says why, and what to do. DEADLINE_EXCEEDED: not
 * yet. */
struct error *wait_until_running(struct client *client,
                                 const struct wait_options *options) _must_check_;
