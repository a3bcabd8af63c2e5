/* If-Match on a change of a workload: the gateway compares it with the record, and the scheduler,
 * which decides, once more with what it has when it changes it. */
#pragma once

#include "schemas/workload.pb-c.h"
#include "services/api-gateway/change_once.h"

/*
 * An ETag of a workload begins with "<generation>-<event sequence>-". *ret_expectation is NULL
 * without the header and with "*"; it lives in the request's arena. 412 PRECONDITION_FAILED when
 * none of the header's tags is the workload's; a weak one never is.
 */
struct error *if_match_read(struct request *request, const Coffer__V1__Workload *workload,
                            Coffer__V1__Expectation **ret_expectation) _must_check_;

/* That it is as it was read, in the arena. */
Coffer__V1__Expectation *expectation_of(const Coffer__V1__Workload *workload, struct arena *arena);

/* The attempt reads what is there, and asks the scheduler with an expectation of it: until nobody
 * was quicker, at most 30 times: then it is a 409 CONFLICT. A caller with an If-Match of his own
 * gets the first answer. */
struct error *if_match_repeat(struct request *request, const json_t *body, change_step attempt,
                              struct response *ret_response) _must_check_;
