/*
 * Durable pull consumers of the NATS backend: one thread each, which survives hub restarts.
 *
 * The thread asks for a batch ("$JS.API.CONSUMER.MSG.NEXT.<stream>.<durable>", NATS ADR-13) and
 * handles what comes as it comes, until the batch is full or the server says with a status that
 * the request is over. Every request is let end: leaving one would leave messages to nobody until
 * their acknowledgement time is over, and lose the order.
 */
#include <inttypes.h>

#include "shared/base/alloc.h"
#include "shared/base/clock.h"
#include "shared/base/encode.h"
#include "shared/base/log.h"
#include "shared/bus/nats_internal.h"
#include "shared/bus/subject.h"

enum {
    BATCH = 64,
    TURN = 16,               /* of them at a time, so that others have their turn */
    REQUEST_MS = 1000,       /* the server ends a request that waits longer */
    REQUEST_GRACE_MS = 2000, /* for its saying so */
    RETRY_FIRST_MS = 100,
    RETRY_MAX_MS = 2000,
    ACK_WAIT_S = 30,
};

enum pull_end { PULL_DONE, PULL_REFUSED, PULL_BROKEN };

struct consumer {
    struct nats_subscription base;
    char *stream;
    char *durable;
    char *filter;
    bus_consume_fn consume;
    void *state;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stopped;
    bool stop;
    bool exists; /* on the server, as far as we know */
    natsSubscription *inbox;
    char *inbox_subject;
    int retry_ms;
};

static struct nats_bus *bus_of(const struct consumer *consumer)
{
    return (struct nats_bus *)consumer->base.base.bus;
}

void nats_consumer_config(const char *durable, const char *filter, jsConsumerConfig *ret_config)
{
    jsConsumerConfig_Init(ret_config);
    ret_config->Durable = durable;
    ret_config->FilterSubject = filter;
    ret_config->AckPolicy = js_AckExplicit;
    ret_config->AckWait = ACK_WAIT_S * 1000000000LL;
    ret_config->MaxAckPending = 4 * BATCH;
}

/* Made with the streams, for somebody who may not make it. */
static bool is_made(const struct consumer *consumer)
{
    return strcmp(consumer->stream, "EVENTS") == 0 &&
           strcmp(consumer->durable, BUS_WEBHOOKS_CONSUMER) == 0;
}

/* Makes the consumer on the server; the same again changes nothing. */
static struct error *ensure_consumer(struct consumer *consumer)
{
    jsConsumerConfig config;
    jsErrCode code = 0;

    if (is_made(consumer)) {
        consumer->exists = true; /* if not, a pull tells, and is repeated */
        return NULL;
    }
    nats_consumer_config(consumer->durable, consumer->filter, &config);
    natsStatus s =
        js_AddConsumer(NULL, bus_of(consumer)->js, consumer->stream, &config, NULL, &code);
    if (s != NATS_OK)
        return error_recode(nats_error(s, "consumer '%s' of '%s' (%d)", consumer->durable,
                                       consumer->stream, (int)code),
                            ERROR_UNAVAILABLE);
    consumer->exists = true;
    return NULL;
}

static bool must_stop(struct consumer *consumer)
{
    pthread_mutex_lock(&consumer->lock);
    bool stop = consumer->stop;
    pthread_mutex_unlock(&consumer->lock);
    return stop;
}

static void pause_before_retry(struct consumer *consumer)
{
    struct timespec deadline;
    int rc = 0;

    deadline_after_ms(consumer->retry_ms, &deadline);
    pthread_mutex_lock(&consumer->lock);
    while (!consumer->stop && rc == 0)
        rc = pthread_cond_timedwait(&consumer->stopped, &consumer->lock, &deadline);
    pthread_mutex_unlock(&consumer->lock);
    consumer->retry_ms =
        consumer->retry_ms * 2 < RETRY_MAX_MS ? consumer->retry_ms * 2 : RETRY_MAX_MS;
}

/*
 * "$JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>. ..." of 9 tokens, or with a domain
 * and an account hash before the stream, 11 or more (NATS ADR-15).
 */
static void read_ack_subject(const char *reply, struct bus_message *ret_message)
{
    size_t tokens = 1;
    char text[24];

    for (const char *at = reply; *at; at++)
        tokens += *at == '.';
    size_t first = tokens >= 11 ? 6 : 4;
    if (subject_token(reply, first, text, sizeof(text)))
        ret_message->deliveries = (uint32_t)strtoul(text, NULL, 10);
    if (subject_token(reply, first + 1, text, sizeof(text)))
        ret_message->stream_sequence = strtoull(text, NULL, 10);
}

