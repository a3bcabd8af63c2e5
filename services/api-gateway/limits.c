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
} limit_rows[LIMIT_KINDS_] = {
    [LIMIT_GUEST_CALLS] = {8, "questions to guests"},
    [LIMIT_STREAMS] = {32, "event and log streams"},
    [LIMIT_UPLOADS] = {4, "large uploads"},
    [LIMIT_WAITS] = {8, "long polls"},
};

void limits_init(struct limits *limits)
{
    *limits = (struct limits){.lock = PTHREAD_MUTEX_INITIALIZER};
    for (size_t i = 0; i < LIMIT_KINDS_; i++)
        limits->max[i] = limit_rows[i].max;
}

void limits_set_max(struct limits *limits, enum limit_kind kind, unsigned max)
{
    limits->max[kind] = max;
}

void limits_set_total(struct limits *limits, enum limit_kind kind, unsigned max)
{
    limits->total_max[kind] = max;
}

void limits_done(struct limits *limits)
{
    for (size_t i = 0; i < LIMIT_BUCKETS; i++)
        while (limits->entries[i]) {
            struct limits_entry *entry = limits->entries[i];
            limits->entries[i] = entry->next;
            free(entry->account);
            free(entry);
        }
    pthread_mutex_destroy(&limits->lock);
}

static struct limits_entry **bucket_of(struct limits *limits, const char *account)
{
    uint32_t hash = 2166136261U;

    for (const char *at = account; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 16777619U;
    return &limits->entries[hash % LIMIT_BUCKETS];
}

static struct limits_entry *entry_of(struct limits *limits, const char *account)
{
    struct limits_entry **bucket = bucket_of(limits, account);

    for (struct limits_entry *entry = *bucket; entry; entry = entry->next)
        if (strcmp(entry->account, account) == 0)
            return entry;
    struct limits_entry *entry = xnew(struct limits_entry);
    entry->account = xstrdup(account);
    entry->next = *bucket;
    *bucket = entry;
    return entry;
}

static void drop_if_idle(struct limits *limits, struct limits_entry *entry)
{
    struct limits_entry **at = bucket_of(limits, entry->account);

    for (size_t i = 0; i < LIMIT_KINDS_; i++)
        if (entry->held[i])
            return;
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    free(entry->account);
    free(entry);
}

static struct error *take(struct limits *limits, struct limits_entry *entry, enum limit_kind kind)
{
    if (entry->held[kind] >= limits->max[kind])
        return error_new(ERROR_RESOURCE_EXHAUSTED, "at most %u %s of one account at a time",
                         limits->max[kind], limit_rows[kind].what);
    if (limits->total_max[kind] && limits->total[kind] >= limits->total_max[kind])
        return error_new(ERROR_RESOURCE_EXHAUSTED, "too many %s at a time: try again",
                         limit_rows[kind].what);
    entry->held[kind]++;
    limits->total[kind]++;
    return NULL;
}

struct error *limits_enter(struct limits *limits, const char *account, enum limit_kind kind)
{
    pthread_mutex_lock(&limits->lock);
    struct limits_entry *entry = entry_of(limits, account);
    struct error *err = take(limits, entry, kind);
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
        limits->total[kind]--;
    }
    drop_if_idle(limits, entry);
    pthread_mutex_unlock(&limits->lock);
}
