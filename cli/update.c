#include "cli/update.h"

#include <stdio.h>

#include "cli/deploy.h"
#include "cli/output.h"
#include "cli/plan.h"
#include "cli/project_body.h"
#include "cli/project_salt.h"
#include "cli/resolve.h"
#include "cli/sent.h"
#include "cli/terminal.h"
#include "shared/base/alloc.h"

void update_target_done(struct update_target *target)
{
    free(target->id);
    json_decref(target->workload);
    free(target->etag);
}

struct error *update_target_open(struct client *client, const char *id_or_name,
                                 struct update_target *ret_target)
{
    struct client_headers headers = {0};
    struct error *err = workload_resolve(client, id_or_name, &ret_target->id);

    if (err)
        return err;
    _cleanup_free_ char *path = xasprintf("/api/v1/workloads/%s", ret_target->id);
    err = client_call_with(client, "GET", path, NULL, &headers, &ret_target->workload);
    ret_target->etag = TAKE_PTR(headers.etag);
    client_headers_done(&headers);
    return err;
}

static struct error *check_etag(const struct update_target *target, const char *wanted)
{
    if (!wanted || (target->etag && strcmp(wanted, target->etag) == 0))
        return NULL;
    return error_new(ERROR_FAILED_PRECONDITION,
                     "the workload is not what --if-match names any more: its ETag is %s",
                     target->etag ?: "unknown");
}

/* The name, typed out: nothing that a finger does by itself. */
static bool ask_typed(const char *name)
{
    char line[256];

    terminal_fprintf(stderr, "Type the workload's name (%s) to go on: ", name);
    if (!fgets(line, sizeof(line), stdin))
        return false;
    line[strcspn(line, "\n")] = '\0';
    return strcmp(line, name) == 0;
}

static struct error *confirm_loss(const struct update_target *target, const json_t *plan,
                                  const struct project_input *in, bool *ret_confirmed)
{
    bool loses = json_array_size(json_object_get(plan, "dataLoss")) > 0;

    *ret_confirmed = in->confirm_data_loss;
    if (!loses || in->confirm_data_loss)
        return NULL;
    if (in->json || !isatty(STDIN_FILENO))
        return error_new(ERROR_FAILED_PRECONDITION,
                         "this loses data, and nobody can be asked here (no terminal, or JSON is "
                         "wanted): say --confirm-data-loss to go on");
    *ret_confirmed = ask_typed(output_text(target->workload, "name"));
    return *ret_confirmed ? NULL : error_new(ERROR_CANCELLED, "nothing was changed");
}

static struct error *send(struct client *client, const struct update_target *target,
                          const json_t *body, json_t **ret_workload)
{
    struct client_headers headers = {.if_match = target->etag};
    struct error *err =
        client_call_with(client, "POST", "/api/v1/workloads/update", body, &headers, ret_workload);
    if (err && headers.kind && strcmp(headers.kind, "PRECONDITION_FAILED") == 0)
        err = error_wrap(err, "somebody else changed the workload since it was planned; nothing "
                              "was changed, run it again");
    client_headers_done(&headers);
    return err;
}

/* What was planned is what must be there now. */
static struct error *check_result(const json_t *workload, const json_t *plan)
{
    const char *hash = output_text(workload, "manifestHash");

    if (strcmp(hash, plan_hash(plan)) == 0)
        return NULL;
    return error_new(ERROR_DATA_LOSS, "the gateway's manifest is %s, planned was %s", hash,
                     plan_hash(plan));
}

/* EXIT_OK: go on with it; *ret_go false: there is nothing to do. */
static int show_plan(const json_t *plan, const struct project_input *in, bool *ret_go)
{
    *ret_go = false;
    if (!in->json)
        plan_print(plan);
    else if (in->dry_run || !plan_is_accepted(plan))
        output_json(plan);
    if (!plan_is_accepted(plan))
        return EXIT_FAILED;
    if (!in->json && !in->dry_run && plan_changes_nothing(plan))
        puts("nothing would change: nothing was done");
    *ret_go = !in->dry_run && !plan_changes_nothing(plan);
    return EXIT_OK;
}

static int apply(struct client *client, const struct update_target *target, json_t *body,
                 const json_t *plan, const struct project_input *in)
{
    _cleanup_(json_decrefp) json_t *workload = NULL;
    bool confirmed = false;
    struct error *err = confirm_loss(target, plan, in, &confirmed);

    if (err)
        return command_fail(err);
    json_object_set_new(body, "confirmDataLoss", json_boolean(confirmed));
    err = send(client, target, body, &workload);
    if (!err)
        sent_keep(client_url(client), target->workload, body, workload);
    err = err ?: check_result(workload, plan);
    if (!err && in->wait)
        err = deploy_wait(client, in, &workload);
    if (err)
        return command_fail(err);
    return deploy_print_result(client, workload, in->json);
}

int update_run(struct client *client, const struct update_target *target, json_t *body,
               const struct project_input *in)
{
    _cleanup_(project_body_freep) json_t *owned = body;
    _cleanup_(json_decrefp) json_t *plan = NULL;
    struct error *err = check_etag(target, in->if_match);
    bool go = false;

    if (!err)
        sent_trim(client_url(client), target->workload, body);
    err = err ?: plan_ask(client, body, &plan);
    if (!err && plan_is_accepted(plan))
        err = plan_check(plan, &in->project);
    if (err)
        return command_fail(err);
    int code = show_plan(plan, in, &go);
    if (code == EXIT_OK && !go && in->json && !in->dry_run)
        return output_json(target->workload);
    return go ? apply(client, target, owned, plan, in) : code;
}

static int update(struct project_input *in)
{
    _cleanup_(client_freep) struct client *client = NULL;
    _cleanup_(update_target_done) struct update_target target = {0};
    struct error *err = client_open(&client);

    err = err ?: update_target_open(client, in->workload, &target);
    err = err ?: project_salt(in, target.id);
    if (err)
        return command_fail(err);
    json_t *body = project_body_update(in, target.id, target.workload);
    if (!project_body_is_empty(body))
        return update_run(client, &target, body, in);
    project_body_free(body);
    return command_usage("nothing to change is named: give the folder with coffer.yaml, a compose "
                         "file, or options such as --image VERSION");
}

int update_main(int argc, char **argv)
{
    _cleanup_(project_input_done) struct project_input input = {0};
    struct error *err = project_input_parse(argc, argv, PROJECT_UPDATE, &input);

    return err ? command_fail(err) : update(&input);
}
