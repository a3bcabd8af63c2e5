/* Plan: what a create or an update with this body would meet. Nothing changes, and nothing secret
 * goes on: neither to the scheduler nor into the answer. */
#include "services/api-gateway/allowance.h"
#include "services/api-gateway/data_loss.h"
#include "services/api-gateway/handlers.h"
#include "services/api-gateway/json_text.h"
#include "services/api-gateway/money.h"
#include "services/api-gateway/plan_changes.h"
#include "services/api-gateway/plan_measurements.h"
#include "services/api-gateway/problem.h"
#include "services/api-gateway/update_input.h"
#include "services/api-gateway/workload_ask.h"

struct plan {
    struct request *request;
    struct form form;
    struct deployment deployment;
    struct kept kept;
    bool is_update; /* kept is filled in */
    struct account account;
    json_t *json;
};

static json_t *text(const char *value)
{
    return json_text(value, strlen(value));
}

static struct error *read_body(struct plan *plan, const json_t *body)
{
    struct update_input update;
    struct error *err = NULL;

    plan->is_update = json_object_get(body, "workloadId");
    if (plan->is_update)
        err = kept_of_body(plan->request, body, &plan->kept);
    if (err)
        return err;
    form_init(&plan->form, plan->request, body);
    if (plan->is_update) {
        update_input_read(&plan->form, &plan->kept, &update);
        plan->deployment.input = update.input;
    } else {
        create_input_read(&plan->form, &plan->deployment.input);
    }
    return deployment_make(&plan->form, &plan->deployment);
}

static json_t *hash_json(const uint8_t sha256[MANIFEST_SHA256_SIZE])
{
    char hex[2 * MANIFEST_SHA256_SIZE + 1];

    hex_encode(sha256, MANIFEST_SHA256_SIZE, hex);
    return json_string(hex);
}

static void set_manifest(struct plan *plan)
{
    const struct deployment *deployment = &plan->deployment;
    json_t *json = json_pack("{s:o, s:b, s:b}", "hash", hash_json(deployment->manifest_sha256),
                             "provisional", deployment->input.secrets.salted_by_us, "unchanged",
                             plan->is_update && update_changes_nothing(&plan->kept, deployment));

    if (plan->is_update) {
        uint8_t previous[MANIFEST_SHA256_SIZE];
        manifest_hash(plan->kept.input->manifest.data, plan->kept.input->manifest.len, previous);
        json_object_set_new(json, "previousHash", hash_json(previous));
    }
    json_object_set_new(plan->json, "manifest", json);
    json_object_set_new(
        plan->json, "manifestDocument",
        json_loadb((const char *)deployment->manifest.data, deployment->manifest.len, 0, NULL));
}

static struct error *set_changes(struct plan *plan)
{
    const struct deployment *deployment = &plan->deployment;
    struct manifest *after;
    struct error *err = manifest_parse(deployment->manifest.data, deployment->manifest.len,
                                       plan->request->arena, &after);

    if (err)
        return error_recode(err, ERROR_INTERNAL);
    if (!plan->is_update || update_changes_nothing(&plan->kept, deployment))
        return NULL;
    json_object_set_new(plan->json, "changes",
                        plan_changes(plan->request, &plan->kept, deployment, after));
    if (update_loses_data(&plan->kept))
        json_object_set_new(plan->json, "dataLoss", data_loss_to_json());
    return NULL;
}

static struct error *set_measurements(struct plan *plan)
{
    const struct create_input *input = &plan->deployment.input;
    json_t *json = json_pack("{s:[]}", "expected");
    struct error *err = plan_measurements(plan->request, input->project.image_version, input->cpus,
                                          json_object_get(json, "expected"));

    json_object_set_new(plan->json, "measurements", json);
    if (err || !plan->is_update)
        return err;
    json_object_set_new(json, "previous", json_array());
    return plan_measurements(plan->request, plan->kept.manifest->image_version, input->cpus,
                             json_object_get(json, "previous"));
}

