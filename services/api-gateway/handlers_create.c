/* Create: a new workload, with everything that is secret sealed at once. */
#include "services/api-gateway/allowance.h"
#include "services/api-gateway/audit.h"
#include "services/api-gateway/deployment.h"
#include "services/api-gateway/handlers.h"
#include "services/api-gateway/idempotency.h"
#include "services/api-gateway/workload_ask.h"
#include "services/api-gateway/workloads.h"

/* What the scheduler refuses without a reason, in the words of the existing system. */
static const struct refusal create_refusals[] = {
    {ERROR_NOT_FOUND, 400, "ARTIFACT_VERSION_DOES_NOT_EXIST"},
    {ERROR_OUT_OF_RANGE, 400, "INVALID_WORKLOAD_TIER"},
    {ERROR_OK, 0, NULL},
};

static void fill(struct request *request, const struct deployment *deployment,
                 Coffer__V1__CreateWorkloadRequest *message)
{
    const struct create_input *input = &deployment->input;

    message->workload_id = (char *)input->workload_id;
    message->account_id = request->account;
    message->name = (char *)input->name;
    message->manifest = deployment->manifest;
    message->compose = deployment_compose(deployment);
    message->resources = deployment_resources(deployment, request->arena);
    message->image_version = (char *)input->project.image_version;
    message->domain = deployment_domain(request, deployment);
    message->files = deployment_files(deployment, request->arena);
    message->n_files = input->n_plain_files;
    message->audit = audit_hand_over(request, input->workload_id);
    if (request->idempotency) /* else the id of the workload says enough, and is one write less */
        message->request_id = (char *)idempotency_request_id(request);
}

static struct error *send_create(struct request *request, const struct deployment *deployment,
                                 Coffer__V1__Workload **ret_workload)
{
    Coffer__V1__CreateWorkloadRequest message = COFFER__V1__CREATE_WORKLOAD_REQUEST__INIT;
    struct error *err =
        secrets_seal(request->gateway, &deployment->input.secrets, deployment->input.workload_id,
                     request->arena, &message.sealed_secrets);

    err = err ?: allowance_load(request, &message.allowance);
    if (err)
        return err;
    audit_about(request, deployment->input.workload_id);
    fill(request, deployment, &message);
    err = deployment_check_size(request,
                                coffer__v1__create_workload_request__get_packed_size(&message));
    return err
               ?: workload_ask(request, "svc.scheduler.workload.create", &message.base,
                               create_refusals, ret_workload);
}

struct error *on_create(struct request *request, struct response *ret_response)
{
    _cleanup_(json_decrefp) json_t *body = NULL;
    struct deployment deployment = {0};
    Coffer__V1__Workload *workload;
    struct form form;
    struct error *err = http_json(request, &body);

    if (err)
        return err;
    form_init(&form, request, body);
    create_input_read(&form, &deployment.input);
    err = deployment_make(&form, &deployment);
    err = err ?: deployment_result(&form, &deployment);
    err = err ?: send_create(request, &deployment, &workload);
    if (!err)
        deployment_answer(request, &deployment, workload, ret_response);
    return err;
}
