/* Changing a workload under its id: the plan first, then the change that was planned. */
#pragma once

#include "cli/client.h"
#include "cli/project_input.h"

/* A workload as it is now, with the ETag of exactly that. */
struct update_target {
    char *id;
    json_t *workload;
    char *etag; /* NULL: the gateway gives none */
};
void update_target_done(struct update_target *target);

struct error *update_target_open(struct client *client, const char *id_or_name,
                                 struct update_target *ret_target) _must_check_;

/*
 * Plans the body (of workloads/update, with its workloadId), shows the plan, asks for the loss of
 * data when there is one (typed, on a terminal; elsewhere only with confirm_data_loss), and sends
 * it with the ETag that it was planned against. input says: confirm_data_loss, if_match, wait,
 * timeout_s, json, dry_run, and the compose file, if there is one. Takes body. The exit code.
 */
int update_run(struct client *client, const struct update_target *target, json_t *body,
               const struct project_input *input);
