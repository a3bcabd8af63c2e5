/* Canonical events leave the store here: published with their id, then cleared. */
#pragma once

#include "services/scheduler/scheduler.h"

/* Publishes the events of each object in their order, and stops at the first failure; what is left
 * goes next time. */
struct error *outbox_flush(struct scheduler *scheduler) _must_check_;
