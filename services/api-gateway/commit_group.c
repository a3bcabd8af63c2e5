#include "services/api-gateway/commit_group.h"

#include <assert.h>

/* Lives on the stack of its thread, which waits. */
struct commit_group_entry {
    struct commit_group_entry *next;
    pthread_cond_t changed; /* it is done, or the next to commit: nobody else wakes up */
    const struct store_list_edit *edits;
    size_t n;
    struct error *err;
    bool done;
};

void commit_group_init(struct commit_group *group, struct store *store)
{
    *group = (struct commit_group){.store = store};
    group->last = &group->first;
    pthread_mutex_init(&group->lock, NULL);
}

void commit_group_done(struct commit_group *group)
{
    pthread_mutex_destroy(&group->lock);
}

/* Under the lock: the first of those that wait, in their order. */
static struct commit_group_entry *take(struct commit_group *group)
{
    struct commit_group_entry *taken = group->first;
    struct commit_group_entry *end = taken;

    for (size_t n = 1; end->next && n < COMMIT_GROUP_MAX; n++)
        end = end->next;
    group->first = end->next;
    if (!group->first)
        group->last = &group->first;
    end->next = NULL;
    return taken;
}

/* List by list: the store cuts a list once when its edits follow each other. */
static size_t gather(const struct commit_group_entry *entries, struct store_list_edit *ret_edits)
{
    size_t n = 0;

    for (size_t i = 0; i < COMMIT_GROUP_EDITS; i++)
        for (const struct commit_group_entry *entry = entries; entry; entry = entry->next)
            if (i < entry->n)
                ret_edits[n++] = entry->edits[i];
    return n;
}

/* All end alike. */
static void finish(struct commit_group_entry *entries, const struct error *err)
{
    struct commit_group_entry *next;

    for (struct commit_group_entry *entry = entries; entry; entry = next) {
        next = entry->next;
        entry->err = err ? error_set_reason(error_new(error_get_code(err), "%s", error_text(err)),
                                            error_reason(err))
                         : NULL;
        entry->done = true;
        pthread_cond_signal(&entry->changed);
    }
}

/* Under the lock, which is given up meanwhile. */
static void commit(struct commit_group *group)
{
    struct store_list_edit edits[COMMIT_GROUP_MAX * COMMIT_GROUP_EDITS];
    struct commit_group_entry *entries = take(group);
    size_t n = gather(entries, edits);

    group->committing = true;
    pthread_mutex_unlock(&group->lock);
    struct error *err =
        store_commit(group->store, &(struct store_change){.lists = edits, .n_lists = n});
    pthread_mutex_lock(&group->lock);
    group->committing = false;
    finish(entries, err);
    error_free(err);
    if (group->first)
        pthread_cond_signal(&group->first->changed);
}

struct error *commit_group_add(struct commit_group *group, const struct store_list_edit *edits,
                               size_t n)
{
    struct commit_group_entry entry = {.edits = edits, .n = n};

    assert(n <= COMMIT_GROUP_EDITS);
    pthread_cond_init(&entry.changed, NULL);
    pthread_mutex_lock(&group->lock);
    *group->last = &entry;
    group->last = &entry.next;
    while (!entry.done)
        if (group->committing)
            pthread_cond_wait(&entry.changed, &group->lock);
        else
            commit(group);
    pthread_mutex_unlock(&group->lock);
    pthread_cond_destroy(&entry.changed);
    return entry.err;
}
