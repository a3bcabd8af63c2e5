#include "services/guest-agent/logs.h"

#include <pthread.h>

#include "shared/base/alloc.h"

struct entry {
    struct entry *next;
    int64_t at_ms;
    bool standard_error;
    uint64_t dropped;
    size_t size;
    char text[];
};

struct queue {
    struct entry *first;
    struct entry **end;
    size_t n;
    size_t bytes;
};

struct source {
    char *name;
    struct queue spool;
    uint64_t taken;      /* lines given out so far */
    uint64_t dropped;    /* since the last line that was let through */
    int64_t allowance;   /* thousandths of a line */
    int64_t refilled_ms; /* monotonic */
};

struct logs {
    pthread_mutex_t lock;
    struct clock *clock;
    struct source sources[LOGS_SOURCES_MAX];
    size_t n_sources;
    size_t turn;
    struct queue own; /* what was said last, also when it was shipped long ago */
};

static void queue_init(struct queue *queue)
{
    *queue = (struct queue){0};
    queue->end = &queue->first;
}

static void queue_push(struct queue *queue, struct entry *entry)
{
    *queue->end = entry;
    queue->end = &entry->next;
    queue->n++;
    queue->bytes += entry->size;
}

static struct entry *queue_pop(struct queue *queue)
{
    struct entry *entry = queue->first;

    queue->first = entry->next;
    if (!queue->first)
        queue->end = &queue->first;
    queue->n--;
    queue->bytes -= entry->size;
    return entry;
}

static void queue_done(struct queue *queue)
{
    while (queue->first)
        free(queue_pop(queue));
}

struct logs *logs_new(struct clock *clock)
{
    struct logs *logs = xnew(struct logs);

    pthread_mutex_init(&logs->lock, NULL);
    logs->clock = clock;
    queue_init(&logs->own);
    return logs;
}

void logs_free(struct logs *logs)
{
    if (!logs)
        return;
    for (size_t i = 0; i < logs->n_sources; i++) {
        queue_done(&logs->sources[i].spool);
        free(logs->sources[i].name);
    }
    queue_done(&logs->own);
    pthread_mutex_destroy(&logs->lock);
    free(logs);
}

static struct source *find_source(struct logs *logs, const char *name)
{
    for (size_t i = 0; i < logs->n_sources; i++) {
        if (strcmp(logs->sources[i].name, name) == 0)
            return &logs->sources[i];
    }
    if (logs->n_sources == LOGS_SOURCES_MAX)
        return NULL;
    struct source *source = &logs->sources[logs->n_sources++];
    *source = (struct source){.name = xstrdup(name),
                              .allowance = LOGS_BURST * 1000,
                              .refilled_ms = clock_monotonic_ms(logs->clock)};
    queue_init(&source->spool);
    return source;
}

/* A token bucket: LOGS_LINES_PER_SECOND fill it up to LOGS_BURST. */
static bool allowed(struct logs *logs, struct source *source)
{
    int64_t now = clock_monotonic_ms(logs->clock);

    source->allowance += (now - source->refilled_ms) * LOGS_LINES_PER_SECOND;
    source->refilled_ms = now;
    if (source->allowance > LOGS_BURST * 1000)
        source->allowance = LOGS_BURST * 1000;
    if (source->allowance < 1000)
        return false;
    source->allowance -= 1000;
    return true;
}

static struct entry *entry_new(int64_t at_ms, bool standard_error, const char *text, size_t size)
{
    struct entry *entry = xcalloc(1, sizeof(*entry) + size + 1);

    entry->at_ms = at_ms;
    entry->standard_error = standard_error;
    entry->size = size;
    memcpy(entry->text, text, size);
    return entry;
}

static void keep_own(struct logs *logs, int64_t at_ms, const char *text, size_t size)
{
    queue_push(&logs->own, entry_new(at_ms, true, text, size));
    while (logs->own.n > LOGS_KEEP_LINES || logs->own.bytes > LOGS_KEEP_BYTES)
        free(queue_pop(&logs->own));
}

void logs_add(struct logs *logs, const char *name, int64_t at_ms, bool standard_error,
              const char *text, size_t size)
{
    if (size > LOGS_LINE_MAX)
        size = LOGS_LINE_MAX;
    pthread_mutex_lock(&logs->lock);
    if (strcmp(name, LOGS_OWN) == 0)
        keep_own(logs, at_ms, text, size);
    struct source *source = find_source(logs, name);
    if (source && allowed(logs, source) && source->spool.bytes + size <= LOGS_SPOOL_BYTES) {
        struct entry *entry = entry_new(at_ms, standard_error, text, size);
        entry->dropped = source->dropped;
        source->dropped = 0;
        queue_push(&source->spool, entry);
    } else if (source) {
        source->dropped++;
    }
    pthread_mutex_unlock(&logs->lock);
}

static struct log_line line_of(const struct entry *entry, struct arena *arena)
{
    return (struct log_line){.at_ms = entry->at_ms,
                             .standard_error = entry->standard_error,
                             .text = arena_memdup(arena, entry->text, entry->size + 1),
                             .size = entry->size,
                             .dropped = entry->dropped};
}

static void take_from(struct source *source, struct arena *arena, struct log_batch *batch)
{
    size_t bytes = 0;

    *batch = (struct log_batch){
        .source = arena_strdup(arena, source->name),
        .first_sequence = source->taken + 1,
        .lines = arena_alloc(arena, LOGS_BATCH_LINES * sizeof(struct log_line)),
    };
    while (source->spool.first && batch->n < LOGS_BATCH_LINES) {
        bytes += source->spool.first->size;
        if (batch->n && bytes > LOGS_BATCH_BYTES)
            break;
        struct entry *entry = queue_pop(&source->spool);
        batch->lines[batch->n++] = line_of(entry, arena);
        free(entry);
    }
    source->taken += batch->n;
}

bool logs_take(struct logs *logs, struct arena *arena, struct log_batch *ret_batch)
{
    bool found = false;

    pthread_mutex_lock(&logs->lock);
    for (size_t i = 0; !found && i < logs->n_sources; i++) {
        struct source *source = &logs->sources[(logs->turn + i) % logs->n_sources];
        found = source->spool.first != NULL;
        if (found)
            take_from(source, arena, ret_batch);
    }
    logs->turn++;
    pthread_mutex_unlock(&logs->lock);
    return found;
}

void logs_own(struct logs *logs, bool tail, size_t max, struct arena *arena,
              struct log_line **ret_lines, size_t *ret_n)
{
    size_t n = 0;

    pthread_mutex_lock(&logs->lock);
    size_t skip = tail && logs->own.n > max ? logs->own.n - max : 0;
    struct log_line *lines = arena_alloc(arena, (logs->own.n + 1) * sizeof(*lines));
    for (const struct entry *entry = logs->own.first; entry && n < max; entry = entry->next) {
        if (skip)
            skip--;
        else
            lines[n++] = line_of(entry, arena);
    }
    pthread_mutex_unlock(&logs->lock);
    *ret_lines = lines;
    *ret_n = n;
}
