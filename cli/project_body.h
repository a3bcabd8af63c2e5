/* The requests of the gateway's API that a project becomes. */
#pragma once

#include "cli/project_input.h"

/* Sizes from the tier that is named (asks the gateway), else what was given, else the defaults. */
struct error *project_body_sizes(struct project_input *input, struct client *client) _must_check_;

/* POST workloads/create, and workloads/plan of a new one. The caller's. */
json_t *project_body_create(const struct project_input *input);

/*
 * POST workloads/update, and workloads/plan of one that there is: what was given, and nothing else.
 * With a coffer.yaml the environment and the files of the workload become those that are given:
 * present (GET /workloads/:id) says which there are now. The caller's.
 */
json_t *project_body_update(const struct project_input *input, const char *id,
                            const json_t *present);

/* True: the update names nothing to change. */
bool project_body_is_empty(const json_t *update);

/* Takes a member out, and wipes its texts. */
void project_body_drop(json_t *object, const char *name);

/* Gives a body back, and wipes its texts: secrets are among them. NULL is fine. */
void project_body_free(json_t *body);
DEFINE_CLEANUP(json_t *, project_body_free)
