/* The two accounts of test_scene.h on a store whose commits can be watched and spoilt, and calls
 * with an Idempotency-Key. */
#pragma once

#include "services/api-gateway/test_scene.h"

#include <stdatomic.h>

#define HOUR_MS INT64_C(3600000)
#define KEY     "Idempotency-Key: "

/* The scene's store with commits of ours. Tests run one after another; in one of them requests run
 * at the same time. */
struct idempotency_hook {
    struct store_ops ops;
    const struct store_ops *real;
    pthread_mutex_t lock;
    struct buffer written;        /* all that was written to records of idempotency keys */
    atomic_uint records;          /* how many of those writes */
    atomic_bool lose_answers;     /* changes happen, and are reported as UNAVAILABLE ... */
    atomic_bool lose_all_answers; /* ... and all other commits too */
    atomic_bool drop_ends;   /* the gateway dies before it can keep an answer or release the key */
    atomic_bool away;        /* nothing is written, and nobody knows */
    atomic_bool drop_claims; /* a claim expires before its change is committed */
};

extern struct idempotency_hook hook;

/* Before the gateway has threads that use the store. */
struct scene *hooked_scene(void);
void hooked_scene_free(struct scene **scene);

/* header: a whole line, or NULL. */
struct answer keyed_call(const struct scene *scene, enum actor actor, const char *header,
                         const char *method, const char *path, const char *body);
bool is_replayed(const struct answer *answer);

/* With that status and kind, and not a replay. */
void check_refused(const struct answer *answer, long status, const char *kind);

/* The second is the first again, and says so. */
void check_same(const struct answer *first, const struct answer *again);

#define _cleanup_scene_ _cleanup_(hooked_scene_free)
