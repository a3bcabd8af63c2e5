#include "services/api-gateway/deployment.h"

#include "services/api-gateway/fleet_facts.h"
#include "services/api-gateway/gateway.h"
#include "services/api-gateway/workloads.h"

/* What a message has besides files, manifest, text and secrets. */
enum { MESSAGE_OVERHEAD = 16 * 1024 };

static struct error *check_image(struct form *form, struct deployment *deployment)
{
    const char *version = deployment->input.project.image_version;
    _cleanup_buffer_ struct buffer json = {0};

    if (!version)
        return NULL;
    struct error *err = image_load(form->request->gateway, version, form->request->arena, &json);
    if (error_get_code(err) != ERROR_NOT_FOUND)
        return err;
    form_find(form, "artifactsVersion", arena_printf(form->request->arena, "%s", error_text(err)),
              "choose one of the images of GET /api/v1/fleet");
    deployment->image_is_missing = true;
    error_free(err);
    return NULL;
}

static void copy_findings(struct form *form, const struct findings *from)
{
    for (size_t i = 0; i < from->n; i++)
        findings_add(form->request->findings, form->request->arena, &from->items[i]);
}

/* The manifest, with the linter's findings beside those of the fields. */
static struct error *make_manifest(struct form *form, struct deployment *deployment)
{
    struct request *request = form->request;
    struct findings *linted = arena_alloc(request->arena, sizeof(*linted));
    struct project project = deployment->input.project;
    _cleanup_buffer_ struct buffer json = {0};
    struct fleet_facts facts;
    struct error *err = fleet_facts_load(request->gateway, request->arena, &facts);

    if (err)
        return err;
    /* Lint even when other fields are wrong: every problem at once. */
    project.public_service = project.public_service ?: "";
    err = project_manifest(&project, &facts, request->arena, linted, &json);
    copy_findings(form, linted);
    if (request->findings->n) { /* told by findings; of half an input there is no manifest */
        error_free(err);
        return NULL;
    }
    if (err)
        return error_wrap(err, "manifest");
    deployment->manifest = arena_bytes(request->arena, json.data, json.size);
    manifest_hash(json.data, json.size, deployment->manifest_sha256);
    return NULL;
}

struct error *deployment_make(struct form *form, struct deployment *deployment)
{
    struct error *err = check_image(form, deployment);

    return err ?: make_manifest(form, deployment);
}

struct error *deployment_result(struct form *form, const struct deployment *deployment)
{
    struct error *err = form_result(form);

    if (err && deployment->image_is_missing && form->request->findings->n == 1)
        return http_refuse(form->request, 400, "ARTIFACT_VERSION_DOES_NOT_EXIST", err);
    return err;
}

Coffer__V1__File **deployment_files(const struct deployment *deployment, struct arena *arena)
{
    const struct create_input *input = &deployment->input;
    Coffer__V1__File **files = arena_alloc(arena, (input->n_plain_files + 1) * sizeof(void *));

    for (size_t i = 0; i < input->n_plain_files; i++) {
        const struct project_file *file = &input->project.files[i];
        files[i] = arena_alloc(arena, sizeof(*files[i]));
        coffer__v1__file__init(files[i]);
        files[i]->path = (char *)file->path;
        files[i]->content =
            (ProtobufCBinaryData){.len = file->size, .data = (uint8_t *)file->content};
    }
    return files;
}

Coffer__V1__Resources *deployment_resources(const struct deployment *deployment,
                                            struct arena *arena)
{
    Coffer__V1__Resources *resources = arena_alloc(arena, sizeof(*resources));

    coffer__v1__resources__init(resources);
    resources->cpus = deployment->input.cpus;
    resources->memory_mib = deployment->input.memory_mib;
    resources->disk_gib = deployment->input.disk_gib;
    resources->gpus = deployment->input.gpus;
    return resources;
}

ProtobufCBinaryData deployment_compose(const struct deployment *deployment)
{
    const struct project *project = &deployment->input.project;

    return (ProtobufCBinaryData){.len = project->compose_size, .data = (uint8_t *)project->compose};
}

char *deployment_domain(struct request *request, const struct deployment *deployment)
{
    const struct create_input *input = &deployment->input;

    return (char *)input->domain
               ?: arena_printf(request->arena, "%s.%s", input->workload_id,
                               request->gateway->fleet.workload_domain);
}

struct error *deployment_check_size(struct request *request, size_t packed_size)
{
    enum { MAX = BUS_PAYLOAD_MAX - MESSAGE_OVERHEAD };

    if (packed_size <= MAX)
        return NULL;
    return http_refuse(request, 413, "PAYLOAD_TOO_LARGE",
                       error_new(ERROR_INVALID_ARGUMENT,
                                 "compose text, files and secrets together are larger than %d KiB",
                                 MAX / 1024));
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int compare_files(const void *a, const void *b)
{
    return strcmp(((const struct manifest_hash *)a)->name, ((const struct manifest_hash *)b)->name);
}

static const char **sorted_texts(struct arena *arena, const char *const *texts, size_t n)
{
    const char **sorted = arena_alloc(arena, (n + 1) * sizeof(*sorted));

    for (size_t i = 0; i < n; i++)
        sorted[i] = texts[i];
    qsort(sorted, n, sizeof(*sorted), compare_texts);
    return sorted;
}

/* What an answer shows of the manifest, as it stands there: sorted. Hashes are left out. */
static void name_parts(const struct project *project, struct arena *arena,
                       struct manifest *ret_names)
{
    const size_t room = (project->n_files + 1) * sizeof(struct manifest_hash);

    *ret_names = (struct manifest){
        .env = sorted_texts(arena, project->env, project->n_env),
        .n_env = project->n_env,
        .registries = sorted_texts(arena, project->registries, project->n_registries),
        .n_registries = project->n_registries,
        .files = arena_alloc(arena, room),
        .secret_files = arena_alloc(arena, room),
    };
    for (size_t i = 0; i < project->n_files; i++) {
        const struct project_file *file = &project->files[i];
        if (file->commitment)
            ret_names->secret_files[ret_names->n_secret_files++].name = file->path;
        else
            ret_names->files[ret_names->n_files++].name = file->path;
    }
    qsort(ret_names->files, ret_names->n_files, sizeof(*ret_names->files), compare_files);
    qsort(ret_names->secret_files, ret_names->n_secret_files, sizeof(*ret_names->secret_files),
          compare_files);
}

void deployment_answer(struct request *request, const struct deployment *deployment,
                       const Coffer__V1__Workload *workload, struct response *ret_response)
{
    const ProtobufCBinaryData compose = deployment_compose(deployment);
    struct manifest names;

    name_parts(&deployment->input.project, request->arena, &names);
    ret_response->json = workload_to_json(request, workload);
    workload_json_add_manifest(ret_response->json, &names);
    json_object_set_new(ret_response->json, "dockerCompose", json_text(compose.data, compose.len));
}
