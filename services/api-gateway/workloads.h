/* Reading what the scheduler keeps: records of the caller's account, and their JSON. */
#pragma once

#include "schemas/event.pb-c.h"
#include "schemas/workload.pb-c.h"
#include "services/api-gateway/gateway.h"
#include "services/api-gateway/json_text.h"

enum { WORKLOADS_MAX = 10000, EVENTS_MAX = 1000 };

/* NOT_FOUND also for another account's. Memory is the request's arena. */
struct error *workload_load(struct request *request, const char *id,
                            Coffer__V1__Workload **ret_workload) _must_check_;

/* The heavy part: manifest, compose text, files. */
struct error *workload_load_input(struct request *request, const char *id,
                                  Coffer__V1__WorkloadInput **ret_input) _must_check_;

/* {"workloadId": id} of the body, and the record. More members stay for the caller. */
struct error *workload_of_body(struct request *request, const json_t *body,
                               Coffer__V1__Workload **ret_workload) _must_check_;

/* Before an answer that tells of it: what is read next is what that says, or newer. */
void workload_forget(struct request *request, const Coffer__V1__Workload *workload);

/* The answer to a change that was done already: that workload as it is now (change_once.h). */
struct error *workload_answer(struct request *request, const json_t *body,
                              struct response *ret_response) _must_check_;

/* env NULL: left out. The host's address is looked up; when it cannot be, it is left out. */
json_t *workload_to_json(struct request *request, const Coffer__V1__Workload *workload);
/* With the host's address as it is given; "": left out. */
json_t *workload_to_json_at(const Coffer__V1__Workload *workload, const char *address);
void workload_json_add_manifest(json_t *json, const struct manifest *manifest);

const char *workload_status_name(Coffer__V1__WorkloadStatus status);
json_t *event_to_json(const Coffer__V1__WorkloadEvent *event);