/* A lost answer is repaired by redelivery. */
static void answer(struct consumer *consumer, natsMsg *msg, enum bus_ack ack)
{
    static const char *const words[] = {
        [BUS_ACK] = "+ACK", [BUS_NAK] = "-NAK", [BUS_TERM] = "+TERM"};

    (void)natsConnection_PublishString(bus_of(consumer)->connection, natsMsg_GetReply(msg),
                                       words[ack]);
}

/* 404 no messages, 408 request over: normal. Anything else (409 consumer gone, 503 no JetStream):
 * make sure of the consumer first. */
static enum pull_end end_of_status(const char *status)
{
    return strcmp(status, "404") == 0 || strcmp(status, "408") == 0 ? PULL_DONE : PULL_BROKEN;
}

/* What has arrived at once; the last may be a status, which ends the request. */
struct arrived {
    natsMsg *msgs[TURN];
    int n;
    natsMsg *status;
};

static void arrived_done(struct arrived *arrived)
{
    for (int i = 0; i < arrived->n; i++)
        natsMsg_Destroy(arrived->msgs[i]);
    natsMsg_Destroy(arrived->status);
}

/* False: it is none of the stream's messages. */
static bool take_one(struct arrived *arrived, natsMsg *msg)
{
    const char *status = NULL;

    if (natsMsgHeader_Get(msg, "Status", &status) == NATS_OK)
        arrived->status = msg;
    else if (natsMsg_GetReply(msg))
        arrived->msgs[arrived->n++] = msg;
    else
        natsMsg_Destroy(msg);
    return !arrived->status;
}

/* Waits for the first; then takes what is there, at most max. */
static natsStatus take_arrived(struct consumer *consumer, int64_t wait_ms, int max,
                               struct arrived *ret_arrived)
{
    natsMsg *msg = NULL;
    natsStatus s = natsSubscription_NextMsg(&msg, consumer->inbox, wait_ms);
    uint64_t queued = 0;

    if (s != NATS_OK)
        return s;
    while (take_one(ret_arrived, msg) && ret_arrived->n < max) {
        if (natsSubscription_QueuedMsgs(consumer->inbox, &queued) != NATS_OK || !queued ||
            natsSubscription_NextMsg(&msg, consumer->inbox, 1) != NATS_OK)
            break;
    }
    return NATS_OK;
}

/* Whether all were taken. */
static bool consume_arrived(struct consumer *consumer, struct arrived *arrived)
{
    struct bus_message messages[TURN];
    enum bus_ack acks[TURN];
    bool all = true;

    for (int i = 0; i < arrived->n; i++) {
        nats_view(arrived->msgs[i], &messages[i]);
        read_ack_subject(messages[i].reply_to, &messages[i]);
        messages[i].reply_to = NULL;
    }
    bus_consume_many_on(bus_of(consumer)->delivery, consumer, consumer->consume, consumer->state,
                        messages, (size_t)arrived->n, acks);
    for (int i = 0; i < arrived->n; i++) {
        answer(consumer, arrived->msgs[i], acks[i]);
        all = all && acks[i] != BUS_NAK;
    }
    return all;
}

static void give_back(struct consumer *consumer, struct arrived *arrived)
{
    for (int i = 0; i < arrived->n; i++)
        answer(consumer, arrived->msgs[i], BUS_NAK);
}

/* Takes what a request brings. After a NAK the rest goes back unseen, so that the order is kept. */
static enum pull_end take_batch(struct consumer *consumer)
{
    int64_t deadline = clock_monotonic_ms(clock_system()) + REQUEST_MS + REQUEST_GRACE_MS;
    bool back = false;

    for (int n = 0; n < BATCH;) {
        _cleanup_(arrived_done) struct arrived arrived = {0};
        int64_t left = deadline - clock_monotonic_ms(clock_system());
        int max = BATCH - n < TURN ? BATCH - n : TURN;
        natsStatus s = take_arrived(consumer, left > 0 ? left : 1, max, &arrived);
        if (s != NATS_OK)
            return PULL_BROKEN;
        if (back || must_stop(consumer))
            give_back(consumer, &arrived);
        else
            back = arrived.n && !consume_arrived(consumer, &arrived);
        n += arrived.n;
        const char *status = NULL;
        if (arrived.status && natsMsgHeader_Get(arrived.status, "Status", &status) == NATS_OK)
            return back ? PULL_REFUSED : end_of_status(status);
    }
    return back ? PULL_REFUSED : PULL_DONE;
}

