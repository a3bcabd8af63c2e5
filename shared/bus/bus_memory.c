#include <assert.h>

#include "shared/base/alloc.h"
#include "shared/bus/memory.h"
#include "shared/bus/subject.h"

struct memory_request {
    struct memory_request *next;
    char inbox[SUBJECT_MAX];
    struct bus_message *reply;
};

struct memory_job {
    struct delivery_job job;
    struct memory_subscription *subscription;
    struct bus_message *message;
};

static struct memory_bus *memory_of(struct bus *bus)
{
    return (struct memory_bus *)bus;
}

static void job_run(struct delivery_job *job)
{
    const struct memory_job *memory_job = (struct memory_job *)job;
    struct memory_subscription *subscription = memory_job->subscription;

    const struct bus_place place = {
        .bus = subscription->base.bus,
        .delivery = memory_of(subscription->base.bus)->delivery,
        .owner = subscription,
        .row = subscription->row,
    };

    bus_handle(&place, subscription->state, memory_job->message);
}

static void job_free(struct delivery_job *job)
{
    free(((struct memory_job *)job)->message);
    free(job);
}

static void post(struct memory_subscription *subscription, const struct bus_message *message)
{
    struct memory_job *job = xnew(struct memory_job);

    job->job = (struct delivery_job){
        .owner = subscription, .size = message->size, .run = job_run, .free = job_free};
    job->subscription = subscription;
    job->message = bus_message_copy(message);
    /* A full queue drops, as a slow consumer does on NATS. */
    (void)delivery_post(memory_of(subscription->base.bus)->delivery, &job->job);
}

static bool same_queue(const struct memory_subscription *a, const struct memory_subscription *b)
{
    return a->row->queue && b->row->queue && strcmp(a->row->queue, b->row->queue) == 0;
}

/* One member of a queue group gets it, in turn. */
static bool is_chosen(struct memory_hub *hub, const struct memory_subscription *subscription,
                      const char *subject)
{
    size_t members = 0;
    size_t index = 0;

    for (const struct memory_subscription *s = hub->subscriptions; s; s = s->next) {
        if (!same_queue(s, subscription) || !subject_matches(s->subject, subject))
            continue;
        if (s == subscription)
            index = members;
        members++;
    }
    assert(members); /* itself at least */
    return hub->queue_turn % members == index;
}

static bool take_reply(struct memory_hub *hub, const struct bus_message *message)
{
    for (struct memory_request *request = hub->requests; request; request = request->next) {
        if (strcmp(request->inbox, message->subject) != 0)
            continue;
        if (!request->reply) {
            request->reply = bus_message_copy(message);
            pthread_cond_broadcast(&hub->changed);
        }
        return true;
    }
    return false;
}

/* Under the hub's lock: hands it to everyone; how many there were. */
static size_t fan_out(struct memory_hub *hub, const struct bus_message *message)
{
    size_t receivers = take_reply(hub, message);

    hub->queue_turn++;
    for (struct memory_subscription *s = hub->subscriptions; s; s = s->next) {
        if (!subject_matches(s->subject, message->subject))
            continue;
        if (s->row->queue && !is_chosen(hub, s, message->subject))
            continue;
        post(s, message);
        receivers++;
    }
    return receivers;
}

static struct error *memory_publish(struct bus *bus, const struct bus_message *message)
{
    struct memory_hub *hub = memory_of(bus)->hub;
    struct error *err = bus_check_message(message);

    if (err)
        return err;
    pthread_mutex_lock(&hub->lock);
    fan_out(hub, message);
    memory_stream_append(hub, message);
    pthread_mutex_unlock(&hub->lock);
    return NULL;
}

static struct error *memory_publish_durable(struct bus *bus, const struct bus_message *message,
                                            int timeout_ms)
{
    struct memory_hub *hub = memory_of(bus)->hub;
    struct error *err = bus_check_message(message);

    (void)timeout_ms;
    if (err)
        return err;
    pthread_mutex_lock(&hub->lock);
    fan_out(hub, message);
    uint64_t sequence = memory_stream_append(hub, message);
    pthread_mutex_unlock(&hub->lock);
    if (!sequence)
        return error_new(ERROR_UNAVAILABLE, "no stream takes '%s'", message->subject);
    return NULL;
}

static struct error *memory_publish_durable_many(struct bus *bus,
                                                 const struct bus_message *messages, size_t n,
                                                 int timeout_ms, size_t *ret_done)
{
    struct error *err = NULL;

    for (*ret_done = 0; !err && *ret_done < n; *ret_done += !err)
        err = memory_publish_durable(bus, &messages[*ret_done], timeout_ms);
    return err;
}

static void unlink_request(struct memory_hub *hub, const struct memory_request *request)
{
    struct memory_request **at = &hub->requests;

    while (*at != request)
        at = &(*at)->next;
    *at = request->next;
}

static struct error *await_reply(struct memory_hub *hub, struct memory_request *request,
                                 const struct bus_message *message, int timeout_ms)
{
    struct timespec deadline;
    int rc = 0;

    deadline_after_ms(timeout_ms, &deadline);
    if (fan_out(hub, message) == 0)
        return error_new(ERROR_UNAVAILABLE, "nobody answers '%s'", message->subject);
    while (!request->reply && rc == 0)
        rc = pthread_cond_timedwait(&hub->changed, &hub->lock, &deadline);
    if (!request->reply)
        return error_new(ERROR_DEADLINE_EXCEEDED, "no answer on '%s' within %d ms",
                         message->subject, timeout_ms);
    return NULL;
}

