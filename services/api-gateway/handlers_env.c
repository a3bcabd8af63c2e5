/* The names of a workload's environment values. The values are sealed: nobody here can tell them.
 */
#include "services/api-gateway/handlers.h"
#include "services/api-gateway/workloads.h"

struct error *on_env(struct request *request, struct response *ret_response)
{
    Coffer__V1__WorkloadInput *input;
    Coffer__V1__Workload *workload;
    struct manifest *manifest;
    struct error *err = workload_load(request, request->parameter, &workload);

    err = err ?: workload_load_input(request, workload->workload_id, &input);
    if (err)
        return err;
    err = manifest_parse(input->manifest.data, input->manifest.len, request->arena, &manifest);
    if (err)
        return error_recode(err, ERROR_INTERNAL);
    json_t *names = json_array();
    for (size_t i = 0; i < manifest->n_env; i++)
        json_array_append_new(names, json_string(manifest->env[i]));
    ret_response->json = json_pack("{s:o}", "names", names);
    return NULL;
}
