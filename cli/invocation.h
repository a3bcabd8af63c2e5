/* What was asked of the whole program, not of one command. Set once, before a command runs. */
#pragma once

#include <stdbool.h>

enum output_format {
    OUTPUT_TABLE, /* for people; short */
    OUTPUT_WIDE,  /* all columns, exact times */
    OUTPUT_NAME,  /* one id a line */
    OUTPUT_JSON,
};

struct invocation {
    const char *context;         /* --context; NULL: as the environment and the files say */
    const char *idempotency_key; /* NULL: a random one */
    enum output_format format;
    bool no_headers;
};

const struct invocation *invocation(void); /* never NULL; texts are argv's */
void invocation_set(const struct invocation *asked);
