/* Reads the containers' logs as they are written, one thread for each, into logs.h. */
#pragma once

#include "services/guest-agent/engine.h"
#include "services/guest-agent/logs.h"

struct followers;

struct followers *followers_new(struct engine *engine, struct logs *logs);
void followers_free(struct followers *followers); /* ends the threads */
DEFINE_CLEANUP(struct followers *, followers_free)

/* Starts to follow what is new or came back, from where it was left. One caller at a time. */
void followers_update(struct followers *followers, const struct engine_container *containers,
                      size_t n);
