/*
 * What hosts and guests claim (stream SOURCES): each claim is checked against the record, then
 * becomes a canonical event or is refused. A host speaks only for VMs that are reserved on it; a
 * guest only with the key that it attested in the current boot.
 */
#pragma once

#include "services/scheduler/records.h"

/* state is the struct scheduler. ACK: taken, or not news; TERM: refused; NAK: the store is away. */
enum bus_ack source_consume(void *state, const struct bus_message *message);

struct error *sources_start(struct scheduler *scheduler) _must_check_;
