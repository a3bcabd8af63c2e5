/* Streams, durable consumers and objects of the in-memory bus. */
#include "shared/base/alloc.h"
#include "shared/bus/memory.h"
#include "shared/bus/subject.h"

enum { STREAM_MESSAGES_MAX = 65536, NAK_PAUSE_MS = 20 };

static struct memory_hub *hub_of(struct bus *bus)
{
    return ((struct memory_bus *)bus)->hub;
}

struct error *memory_ensure_streams(struct bus *bus)
{
    struct memory_hub *hub = hub_of(bus);
    size_t n = 0;

    while (stream_table[n].name)
        n++;
    pthread_mutex_lock(&hub->lock);
    if (!hub->streams) {
        hub->streams = xnew_array(struct memory_stream, n + 1);
        for (size_t i = 0; i < n; i++)
            hub->streams[i].definition = &stream_table[i];
    }
    pthread_mutex_unlock(&hub->lock);
    return NULL;
}

static struct memory_stream *find_stream(struct memory_hub *hub, const char *name)
{
    for (struct memory_stream *s = hub->streams; s && s->definition; s++) {
        if (strcmp(s->definition->name, name) == 0)
            return s;
    }
    return NULL;
}

static uint64_t find_duplicate(const struct memory_stream *stream, const char *message_id)
{
    for (size_t i = stream->count; message_id && i > 0; i--) {
        const struct bus_message *message = stream->messages[i - 1];
        if (message->message_id && strcmp(message->message_id, message_id) == 0)
            return message->stream_sequence;
    }
    return 0;
}

static uint64_t append_to(struct memory_hub *hub, struct memory_stream *stream,
                          const struct bus_message *message)
{
    uint64_t duplicate = find_duplicate(stream, message->message_id);

    if (duplicate)
        return duplicate;
    if (stream->count == STREAM_MESSAGES_MAX) {
        free(stream->messages[0]);
        memmove(stream->messages, stream->messages + 1,
                --stream->count * sizeof(*stream->messages));
    }
    if (stream->count == stream->room) {
        stream->room = stream->room ? 2 * stream->room : 64;
        stream->messages =
            xrealloc_array(stream->messages, stream->room, sizeof(*stream->messages));
    }
    struct bus_message *copy = bus_message_copy(message);
    copy->stream_sequence = ++stream->last_sequence;
    copy->reply_to = NULL;
    stream->messages[stream->count++] = copy;
    pthread_cond_broadcast(&hub->changed);
    return copy->stream_sequence;
}

uint64_t memory_stream_append(struct memory_hub *hub, const struct bus_message *message)
{
    for (struct memory_stream *s = hub->streams; s && s->definition; s++) {
        if (subject_matches(s->definition->subjects, message->subject))
            return append_to(hub, s, message);
    }
    return 0;
}

static const struct bus_message *find_next(const struct memory_stream *stream, const char *filter,
                                           uint64_t from)
{
    for (size_t i = 0; i < stream->count; i++) {
        const struct bus_message *message = stream->messages[i];
        if (message->stream_sequence >= from && subject_matches(filter, message->subject))
            return message;
    }
    return NULL;
}

struct error *memory_stream_next(struct bus *bus, const char *stream, const char *filter,
                                 uint64_t from_sequence, int timeout_ms, struct arena *arena,
                                 struct bus_message *ret_message)
{
    struct memory_hub *hub = hub_of(bus);
    const struct bus_message *message = NULL;

    (void)timeout_ms;
    pthread_mutex_lock(&hub->lock);
    struct memory_stream *found = find_stream(hub, stream);
    if (found)
        message = find_next(found, filter, from_sequence);
    if (message)
        bus_message_copy_to(arena, message, ret_message);
    pthread_mutex_unlock(&hub->lock);
    if (!found)
        return error_new(ERROR_UNAVAILABLE, "no stream '%s'", stream);
    return message ? NULL : error_new(ERROR_NOT_FOUND, "nothing more in '%s'", stream);
}

static uint64_t find_last(const struct memory_stream *stream, const char *filter)
{
    for (size_t i = stream->count; i > 0; i--)
        if (subject_matches(filter, stream->messages[i - 1]->subject))
            return stream->messages[i - 1]->stream_sequence;
    return 0;
}

struct error *memory_stream_last(struct bus *bus, const char *stream, const char *filter,
                                 _unused_ int timeout_ms, uint64_t *ret_sequence)
{
    struct memory_hub *hub = hub_of(bus);
    uint64_t last = 0;

    pthread_mutex_lock(&hub->lock);
    struct memory_stream *found = find_stream(hub, stream);
    if (found)
        last = find_last(found, filter);
    pthread_mutex_unlock(&hub->lock);
    if (!found)
        return error_new(ERROR_UNAVAILABLE, "no stream '%s'", stream);
    if (!last)
        return error_new(ERROR_NOT_FOUND, "nothing in '%s'", stream);
    *ret_sequence = last;
    return NULL;
}

/* Under the lock; lets go of it while the callback runs. */
static void consume_one(struct memory_hub *hub, struct memory_subscription *subscription,
                        const struct bus_message *stored)
{
    struct memory_durable *durable = subscription->durable;
    _cleanup_free_ struct bus_message *message = bus_message_copy(stored);
    struct delivery *delivery = ((struct memory_bus *)subscription->base.bus)->delivery;
    struct timespec deadline;

    durable->busy = true;
    message->deliveries = ++durable->deliveries;
    pthread_mutex_unlock(&hub->lock);
    enum bus_ack ack =
        bus_consume_on(delivery, subscription, subscription->consume, subscription->state, message);
    pthread_mutex_lock(&hub->lock);
    durable->busy = false;
    pthread_cond_broadcast(&hub->changed);
    if (ack == BUS_NAK) {
        deadline_after_ms(NAK_PAUSE_MS, &deadline);
        pthread_cond_timedwait(&hub->changed, &hub->lock, &deadline);
        return;
    }
    durable->next_sequence = message->stream_sequence + 1;
    durable->deliveries = 0;
}

