#include "services/scheduler/outbox.h"

enum { BATCH = 256, PUBLISH_TIMEOUT_MS = 3000 };

static struct error *publish_wave(struct scheduler *scheduler,
                                  const struct store_outbox_entry *const *entries, size_t n,
                                  struct arena *arena)
{
    const char **ids = arena_alloc(arena, n * sizeof(*ids));
    struct bus_message *messages = arena_alloc(arena, n * sizeof(*messages));
    size_t done;

    for (size_t i = 0; i < n; i++) {
        ids[i] = entries[i]->id;
        messages[i] = (struct bus_message){
            .subject = entries[i]->subject,
            .data = entries[i]->payload.data,
            .size = entries[i]->payload.len,
            .type = entries[i]->type,
            .message_id = entries[i]->id,
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

/* Ids are "<object>.<sequence>". */
static bool same_object(const char *a, const char *b)
{
    const char *end = strrchr(a, '.');
    const char *other_end = strrchr(b, '.');

    return end && other_end && end - a == other_end - b && memcmp(a, b, (size_t)(end - a)) == 0;
}

static bool has_earlier(const struct store_outbox_entry *entries, size_t at, const bool *sent)
{
    for (size_t i = 0; i < at; i++)
        if (!sent[i] && same_object(entries[i].id, entries[at].id))
            return true;
    return false;
}

/* The first of each object that is not sent yet. */
static size_t pick_wave(const struct store_outbox_entry *entries, size_t n, bool *sent,
                        const struct store_outbox_entry **ret_wave)
{
    size_t picked = 0;

    for (size_t i = 0; i < n; i++)
        if (!sent[i] && !has_earlier(entries, i, sent))
            ret_wave[picked++] = &entries[i];
    for (size_t i = 0; i < picked; i++)
        sent[ret_wave[i] - entries] = true;
    return picked;
}

/* One of several that are under way may be lost and come later: so of one object there is never
 * more than one, and its events are in the stream in their order. */
static struct error *publish_batch(struct scheduler *scheduler,
                                   const struct store_outbox_entry *entries, size_t n,
                                   struct arena *arena)
{
    const struct store_outbox_entry **wave = arena_alloc(arena, n * sizeof(*wave));
    bool *sent = arena_alloc(arena, n * sizeof(*sent));
    struct error *err = NULL;

    for (size_t size; !err && (size = pick_wave(entries, n, sent, wave));)
        err = publish_wave(scheduler, wave, size, arena);
    return err;
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