static enum pull_end pull(struct consumer *consumer)
{
    struct nats_bus *bus = bus_of(consumer);
    char subject[SUBJECT_MAX];
    char body[80];

    if (!bus_is_connected(&bus->base))
        return PULL_BROKEN;
    if (!consumer->exists) {
        struct error *err = ensure_consumer(consumer);
        if (err) {
            log_failure(LOG_LEVEL_WARNING, "consumer not open", err);
            return PULL_BROKEN;
        }
    }
    snprintf(subject, sizeof(subject), "$JS.API.CONSUMER.MSG.NEXT.%s.%s", consumer->stream,
             consumer->durable);
    snprintf(body, sizeof(body), "{\"batch\":%d,\"expires\":%" PRId64 "}", BATCH,
             (int64_t)REQUEST_MS * 1000000);
    natsStatus s = natsConnection_PublishRequestString(bus->connection, subject,
                                                       consumer->inbox_subject, body);
    return s == NATS_OK ? take_batch(consumer) : PULL_BROKEN;
}

static void *consumer_main(void *data)
{
    struct consumer *consumer = data;

    while (!must_stop(consumer)) {
        switch (pull(consumer)) {
        case PULL_DONE:
            consumer->retry_ms = RETRY_FIRST_MS;
            break;
        case PULL_REFUSED:
            pause_before_retry(consumer);
            break;
        case PULL_BROKEN:
            consumer->exists = false;
            pause_before_retry(consumer);
            break;
        }
    }
    nats_ReleaseThreadMemory();
    return NULL;
}

static void consumer_free(struct consumer *consumer)
{
    natsSubscription_Destroy(consumer->inbox);
    pthread_cond_destroy(&consumer->stopped);
    pthread_mutex_destroy(&consumer->lock);
    free(consumer->inbox_subject);
    free(consumer->stream);
    free(consumer->durable);
    free(consumer->filter);
    free(consumer);
}

static struct consumer *consumer_new(struct bus *bus, const char *stream, const char *durable,
                                     const char *filter)
{
    struct consumer *consumer = xnew(struct consumer);
    pthread_condattr_t attributes;
    char id[UUID_TEXT_SIZE];

    consumer->base.base.bus = bus;
    consumer->base.is_consumer = true;
    consumer->stream = xstrdup(stream);
    consumer->durable = xstrdup(durable);
    consumer->filter = xstrdup(filter);
    consumer->retry_ms = RETRY_FIRST_MS;
    uuid_generate_text(id);
    consumer->inbox_subject =
        xasprintf("%s.pull.%s", nats_requests_prefix(bus_of(consumer)->requests), id);
    pthread_mutex_init(&consumer->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&consumer->stopped, &attributes);
    pthread_condattr_destroy(&attributes);
    return consumer;
}

static struct error *consumer_start(struct consumer *consumer)
{
    struct nats_bus *bus = bus_of(consumer);
    natsStatus s =
        natsConnection_SubscribeSync(&consumer->inbox, bus->connection, consumer->inbox_subject);

    if (s != NATS_OK)
        return nats_error(s, "inbox of a consumer");
    /* A wrong name is told at once; a bus that is away only delays the start. */
    struct error *err = bus_is_connected(&bus->base) ? ensure_consumer(consumer) : NULL;
    if (err)
        return err;
    int rc = pthread_create(&consumer->thread, NULL, consumer_main, consumer);
    return rc == 0 ? NULL : error_errno(rc, "start a consumer of '%s'", consumer->stream);
}

struct error *nats_consume(struct bus *bus, const char *stream, const char *durable,
                           const char *filter, bus_consume_fn consume, void *state,
                           struct bus_subscription **ret_sub)
{
    struct consumer *consumer = consumer_new(bus, stream, durable, filter);

    consumer->consume = consume;
    consumer->state = state;
    struct error *err = consumer_start(consumer);
    if (err) {
        consumer_free(consumer);
        return err;
    }
    *ret_sub = &consumer->base.base;
    return NULL;
}

void nats_consume_end(struct nats_subscription *base)
{
    struct consumer *consumer = (struct consumer *)base;

    pthread_mutex_lock(&consumer->lock);
    consumer->stop = true;
    pthread_cond_signal(&consumer->stopped);
    pthread_mutex_unlock(&consumer->lock);
    bus_join_consumer(bus_of(consumer)->delivery, consumer, consumer->thread);
    consumer_free(consumer);
}
