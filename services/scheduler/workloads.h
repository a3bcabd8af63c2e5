/* What an owner (or operator) asks for: create, start, stop, restart, delete. Each only writes
 * down what is wanted; reconcile.c makes it so. */
#pragma once

#include "services/scheduler/records.h"

/*
 * Idempotent by workload id: the same request again answers the record as it is now.
 * INVALID_ARGUMENT says what is wrong; ALREADY_EXISTS: the id or the domain is another's;
 * NOT_FOUND: the image version is not enabled; OUT_OF_RANGE: no tier has this size;
 * RESOURCE_EXHAUSTED: fits nowhere, with a reason per dimension.
 */
struct error *workload_create(struct scheduler *scheduler,
                              const Coffer__V1__CreateWorkloadRequest *request, struct arena *arena,
                              Coffer__V1__Workload **ret_workload) _must_check_;

/* NOT_FOUND also for another account's workload. account_id "": an operator. What is so already
 * stays as it is. */
struct wish {
    enum trigger trigger; /* START, STOP, RESTART or DELETE */
    const char *workload_id;
    const char *account_id;
    const char *reason;
    ProtobufCBinaryData sealed_secrets; /* RESTART: replaces the stored ones; empty keeps them */
};
struct error *workload_wish(struct scheduler *scheduler, const struct wish *wish,
                            struct arena *arena, Coffer__V1__Workload **ret_workload) _must_check_;

/*
 * Adds a reservation on the host that fits best to the change and names it in the workload.
 * RESOURCE_EXHAUSTED when none fits.
 */
struct error *reservation_make(struct change *change, Coffer__V1__Workload *workload) _must_check_;
/* Gives the workload's reservation back; its host_id is empty then. */
struct error *reservation_drop(struct change *change, Coffer__V1__Workload *workload) _must_check_;
