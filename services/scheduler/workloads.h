/* What an owner (or operator) asks for: create, start, stop, restart, update, delete. Each
 * only writes down what is wanted; reconcile.c makes it so. Where the code alone does not tell
 * refusals apart, the error's reason does: no_image, no_tier, domain_taken, over_quota, no_balance,
 * no_host, if_match. An audit entry that is none is INVALID_ARGUMENT before all others. */
#pragma once

#include "services/scheduler/placement.h"
#include "services/scheduler/records.h"

/*
 * Idempotent by workload id, and by request id when it was changed since: the same request again
 * answers the record as it is now.
 * INVALID_ARGUMENT says what is wrong; ALREADY_EXISTS: the id or the domain is another's;
 * NOT_FOUND: the image version is not enabled; OUT_OF_RANGE: no tier has this size;
 * RESOURCE_EXHAUSTED: fits nowhere, with a reason per dimension; FAILED_PRECONDITION with reason
 * over_quota or no_balance: more than the allowance.
 */
struct error *workload_create(struct scheduler *scheduler,
                              const Coffer__V1__CreateWorkloadRequest *request, struct arena *arena,
                              Coffer__V1__WorkloadReply *reply) _must_check_;

/*
 * Several creates, each judged as if it came alone, in their order, with one commit for all that
 * are accepted; one that is refused harms no other. err and workload are set for each; the errors
 * are the caller's, the workloads live in the arena. audited: the entry that came with it is in the
 * audit trail.
 */
struct creation {
    const Coffer__V1__CreateWorkloadRequest *request;
    struct error *err;
    Coffer__V1__Workload *workload;
    bool audited;
};
void workloads_create(struct scheduler *scheduler, struct creation *creations, size_t n,
                      struct arena *arena);

/* NOT_FOUND also for another account's workload. account_id "": an operator. What is so already
 * stays as it is. ABORTED, reason if_match: it is not what the caller believes, also where there
 * would be nothing to do; but what was done already is not judged again. */
struct wish {
    enum trigger trigger; /* START, STOP, RESTART or DELETE */
    const char *workload_id;
    const char *account_id;
    const char *reason;
    ProtobufCBinaryData sealed_secrets; /* RESTART: replaces the stored ones; empty keeps them */
    const Coffer__V1__Expectation *if_match; /* NULL: whatever it is */
    const Coffer__V1__Allowance *allowance;  /* START, RESTART; NULL: no limit */
    const char *request_id;                  /* done_request.h; NULL or "": none */
    const Coffer__V1__AuditEntry *audit;     /* audit.h; NULL: none */
};
struct error *workload_wish(struct scheduler *scheduler, const struct wish *wish,
                            struct arena *arena, Coffer__V1__WorkloadReply *reply) _must_check_;

/*
 * A new manifest under the same id, in a new boot; a workload that is stopped or stopping stays so
 * and takes it at its next start. Refuses as create and wish do; INVALID_ARGUMENT also names what
 * the manifest names and has no value. Nothing changed: answers the record as it is. It keeps its
 * host unless that one is lost or does not have the image.
 */
struct error *workload_revise(struct scheduler *scheduler,
                              const Coffer__V1__UpdateWorkloadRequest *request, struct arena *arena,
                              Coffer__V1__WorkloadReply *reply) _must_check_;

/* What a create or an update would meet; writes nothing. A refusal is an answer, not an error. */
struct error *workload_plan(struct scheduler *scheduler,
                            const Coffer__V1__PlanWorkloadRequest *request, struct arena *arena,
                            Coffer__V1__PlanWorkloadReply *reply) _must_check_;

/* That the asker may see the workload (NULL: there is none), and that it is what he believes; sets
 * is_final for the latter. */
struct error *workload_check_asker(struct update *update, const char *workload_id,
                                   const char *account_id,
                                   const Coffer__V1__Expectation *if_match) _must_check_;

/* All hosts as they were read, and reservations on them that are not written yet. */
struct fleet {
    Coffer__V1__Host **hosts;
    uint64_t *versions;
    size_t n;
    struct candidate *candidates;
    bool *touched;
};
struct error *fleet_load(struct scheduler *scheduler, struct arena *arena,
                         struct fleet *ret_fleet) _must_check_;
/* The same of hosts' records that were read already; those that do not exist are left out. */
struct error *fleet_read(const struct store_record *records, size_t n_records, struct arena *arena,
                         struct fleet *ret_fleet) _must_check_;
/*
 * Adds a reservation on the host that fits best to the change and names it in the workload; the
 * hosts themselves are written by fleet_put(). RESOURCE_EXHAUSTED, reason no_host, when none fits.
 */
struct error *fleet_reserve(struct fleet *fleet, struct change *change,
                            Coffer__V1__Workload *workload) _must_check_;
void fleet_put(const struct fleet *fleet, struct change *change);

/* Gives its place up and takes the best there is, perhaps the same one. Errors of fleet_reserve();
 * then the change is of no use any more. */
struct error *reservation_move(struct change *change, Coffer__V1__Workload *workload) _must_check_;
/* Gives the workload's reservation back; its host_id is empty then. */
struct error *reservation_drop(struct change *change, Coffer__V1__Workload *workload) _must_check_;
/* Whether it can stay where it is, with that image: not on a lost host, nor on one without it. */
struct error *reservation_holds(struct scheduler *scheduler, const Coffer__V1__Workload *workload,
                                const char *image_version, struct arena *arena,
                                bool *ret_holds) _must_check_;
/* Where it would go, now or by reservation_move(). With RESOURCE_EXHAUSTED *ret_placement is set
 * too, and *ret_host_id is "". */
struct error *reservation_survey(struct scheduler *scheduler, const Coffer__V1__Workload *workload,
                                 const char *image_version, struct arena *arena,
                                 struct placement *ret_placement,
                                 const char **ret_host_id) _must_check_;
