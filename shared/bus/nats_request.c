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

/* Whoever takes it from the list settles it, and does not touch it any more after that. */
struct pending {
    struct pending *next;
    char inbox[SUBJECT_MAX + 64];
    natsMsg *reply; /* NULL when it is settled: the connection is gone */
    bool listed;
    pthread_mutex_t lock; /* of the next two; the list's lock is not held meanwhile */
    pthread_cond_t changed;
    bool settled;
};

struct nats_requests {
    pthread_mutex_t lock;
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

    requests->prefix = xstrdup(prefix ?: "_INBOX");
    completion_init(&requests->complete);
    pthread_mutex_init(&requests->lock, NULL);
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
    pthread_mutex_destroy(&requests->lock);
    free(requests->prefix);
    free(requests);
}

static void settle(struct pending *pending)
{
    pthread_mutex_lock(&pending->lock);
    pending->settled = true;
    pthread_cond_signal(&pending->changed);
    pthread_mutex_unlock(&pending->lock);
}

/* False: the time is over. */
static bool await_settled(struct pending *pending, const struct timespec *deadline)
{
    int rc = 0;

    pthread_mutex_lock(&pending->lock);
    while (!pending->settled && rc == 0)
        rc = deadline ? pthread_cond_timedwait(&pending->changed, &pending->lock, deadline)
                      : pthread_cond_wait(&pending->changed, &pending->lock);
    bool settled = pending->settled;
    pthread_mutex_unlock(&pending->lock);
    return settled;
}

