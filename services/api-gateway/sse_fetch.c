/* Fetching for streams: a turn brings a stream some messages, or to the end of what there is. */
#include "services/api-gateway/auth.h"
#include "services/api-gateway/sse_internal.h"
#include "shared/base/alloc.h"

enum { TURN_BYTES = 8 * 1024, TURN_MESSAGES = 64 };

/* What a turn found. */
struct turn {
    struct buffer text;
    bool more; /* it stopped before the end */
    bool away; /* the bus is: nothing is known */
    bool ended;
};

static struct error *fetch(struct sse_stream *stream, int64_t fresh_ms,
                           struct sse_fetched **ret_fetched)
{
    struct sse_hub *hub = stream->hub;
    int64_t asked_ms = clock_monotonic_ms(clock_system());

    if (sse_memo_find(hub->memo, stream, fresh_ms, ret_fetched))
        return NULL;
    _cleanup_(sse_fetched_releasep) struct sse_fetched *fetched = xnew(struct sse_fetched);
    fetched->holders = 1;
    fetched->arena = arena_new();
    struct error *err = bus_stream_next(hub->gateway->bus, sse_kinds[stream->options.kind].stream,
                                        stream->options.filter, stream->next_sequence,
                                        SSE_READ_TIMEOUT_MS, fetched->arena, &fetched->message);
    bool nothing = error_get_code(err) == ERROR_NOT_FOUND;
    if (err && !nothing)
        return err;
    error_free(err);
    sse_memo_keep(hub->memo, stream, asked_ms, nothing ? NULL : fetched);
    *ret_fetched = nothing ? NULL : TAKE_PTR(fetched);
    return NULL;
}

static void add_gap(struct buffer *text, uint64_t from, uint64_t to)
{
    _cleanup_(json_decrefp) json_t *json =
        json_pack("{s:I, s:I}", "from", (json_int_t)from, "to", (json_int_t)to);

    sse_add(text, "gap", 0, json);
}

/* Of any subject, the first message from there on; *ret_sequence 0: there is none. */
static struct error *find_any(const struct sse_stream *stream, uint64_t from,
                              uint64_t *ret_sequence)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct bus_message message;
    struct error *err =
        bus_stream_next(stream->hub->gateway->bus, sse_kinds[stream->options.kind].stream, ">",
                        from, SSE_READ_TIMEOUT_MS, arena, &message);

    *ret_sequence = err ? 0 : message.stream_sequence;
    if (error_get_code(err) != ERROR_NOT_FOUND)
        return err;
    error_free(err);
    return NULL;
}

/*
 * A filtered stream has gaps by nature; what counts is where the whole stream begins now. And where
 * it ends: an id that it has not come to was given by a stream before this one (a bus that was set
 * up anew), so all that there is may be new to the client.
 */
static struct error *check_gap(struct sse_stream *stream, struct buffer *text)
{
    uint64_t first = 0;
    uint64_t last_seen = 0;

    if (!stream->gap_from)
        return NULL;
    struct error *err = find_any(stream, 1, &first);
    err = err ?: find_any(stream, stream->gap_from - 1, &last_seen);
    if (err || !first) /* it may be empty: asked again with the next */
        return err;
    if (first > stream->gap_from)
        add_gap(text, stream->gap_from, first - 1);
    if (!last_seen)
        stream->next_sequence = first;
    stream->gap_from = 0;
    return NULL;
}

/* All that was wanted has been told, or has expired meanwhile. */
static bool is_past_end(const struct sse_stream *stream, uint64_t sequence)
{
    return stream->until_now && sequence > stream->last_sequence;
}

/* The next message; *ret_fetched NULL: there is none, or none that is wanted. */
static struct error *fetch_wanted(struct sse_stream *stream, int64_t fresh_ms, struct turn *turn,
                                  struct sse_fetched **ret_fetched)
{
    _cleanup_(sse_fetched_releasep) struct sse_fetched *fetched = NULL;
    struct error *err = NULL;

