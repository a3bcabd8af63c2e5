/* What would happen, without doing it: POST workloads/plan. */
#pragma once

#include "cli/project_input.h"

/* body: of workloads/create without an id, or of workloads/update. *ret_plan is the caller's. */
struct error *plan_ask(struct client *client, const json_t *body, json_t **ret_plan) _must_check_;

/* Findings, changes, hashes, measurements, placement, cost, and what is lost. */
void plan_print(const json_t *plan);

bool plan_is_accepted(const json_t *plan); /* no findings, and admitted */
bool plan_changes_nothing(const json_t *plan);

/* The manifest's hash, 64 hex digits; "" when the plan has none. Lives with the plan. */
const char *plan_hash(const json_t *plan);

/* The plan's hash must be that of the document which it shows, and that must hold our compose file
 * (NULL: none was given): DATA_LOSS otherwise. */
struct error *plan_check(const json_t *plan, const struct project *project) _must_check_;

/* The whole command: of a new workload, or of changing input's. EXIT_OK: it would be accepted;
 * EXIT_FAILED: it would not. */
int plan_run(struct client *client, struct project_input *input);
