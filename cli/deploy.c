/* `coffer deploy`: compute the manifest here, create the workload, follow it until it runs. */
#include <stdio.h>

#include "cli/command.h"
#include "cli/project_input.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/seal/seal.h"

static json_t *env_json(const struct project_input *in)
{
    json_t *env = json_object();

    for (size_t i = 0; i < in->n_env; i++)
        json_object_set_new(env, in->env[i].name, json_string(in->env[i].value));
    return env;
}

static json_t *files_json(const struct project_input *in)
{
    json_t *files = json_object();

    for (size_t i = 0; i < in->n_files; i++) {
        _cleanup_free_ char *text = base64_encode_new(in->files[i].content, in->files[i].size);
        json_object_set_new(files, in->files[i].path, json_string(text));
    }
    return files;
}

static json_t *registries_json(const struct project_input *in)
{
    json_t *list = json_array();

    for (size_t i = 0; i < in->n_registries; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "server", in->registries[i].name,
                                              "username", in->registries[i].value, "password",
                                              in->passwords[i]));
    return list;
}

static json_t *create_body(const struct project_input *in, const char *id)
{
    json_t *body = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:o, s:o, s:o}", "workloadId", id,
        "name", in->name, "artifactsVersion", in->project.image_version, "dockerCompose",
        in->project.compose, "publicContainerName", in->project.public_service,
        "publicContainerPort", (int)in->project.public_port, "memory", (int)in->memory_mb, "cpus",
        (int)in->cpus, "disk", (int)in->disk_gb, "gpus", 0, "envVars", env_json(in), "files",
        files_json(in), "dockerCredentials", registries_json(in));

    if (in->domain)
        json_object_set_new(body, "domain", json_string(in->domain));
    return body;
}

struct watch {
    FILE *out; /* stderr when stdout is for a program */
    bool running;
    char *failure;
    int64_t total_ms;
};

static const char *detail(const json_t *event, const char *name)
{
    return json_string_value(json_object_get(json_object_get(event, "details"), name)) ?: "";
}

static void print_progress(FILE *out, const json_t *event, const char *kind)
{
    json_int_t took =
        json_integer_value(json_object_get(json_object_get(event, "details"), "durationMs"));
    const char *stage = detail(event, "stage");
    const char *message = detail(event, "message");

    fprintf(out, "  %-13s %-12s", kind, stage);
    if (took)
        fprintf(out, " %6.1f s", (double)took / 1000);
    fprintf(out, "%s%s\n", message[0] ? "  " : "", message);
    fflush(out);
}

/* Somebody else stopped or deleted it meanwhile: it will not run. */
static bool ends_the_wait(const char *kind)
{
    static const char *const kinds[] = {"stopping", "stopped", "deleting", "deleted"};

    for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
        if (strcmp(kind, kinds[i]) == 0)
            return true;
    }
    return false;
}

static bool on_event(void *data, _unused_ const char *name, _unused_ const char *id,
                     const char *text)
{
    struct watch *watch = data;
    _cleanup_(json_decrefp) json_t *event = json_loads(text, 0, NULL);
    const char *kind = detail(event, "kind");

    print_progress(watch->out, event, kind);
    watch->running = strcmp(kind, "running") == 0;
    if (strcmp(kind, "error") == 0)
        watch->failure = xstrdup(detail(event, "error"));
    else if (ends_the_wait(kind))
        watch->failure = xasprintf("it is %s", kind);
    return !watch->running && !watch->failure;
}

static struct error *wait_until_running(struct client *client, const char *id, FILE *out)
{
    struct watch watch = {.out = out};
    _cleanup_free_ char *path = xasprintf("/api/v1/workloads/%s/events", id);
    struct error *err = client_follow(client, path, on_event, &watch);
    _cleanup_free_ char *failure = watch.failure;

    if (err)
        return err;
    if (failure)
        return error_new(ERROR_FAILED_PRECONDITION, "the workload did not come up: %s", failure);
    return NULL;
}

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

static void print_result(const json_t *w)
{
    const char *domain = json_string_value(json_object_get(w, "domain")) ?: "";
    const char *hash = json_string_value(json_object_get(w, "manifestHash")) ?: "";

    printf("workload       %s\nURL            https://%s\nmanifest hash  %s\n",
           json_string_value(json_object_get(w, "workloadId")) ?: "", domain, hash);
    printf("verify with    coffer verify https://%s --manifest %s\n", domain, hash);
}

static struct error *create(struct client *client, struct project_input *in, const char *id,
                            json_t **ret_workload)
{
    _cleanup_buffer_ struct buffer manifest = {0};
    struct fleet_facts facts;
    struct error *err = project_input_facts(in, client, &facts);

    if (!err)
        err = project_input_manifest(in, &facts, &manifest);
    if (err)
        return err;
    _cleanup_(json_decrefp) json_t *body = create_body(in, id);
    err = client_call(client, "POST", "/api/v1/workloads/create", body, ret_workload);
    return err ?: check_manifest(*ret_workload, &manifest);
}

static struct error *deploy(struct project_input *in)
{
    _cleanup_(client_freep) struct client *client = NULL;
    _cleanup_(json_decrefp) json_t *workload = NULL;
    char id[UUID_TEXT_SIZE];
    struct error *err = client_open(&client);

    uuid_generate_text(id);
    if (!err)
        err = create(client, in, id, &workload);
    if (!err && in->wait)
        err = wait_until_running(client, id, in->json ? stderr : stdout);
    if (err)
        return err;
    if (in->json)
        json_dumpf(workload, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    else
        print_result(workload);
    return NULL;
}

int deploy_main(int argc, char **argv)
{
    _cleanup_(project_input_done) struct project_input input = {0};
    struct error *err = project_input_parse(argc, argv, true, &input);

    return command_fail(err ?: deploy(&input));
}
