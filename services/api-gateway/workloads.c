/* Loading records. */
#include "services/api-gateway/workloads.h"

#include "services/api-gateway/audit.h"
#include "services/api-gateway/read_cache.h"
#include "services/api-gateway/records.h"
#include "shared/store/keys.h"

struct error *workload_load(struct request *request, const char *id,
                            Coffer__V1__Workload **ret_workload)
{
    void *message = NULL;
    struct error *err = NULL;

    if (name_is_valid(id))
        err = record_load(request, KEY_WORKLOAD, id, &coffer__v1__workload__descriptor, &message);
    if (err)
        return err;
    Coffer__V1__Workload *workload = message;
    if (!workload || strcmp(workload->account_id, request->account) != 0)
        return error_new(ERROR_NOT_FOUND, "no such workload");
    audit_about(request, workload->workload_id);
    *ret_workload = workload;
    return NULL;
}

struct error *workload_load_input(struct request *request, const char *id,
                                  Coffer__V1__WorkloadInput **ret_input)
{
    void *message = NULL;
    struct error *err = record_load(request, KEY_WORKLOAD_INPUT, id,
                                    &coffer__v1__workload_input__descriptor, &message);

    if (!err && !message)
        err = error_new(ERROR_NOT_FOUND, "the workload's manifest is gone");
    *ret_input = message;
    return err;
}

struct error *workload_of_body(struct request *request, const json_t *body,
                               Coffer__V1__Workload **ret_workload)
{
    const char *id = json_string_value(json_object_get(body, "workloadId"));

    if (!id)
        return error_new(ERROR_INVALID_ARGUMENT, "'workloadId' is missing or not a text");
    return workload_load(request, id, ret_workload);
}

void workload_forget(struct request *request, const Coffer__V1__Workload *workload)
{
    read_cache_forget(request->gateway, KEY_WORKLOAD, workload->workload_id);
    read_cache_forget(request->gateway, KEY_WORKLOADS_OF, workload->account_id);
}

struct error *workload_answer(struct request *request, const json_t *body,
                              struct response *ret_response)
{
    Coffer__V1__Workload *workload;
    struct error *err = workload_of_body(request, body, &workload);

    if (err)
        return err;
    workload_forget(request, workload);
    ret_response->json = workload_to_json(request, workload);
    return NULL;
}
