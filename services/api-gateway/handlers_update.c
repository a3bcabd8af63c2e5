/* Update: another manifest under the same workload id. */
#include "services/api-gateway/allowance.h"
#include "services/api-gateway/audit.h"
#include "services/api-gateway/data_loss.h"
#include "services/api-gateway/handlers.h"
#include "services/api-gateway/idempotency.h"
#include "services/api-gateway/if_match.h"
#include "services/api-gateway/update_input.h"
#include "services/api-gateway/workload_ask.h"
#include "services/api-gateway/workloads.h"

static void fill(struct request *request, const struct deployment *deployment,
                 Coffer__V1__UpdateWorkloadRequest *message)
{
    const struct create_input *input = &deployment->input;

    message->workload_id = (char *)input->workload_id;
    message->account_id = request->account;
    message->name = (char *)input->name;
    message->manifest = deployment->manifest;
    message->compose = deployment_compose(deployment);
    message->files = deployment_files(deployment, request->arena);
    message->n_files = input->n_plain_files;
    message->image_version = (char *)input->project.image_version;
    message->domain = deployment_domain(request, deployment);
    message->audit = audit_hand_over(request, input->workload_id);
}

/* Only new secrets are sealed and sent: the scheduler has the others, which nobody here can open.
 */
static struct error *send_update(struct request *request, const struct deployment *deployment,
                                 Coffer__V1__UpdateWorkloadRequest *message,
                                 Coffer__V1__Workload **ret_workload)
{
    struct error *err =
        secrets_seal(request->gateway, &deployment->input.secrets, deployment->input.workload_id,
                     request->arena, &message->sealed_secrets);

    err = err ?: allowance_load(request, &message->allowance);
    if (err)
        return err;
    fill(request, deployment, message);
    err = deployment_check_size(request,
                                coffer__v1__update_workload_request__get_packed_size(message));
    return err
               ?: workload_ask(request, "svc.scheduler.workload.update", &message->base, NULL,
                               ret_workload);
}

/* What is right: done, unless it changes nothing or loses what the owner has not given up. */
static struct error *update(struct request *request, const struct kept *kept,
                            const struct update_input *input, const struct deployment *deployment,
                            struct response *ret_response)
{
    Coffer__V1__UpdateWorkloadRequest message = COFFER__V1__UPDATE_WORKLOAD_REQUEST__INIT;
    Coffer__V1__Workload *workload = NULL;
    struct error *err = if_match_read(request, kept->workload, &message.if_match);

    if (err)
        return err;
    if (update_changes_nothing(kept, deployment)) {
        deployment_answer(request, deployment, kept->workload, ret_response);
        return NULL;
    }
    if (!input->confirmed && update_loses_data(kept))
        return data_loss_refuse(request);
    message.reason = arena_strdup(request->arena, input->reason);
    message.request_id = (char *)idempotency_request_id(request);
    if (!message.if_match) /* or the part that stays would undo what another update did meanwhile */
        message.if_match = expectation_of(kept->workload, request->arena);
    err = send_update(request, deployment, &message, &workload);
    if (!err)
        deployment_answer(request, deployment, workload, ret_response);
    return err;
}

/* From what is there now. */
static struct error *try_update(struct request *request, const json_t *body,
                                struct response *ret_response)
{
    struct deployment deployment = {0};
    struct update_input input;
    struct kept kept;
    struct form form;
    struct error *err = kept_of_body(request, body, &kept);

    if (err)
        return err;
    form_init(&form, request, body);
    update_input_read(&form, &kept, &input);
    deployment.input = input.input;
    err = deployment_make(&form, &deployment);
    err = err ?: deployment_result(&form, &deployment);
    return err ?: update(request, &kept, &input, &deployment, ret_response);
}

static struct error *update_or_again(struct request *request, const json_t *body,
                                     struct response *ret_response)
{
    return if_match_repeat(request, body, try_update, ret_response);
}

static struct error *answer_kept(struct request *request, const json_t *body,
                                 struct response *ret_response)
{
    struct kept kept;
    struct error *err = kept_of_body(request, body, &kept);

    if (err)
        return err;
    workload_forget(request, kept.workload);
    ret_response->json = kept_to_json(request, &kept);
    return NULL;
}

struct error *on_update(struct request *request, struct response *ret_response)
{
    _cleanup_(json_decrefp) json_t *body = NULL;
    struct error *err = http_json(request, &body);

    return err ?: change_once(request, body, update_or_again, answer_kept, ret_response);
}