static struct error *memory_request(struct bus *bus, const struct bus_message *message,
                                    int timeout_ms, struct arena *arena,
                                    struct bus_message *ret_reply)
{
    struct memory_hub *hub = memory_of(bus)->hub;
    struct memory_request request = {0};
    struct bus_message sent = *message;
    struct error *err = bus_check_message(message);

    if (err)
        return err;
    pthread_mutex_lock(&hub->lock);
    snprintf(request.inbox, sizeof(request.inbox), "_INBOX.memory.%llu",
             (unsigned long long)++hub->inboxes);
    sent.reply_to = request.inbox;
    request.next = hub->requests;
    hub->requests = &request;
    err = await_reply(hub, &request, &sent, timeout_ms);
    unlink_request(hub, &request);
    pthread_mutex_unlock(&hub->lock);
    if (err)
        return err;
    bus_message_copy_to(arena, request.reply, ret_reply);
    free(request.reply);
    return bus_reply_error(ret_reply);
}

static struct error *memory_subscribe(struct bus *bus, const struct bus_handler *row,
                                      const char *subject, void *state,
                                      struct bus_subscription **ret_subscription)
{
    struct memory_hub *hub = memory_of(bus)->hub;
    struct memory_subscription *subscription = xnew(struct memory_subscription);

    subscription->base.bus = bus;
    subscription->row = row;
    subscription->subject = xstrdup(subject);
    subscription->state = state;
    pthread_mutex_lock(&hub->lock);
    subscription->next = hub->subscriptions;
    hub->subscriptions = subscription;
    pthread_mutex_unlock(&hub->lock);
    *ret_subscription = &subscription->base;
    return NULL;
}

static void core_end(struct memory_hub *hub, struct memory_subscription *subscription)
{
    pthread_mutex_lock(&hub->lock);
    struct memory_subscription **at = &hub->subscriptions;
    while (*at != subscription)
        at = &(*at)->next;
    *at = subscription->next;
    pthread_mutex_unlock(&hub->lock);
    delivery_finish(memory_of(subscription->base.bus)->delivery, subscription);
}

static void memory_unsubscribe(struct bus_subscription *base)
{
    struct memory_subscription *subscription = (struct memory_subscription *)base;

    if (subscription->durable)
        memory_consume_end(subscription);
    else
        core_end(memory_of(base->bus)->hub, subscription);
    free(subscription->subject);
    free(subscription);
}

static bool memory_is_connected(struct bus *bus)
{
    (void)bus;
    return true;
}

static struct error *memory_drain(struct bus *bus, int timeout_ms)
{
    if (!delivery_wait_idle(memory_of(bus)->delivery, timeout_ms))
        return error_new(ERROR_DEADLINE_EXCEEDED, "drain took longer than %d ms", timeout_ms);
    return NULL;
}

static void hub_release(struct memory_hub *hub)
{
    pthread_mutex_lock(&hub->lock);
    bool last = --hub->connections == 0;
    pthread_mutex_unlock(&hub->lock);
    if (!last)
        return;
    memory_streams_free(hub);
    pthread_cond_destroy(&hub->changed);
    pthread_mutex_destroy(&hub->lock);
    free(hub);
}

static void memory_free(struct bus *bus)
{
    struct memory_bus *memory = memory_of(bus);

    delivery_free(memory->delivery);
    hub_release(memory->hub);
    free(memory);
}

static const struct bus_ops memory_ops = {
    .name = "memory",
    .publish = memory_publish,
    .publish_durable = memory_publish_durable,
    .publish_durable_many = memory_publish_durable_many,
    .request = memory_request,
    .subscribe = memory_subscribe,
    .consume = memory_consume,
    .ensure_streams = memory_ensure_streams,
    .unsubscribe = memory_unsubscribe,
    .is_connected = memory_is_connected,
    .drain = memory_drain,
    .free = memory_free,
    .object_put = memory_object_put,
    .object_get = memory_object_get,
    .stream_next = memory_stream_next,
    .stream_last = memory_stream_last,
};

static struct bus *connection_new(struct memory_hub *hub)
{
    struct memory_bus *memory = xnew(struct memory_bus);
    struct error *err = delivery_new(&memory->delivery);

    /* Out of threads is out of memory to a test. */
    if (err) {
        fprintf(stderr, "%s\n", error_text(err));
        abort();
    }
    memory->base.ops = &memory_ops;
    memory->hub = hub;
    return &memory->base;
}

struct bus *bus_memory_new(void)
{
    struct memory_hub *hub = xnew(struct memory_hub);
    pthread_condattr_t attributes;

    pthread_mutex_init(&hub->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&hub->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    hub->connections = 1;
    return connection_new(hub);
}

struct bus *bus_memory_attach(struct bus *peer)
{
    struct memory_hub *hub = memory_of(peer)->hub;

    pthread_mutex_lock(&hub->lock);
    hub->connections++;
    pthread_mutex_unlock(&hub->lock);
    return connection_new(hub);
}
