/*
 * Fleet state as a port: Redis (store_redis.c) and in memory (store_memory.c) pass one contract
 * test. The key schema stands in keys.h.
 *
 * A record is bytes with a version, changed by compare-and-set; the change and its outbox entries
 * are one atomic step (DESIGN sections 4 and 8). Versions come from one counter of the store and
 * never repeat, also not for a key that was deleted and made again. Functions may be called from
 * any thread; each returns within STORE_DEADLINE_MS, UNAVAILABLE when the server did not answer.
 * A commit that ended UNAVAILABLE may have happened: read again before repeating it.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/arena.h"
#include "shared/base/error.h"

#define STORE_DEADLINE_MS 3000
#define STORE_AWAY        "store_away" /* the reason (error_reason()) of each UNAVAILABLE */

struct clock;
struct store;
struct store_watch;

struct store_record {
    const char *key;
    uint64_t version; /* 0: does not exist */
    ProtobufCBinaryData value;
};

/* A message that must leave with a change. */
struct store_outbox_entry {
    const char *id; /* Nats-Msg-Id, unique */
    const char *subject;
    const char *type; /* Coffer-Type */
    ProtobufCBinaryData payload;
};

/*
 * One atomic change: every check must hold or nothing happens (ABORTED). A write with size 0 and
 * data NULL deletes. expire_ms: lifetime from now, 0: for ever.
 */
struct store_write {
    const char *key;
    uint64_t expected_version; /* 0: must not exist; UINT64_MAX: any */
    ProtobufCBinaryData value;
    int64_t expire_ms;
};

struct store_index_edit {
    const char *set;
    const char *member;
    bool remove;
};

/* Adds to the front of a bounded list (newest first); what exceeds max_length falls off. */
struct store_list_edit {
    const char *key;
    ProtobufCBinaryData value;
    size_t max_length;
    int64_t expire_ms; /* lifetime of the whole list from now; 0: as it was, for ever if new */
};

struct store_change {
    const struct store_write *writes;
    size_t n_writes;
    const struct store_index_edit *edits;
    size_t n_edits;
    const struct store_outbox_entry *outbox;
    size_t n_outbox;
    const struct store_list_edit *lists;
    size_t n_lists;
    uint64_t term; /* of the writing leader; lower than the stored one: ABORTED. 0: no fence */
};

/* What a watch tells. */
enum store_news {
    STORE_CHANGED, /* text: the key of a record, set or list that was written, deleted or expired */
    STORE_WATCHED, /* text: "". Changes are told from now on; what was before may have changed */
    STORE_UNWATCHED, /* text: why. Changes may go by untold, until STORE_WATCHED */
};

/*
 * Called by a thread of the store, or inside of the commit that made the change: returns soon, and
 * does not call the store. A change is told after it happened, so whoever hears of it reads what
 * is new. One may be told more than once, and a watcher may hear of its own. What expires is told
 * when the store notices, at the latest before a read that no longer finds it is answered.
 */
typedef void (*store_told)(void *state, enum store_news news, const char *text);

struct store_ops {
    const char *name;
    struct error *(*get)(struct store *store, const char *key, struct arena *arena,
                         struct store_record *ret_record);
    struct error *(*get_many)(struct store *store, const char *const *keys, size_t n,
                              struct arena *arena, struct store_record *ret_records);
    struct error *(*members)(struct store *store, const char *set, size_t max, struct arena *arena,
                             const char ***ret_members, size_t *ret_n);
    struct error *(*commit)(struct store *store, const struct store_change *change);
    struct error *(*outbox_peek)(struct store *store, size_t max, struct arena *arena,
                                 struct store_outbox_entry **ret_entries, size_t *ret_n);
    struct error *(*outbox_clear)(struct store *store, const char *const *ids, size_t n);
    struct error *(*get_term)(struct store *store, uint64_t *ret_term);
    struct error *(*set_term)(struct store *store, uint64_t term);
    struct error *(*list_push)(struct store *store, const char *key, const void *data, size_t size,
                               size_t max_length);
    struct error *(*list_range)(struct store *store, const char *key, size_t max,
                                struct arena *arena, ProtobufCBinaryData **ret_items,
                                size_t *ret_n);
    struct error *(*ping)(struct store *store);
    struct error *(*watch)(struct store *store, const char *const *prefixes, size_t n,
                           store_told told, void *state, struct store_watch **ret_watch);
    void (*unwatch)(struct store_watch *watch);
    void (*free)(struct store *store);
};

struct store {
    const struct store_ops *ops;
};

/* url: "redis://[:password@]host[:port][/db]", "redis+unix:///path/of/socket", or "memory:". A
 * password may instead stand in the file password_path (NULL or "": none). Does not connect yet;
 * connects and reconnects by itself with back-off, UNAVAILABLE while the server is away. */
struct error *store_open(const char *url, const char *password_path,
                         struct store **ret_store) _must_check_;
struct store *store_memory_new(void);
struct store *store_memory_new_with_clock(struct clock *clock); /* for expiry in tests */
void store_free(struct store *store);
DEFINE_CLEANUP(struct store *, store_free)

/* A missing key gives version 0 and an empty value, not an error. */
struct error *store_get(struct store *store, const char *key, struct arena *arena,
                        struct store_record *ret_record) _must_check_;
struct error *store_get_many(struct store *store, const char *const *keys, size_t n,
                             struct arena *arena, struct store_record *ret_records) _must_check_;

/* Sorted; a missing set is empty. More than max members: RESOURCE_EXHAUSTED. */
struct error *store_members(struct store *store, const char *set, size_t max, struct arena *arena,
                            const char ***ret_members, size_t *ret_n) _must_check_;
struct error *store_commit(struct store *store, const struct store_change *change) _must_check_;

/* Oldest first, not removed; cleared by id after they were published. */
struct error *store_outbox_peek(struct store *store, size_t max, struct arena *arena,
                                struct store_outbox_entry **ret_entries,
                                size_t *ret_n) _must_check_;
struct error *store_outbox_clear(struct store *store, const char *const *ids,
                                 size_t n) _must_check_;

/* The highest term so far (0: none yet), and raising it: from then on commits with a lower one are
 * ABORTED. A term that is not higher than the stored one is ABORTED: someone else took it. */
struct error *store_get_term(struct store *store, uint64_t *ret_term) _must_check_;
struct error *store_set_term(struct store *store, uint64_t term) _must_check_;

/* A bounded list, newest first (event history per workload for the API). */
struct error *store_list_push(struct store *store, const char *key, const void *data, size_t size,
                              size_t max_length) _must_check_;
struct error *store_list_range(struct store *store, const char *key, size_t max,
                               struct arena *arena, ProtobufCBinaryData **ret_items,
                               size_t *ret_n) _must_check_;
struct error *store_ping(struct store *store) _must_check_;

/*
 * Tells of every change, by whomever, of keys that begin with one of the prefixes; none of these
 * begins with another, and they outlive the watch. Starts unwatched: STORE_WATCHED follows, perhaps
 * before this returns. A server that goes silent is noticed within STORE_WATCH_SILENCE_MS.
 */
#define STORE_WATCH_SILENCE_MS 3000
struct error *store_watch(struct store *store, const char *const *prefixes, size_t n,
                          store_told told, void *state,
                          struct store_watch **ret_watch) _must_check_;
/* Nothing is told after it returned. Before store_free(); NULL is fine. */
void store_unwatch(struct store_watch *watch);
DEFINE_CLEANUP(struct store_watch *, store_unwatch)
