/*
 * Host records as this scheduler last read them, so that a group of creates need not ask the store
 * for a thousand hosts each time. Only the leading scheduler writes them, all of it through
 * change_commit(), which forgets what it has written; whoever uses a record that is old all the
 * same has its commit refused.
 *
 * Whoever reads a record takes a ticket with host_memory_recall(), before it asks the store: one
 * that was written since is not kept. Functions may be called by any thread.
 */
#pragma once

#include <pthread.h>

#include "shared/store/store.h"

struct remembered_host;

struct host_memory {
    pthread_mutex_t lock;
    struct remembered_host *hosts; /* by key */
    size_t n;
    size_t room;
};

void host_memory_init(struct host_memory *memory);
void host_memory_done(struct host_memory *memory);

/* The record with this key, its bytes the arena's; version 0: not known, ask the store. */
struct store_record host_memory_recall(struct host_memory *memory, const char *key,
                                       struct arena *arena, uint64_t *ret_ticket);
void host_memory_keep(struct host_memory *memory, const struct store_record *record,
                      uint64_t ticket);

/* After the commit of a change of it, however that ended. Keys of others are none of its business,
 * and may be given. */
void host_memory_forget(struct host_memory *memory, const char *key);
