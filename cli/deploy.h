/* What `deploy` and `update` have in common once the workload is asked for. */
#pragma once

#include "cli/project_input.h"

/* Waits until it runs; *workload becomes what it is then. */
struct error *deploy_wait(struct client *client, const struct project_input *input,
                          json_t **workload) _must_check_;

/* Where it is, and how others verify it. EXIT_OK. */
int deploy_print_result(struct client *client, const json_t *workload, bool json);
