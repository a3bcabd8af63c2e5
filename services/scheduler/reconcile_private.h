/* Shared by the files of reconciliation. */
#pragma once

#include "services/scheduler/reconcile.h"

/* One pass: a snapshot of everything. */
struct pass {
    struct scheduler *scheduler;
    struct arena *arena;
    Coffer__V1__Host **hosts; /* sorted by id */
    size_t n_hosts;
    bool *unreachable; /* per host: did not answer in this pass, so nobody waits again */
    Coffer__V1__Workload **workloads; /* sorted by id */
    size_t n_workloads;
};

/* NULL: there is no such host. */
Coffer__V1__Host *pass_host(const struct pass *pass, const char *host_id);
bool pass_can_command(const struct pass *pass, const char *host_id);
/* Remembers a host that did not answer; true when err was that. */
bool pass_note_unreachable(struct pass *pass, const char *host_id, const struct error *err);

/* A command that is repeated until it has worked goes out every few seconds, not every pass. */
bool pacing_allows(struct scheduler *scheduler, const char *id);

/* The generation a step was decided for; anything newer makes it skip. */
struct step {
    uint64_t generation;
    enum trigger trigger;
    enum source source;
    bool new_generation;
    bool plan_retry;
    struct event_detail detail;
};
struct error *step_apply(struct pass *pass, const Coffer__V1__Workload *workload,
                         const struct step *step) _must_check_;

/* reconcile_workload.c */
struct error *reconcile_workload(struct pass *pass, Coffer__V1__Workload *workload) _must_check_;
/* reconcile_end.c: stopping and deleting, and VMs that should not be there */
struct error *reconcile_stopping(struct pass *pass, Coffer__V1__Workload *workload) _must_check_;
struct error *reconcile_deleting(struct pass *pass, Coffer__V1__Workload *workload) _must_check_;
struct error *reconcile_orphans(struct pass *pass) _must_check_;
/* reconcile_dns.c */
struct error *reconcile_dns(struct pass *pass, Coffer__V1__Workload *workload) _must_check_;
/* Removes the DNS records of names that were given up, or notes why not. */
struct error *reconcile_leaving_names(struct pass *pass) _must_check_;
