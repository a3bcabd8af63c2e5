#include "services/api-gateway/workload_ask.h"

#include "services/api-gateway/audit.h"
#include "services/api-gateway/gateway.h"
#include "services/api-gateway/workloads.h"

static const struct {
    const char *reason;
    struct refusal refusal;
} reason_rows[] = {
    {"no_image", {ERROR_NOT_FOUND, 400, "ARTIFACT_VERSION_DOES_NOT_EXIST"}},
    {"no_tier", {ERROR_OUT_OF_RANGE, 400, "INVALID_WORKLOAD_TIER"}},
    {"domain_taken", {ERROR_ALREADY_EXISTS, 400, "DOMAIN_EXISTS"}},
    {"over_quota", {ERROR_FAILED_PRECONDITION, 412, "QUOTA_EXCEEDED"}},
    {"no_balance", {ERROR_FAILED_PRECONDITION, 412, "NOT_ENOUGH_BALANCE"}},
    {"no_host", {ERROR_RESOURCE_EXHAUSTED, 503, "NOT_ENOUGH_RESOURCES"}},
    {"if_match", {ERROR_ABORTED, 412, "PRECONDITION_FAILED"}},
};

const struct refusal *refusal_of_reason(const char *reason)
{
    for (size_t i = 0; i < ELEMENTSOF(reason_rows); i++)
        if (strcmp(reason_rows[i].reason, reason) == 0)
            return &reason_rows[i].refusal;
    return NULL;
}

struct error *refusal_explain(struct request *request, struct error *err)
{
    const struct refusal *refusal = refusal_of_reason(error_reason(err));

    return refusal ? http_refuse(request, refusal->status, refusal->kind, err) : err;
}

struct error *workload_ask(struct request *request, const char *subject,
                           const ProtobufCMessage *message, const struct refusal *refusals,
                           Coffer__V1__Workload **ret_workload)
{
    void *reply = NULL;
    struct error *err = scheduler_ask(request, subject, message, refusals, &reply);

    if (err)
        return refusal_explain(request, err);
    audit_handed_over(request, ((Coffer__V1__WorkloadReply *)reply)->audited);
    Coffer__V1__Workload *workload = ((Coffer__V1__WorkloadReply *)reply)->workload;
    if (!workload)
        return error_new(ERROR_INTERNAL, "the scheduler answered without a workload");
    workload_forget(request, workload);
    *ret_workload = workload;
    return NULL;
}
