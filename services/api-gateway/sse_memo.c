#include <stdatomic.h>

#include "services/api-gateway/sse_internal.h"
#include "shared/base/alloc.h"

enum { ENTRIES = 64, FILTER_MAX = 128, MESSAGE_MAX = 16 * 1024 };

struct entry {
    bool used;
    enum sse_kind kind;
    char filter[FILTER_MAX];
    uint64_t from;
    struct sse_fetched *fetched;
    int64_t asked_ms;
};

struct sse_memo {
    pthread_mutex_t lock;
    struct entry entries[ENTRIES];
    size_t turn;
};

struct sse_memo *sse_memo_new(void)
{
    struct sse_memo *memo = xnew(struct sse_memo);

    pthread_mutex_init(&memo->lock, NULL);
    return memo;
}

void sse_fetched_release(struct sse_fetched *fetched)
{
    if (!fetched || atomic_fetch_sub(&fetched->holders, 1) > 1)
        return;
    arena_free(fetched->arena);
    free(fetched);
}

void sse_memo_free(struct sse_memo *memo)
{
    if (!memo)
        return;
    for (size_t i = 0; i < ENTRIES; i++)
        sse_fetched_release(memo->entries[i].fetched);
    pthread_mutex_destroy(&memo->lock);
    free(memo);
}

static bool is_answer(const struct entry *entry, const struct sse_stream *stream, int64_t fresh_ms)
{
    if (!entry->used || entry->from != stream->next_sequence ||
        entry->kind != stream->options.kind || strcmp(entry->filter, stream->options.filter) != 0)
        return false;
    return entry->fetched || entry->asked_ms > fresh_ms;
}

bool sse_memo_find(struct sse_memo *memo, const struct sse_stream *stream, int64_t fresh_ms,
                   struct sse_fetched **ret_fetched)
{
    bool found = false;

    pthread_mutex_lock(&memo->lock);
    for (size_t i = 0; i < ENTRIES && !found; i++) {
        found = is_answer(&memo->entries[i], stream, fresh_ms);
        if (!found)
            continue;
        *ret_fetched = memo->entries[i].fetched;
        if (*ret_fetched)
            atomic_fetch_add(&(*ret_fetched)->holders, 1);
    }
    pthread_mutex_unlock(&memo->lock);
    return found;
}

void sse_memo_keep(struct sse_memo *memo, const struct sse_stream *stream, int64_t asked_ms,
                   struct sse_fetched *fetched)
{
    if ((fetched && fetched->message.size > MESSAGE_MAX) ||
        strlen(stream->options.filter) >= FILTER_MAX)
        return;
    if (fetched)
        atomic_fetch_add(&fetched->holders, 1);
    pthread_mutex_lock(&memo->lock);
    struct entry *entry = &memo->entries[memo->turn++ % ENTRIES];
    struct sse_fetched *before = entry->fetched;
    *entry = (struct entry){.used = true,
                            .kind = stream->options.kind,
                            .from = stream->next_sequence,
                            .fetched = fetched,
                            .asked_ms = asked_ms};
    snprintf(entry->filter, sizeof(entry->filter), "%s", stream->options.filter);
    pthread_mutex_unlock(&memo->lock);
    sse_fetched_release(before);
}