static void set_placement(struct plan *plan, const Coffer__V1__PlanWorkloadReply *reply)
{
    json_t *notes = json_array();
    json_t *json =
        json_pack("{s:I, s:o}", "candidates", (json_int_t)reply->candidates, "notes", notes);

    for (size_t i = 0; i < reply->n_notes; i++)
        json_array_append_new(notes,
                              json_pack("{s:o, s:I}", "reason", text(reply->notes[i]->reason),
                                        "hosts", (json_int_t)reply->notes[i]->hosts));
    if (*reply->host_id)
        json_object_set_new(json, "hostId", text(reply->host_id));
    json_object_set_new(plan->json, "placement", json);
}

static void set_cost(struct plan *plan, const Coffer__V1__PlanWorkloadReply *reply)
{
    uint64_t burn = reply->account_usd_micros_per_minute;
    int64_t balance = plan->account.balance_micro;
    json_t *json =
        json_pack("{s:o, s:o}", "usdCostPerMin", usd_to_json(reply->usd_micros_per_minute),
                  "accountBurnRatePerMin", usd_to_json(burn));

    if (*reply->tier)
        json_object_set_new(json, "tier", text(reply->tier));
    if (plan->is_update)
        json_object_set_new(json, "previousUsdCostPerMin",
                            usd_to_json(plan->kept.workload->usd_micros_per_minute));
    if (burn)
        json_object_set_new(json, "minutesLeft",
                            json_integer(balance > 0 ? balance / (json_int_t)burn : 0));
    json_object_set_new(plan->json, "cost", json);
}

/* In the kinds that a create or an update would answer with. An update that changes nothing is done
 * without anybody being asked. */
static void set_admission(struct plan *plan, const Coffer__V1__PlanWorkloadReply *reply)
{
    const struct refusal *refusal = refusal_of_reason(reply->refusal_code);
    const bool admitted =
        reply->admitted ||
        (plan->is_update && update_changes_nothing(&plan->kept, &plan->deployment));

    json_object_set_new(plan->json, "admitted", json_boolean(admitted));
    if (!admitted)
        json_object_set_new(plan->json, "refusal",
                            json_pack("{s:o, s:o}", "code",
                                      text(refusal ? refusal->kind : reply->refusal_code),
                                      "message", text(reply->refusal)));
}

static struct error *ask_scheduler(struct plan *plan)
{
    Coffer__V1__PlanWorkloadRequest message = COFFER__V1__PLAN_WORKLOAD_REQUEST__INIT;
    struct request *request = plan->request;
    const struct create_input *input = &plan->deployment.input;
    void *reply = NULL;
    struct error *err = account_load(request, request->account, &plan->account);

    if (err)
        return err;
    message.allowance =
        allowance_of(plan->account.balance_micro, &plan->account.quota, request->arena);
    message.account_id = request->account;
    message.resources = deployment_resources(&plan->deployment, request->arena);
    message.image_version = (char *)input->project.image_version;
    if (plan->is_update)
        message.workload_id = plan->kept.workload->workload_id;
    if (input->domain)
        message.domain = (char *)input->domain;
    err = scheduler_ask(request, "svc.scheduler.workload.plan", &message.base, NULL, &reply);
    if (err)
        return err;
    set_admission(plan, reply);
    set_placement(plan, reply);
    set_cost(plan, reply);
    return NULL;
}

static struct error *fill_in(struct plan *plan)
{
    struct error *err = set_changes(plan);

    if (err)
        return err;
    set_manifest(plan);
    err = set_measurements(plan);
    return err ?: ask_scheduler(plan);
}

struct error *on_plan(struct request *request, struct response *ret_response)
{
    _cleanup_(json_decrefp) json_t *body = NULL;
    struct plan plan = {.request = request};
    struct error *err = http_json(request, &body);

    err = err ?: read_body(&plan, body);
    if (err)
        return err;
    bool valid = request->findings->n == 0;
    plan.json = json_pack("{s:b, s:b, s:o, s:[], s:[]}", "valid", valid, "admitted", false,
                          "findings", findings_to_json(request->findings), "changes", "dataLoss");
    ret_response->json = plan.json;
    return valid ? fill_in(&plan) : NULL;
}
