/*
 * Requests of the NATS backend. One subscription takes all replies of a connection. Each request
 * has an inbox of its own, "<prefix>.to.<who may answer>.<random>": the middle part lets
 * permissions name who may answer, the random part is known to nobody but the one who was asked.
 * (The library's own requests, "<prefix>.<id>.<count>", show every peer what the next one is; they
 * serve JetStream only.)
 */
#include <openssl/rand.h>

#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/bus/nats_internal.h"
#include "shared/bus/subject.h"

enum { RANDOM_SIZE = 16 };

struct pending {
    struct pending *next;
    char inbox[SUBJECT_MAX + 64];
    natsMsg *reply;
};

struct nats_requests {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct pending *pending;
    natsSubscription *sub;      /* NULL before the first request */
    struct completion complete; /* of the subscription */
    char *prefix;
};

/* "host.<h>" or "guest.<h>.<w>" for commands to them, else "_", which is no name. */
static void scope_of(const char *subject, char ret_scope[160])
{
    char host[64];
    char workload[64];

    if (strncmp(subject, "cmd.host.", 9) == 0 && subject_token(subject, 2, host, sizeof(host)))
        snprintf(ret_scope, 160, "host.%s", host);
    else if (strncmp(subject, "cmd.guest.", 10) == 0 &&
             subject_token(subject, 2, host, sizeof(host)) &&
             subject_token(subject, 3, workload, sizeof(workload)))
        snprintf(ret_scope, 160, "guest.%s.%s", host, workload);
    else
        snprintf(ret_scope, 160, "_");
}

struct nats_requests *nats_requests_new(const char *prefix)
{
    struct nats_requests *requests = xnew(struct nats_requests);
    pthread_condattr_t attributes;

    requests->prefix = xstrdup(prefix ?: "_INBOX");
    completion_init(&requests->complete);
    pthread_mutex_init(&requests->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&requests->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    return requests;
}

const char *nats_requests_prefix(const struct nats_requests *requests)
{
    return requests->prefix;
}

void nats_requests_free(struct nats_requests *requests)
{
    if (!requests)
        return;
    bool complete = !requests->sub || completion_wait(&requests->complete, COMPLETE_WAIT_MS);
    natsSubscription_Destroy(requests->sub);
    if (!complete)
        return; /* the library may still call on_reply: better a leak than freed memory */
    completion_done(&requests->complete);
    pthread_cond_destroy(&requests->changed);
    pthread_mutex_destroy(&requests->lock);
    free(requests->prefix);
    free(requests);
}

static void on_reply(natsConnection *connection, natsSubscription *sub, natsMsg *msg, void *data)
{
    struct nats_requests *requests = data;

    (void)connection;
    (void)sub;
    pthread_mutex_lock(&requests->lock);
    for (struct pending *p = requests->pending; p; p = p->next) {
        if (p->reply || strcmp(p->inbox, natsMsg_GetSubject(msg)) != 0)
            continue;
        p->reply = msg;
        msg = NULL;
        pthread_cond_broadcast(&requests->changed);
        break;
    }
    pthread_mutex_unlock(&requests->lock);
    natsMsg_Destroy(msg); /* too late, or not asked for */
}

/* Under the lock. */
static natsStatus ensure_subscription(struct nats_bus *bus)
{
    struct nats_requests *requests = bus->requests;

    if (requests->sub)
        return NATS_OK;
    _cleanup_free_ char *subject = xasprintf("%s.to.>", requests->prefix);
    natsStatus s =
        natsConnection_Subscribe(&requests->sub, bus->connection, subject, on_reply, requests);
    return s
               ?: natsSubscription_SetOnCompleteCB(requests->sub, completion_signal,
                                                   &requests->complete);
}

static struct error *make_inbox(struct nats_requests *requests, const char *subject,
                                struct pending *ret_pending)
{
    uint8_t random[RANDOM_SIZE];
    char token[2 * RANDOM_SIZE + 1];
    char scope[160];

    if (RAND_bytes(random, sizeof(random)) != 1)
        return error_openssl("make an inbox");
    hex_encode(random, sizeof(random), token);
    scope_of(subject, scope);
    int n = snprintf(ret_pending->inbox, sizeof(ret_pending->inbox), "%s.to.%s.%s",
                     requests->prefix, scope, token);
    if (n < 0 || (size_t)n >= sizeof(ret_pending->inbox))
        return error_new(ERROR_INVALID_ARGUMENT, "inbox for '%s' is too long", subject);
    return NULL;
}

static void unlink_pending(struct nats_requests *requests, const struct pending *pending)
{
    struct pending **at = &requests->pending;

    while (*at != pending)
        at = &(*at)->next;
    *at = pending->next;
}

/* Under the lock, which publishing does not need but may keep: nats.c only queues. */
static natsStatus exchange(struct nats_bus *bus, struct pending *pending, natsMsg *msg,
                           const struct timespec *deadline)
{
    struct nats_requests *requests = bus->requests;
    natsStatus s = ensure_subscription(bus);
    int rc = 0;

    s = s ?: natsConnection_PublishMsg(bus->connection, msg);
    if (s != NATS_OK)
        return s;
    pending->next = requests->pending;
    requests->pending = pending;
    while (!pending->reply && rc == 0 && bus_is_connected(&bus->base))
        rc = pthread_cond_timedwait(&requests->changed, &requests->lock, deadline);
    unlink_pending(requests, pending);
    if (pending->reply)
        return natsMsg_IsNoResponders(pending->reply) ? NATS_NO_RESPONDERS : NATS_OK;
    return rc == 0 ? NATS_CONNECTION_DISCONNECTED : NATS_TIMEOUT;
}

void nats_requests_fail(struct nats_requests *requests)
{
    pthread_mutex_lock(&requests->lock);
    pthread_cond_broadcast(&requests->changed);
    pthread_mutex_unlock(&requests->lock);
}

struct error *nats_request(struct bus *base, const struct bus_message *message, int timeout_ms,
                           struct arena *arena, struct bus_message *ret_reply)
{
    struct nats_bus *bus = (struct nats_bus *)base;
    _cleanup_(natsMsg_Destroyp) natsMsg *msg = NULL;
    struct pending pending = {0};
    struct bus_message sent = *message;
    struct bus_message view;
    struct timespec deadline;
    struct error *err = nats_check_connected(bus);

    sent.reply_to = pending.inbox;
    err = err ?: make_inbox(bus->requests, message->subject, &pending);
    err = err ?: nats_message_new(&sent, &msg);
    if (err)
        return err;
    deadline_after_ms(timeout_ms, &deadline);
    pthread_mutex_lock(&bus->requests->lock);
    natsStatus s = exchange(bus, &pending, msg, &deadline);
    pthread_mutex_unlock(&bus->requests->lock);
    _cleanup_(natsMsg_Destroyp) natsMsg *reply = pending.reply;
    if (s != NATS_OK)
        return nats_error(s, "request '%s'", message->subject);
    nats_view(reply, &view);
    bus_message_copy_to(arena, &view, ret_reply);
    return bus_reply_error(ret_reply);
}
