#include "services/scheduler/outbox.h"

enum { BATCH = 64, PUBLISH_TIMEOUT_MS = 3000 };

static struct error *publish_batch(struct scheduler *scheduler,
                                   const struct store_outbox_entry *entries, size_t n,
                                   struct arena *arena)
{
    const char **ids = arena_alloc(arena, (n + 1) * sizeof(*ids));
    struct error *err = NULL;
    size_t done = 0;

    for (; !err && done < n; done += !err) {
        const struct store_outbox_entry *entry = &entries[done];
        const struct bus_message message = {
            .subject = entry->subject,
            .data = entry->payload.data,
            .size = entry->payload.len,
            .type = entry->type,
            .message_id = entry->id,
        };
        ids[done] = entry->id;
        err = bus_publish_durable(scheduler->bus, &message, PUBLISH_TIMEOUT_MS);
    }
    struct error *clear_err = done ? store_outbox_clear(scheduler->store, ids, done) : NULL;
    if (!err)
        return clear_err;
    error_free(clear_err);
    return error_wrap(err, "publish event '%s'", ids[done]);
}

struct error *outbox_flush(struct scheduler *scheduler)
{
    for (;;) {
        _cleanup_(arena_freep) struct arena *arena = arena_new();
        struct store_outbox_entry *entries;
        size_t n;
        struct error *err = store_outbox_peek(scheduler->store, BATCH, arena, &entries, &n);
        if (err || !n)
            return err;
        err = publish_batch(scheduler, entries, n, arena);
        if (err)
            return err;
    }
}
