/*
 * Records in the store and changes to them: load, modify, commit by compare-and-set, with the
 * canonical events of the change in the same commit (DESIGN sections 4 and 8).
 */
#pragma once

#include "schemas/boot.pb-c.h"
#include "schemas/event.pb-c.h"
#include "schemas/host.pb-c.h"
#include "schemas/workload.pb-c.h"
#include "services/scheduler/scheduler.h"
#include "services/scheduler/workload_fsm.h"
#include "shared/store/keys.h"

enum {
    HOSTS_MAX = 4096,
    WORKLOADS_MAX = 65536,
    EVENTS_KEPT = 1000,
    EVENT_MESSAGE_MAX = 4096,
    CHANGE_PARTS_MAX = 4096,
};

/* A change under construction; everything it points to lives in its arena. At most
 * CHANGE_PARTS_MAX of each kind. */
struct change {
    struct scheduler *scheduler;
    struct arena *arena;
    struct store_write *writes;
    size_t n_writes;
    struct store_index_edit *edits;
    size_t n_edits;
    struct store_outbox_entry *outbox;
    size_t n_outbox;
    struct store_list_edit *lists;
    size_t n_lists;
    struct usage_delta *deltas; /* for the ledger */
    size_t n_deltas;
};

void change_init(struct change *change, struct scheduler *scheduler, struct arena *arena);
/* Adds all of another change, of the same arena, to this one. */
void change_add(struct change *change, const struct change *other);
void change_put(struct change *change, const char *prefix, const char *id, uint64_t expected,
                const ProtobufCMessage *message, int64_t expire_ms);
void change_put_bytes(struct change *change, const char *prefix, const char *id, uint64_t expected,
                      const void *data, size_t size);
void change_delete(struct change *change, const char *prefix, const char *id, uint64_t expected);
void change_index(struct change *change, const char *set, const char *id, const char *member,
                  bool remove);
void change_list(struct change *change, const struct store_list_edit *edit);
/* The workload counts from this change on, or no more (less). */
void change_count(struct change *change, const Coffer__V1__Workload *workload, bool less);
/* Nothing to do is fine. ABORTED: somebody was quicker, or this scheduler's term is over. */
struct error *change_commit(struct change *change) _must_check_;

/* Calls the attempt again, a few times, while it is ABORTED: it loads, changes and commits anew
 * each time. UNAVAILABLE when somebody was quicker every time. */
struct error *change_repeat(struct error *(*attempt)(void *data), void *data) _must_check_;

/* What an event says beyond the record it is about; NULL and 0 where it does not apply. */
struct event_detail {
    const char *code;
    const char *message;
    const char *stage;
    uint32_t duration_ms;
    ProtobufCBinaryData measurement;
    ProtobufCBinaryData manifest_sha256;
};

/* Adds a canonical event and raises the record's sequence. The record itself is put later. */
void change_workload_event(struct change *change, Coffer__V1__Workload *workload, const char *kind,
                           enum source source, const struct event_detail *detail);
void change_host_event(struct change *change, Coffer__V1__Host *host, const char *kind,
                       const char *message);

/* *ret_message is NULL (and the version 0) when there is no such record. */
struct error *record_load(struct scheduler *scheduler, const char *prefix, const char *id,
                          const ProtobufCMessageDescriptor *type, struct arena *arena,
                          void *ret_message, uint64_t *ret_version) _must_check_;

/* Of a record that was read and exists. DATA_LOSS when it cannot be unpacked. */
struct error *record_read(const struct store_record *record, const ProtobufCMessageDescriptor *type,
                          struct arena *arena, void **ret_message) _must_check_;

/* Those of these ids that exist. Lists live in the arena. */
struct error *records_load(struct scheduler *scheduler, const char *prefix, const char *const *ids,
                           size_t n_ids, const ProtobufCMessageDescriptor *type,
                           struct arena *arena, void ***ret_messages, uint64_t **ret_versions,
                           size_t *ret_n) _must_check_;

/* All that exist, of the ids of a set. Lists live in the arena. */
struct error *records_load_all(struct scheduler *scheduler, const char *set, const char *prefix,
                               const ProtobufCMessageDescriptor *type, size_t max,
                               struct arena *arena, void ***ret_messages, uint64_t **ret_versions,
                               size_t *ret_n) _must_check_;

/* One attempt at changing a workload; the function may add to the change. */
struct update {
    struct scheduler *scheduler;
    struct arena *arena;
    Coffer__V1__Workload *workload; /* NULL: does not exist */
    struct change change;
    bool skip;         /* set by the function: nothing is to be written */
    bool is_final;     /* set by the function: its ABORTED is the answer and not tried again */
    int64_t expire_ms; /* set by the function for a tombstone */
};
typedef struct error *(*update_fn)(struct update *update, void *data);

/*
 * Loads, calls, commits; when somebody was quicker, again from the start, a few times. On success
 * *ret_workload (may be NULL) is what was written or found.
 */
struct error *workload_update(struct scheduler *scheduler, const char *id, update_fn function,
                              void *data, struct arena *arena,
                              Coffer__V1__Workload **ret_workload) _must_check_;

/*
 * The transition of workload_fsm.c with its event, reason, deadline. FAILED_PRECONDITION, logged
 * and counted, when the table does not have it; then nothing changed.
 */
struct error *workload_move(struct update *update, enum trigger trigger, enum source source,
                            const struct event_detail *detail) _must_check_;

/* A new generation: what the old one's VM and guest left behind is forgotten. */
void workload_new_generation(Coffer__V1__Workload *workload);

/* Back-off before the next automatic restart, or the end of attempts: sets next_attempt_at_ms. */
void workload_plan_retry(struct scheduler *scheduler, Coffer__V1__Workload *workload);

ProtobufCBinaryData bytes_copy(struct arena *arena, ProtobufCBinaryData bytes);
bool bytes_equal(ProtobufCBinaryData a, ProtobufCBinaryData b);
