/* Asking the scheduler for a change of a workload, and its reasons against one in the words of the
 * existing system. */
#pragma once

#include "schemas/workload.pb-c.h"
#include "services/api-gateway/scheduler_call.h"

/*
 * The reply is a WorkloadReply; its workload lives in the request's arena. A reason that
 * refusal_of_reason() knows decides about status and kind; then the code, by refusals (may be
 * NULL).
 */
struct error *workload_ask(struct request *request, const char *subject,
                           const ProtobufCMessage *message, const struct refusal *refusals,
                           Coffer__V1__Workload **ret_workload) _must_check_;

/* Status and kind of a refusal by the scheduler's reason; returns err, which may be NULL. */
struct error *refusal_explain(struct request *request, struct error *err);

/* By the scheduler's stable word, such as "over_quota"; NULL for none that is known. */
const struct refusal *refusal_of_reason(const char *reason);
