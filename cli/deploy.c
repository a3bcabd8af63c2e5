/* `coffer deploy`: compute the manifest here, create the workload, follow it until it runs. */
#include "cli/deploy.h"

#include <stdio.h>

#include "cli/invocation.h"
#include "cli/output.h"
#include "cli/plan.h"
#include "cli/project_body.h"
#include "cli/project_salt.h"
#include "cli/resolve.h"
#include "cli/sent.h"
#include "cli/terminal.h"
#include "cli/verify_hint.h"
#include "cli/wait.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/seal/seal.h"

/* The gateway must hold the manifest that was computed here, or it deploys something else. */
static struct error *check_manifest(const json_t *workload, const struct buffer *manifest)
{
    uint8_t digest[SHA256_SIZE];
    char text[2 * SHA256_SIZE + 1];
    const char *theirs = json_string_value(json_object_get(workload, "manifestHash"));

    sha256(manifest->data, manifest->size, digest);
    hex_encode(digest, sizeof(digest), text);
    if (theirs && strcmp(theirs, text) == 0)
        return NULL;
    return error_new(ERROR_DATA_LOSS, "the gateway's manifest is %s, computed here: %s",
                     theirs ?: "missing", text);
}

/* What the command alone does not say. */
static void print_notes(const json_t *workload, const char *command)
{
    if (strstr(command, "--release-key"))
        puts("The release key is as this gateway shows it: compare it with the operator's own.");
    if (json_integer_value(json_object_get(workload, "gpus")) > 0)
        puts("For the GPUs, --rims DIR names a folder with NVIDIA's RIM files and OCSP answers.");
    if (strstr(output_text(workload, "evidenceKind"), "development"))
        puts("This is a development machine: a verifier also needs its --trust-root and --ca.");
}

int deploy_print_result(struct client *client, const json_t *workload, bool json)
{
    _cleanup_free_ char *command = json ? NULL : verify_hint(client, workload);

    if (json)
        return output_json(workload);
    terminal_printf("workload       %s\nURL            https://%s\nmanifest hash  %s\n",
                    output_text(workload, "workloadId"), output_text(workload, "domain"),
                    output_text(workload, "manifestHash"));
    if (command) {
        terminal_printf("anybody can verify it with\n    %s\n", command);
        print_notes(workload, command);
    }
    return EXIT_OK;
}

static bool is_going(const json_t *workload)
{
    const char *status = output_text(workload, "status");

    return strcmp(status, "deleting") == 0 || strcmp(status, "deleted") == 0;
}

/* Twice by mistake is likelier than twice on purpose. With an idempotency key of his own the user
 * means the same one, and the gateway sees to it. */
static struct error *check_name(const struct project_input *in, struct client *client)
{
    _cleanup_(json_decrefp) json_t *list = NULL;
    bool any = in->again || invocation()->idempotency_key;
    struct error *err = any ? NULL : workloads_by_name(client, in->name, &list);
    const json_t *w;
    size_t i;

    if (err)
        return err;
    json_array_foreach(list, i, w)
    {
        if (strcmp(output_text(w, "name"), in->name) != 0 || is_going(w))
            continue;
        return error_new(ERROR_ALREADY_EXISTS,
                         "a workload is called '%s' already: %s, %s\n"
                         "  to change it: coffer update %s, with the same inputs\n"
                         "  for another one: --name NAME, or --again for the same name",
                         in->name, output_text(w, "workloadId"), output_text(w, "status"),
                         output_text(w, "workloadId"));
    }
    return NULL;
}

/* Without an id of ours the gateway makes one, of the idempotency key: said again, it is the same
 * workload. */
static struct error *send(struct client *client, const struct project_input *in,
                          json_t **ret_workload)
{
    _cleanup_(project_body_freep) json_t *body = project_body_create(in);

    if (in->new_id[0])
        json_object_set_new(body, "workloadId", json_string(in->new_id));
    struct error *err = client_call(client, "POST", "/api/v1/workloads/create", body, ret_workload);
    if (!err)
        sent_keep(client_url(client), NULL, body, *ret_workload);
    return err;
}

static struct error *create(struct client *client, struct project_input *in, json_t **ret_workload)
{
    _cleanup_buffer_ struct buffer manifest = {0};
    struct fleet_facts facts;
    struct error *err = project_input_facts(in, client, &facts);

    err = err ?: project_salt_new(in, client_url(client));
    err = err ?: project_input_manifest(in, &facts, &manifest);
    err = err ?: project_body_sizes(in, client);
    err = err ?: check_name(in, client);
    err = err ?: send(client, in, ret_workload);
    return err ?: check_manifest(*ret_workload, &manifest);
}

struct error *deploy_wait(struct client *client, const struct project_input *in, json_t **workload)
{
    const char *id = output_text(*workload, "workloadId");
    const struct wait_options options = {
        .workload = id,
        .generation = json_integer_value(json_object_get(*workload, "generation")),
        .timeout_s = in->timeout_s,
        .quiet_stdout = in->json,
    };
    _cleanup_free_ char *path = xasprintf("/api/v1/workloads/%s", id);
    json_t *after = NULL;
    struct error *err = wait_until_running(client, &options);

    if (!err)
        err = client_call(client, "GET", path, NULL, &after);
    if (err)
        return err;
    json_decref(*workload);
    *workload = after;
    return NULL;
}

/* Without --wait there is one thing more to know. */
static void print_next(const struct project_input *in, const char *id)
{
    if (!in->wait && !in->json)
        terminal_printf("it starts now; coffer events %s -f shows how\n", id);
}

static int deploy(struct project_input *in)
{
    _cleanup_(client_freep) struct client *client = NULL;
    _cleanup_(json_decrefp) json_t *workload = NULL;
    struct error *err = client_open(&client);

    if (!err && in->dry_run)
        return plan_run(client, in);
    if (!err)
        err = create(client, in, &workload);
    if (!err && in->wait)
        err = deploy_wait(client, in, &workload);
    if (err)
        return command_fail(err);
    int code = deploy_print_result(client, workload, in->json);
    print_next(in, output_text(workload, "workloadId"));
    return code;
}

int deploy_main(int argc, char **argv)
{
    _cleanup_(project_input_done) struct project_input input = {0};
    struct error *err = project_input_parse(argc, argv, PROJECT_DEPLOY, &input);

    return err ? command_fail(err) : deploy(&input);
}
