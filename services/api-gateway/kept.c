#include "services/api-gateway/kept.h"

#include "services/api-gateway/workloads.h"

enum { TRIES = 10 };

/* The two are read one after the other, and an update writes both. */
static bool belongs_to(const Coffer__V1__WorkloadInput *input, const Coffer__V1__Workload *workload)
{
    uint8_t digest[MANIFEST_SHA256_SIZE];

    manifest_hash(input->manifest.data, input->manifest.len, digest);
    return workload->manifest_sha256.len != sizeof(digest) || /* it names none */
           memcmp(workload->manifest_sha256.data, digest, sizeof(digest)) == 0;
}

static struct error *load_both(struct request *request, const json_t *body,
                               Coffer__V1__Workload **ret_workload,
                               Coffer__V1__WorkloadInput **ret_input)
{
    for (int i = 0; i < TRIES; i++) {
        struct error *err = workload_of_body(request, body, ret_workload);
        err = err ?: workload_load_input(request, (*ret_workload)->workload_id, ret_input);
        if (err || belongs_to(*ret_input, *ret_workload))
            return err;
    }
    return error_new(ERROR_UNAVAILABLE, "the workload is being changed: try again");
}

struct error *kept_of_body(struct request *request, const json_t *body, struct kept *ret_kept)
{
    Coffer__V1__Workload *workload = NULL;
    Coffer__V1__WorkloadInput *input = NULL;
    struct manifest *manifest;
    struct error *err = load_both(request, body, &workload, &input);

    if (err)
        return err;
    err = manifest_parse(input->manifest.data, input->manifest.len, request->arena, &manifest);
    if (err)
        return error_recode(error_wrap(err, "stored manifest"), ERROR_INTERNAL);
    *ret_kept = (struct kept){.workload = workload, .input = input, .manifest = manifest};
    return NULL;
}

json_t *kept_to_json(struct request *request, const struct kept *kept)
{
    const ProtobufCBinaryData compose = kept->input->compose;
    json_t *json = workload_to_json(request, kept->workload);

    workload_json_add_manifest(json, kept->manifest);
    json_object_set_new(json, "dockerCompose", json_text(compose.data, compose.len));
    return json;
}

bool kept_has_env(const struct kept *kept, const char *name)
{
    for (size_t i = 0; i < kept->manifest->n_env; i++)
        if (strcmp(kept->manifest->env[i], name) == 0)
            return true;
    return false;
}

static bool names(const struct manifest_hash *files, size_t n, const char *path)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(files[i].name, path) == 0)
            return true;
    return false;
}

bool kept_has_file(const struct kept *kept, const char *path)
{
    return names(kept->manifest->files, kept->manifest->n_files, path);
}

bool kept_has_secret_file(const struct kept *kept, const char *path)
{
    return names(kept->manifest->secret_files, kept->manifest->n_secret_files, path);
}
