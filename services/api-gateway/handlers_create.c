/* Create, and restart with new secrets: the two places where secrets come in. */
#include "schemas/workload.pb-c.h"
#include "services/api-gateway/audit.h"
#include "services/api-gateway/create_input.h"
#include "services/api-gateway/fleet_facts.h"
#include "services/api-gateway/handlers.h"
#include "services/api-gateway/scheduler_call.h"
#include "services/api-gateway/workloads.h"

/* What a message has besides files, manifest, text and secrets. */
enum { MESSAGE_OVERHEAD = 16 * 1024 };

/* What the scheduler refuses, in the words of the existing system. */
static const struct refusal create_refusals[] = {
    {ERROR_NOT_FOUND, 400, "ARTIFACT_VERSION_DOES_NOT_EXIST"},
    {ERROR_OUT_OF_RANGE, 400, "INVALID_WORKLOAD_TIER"},
    {ERROR_OK, 0, NULL},
};

static struct error *check_image(struct form *form, const char *version, bool *ret_missing)
{
    _cleanup_buffer_ struct buffer json = {0};

    if (!version)
        return NULL;
    struct error *err = image_load(form->request->gateway, version, form->request->arena, &json);
    if (error_get_code(err) != ERROR_NOT_FOUND)
        return err;
    form_find(form, "artifactsVersion", arena_printf(form->request->arena, "%s", error_text(err)),
              "choose one of the images of GET /api/v1/fleet");
    *ret_missing = true;
    error_free(err);
    return NULL;
}

static void copy_findings(struct form *form, const struct findings *from)
{
    for (size_t i = 0; i < from->n; i++)
        findings_add(form->request->findings, form->request->arena, &from->items[i]);
}

/* The manifest, with the linter's findings beside those of the fields. */
static struct error *make_manifest(struct form *form, const struct create_input *input,
                                   struct buffer *ret_manifest)
{
    struct request *request = form->request;
    struct findings *linted = arena_alloc(request->arena, sizeof(*linted));
    struct project project = input->project;
    struct fleet_facts facts;
    struct error *err = fleet_facts_load(request->gateway, request->arena, &facts);

    if (err)
        return err;
    /* Lint even when other fields are wrong: every problem at once. */
    project.public_service = project.public_service ?: "";
    err = project_manifest(&project, &facts, request->arena, linted, ret_manifest);
    copy_findings(form, linted);
    if (err && request->findings->n) { /* told by findings */
        error_free(err);
        return NULL;
    }
    return error_wrap(err, "manifest");
}

static void fill_files(const struct create_input *input, struct arena *arena,
                       Coffer__V1__CreateWorkloadRequest *message)
{
    message->files = arena_alloc(arena, (input->n_plain_files + 1) * sizeof(void *));
    for (size_t i = 0; i < input->n_plain_files; i++) {
        const struct project_file *file = &input->project.files[i];
        Coffer__V1__File *item = arena_alloc(arena, sizeof(*item));
        coffer__v1__file__init(item);
        item->path = (char *)file->path;
        item->content = (ProtobufCBinaryData){.len = file->size, .data = (uint8_t *)file->content};
        message->files[message->n_files++] = item;
    }
}

static Coffer__V1__Resources *resources_of(const struct create_input *input, struct arena *arena)
{
    Coffer__V1__Resources *resources = arena_alloc(arena, sizeof(*resources));

    coffer__v1__resources__init(resources);
    resources->cpus = input->cpus;
    resources->memory_mib = input->memory_mib;
    resources->disk_gib = input->disk_gib;
    resources->gpus = input->gpus;
    return resources;
}

static void fill(struct request *request, const struct create_input *input,
                 const struct buffer *manifest, Coffer__V1__CreateWorkloadRequest *message)
{
    struct arena *arena = request->arena;

    message->workload_id = (char *)input->workload_id;
    message->account_id = request->account;
    message->name = (char *)input->name;
    message->manifest = (ProtobufCBinaryData){.len = manifest->size, .data = manifest->data};
    message->compose = (ProtobufCBinaryData){.len = input->project.compose_size,
                                             .data = (uint8_t *)input->project.compose};
    message->resources = resources_of(input, arena);
    message->image_version = (char *)input->project.image_version;
    message->domain = (char *)input->domain
                          ?: arena_printf(arena, "%s.%s", input->workload_id,
                                          request->gateway->fleet.workload_domain);
    fill_files(input, arena, message);
}

static struct error *send_create(struct request *request,
                                 const Coffer__V1__CreateWorkloadRequest *message,
                                 Coffer__V1__Workload **ret_workload)
{
    void *reply = NULL;

    if (coffer__v1__create_workload_request__get_packed_size(message) >
        BUS_PAYLOAD_MAX - MESSAGE_OVERHEAD)
        return http_refuse(request, 413, "PAYLOAD_TOO_LARGE",
                           error_new(ERROR_INVALID_ARGUMENT,
                                     "compose text, files and secrets together are larger than "
                                     "%d KiB",
                                     (BUS_PAYLOAD_MAX - MESSAGE_OVERHEAD) / 1024));
    struct error *err = scheduler_ask(request, "svc.scheduler.workload.create", &message->base,
                                      create_refusals, &reply);
    if (err)
        return err;
    *ret_workload = ((Coffer__V1__WorkloadReply *)reply)->workload;
    if (!*ret_workload)
        return error_new(ERROR_INTERNAL, "the scheduler answered without a workload");
    return NULL;
}

