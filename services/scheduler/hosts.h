/* Hosts: their heartbeats, and what silence means (DESIGN section 7). */
#pragma once

#include "services/scheduler/records.h"

/* hb.host.<h>. A host that is not enrolled, speaks for another, or says nonsense is refused. */
struct error *host_heartbeat(struct scheduler *scheduler, const char *host_id,
                             const Coffer__V1__HostHeartbeat *heartbeat,
                             struct arena *arena) _must_check_;

/* ready -> suspect -> lost by silence, with their events; called about once a second. */
struct error *hosts_check_silence(struct scheduler *scheduler, struct arena *arena) _must_check_;

/* How long it has said nothing that this scheduler could have heard: its own absence counts for
 * nobody's silence. */
int64_t host_silence_ms(const struct scheduler *scheduler, const Coffer__V1__Host *host);

/*
 * Forgets a host for good, with an event. NOT_FOUND; FAILED_PRECONDITION while it holds workloads;
 * ABORTED while it is enrolled and was heard of lately: its next heartbeat would bring it back.
 * Take it out of fleet.json, or stop its agent and wait until it is lost. An enrolled host that
 * speaks again later joins anew. *ret_audited: the entry that came with it is in the audit trail.
 */
struct error *host_remove(struct scheduler *scheduler, const Coffer__V1__HostRequest *request,
                          struct arena *arena, bool *ret_audited) _must_check_;

/* The host's VM of this workload in its latest heartbeat; NULL: none. */
const Coffer__V1__Vm *host_find_vm(const Coffer__V1__Host *host, const char *workload_id);