static void *consume_main(void *data)
{
    struct memory_subscription *subscription = data;
    struct memory_hub *hub = hub_of(subscription->base.bus);
    struct memory_durable *durable = subscription->durable;

    pthread_mutex_lock(&hub->lock);
    while (!subscription->stop) {
        const struct bus_message *message =
            durable->busy ? NULL
                          : find_next(durable->stream, durable->filter, durable->next_sequence);
        if (message)
            consume_one(hub, subscription, message);
        else
            pthread_cond_wait(&hub->changed, &hub->lock);
    }
    pthread_mutex_unlock(&hub->lock);
    return NULL;
}

/* Under the lock. */
static struct memory_durable *get_durable(struct memory_hub *hub,
                                          const struct memory_stream *stream, const char *name,
                                          const char *filter)
{
    struct memory_durable *durable;

    for (durable = hub->durables; durable; durable = durable->next) {
        if (durable->stream == stream && strcmp(durable->name, name) == 0)
            return durable;
    }
    durable = xnew(struct memory_durable);
    durable->stream = stream;
    durable->name = xstrdup(name);
    durable->filter = xstrdup(filter ?: ">");
    durable->next_sequence = 1;
    durable->next = hub->durables;
    hub->durables = durable;
    return durable;
}

struct error *memory_consume(struct bus *bus, const char *stream, const char *durable,
                             const char *filter, bus_consume_fn consume, void *state,
                             struct bus_subscription **ret_subscription)
{
    struct memory_hub *hub = hub_of(bus);
    struct memory_subscription *subscription = xnew(struct memory_subscription);

    subscription->base.bus = bus;
    subscription->consume = consume;
    subscription->state = state;
    pthread_mutex_lock(&hub->lock);
    const struct memory_stream *found = find_stream(hub, stream);
    if (found)
        subscription->durable = get_durable(hub, found, durable, filter);
    pthread_mutex_unlock(&hub->lock);
    if (!found) {
        free(subscription);
        return error_new(ERROR_UNAVAILABLE, "no stream '%s'", stream);
    }
    int rc = pthread_create(&subscription->thread, NULL, consume_main, subscription);
    if (rc != 0) {
        free(subscription);
        return error_errno(rc, "start a consumer of '%s'", stream);
    }
    *ret_subscription = &subscription->base;
    return NULL;
}

void memory_consume_end(struct memory_subscription *subscription)
{
    struct memory_hub *hub = hub_of(subscription->base.bus);

    pthread_mutex_lock(&hub->lock);
    subscription->stop = true;
    pthread_cond_broadcast(&hub->changed);
    pthread_mutex_unlock(&hub->lock);
    bus_join_consumer(((struct memory_bus *)subscription->base.bus)->delivery, subscription,
                      subscription->thread);
}

static struct memory_object *find_object(struct memory_hub *hub, const char *name)
{
    for (struct memory_object *object = hub->objects; object; object = object->next) {
        if (strcmp(object->name, name) == 0)
            return object;
    }
    return NULL;
}

struct error *memory_object_put(struct bus *bus, const char *name, const void *data, size_t size,
                                int timeout_ms)
{
    struct memory_hub *hub = hub_of(bus);
    char subject[SUBJECT_MAX];
    struct error *err = bus_object_subject(name, subject);

    (void)timeout_ms;
    if (err)
        return err;
    pthread_mutex_lock(&hub->lock);
    struct memory_object *object = find_object(hub, name);
    if (!object) {
        object = xnew(struct memory_object);
        object->name = xstrdup(name);
        object->next = hub->objects;
        hub->objects = object;
    }
    free(object->data);
    object->data = xmemdup(data, size);
    object->size = size;
    pthread_mutex_unlock(&hub->lock);
    return NULL;
}

struct error *memory_object_get(struct bus *bus, const char *name, size_t max, struct arena *arena,
                                ProtobufCBinaryData *ret_data, int timeout_ms)
{
    struct memory_hub *hub = hub_of(bus);
    char subject[SUBJECT_MAX];
    struct error *err = bus_object_subject(name, subject);

    (void)timeout_ms;
    if (err)
        return err;
    pthread_mutex_lock(&hub->lock);
    const struct memory_object *object = find_object(hub, name);
    if (!object)
        err = error_new(ERROR_NOT_FOUND, "no object '%s'", name);
    else if (object->size > max)
        err =
            error_new(ERROR_RESOURCE_EXHAUSTED, "object '%s' is larger than %zu bytes", name, max);
    else
        *ret_data = arena_bytes(arena, object->data, object->size);
    pthread_mutex_unlock(&hub->lock);
    return err;
}

static void free_stream(struct memory_stream *stream)
{
    for (size_t i = 0; i < stream->count; i++)
        free(stream->messages[i]);
    free(stream->messages);
}

void memory_streams_free(struct memory_hub *hub)
{
    for (struct memory_stream *s = hub->streams; s && s->definition; s++)
        free_stream(s);
    free(hub->streams);
    for (struct memory_durable *next, *d = hub->durables; d; d = next) {
        next = d->next;
        free(d->name);
        free(d->filter);
        free(d);
    }
    for (struct memory_object *next, *o = hub->objects; o; o = next) {
        next = o->next;
        free(o->name);
        free(o->data);
        free(o);
    }
}
