/* Messages, publishing, requests and core subscriptions of the NATS backend. */
#include <inttypes.h>
#include <stdarg.h>

#include "shared/base/alloc.h"
#include "shared/bus/nats_internal.h"

struct core_subscription {
    struct nats_subscription base;
    const struct bus_handler *row;
    void *state;
    natsSubscription *sub;
    struct completion complete; /* the library calls on_message no more */
};

struct core_job {
    struct delivery_job job;
    struct core_subscription *subscription;
    natsMsg *msg;
};

static enum error_code code_of(natsStatus status)
{
    switch (status) {
    case NATS_TIMEOUT:
        return ERROR_DEADLINE_EXCEEDED;
    case NATS_NO_RESPONDERS:
    case NATS_CONNECTION_CLOSED:
    case NATS_CONNECTION_DISCONNECTED:
    case NATS_NO_SERVER:
    case NATS_IO_ERROR:
    case NATS_NOT_YET_CONNECTED:
    case NATS_STALE_CONNECTION:
    case NATS_DRAINING:
        return ERROR_UNAVAILABLE;
    case NATS_NOT_PERMITTED:
    case NATS_CONNECTION_AUTH_FAILED:
        return ERROR_PERMISSION_DENIED;
    case NATS_NOT_FOUND:
        return ERROR_NOT_FOUND;
    case NATS_MAX_PAYLOAD:
        return ERROR_RESOURCE_EXHAUSTED;
    case NATS_INVALID_ARG:
    case NATS_INVALID_SUBJECT:
        return ERROR_INVALID_ARGUMENT;
    default:
        return ERROR_INTERNAL;
    }
}

struct error *nats_error_at(const char *file, int line, natsStatus status, const char *fmt, ...)
{
    natsStatus last = NATS_OK;
    const char *detail = nats_GetLastError(&last);
    va_list args;

    va_start(args, fmt);
    _cleanup_free_ char *context = xvasprintf(fmt, args);
    va_end(args);
    bool more = last == status && detail && detail[0];
    return error_new_at(file, line, code_of(status), "%s: %s%s%s", context,
                        natsStatus_GetText(status), more ? ": " : "", more ? detail : "");
}

static const char *header(natsMsg *msg, const char *name)
{
    const char *value = NULL;

    return natsMsgHeader_Get(msg, name, &value) == NATS_OK ? value : NULL;
}

static uint64_t header_number(natsMsg *msg, const char *name)
{
    const char *text = header(msg, name);
    char *end = NULL;

    if (!text || text[0] < '0' || text[0] > '9')
        return 0;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    return errno || *end ? 0 : value;
}

void nats_view(natsMsg *msg, struct bus_message *ret_message)
{
    uint64_t status = header_number(msg, "Coffer-Status");

    *ret_message = (struct bus_message){
        .subject = natsMsg_GetSubject(msg),
        .reply_to = natsMsg_GetReply(msg),
        .data = natsMsg_GetData(msg),
        .size = (size_t)natsMsg_GetDataLength(msg),
        .type = header(msg, "Coffer-Type"),
        .request_id = header(msg, "Coffer-Request-Id"),
        .message_id = header(msg, "Nats-Msg-Id"),
        .signature = header(msg, "Coffer-Signature"),
        .counter = header_number(msg, "Coffer-Counter"),
        .status = status <= ERROR_UNAUTHENTICATED ? (enum error_code)status : ERROR_UNKNOWN,
        .error = header(msg, "Coffer-Error"),
        .reason = header(msg, "Coffer-Reason"),
    };
    if (ret_message->request_id && strlen(ret_message->request_id) > BUS_ID_MAX)
        ret_message->request_id = NULL;
}

static natsStatus set_text(natsMsg *msg, const char *name, const char *value)
{
    return value && value[0] ? natsMsgHeader_Set(msg, name, value) : NATS_OK;
}

static natsStatus set_number(natsMsg *msg, const char *name, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, value);
    return value ? natsMsgHeader_Set(msg, name, text) : NATS_OK;
}

struct error *nats_message_new(const struct bus_message *message, natsMsg **ret_msg)
{
    _cleanup_(natsMsg_Destroyp) natsMsg *msg = NULL;
    struct error *err = bus_check_message(message);

    if (err)
        return err;
    natsStatus s = natsMsg_Create(&msg, message->subject, message->reply_to,
                                  message->size ? message->data : "", (int)message->size);
    s = s ?: set_text(msg, "Coffer-Type", message->type);
    s = s ?: set_text(msg, "Coffer-Request-Id", message->request_id);
    s = s ?: set_text(msg, "Nats-Msg-Id", message->message_id);
    s = s ?: set_text(msg, "Coffer-Signature", message->signature);
    s = s ?: set_number(msg, "Coffer-Counter", message->counter);
    s = s ?: set_number(msg, "Coffer-Status", message->status);
    s = s ?: set_text(msg, "Coffer-Error", message->error);
    s = s ?: set_text(msg, "Coffer-Reason", message->reason);
    if (s != NATS_OK)
        return nats_error(s, "message for '%s'", message->subject);
    *ret_msg = TAKE_PTR(msg);
    return NULL;
}