static void on_reply(natsConnection *connection, natsSubscription *sub, natsMsg *msg, void *data)
{
    struct nats_requests *requests = data;

    (void)connection;
    (void)sub;
    pthread_mutex_lock(&requests->lock);
    struct pending **at = &requests->pending;
    while (*at && strcmp((*at)->inbox, natsMsg_GetSubject(msg)) != 0)
        at = &(*at)->next;
    struct pending *found = *at;
    if (found) {
        *at = found->next;
        found->listed = false;
        found->reply = msg;
    }
    pthread_mutex_unlock(&requests->lock);
    if (found)
        settle(found);
    else
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

static void pending_init(struct pending *pending)
{
    pthread_condattr_t attributes;

    *pending = (struct pending){0};
    pthread_mutex_init(&pending->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&pending->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void pending_done(struct pending *pending)
{
    pthread_cond_destroy(&pending->changed);
    pthread_mutex_destroy(&pending->lock);
    natsMsg_Destroy(pending->reply);
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

/* False: somebody has taken it from the list already. */
static bool unlist(struct nats_requests *requests, struct pending *pending)
{
    pthread_mutex_lock(&requests->lock);
    bool listed = pending->listed;
    if (listed) {
        struct pending **at = &requests->pending;
        while (*at != pending)
            at = &(*at)->next;
        *at = pending->next;
        pending->listed = false;
    }
    pthread_mutex_unlock(&requests->lock);
    return listed;
}

static natsStatus enlist(struct nats_bus *bus, struct pending *pending)
{
    struct nats_requests *requests = bus->requests;

    pthread_mutex_lock(&requests->lock);
    natsStatus s = ensure_subscription(bus);
    if (s == NATS_OK) {
        pending->next = requests->pending;
        requests->pending = pending;
        pending->listed = true;
    }
    pthread_mutex_unlock(&requests->lock);
    return s;
}

/* It may be settled any time from now on; unless NATS_OK it is not awaited. */
static natsStatus send_pending(struct nats_bus *bus, struct pending *pending, natsMsg *msg)
{
    natsStatus s = enlist(bus, pending);

    if (s != NATS_OK)
        return s;
    /* When it is in the list already: whoever notices that the connection is gone looks there,
     * after it has said so. */
    if (!bus->connected)
        s = NATS_CONNECTION_DISCONNECTED;
    s = s ?: natsConnection_PublishMsg(bus->connection, msg);
    if (s != NATS_OK && !unlist(bus->requests, pending))
        (void)await_settled(pending, NULL);
    return s;
}

/* NATS_OK: there is a reply. */
static natsStatus await_reply(struct nats_bus *bus, struct pending *pending,
                              const struct timespec *deadline)
{
    if (!await_settled(pending, deadline)) {
        if (unlist(bus->requests, pending))
            return NATS_TIMEOUT;
        (void)await_settled(pending, NULL); /* the reply is just coming */
    }
    if (!pending->reply)
        return NATS_CONNECTION_DISCONNECTED;
    return natsMsg_IsNoResponders(pending->reply) ? NATS_NO_RESPONDERS : NATS_OK;
}

static natsStatus exchange(struct nats_bus *bus, struct pending *pending, natsMsg *msg,
                           const struct timespec *deadline)
{
    natsStatus s = send_pending(bus, pending, msg);

    return s ?: await_reply(bus, pending, deadline);
}

void nats_requests_fail(struct nats_requests *requests)
{
    pthread_mutex_lock(&requests->lock);
    struct pending *failed = requests->pending;
    requests->pending = NULL;
    for (struct pending *p = failed; p; p = p->next)
        p->listed = false;
    pthread_mutex_unlock(&requests->lock);
    while (failed) {
        struct pending *p = failed;
        failed = p->next;
        settle(p);
    }
}

struct error *nats_request(struct bus *base, const struct bus_message *message, int timeout_ms,
                           struct arena *arena, struct bus_message *ret_reply)
{
    struct nats_bus *bus = (struct nats_bus *)base;
    _cleanup_(natsMsg_Destroyp) natsMsg *msg = NULL;
    _cleanup_(pending_done) struct pending pending;
    struct bus_message sent = *message;
    struct bus_message view;
    struct timespec deadline;

    pending_init(&pending);
    sent.reply_to = pending.inbox;
    struct error *err = make_inbox(bus->requests, message->subject, &pending);
    err = err ?: nats_message_new(&sent, &msg);
    if (err)
        return err;
    deadline_after_ms(timeout_ms, &deadline);
    natsStatus s = exchange(bus, &pending, msg, &deadline);
    if (s != NATS_OK)
        return nats_error(s, "request '%s'", message->subject);
    nats_view(pending.reply, &view);
    bus_message_copy_to(arena, &view, ret_reply);
    return bus_reply_error(ret_reply);
}

/* One of many durable publishes: the stream's acknowledgement is its reply. */
struct sending {
    struct pending pending;
    natsMsg *msg;
    natsStatus status;
};

static struct error *prepare(struct nats_bus *bus, const struct bus_message *message,
                             struct sending *sending)
{
    struct bus_message sent = *message;
    struct error *err = make_inbox(bus->requests, message->subject, &sending->pending);

    sent.reply_to = sending->pending.inbox;
    return err ?: nats_message_new(&sent, &sending->msg);
}

/* All go out before the first answer is waited for. */
static void exchange_many(struct nats_bus *bus, struct sending *sendings, size_t n,
                          const struct timespec *deadline)
{
    size_t sent = 0;

    for (natsStatus s = NATS_OK; s == NATS_OK && sent < n; sent += s == NATS_OK)
        s = sendings[sent].status = send_pending(bus, &sendings[sent].pending, sendings[sent].msg);
    for (size_t i = 0; i < sent; i++)
        sendings[i].status = await_reply(bus, &sendings[i].pending, deadline);
}

/* {"stream": ..., "seq": ...}, or {"error": ...}. */
static struct error *check_ack(const struct sending *sending, const char *subject)
{
    if (sending->status != NATS_OK)
        return nats_error(sending->status, "durable publish '%s'", subject);
    const char *data = natsMsg_GetData(sending->pending.reply);
    size_t size = (size_t)natsMsg_GetDataLength(sending->pending.reply);
    if (memmem(data, size, "\"seq\"", 5) && !memmem(data, size, "\"error\"", 7))
        return NULL;
    return error_new(ERROR_UNAVAILABLE, "durable publish '%s': the stream said %.*s", subject,
                     (int)(size < 200 ? size : 200), data);
}

struct error *nats_publish_durable_many(struct bus *base, const struct bus_message *messages,
                                        size_t n, int timeout_ms, size_t *ret_done)
{
    struct nats_bus *bus = (struct nats_bus *)base;
    _cleanup_free_ struct sending *sendings = xcalloc(n + 1, sizeof(*sendings));
    struct timespec deadline;
    struct error *err = nats_check_connected(bus);
    size_t prepared = 0;
    size_t done = 0;

    for (size_t i = 0; i < n; i++)
        pending_init(&sendings[i].pending);
    for (; !err && prepared < n; prepared += !err)
        err = prepare(bus, &messages[prepared], &sendings[prepared]);
    deadline_after_ms(timeout_ms, &deadline);
    exchange_many(bus, sendings, prepared, &deadline);
    for (struct error *bad = NULL; done < prepared && !bad; done += !bad) {
        bad = check_ack(&sendings[done], messages[done].subject);
        if (!bad)
            continue;
        error_free(err);
        err = bad;
    }
    for (size_t i = 0; i < n; i++) {
        pending_done(&sendings[i].pending);
        natsMsg_Destroy(sendings[i].msg);
    }
    *ret_done = done;
    return err;
}
