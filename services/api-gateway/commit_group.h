/*
 * Entries of lists that come from many threads at once, written together: who comes while a commit
 * is on its way waits for the next one, which one of those that wait makes for all of them.
 */
#pragma once

#include <pthread.h>

#include "shared/store/store.h"

/* At most so many callers' edits in one commit. */
enum { COMMIT_GROUP_MAX = 64, COMMIT_GROUP_EDITS = 2 };

struct commit_group_entry;

struct commit_group {
    struct store *store;
    pthread_mutex_t lock;
    struct commit_group_entry *first; /* those that wait for the next commit */
    struct commit_group_entry **last;
    bool committing;
};

void commit_group_init(struct commit_group *group, struct store *store);
void commit_group_done(struct commit_group *group); /* when nobody calls any more */

/*
 * Returns when the edits (at most COMMIT_GROUP_EDITS) are in the store, or with what went wrong: as
 * store_commit(), they may then be there nevertheless. May take two commits. Those of one list are
 * in the order in which they came.
 */
struct error *commit_group_add(struct commit_group *group, const struct store_list_edit *edits,
                               size_t n) _must_check_;
