/* Durable pull consumers of the NATS backend: one thread each, which survives hub restarts. */
#include "shared/base/alloc.h"
#include "shared/base/log.h"
#include "shared/bus/nats_internal.h"

enum {
    BATCH = 64,
    IDLE_WAIT_MS = 2000,
    RETRY_FIRST_MS = 100,
    RETRY_MAX_MS = 5000,
    ACK_WAIT_S = 30,
};

struct consumer {
    struct nats_subscription base;
    char *stream;
    char *durable;
    char *filter; /* NULL: everything */
    bus_consume_fn consume;
    void *state;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stopped;
    natsSubscription *pull; /* NULL: not open */
    bool stop;
    int retry_ms;
};

static struct nats_bus *bus_of(const struct consumer *consumer)
{
    return (struct nats_bus *)consumer->base.base.bus;
}

/* Makes the consumer on the server if it is not there, and a subscription that pulls from it. */
static struct error *open_pull(struct consumer *consumer, natsSubscription **ret_pull)
{
    struct nats_bus *bus = bus_of(consumer);
    jsConsumerConfig config;
    jsSubOptions options;
    jsErrCode code = 0;

    jsConsumerConfig_Init(&config);
    config.Durable = consumer->durable;
    config.FilterSubject = consumer->filter;
    config.AckPolicy = js_AckExplicit;
    config.AckWait = ACK_WAIT_S * 1000000000LL;
    config.MaxAckPending = 4 * BATCH;
    natsStatus s = js_AddConsumer(NULL, bus->js, consumer->stream, &config, NULL, &code);
    if (s != NATS_OK)
        return error_recode(nats_error(s, "consumer '%s' of '%s' (%d)", consumer->durable,
                                       consumer->stream, (int)code),
                            ERROR_UNAVAILABLE);
    jsSubOptions_Init(&options);
    options.Stream = consumer->stream;
    options.Consumer = consumer->durable;
    s = js_PullSubscribe(ret_pull, bus->js, consumer->filter, consumer->durable, NULL, &options,
                         &code);
    if (s != NATS_OK)
        return nats_error(s, "pull from '%s' (%d)", consumer->stream, (int)code);
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

static void set_pull(struct consumer *consumer, natsSubscription *pull)
{
    pthread_mutex_lock(&consumer->lock);
    natsSubscription *old = consumer->pull;
    consumer->pull = pull;
    pthread_mutex_unlock(&consumer->lock);
    natsSubscription_Destroy(old);
}

/* False: told to stop, or not possible now. */
static bool ensure_open(struct consumer *consumer)
{
    natsSubscription *pull = NULL;

    if (consumer->pull)
        return true;
    struct error *err = open_pull(consumer, &pull);
    if (!err) {
        set_pull(consumer, pull);
        return true;
    }
    /* Away is normal and told by the connection's own log lines. */
    bool away = !bus_is_connected(consumer->base.base.bus);
    log_failure(away ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING, "consumer not open", err);
    pause_before_retry(consumer);
    return false;
}

static enum bus_ack consume_one(struct consumer *consumer, natsMsg *msg)
{
    struct bus_message message;
    jsMsgMetaData *meta = NULL;

    nats_view(msg, &message);
    message.reply_to = NULL;
    if (natsMsg_GetMetaData(&meta, msg) == NATS_OK) {
        message.stream_sequence = meta->Sequence.Stream;
        message.deliveries = (uint32_t)meta->NumDelivered;
        jsMsgMetaData_Destroy(meta);
    }
    return bus_consume_on(bus_of(consumer)->delivery, consumer, consumer->consume,
                          consumer->state, &message);
}

/* After a NAK the rest of the batch goes back unseen, so that the order is kept. */
static bool consume_batch(struct consumer *consumer, natsMsgList *list)
{
    bool back = false;

    for (int i = 0; i < list->Count; i++) {
        natsMsg *msg = list->Msgs[i];
        enum bus_ack ack = back || must_stop(consumer) ? BUS_NAK : consume_one(consumer, msg);
        /* A lost acknowledgement is repaired by redelivery. */
        if (ack == BUS_ACK)
            (void)natsMsg_Ack(msg, NULL);
        else if (ack == BUS_TERM)
            (void)natsMsg_Term(msg, NULL);
        else
            (void)natsMsg_Nak(msg, NULL);
        back = back || ack == BUS_NAK;
    }
    return back;
}

/* What is there at once as a batch; else wait for one message. */
static natsStatus fetch(struct consumer *consumer, natsMsgList *ret_list)
{
    jsFetchRequest request;

    jsFetchRequest_Init(&request);
    request.Batch = BATCH;
    request.NoWait = true;
    request.Expires = IDLE_WAIT_MS * 1000000LL;
    natsStatus s = natsSubscription_FetchRequest(ret_list, consumer->pull, &request);
    if (s == NATS_OK && ret_list->Count > 0)
        return s;
    if (s != NATS_OK && s != NATS_TIMEOUT && s != NATS_NOT_FOUND)
        return s;
    natsMsgList_Destroy(ret_list);
    return natsSubscription_Fetch(ret_list, consumer->pull, 1, IDLE_WAIT_MS, NULL);
}

static void *consumer_main(void *data)
{
    struct consumer *consumer = data;

    while (!must_stop(consumer)) {
        natsMsgList list = {0};
        if (!ensure_open(consumer))
            continue;
        natsStatus s = fetch(consumer, &list);
        bool back = consume_batch(consumer, &list);
        natsMsgList_Destroy(&list);
        if (s == NATS_OK && !back) {
            consumer->retry_ms = RETRY_FIRST_MS;
            continue;
        }
        if (s == NATS_TIMEOUT)
            continue;
        /* The consumer or its stream may be gone: start from making it again. */
        if (s != NATS_OK)
            set_pull(consumer, NULL);
        pause_before_retry(consumer);
    }
    set_pull(consumer, NULL);
    nats_ReleaseThreadMemory();
    return NULL;
}

static void consumer_free(struct consumer *consumer)
{
    natsSubscription_Destroy(consumer->pull);
    pthread_cond_destroy(&consumer->stopped);
    pthread_mutex_destroy(&consumer->lock);
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

    consumer->base.base.bus = bus;
    consumer->base.is_consumer = true;
    consumer->stream = xstrdup(stream);
    consumer->durable = xstrdup(durable);
    consumer->filter = xstrdup(filter);
    consumer->retry_ms = RETRY_FIRST_MS;
    pthread_mutex_init(&consumer->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&consumer->stopped, &attributes);
    pthread_condattr_destroy(&attributes);
    return consumer;
}

struct error *nats_consume(struct bus *bus, const char *stream, const char *durable,
                           const char *filter, bus_consume_fn consume, void *state,
                           struct bus_subscription **ret_sub)
{
    struct consumer *consumer = consumer_new(bus, stream, durable, filter);
    struct error *err = NULL;

    consumer->consume = consume;
    consumer->state = state;
    /* A wrong name is told at once; a bus that is away only delays the start. */
    if (bus_is_connected(bus))
        err = open_pull(consumer, &consumer->pull);
    if (!err) {
        int rc = pthread_create(&consumer->thread, NULL, consumer_main, consumer);
        if (rc != 0)
            err = error_errno(rc, "start a consumer of '%s'", stream);
    }
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
    if (consumer->pull)
        (void)natsSubscription_Unsubscribe(consumer->pull); /* wakes a waiting fetch */
    pthread_mutex_unlock(&consumer->lock);
    bus_join_consumer(bus_of(consumer)->delivery, consumer, consumer->thread);
    consumer_free(consumer);
}
