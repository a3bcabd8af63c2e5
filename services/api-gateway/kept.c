#include "services/api-gateway/kept.h"

#include "services/api-gateway/workloads.h"

struct error *kept_of_body(struct request *request, const json_t *body, struct kept *ret_kept)
{
    Coffer__V1__Workload *workload;
    Coffer__V1__WorkloadInput *input;
    struct manifest *manifest;
    struct error *err = workload_of_body(request, body, &workload);

    err = err ?: workload_load_input(request, workload->workload_id, &input);
    if (err)
        return err;
    err = manifest_parse(input->manifest.data, input->manifest.len, request->arena, &manifest);
    if (err)
        return error_recode(error_wrap(err, "stored manifest"), ERROR_INTERNAL);
    *ret_kept = (struct kept){.workload = workload, .input = input, .manifest = manifest};
    return NULL;
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
