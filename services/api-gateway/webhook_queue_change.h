/* Inside of the queue: a queue as it was read, and a commit that is being put together. */
#pragma once

#include "services/api-gateway/webhook_queue.h"

struct queue_entry {
    const char *member; /* as it stands in the set */
    const char *name;
    int64_t due_ms;
    bool leased;
    bool gone; /* by the change in hand */
};

/* Memory is the arena's. */
struct queue {
    const char *webhook;
    struct webhook_state state;
    struct queue_entry *entries; /* earliest first */
    size_t n;
    size_t room;
};

/* The state first, then the set: when the state is unchanged at the commit, the set was too. */
struct error *queue_load(struct store *store, const char *webhook, struct arena *arena,
                         struct queue *ret_queue) _must_check_;
struct error *queue_load_entries(struct store *store, struct arena *arena,
                                 struct queue *queue) _must_check_;

/* Grows in the arena. */
struct queue_change {
    struct arena *arena;
    struct store_write *writes;
    size_t n_writes;
    struct store_index_edit *edits;
    size_t n_edits;
    struct store_list_edit *lists;
    size_t n_lists;
    size_t room; /* of each */
};
struct queue_change queue_change_new(struct arena *arena, size_t room);
void queue_put(struct queue_change *change, struct queue *queue, int64_t due_ms, const char *name,
               bool leased);
void queue_take(struct queue_change *change, const struct queue *queue, struct queue_entry *entry);

/* The record of a delivery that goes on, or of one that has ended: then also its history. */
void queue_write(struct queue_change *change, const struct delivery_record *delivery,
                 uint64_t expected_version);
void queue_end(struct queue_change *change, const struct delivery_record *delivery);

/* Counts anew what the entries say now. */
void queue_recount(struct queue *queue);

/* The state's write and, for a queue that is empty now, its leaving the index. */
void queue_close(struct queue_change *change, const struct queue *queue, bool forget);
struct error *queue_commit(struct store *store, const struct queue_change *change) _must_check_;
