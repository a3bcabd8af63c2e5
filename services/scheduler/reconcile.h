/*
 * Desired against actual, about once a second and whenever something changed: what the records
 * want is compared with what the hosts report, and the difference is commanded. Every step reads
 * the store again, so it can be cut off anywhere and repeated by the next scheduler.
 */
#pragma once

#include "services/scheduler/records.h"

/* One pass over hosts, workloads and the outbox. Returns the first error that concerns all of
 * them (the store is away); what goes wrong with one workload is its own matter. */
struct error *reconcile_pass(struct scheduler *scheduler) _must_check_;

/* The same for these workloads only, without what should not be there. */
struct error *reconcile_some(struct scheduler *scheduler, const char *const *ids,
                             size_t n) _must_check_;

/* The job thread: passes until told to stop. */
struct error *reconcile_start(struct scheduler *scheduler) _must_check_;
void reconcile_stop(struct scheduler *scheduler);
