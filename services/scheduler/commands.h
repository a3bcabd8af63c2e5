/* What the scheduler tells a host-agent: cmd.host.<h>.start, .stop, .delete. All idempotent by
 * generation; they fail UNAVAILABLE or DEADLINE_EXCEEDED when the host does not answer. */
#pragma once

#include "services/scheduler/records.h"

enum { STOP_GRACE_SECONDS = 10 };

struct error *command_start(struct scheduler *scheduler, const Coffer__V1__Workload *workload,
                            struct arena *arena, Coffer__V1__Vm **ret_vm) _must_check_;

/* verb: "stop" or "delete". *ret_vm is NULL when the host knows no such VM (which is fine). */
struct error *command_end(struct scheduler *scheduler, const char *verb, const char *host_id,
                          const char *workload_id, uint64_t generation, struct arena *arena,
                          Coffer__V1__Vm **ret_vm) _must_check_;
