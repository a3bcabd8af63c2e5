/* The gateway itself on a stage, and single questions to it. */
#pragma once

#include <jansson.h>

#include "tests/bench/stage.h"

struct gateway_program {
    pid_t pid;
    int port;
    int metrics_port;
    char key[64]; /* an API key of the account "dev" */
};

/* Returns when it is ready. Without rate limits, and with as many streams as one likes. */
void gateway_program_start(struct stage *stage, struct gateway_program *ret_gateway);
void gateway_program_end(struct gateway_program *gateway);

/* GET (body NULL) or POST; anything but 200 ends the program. The caller owns the reference. */
json_t *gateway_program_ask(const struct gateway_program *gateway, const char *path,
                            const char *body);
