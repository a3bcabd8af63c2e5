/* wrk, and what it measured. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

struct wrk_options {
    int port;
    const char *path;
    const char *script; /* of this folder, without ".lua" */
    unsigned connections;
    unsigned seconds;
    const char *key;        /* API key; travels in the environment. NULL: none */
    const char *ids_folder; /* for the script "create"; NULL: none */
};

struct wrk_result {
    double rate; /* answers a second */
    double p50_ms;
    double p99_ms;
    unsigned long requests;
    unsigned long refused; /* answers from 400 on */
    unsigned long broken;  /* connections that broke, answers that took too long */
    char statuses[128];    /* "429:3,503:1"; only of the script "create" */
};

struct wrk_run {
    pid_t pid;
    FILE *output;
};

bool wrk_is_available(void);

void wrk_start(const struct wrk_options *options, struct wrk_run *ret_run);
/* Waits for its end. */
struct wrk_result wrk_finish(struct wrk_run *run);
struct wrk_result wrk_measure(const struct wrk_options *options);
