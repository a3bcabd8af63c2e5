/*
 * Options of a command as a table: where each one goes. Beside them every command knows --json,
 * -j, -o json|table and --yes, -y.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum flag_kind {
    FLAG_BOOL,   /* bool */
    FLAG_TEXT,   /* const char *, argv's */
    FLAG_NUMBER, /* uint32_t, from min to max */
    FLAG_LIST,   /* struct flag_list: may be repeated */
};

enum { FLAG_LIST_MAX = 64, FLAGS_MAX = 24 };

struct flag_list {
    const char *items[FLAG_LIST_MAX]; /* argv's */
    int n;
};

struct flag {
    const char *name;
    char letter; /* 0: it has none */
    enum flag_kind kind;
    void *into;
    uint32_t min;
    uint32_t max;
};

struct flags {
    const char *usage; /* "stats WORKLOAD [--watch]" */
    const struct flag *table;
    unsigned n;
    int min_operands;
    int max_operands;
    char **operands; /* out: argv's own, behind the options */
    int n_operands;
    bool json;
    bool yes;
};

/* EXIT_OK, or the code to leave with: what is wrong has been said. */
int flags_parse(int argc, char **argv, struct flags *flags);