struct error *nats_publish(struct bus *base, const struct bus_message *message)
{
    struct nats_bus *bus = (struct nats_bus *)base;
    _cleanup_(natsMsg_Destroyp) natsMsg *msg = NULL;
    struct error *err = nats_check_connected(bus);

    if (!err)
        err = nats_message_new(message, &msg);
    if (err)
        return err;
    natsStatus s = natsConnection_PublishMsg(bus->connection, msg);
    return s == NATS_OK ? NULL : nats_error(s, "publish '%s'", message->subject);
}

struct error *nats_publish_durable(struct bus *base, const struct bus_message *message,
                                   int timeout_ms)
{
    struct nats_bus *bus = (struct nats_bus *)base;
    _cleanup_(natsMsg_Destroyp) natsMsg *msg = NULL;
    jsPubOptions options;
    struct error *err = nats_check_connected(bus);

    if (!err)
        err = nats_message_new(message, &msg);
    if (err)
        return err;
    jsPubOptions_Init(&options);
    options.MaxWait = timeout_ms;
    natsStatus s = js_PublishMsg(NULL, bus->js, msg, &options, NULL);
    return s == NATS_OK ? NULL : nats_error(s, "durable publish '%s'", message->subject);
}

static void core_run(struct delivery_job *job)
{
    const struct core_job *core_job = (struct core_job *)job;
    struct core_subscription *subscription = core_job->subscription;
    struct bus_message message;

    const struct bus_place place = {
        .bus = subscription->base.base.bus,
        .delivery = ((struct nats_bus *)subscription->base.base.bus)->delivery,
        .owner = subscription,
        .row = subscription->row,
    };

    nats_view(core_job->msg, &message);
    bus_handle(&place, subscription->state, &message);
}

static void core_free(struct delivery_job *job)
{
    natsMsg_Destroy(((struct core_job *)job)->msg);
    free(job);
}

static void on_message(natsConnection *connection, natsSubscription *sub, natsMsg *msg, void *data)
{
    struct core_subscription *subscription = data;
    struct nats_bus *bus = (struct nats_bus *)subscription->base.base.bus;
    struct core_job *job = xnew(struct core_job);

    (void)connection;
    (void)sub;
    job->job = (struct delivery_job){.owner = subscription,
                                     .size = (size_t)natsMsg_GetDataLength(msg),
                                     .run = core_run,
                                     .free = core_free};
    job->subscription = subscription;
    job->msg = msg;
    /* A full queue drops, as the server does for a slow consumer. */
    (void)delivery_post(bus->delivery, &job->job);
}

static void core_subscription_free(struct core_subscription *subscription)
{
    natsSubscription_Destroy(subscription->sub);
    completion_done(&subscription->complete);
    free(subscription);
}

struct error *nats_subscribe(struct bus *base, const struct bus_handler *row, const char *subject,
                             void *state, struct bus_subscription **ret_sub)
{
    struct nats_bus *bus = (struct nats_bus *)base;
    struct core_subscription *subscription = xnew(struct core_subscription);
    natsStatus s;

    subscription->base.base.bus = base;
    subscription->row = row;
    subscription->state = state;
    completion_init(&subscription->complete);
    if (row->queue)
        s = natsConnection_QueueSubscribe(&subscription->sub, bus->connection, subject, row->queue,
                                          on_message, subscription);
    else
        s = natsConnection_Subscribe(&subscription->sub, bus->connection, subject, on_message,
                                     subscription);
    s = s
            ?: natsSubscription_SetPendingLimits(subscription->sub, DELIVERY_JOBS_MAX,
                                                 DELIVERY_BYTES_MAX);
    s = s
            ?: natsSubscription_SetOnCompleteCB(subscription->sub, completion_signal,
                                                &subscription->complete);
    if (s != NATS_OK) {
        core_subscription_free(subscription);
        return nats_error(s, "subscribe '%s'", subject);
    }
    *ret_sub = &subscription->base.base;
    return NULL;
}

void nats_core_end(struct nats_subscription *base)
{
    struct core_subscription *subscription = (struct core_subscription *)base;
    struct nats_bus *bus = (struct nats_bus *)base->base.bus;

    /* Drained, not dropped: what the server has sent before it hears of this is answered still. */
    bool drained =
        bus_is_connected(base->base.bus) && natsSubscription_Drain(subscription->sub) == NATS_OK;
    if (!drained)
        (void)natsSubscription_Unsubscribe(subscription->sub);
    bool complete = completion_wait(&subscription->complete, COMPLETE_WAIT_MS);
    if (complete)
        delivery_finish(bus->delivery, subscription);
    else
        delivery_forget(bus->delivery, subscription);
    /* Should the library still hold it, a small leak is better than its calling into freed
     * memory. */
    if (complete)
        core_subscription_free(subscription);
}
