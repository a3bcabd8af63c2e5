#include "services/scheduler/outbox.h"

enum { BATCH = 128, PUBLISH_TIMEOUT_MS = 3000 };

static struct error *publish_batch(struct scheduler *scheduler,
                                   const struct store_outbox_entry *entries, size_t n,
                                   struct arena *arena)
{
    const char **ids = arena_alloc(arena, n * sizeof(*ids));
    struct bus_message *messages = arena_alloc(arena, n * sizeof(*messages));
    size_t done;

    for (size_t i = 0; i < n; i++) {
        ids[i] = entries[i].id;
        messages[i] = (struct bus_message){
            .subject = entries[i].subject,
            .data = entries[i].payload.data,
            .size = entries[i].payload.len,
            .type = entries[i].type,
            .message_id = entries[i].id,
        };
    }
    struct error *err =
        bus_publish_durable_many(scheduler->bus, messages, n, PUBLISH_TIMEOUT_MS, &done);
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
