#include "services/api-gateway/limits.h"

#include "shared/base/alloc.h"

struct limits_entry {
    struct limits_entry *next;
    char *account;
    unsigned held[LIMIT_KINDS_];
};

static const struct {
    unsigned max;
    const char *what;
    unsigned max_of_all; /* 0: as many as there are accounts */
} limit_rows[LIMIT_KINDS_] = {
    [LIMIT_GUEST_CALLS] = {8, "questions to guests", 0},
    [LIMIT_STREAMS] = {32, "event and log streams", 0},
    [LIMIT_UPLOADS] = {4, "large uploads", 0},
    [LIMIT_WAITS] = {8, "long polls", 24}, /* each holds a worker */
};

void limits_init(struct limits *limits)
{
    *limits = (struct limits){.lock = PTHREAD_MUTEX_INITIALIZER};
}

void limits_done(struct limits *limits)
{
    while (limits->entries) {
        struct limits_entry *entry = limits->entries;
        limits->entries = entry->next;
        free(entry->account);
        free(entry);
    }
    pthread_mutex_destroy(&limits->lock);
}

static struct limits_entry *entry_of(struct limits *limits, const char *account)
{
    for (struct limits_entry *entry = limits->entries; entry; entry = entry->next)
        if (strcmp(entry->account, account) == 0)
            return entry;
    struct limits_entry *entry = xnew(struct limits_entry);
    entry->account = xstrdup(account);
    entry->next = limits->entries;
    limits->entries = entry;
    return entry;
}

static void drop_if_idle(struct limits *limits, const struct limits_entry *entry)
{
    struct limits_entry **at = &limits->entries;

    for (size_t i = 0; i < LIMIT_KINDS_; i++)
        if (entry->held[i])
            return;
    while (*at != entry)
        at = &(*at)->next;
    struct limits_entry *gone = *at;
    *at = gone->next;
    free(gone->account);
    free(gone);
}

struct error *limits_enter(struct limits *limits, const char *account, enum limit_kind kind)
{
    struct error *err = NULL;

    pthread_mutex_lock(&limits->lock);
    struct limits_entry *entry = entry_of(limits, account);
    if (entry->held[kind] >= limit_rows[kind].max)
        err = error_new(ERROR_RESOURCE_EXHAUSTED, "at most %u %s of one account at a time",
                        limit_rows[kind].max, limit_rows[kind].what);
    else if (limit_rows[kind].max_of_all && limits->held[kind] >= limit_rows[kind].max_of_all)
        err = error_new(ERROR_RESOURCE_EXHAUSTED, "too many %s at a time", limit_rows[kind].what);
    else {
        entry->held[kind]++;
        limits->held[kind]++;
    }
    drop_if_idle(limits, entry);
    pthread_mutex_unlock(&limits->lock);
    return err;
}

void limits_leave(struct limits *limits, const char *account, enum limit_kind kind)
{
    pthread_mutex_lock(&limits->lock);
    struct limits_entry *entry = entry_of(limits, account);
    if (entry->held[kind]) {
        entry->held[kind]--;
        limits->held[kind]--;
    }
    drop_if_idle(limits, entry);
    pthread_mutex_unlock(&limits->lock);
}
