/* An update as it came: what the request says, over what the workload is. */
#pragma once

#include "services/api-gateway/create_input.h"
#include "services/api-gateway/kept.h"

struct update_input {
    struct create_input input; /* the whole workload as it will be; its secrets: only new ones */
    bool confirmed;            /* confirmDataLoss */
    const char *reason;        /* NULL: none */
};

/* Adds a finding for every problem, as create_input_read(). What is secret and not in the request
 * stays by its name (env, registries) or commitment (files) alone. */
void update_input_read(struct form *form, const struct kept *kept, struct update_input *ret_update);