static struct error *create(struct request *request, const struct create_input *input,
                            const struct buffer *manifest, struct response *ret_response)
{
    Coffer__V1__CreateWorkloadRequest message = COFFER__V1__CREATE_WORKLOAD_REQUEST__INIT;
    Coffer__V1__Workload *workload = NULL;
    struct manifest *parsed = NULL;
    struct error *err = secrets_seal(request->gateway, &input->secrets, input->workload_id,
                                     request->arena, &message.sealed_secrets);

    if (err)
        return err;
    audit_about(request, input->workload_id);
    fill(request, input, manifest, &message);
    err = send_create(request, &message, &workload);
    if (err)
        return err;
    ret_response->json = workload_to_json(request, workload);
    err = manifest_parse(manifest->data, manifest->size, request->arena, &parsed);
    if (err)
        return error_recode(err, ERROR_INTERNAL);
    workload_json_add_manifest(ret_response->json, parsed);
    return NULL;
}

struct error *on_create(struct request *request, struct response *ret_response)
{
    _cleanup_(json_decrefp) json_t *body = NULL;
    _cleanup_buffer_ struct buffer manifest = {0};
    struct create_input input;
    bool no_image = false;
    struct form form;
    struct error *err = http_json(request, &body);

    if (err)
        return err;
    form_init(&form, request, body);
    create_input_read(&form, &input);
    err = check_image(&form, input.project.image_version, &no_image);
    err = err ?: make_manifest(&form, &input, &manifest);
    err = err ?: form_result(&form);
    if (err && no_image && request->findings->n == 1)
        return http_refuse(request, 400, "ARTIFACT_VERSION_DOES_NOT_EXIST", err);
    return err ?: create(request, &input, &manifest, ret_response);
}

static bool is_in(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static void compare_names(struct form *form, const char *field, const char *const *given,
                          size_t n_given, const char *const *wanted, size_t n_wanted)
{
    struct arena *arena = form->request->arena;

    for (size_t i = 0; i < n_given; i++)
        if (!is_in(wanted, n_wanted, given[i]))
            form_find(form, field,
                      arena_printf(arena, "'%.80s' is not in the workload's manifest", given[i]),
                      "a restart keeps the manifest: create a new workload for another one");
    for (size_t i = 0; i < n_wanted; i++)
        if (!is_in(given, n_given, wanted[i]))
            form_find(form, field, arena_printf(arena, "'%.80s' is missing", wanted[i]),
                      "new secrets replace the stored ones as a whole: give all of them");
}

static bool file_matches(const struct manifest *manifest, const struct secret_file *file)
{
    for (size_t i = 0; i < manifest->n_secret_files; i++)
        if (strcmp(manifest->secret_files[i].name, file->path) == 0)
            return memcmp(manifest->secret_files[i].sha256, file->commitment, 32) == 0;
    return false;
}

/* What the manifest names must be given again, and nothing else: its hash stays. */
static struct error *compare_with_manifest(struct form *form, const char *workload_id,
                                           const struct secrets *secrets)
{
    struct request *request = form->request;
    Coffer__V1__WorkloadInput *input;
    struct manifest *manifest;
    struct error *err = workload_load_input(request, workload_id, &input);

    if (err)
        return err;
    err = manifest_parse(input->manifest.data, input->manifest.len, request->arena, &manifest);
    if (err)
        return error_recode(err, ERROR_INTERNAL);
    compare_names(form, "envVars", secrets->env_names, secrets->n_env, manifest->env,
                  manifest->n_env);
    compare_names(form, "dockerCredentials", secrets->servers, secrets->n_registries,
                  manifest->registries, manifest->n_registries);
    if (secrets->n_files != manifest->n_secret_files)
        form_find(form, "secretFiles", "not the files of the workload's manifest",
                  "give every secret file again, with its salt");
    for (size_t i = 0; i < secrets->n_files; i++)
        if (!file_matches(manifest, &secrets->files[i]))
            form_find(form, "secretFiles", "a file is not the manifest's",
                      "give the same content and salt as at the create");
    return NULL;
}

static struct error *send_restart(struct request *request,
                                  const Coffer__V1__RestartWorkloadRequest *message,
                                  struct response *ret_response)
{
    void *reply = NULL;
    struct error *err =
        bus_call(request->gateway->bus, "svc.scheduler.workload.restart", &message->base,
                 &coffer__v1__workload_reply__descriptor, request->id, NULL, SCHEDULER_TIMEOUT_MS,
                 request->arena, &reply, NULL);

    if (err)
        return err;
    const Coffer__V1__WorkloadReply *answer = reply;
    ret_response->json =
        answer->workload ? workload_to_json(request, answer->workload) : json_object();
    return NULL;
}

struct error *on_restart(struct request *request, struct response *ret_response)
{
    Coffer__V1__RestartWorkloadRequest message = COFFER__V1__RESTART_WORKLOAD_REQUEST__INIT;
    _cleanup_(json_decrefp) json_t *body = NULL;
    Coffer__V1__Workload *workload;
    struct secrets secrets;
    struct form form;
    struct error *err = http_json(request, &body);

    err = err ?: workload_of_body(request, body, &workload);
    if (err)
        return err;
    form_init(&form, request, body);
    form_text(&form, "workloadId", true, 63);
    const char *reason = form_text(&form, "reason", false, 256);
    secrets_read(&form, &secrets);
    form_finish(&form);
    if (secrets.given)
        err = compare_with_manifest(&form, workload->workload_id, &secrets);
    err = err ?: form_result(&form);
    if (!err && secrets.given)
        err = secrets_seal(request->gateway, &secrets, workload->workload_id, request->arena,
                           &message.sealed_secrets);
    if (err)
        return err;
    message.workload_id = workload->workload_id;
    message.account_id = request->account;
    message.reason = arena_strdup(request->arena, reason);
    return send_restart(request, &message, ret_response);
}