    if (!is_past_end(stream, stream->next_sequence))
        err = fetch(stream, fresh_ms, &fetched);
    if (err)
        return err;
    turn->ended = is_past_end(stream, fetched ? fetched->message.stream_sequence : UINT64_MAX);
    if (turn->ended)
        buffer_add_text(&turn->text, "event: end\ndata: {}\n\n");
    else
        *ret_fetched = TAKE_PTR(fetched);
    return NULL;
}

/* One message. False: the turn is over. */
static bool take_one(struct sse_stream *stream, int64_t fresh_ms, struct turn *turn)
{
    _cleanup_(sse_fetched_releasep) struct sse_fetched *fetched = NULL;
    struct error *err = check_gap(stream, &turn->text);

    err = err ?: fetch_wanted(stream, fresh_ms, turn, &fetched);
    turn->away = err != NULL;
    error_free(err); /* the bus is away, which ends nothing */
    if (!fetched)
        return false;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    stream->next_sequence = fetched->message.stream_sequence + 1;
    turn->ended =
        !stream->options.format(stream->options.data, &fetched->message, arena, &turn->text);
    return !turn->ended;
}

/* A key can be taken away, or its member or account, long after it opened the stream. Told from
 * memory; without one the store is asked now and then, since turns may be many. While it is away
 * nobody can take a key away either. */
static bool is_allowed(struct sse_stream *stream)
{
    struct gateway *gateway = stream->hub->gateway;
    int64_t now = clock_monotonic_ms(clock_system());

    if (!store_cache_is_on(gateway->cache) && now - stream->checked_ms < SSE_RECHECK_MS)
        return true;
    stream->checked_ms = now;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct error *err = auth_check_again(gateway, stream->key_sha256, arena);
    bool refused = error_get_code(err) == ERROR_UNAUTHENTICATED;
    error_free(err);
    return !refused;
}

static void take_turn(struct sse_stream *stream, int64_t fresh_ms, struct turn *turn)
{
    turn->ended = !is_allowed(stream);
    if (turn->ended)
        return;
    for (unsigned i = 0; i < TURN_MESSAGES && turn->text.size < TURN_BYTES; i++)
        if (!take_one(stream, fresh_ms, turn))
            return;
    turn->more = true;
}

/* Under the lock: what the turn means for the stream, whose text is empty. */
static void apply(struct sse_stream *stream, struct turn *turn)
{
    int64_t now = clock_monotonic_ms(clock_system());
    bool found = turn->text.size > 0 || turn->more;

    if (stream->ended) { /* meanwhile; what was found is found again by the next stream */
        buffer_done(&turn->text);
        return;
    }
    if (found)
        sse_settle(stream, 0);
    stream->text = turn->text;
    stream->sent = 0;
    stream->wants = stream->wants || turn->more;
    if (turn->away)
        stream->due_ms = now + SSE_AWAY_MS;
    else if (stream->settle)
        stream->due_ms = now + SSE_SETTLE_MS;
    if (turn->ended)
        stream->ended = true;
    if (stream->text.size || stream->ended)
        sse_unpark(stream);
    sse_queue(stream);
}

/* Under the lock, which it lets go of. */
static void serve(struct sse_hub *hub, struct sse_stream *stream)
{
    struct turn turn = {0};
    int64_t fresh_ms = stream->fresh_ms;

    stream->fetching = true;
    stream->wants = false;
    pthread_mutex_unlock(&hub->lock);
    take_turn(stream, fresh_ms, &turn);
    pthread_mutex_lock(&hub->lock);
    stream->fetching = false;
    if (!stream->closed) {
        apply(stream, &turn);
        return;
    }
    buffer_done(&turn.text);
    sse_stream_free(stream);
}

void *sse_fetch_main(void *state)
{
    struct sse_hub *hub = state;

    pthread_mutex_lock(&hub->lock);
    for (;;) {
        while (!hub->ready && !hub->ending)
            pthread_cond_wait(&hub->work, &hub->lock);
        struct sse_stream *stream = hub->ready;
        if (!stream)
            break;
        hub->ready = stream->ready_next;
        if (!hub->ready)
            hub->ready_tail = &hub->ready;
        stream->queued = false;
        if (stream->closed)
            sse_stream_free(stream);
        else
            serve(hub, stream);
    }
    pthread_mutex_unlock(&hub->lock);
    return NULL;
}
