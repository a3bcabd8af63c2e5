/* The NATS backend: connection and its life. */
#include "shared/base/alloc.h"
#include "shared/base/log.h"
#include "shared/bus/nats_internal.h"

enum {
    RECONNECT_WAIT_MS = 500,
    CONNECT_TIMEOUT_MS = 5000,
    PING_INTERVAL_MS = 10000,
    PINGS_OUT_MAX = 2,
    URLS_MAX = 16,
    CONNECT_ATTEMPTS = 8,
};

static struct nats_bus *nats_of(struct bus *bus)
{
    return (struct nats_bus *)bus;
}

/* What the library reports later than the call that caused it has nobody else to hear it. */
static void on_async_error(natsConnection *connection, natsSubscription *sub, natsStatus status,
                           void *data)
{
    struct nats_bus *bus = data;
    const char *text = NULL;

    (void)sub;
    natsConnection_GetLastError(connection, &text);
    if (!text || !text[0])
        text = natsStatus_GetText(status);
    if (bus->last_async_error && strcmp(bus->last_async_error, text) == 0)
        return;
    free(bus->last_async_error);
    bus->last_async_error = xstrdup(text);
    log_warning("bus reports an error", "error", text);
}

static void on_connected(natsConnection *connection, void *data)
{
    struct nats_bus *bus = data;
    char url[256] = "";

    bus->connected = true;
    natsConnection_GetConnectedUrl(connection, url, sizeof(url));
    log_info("bus connected", "url", url);
}

static void on_disconnected(natsConnection *connection, void *data)
{
    struct nats_bus *bus = data;

    (void)connection;
    bus->connected = false;
    nats_requests_fail(bus->requests);
    if (!bus->closing)
        log_warning("bus connection lost");
}

static void on_closed(natsConnection *connection, void *data)
{
    struct nats_bus *bus = data;
    const char *text = NULL;

    bus->connected = false;
    if (!bus->closing) {
        natsConnection_GetLastError(connection, &text);
        log_error("bus connection closed for good", "error", text ?: "");
    }
    completion_signal(&bus->closed);
}

static natsStatus set_servers(natsOptions *options, const char *urls)
{
    _cleanup_free_ char *copy = xstrdup(urls);
    const char *list[URLS_MAX];
    int n = 0;
    char *rest = NULL;

    for (char *url = strtok_r(copy, ", ", &rest); url && n < URLS_MAX;
         url = strtok_r(NULL, ", ", &rest))
        list[n++] = url;
    return n ? natsOptions_SetServers(options, list, n) : NATS_INVALID_ARG;
}

static natsStatus set_behaviour(struct nats_bus *bus, bool retry_first)
{
    natsOptions *o = bus->options;
    natsStatus s = natsOptions_SetAllowReconnect(o, true);

    s = s ?: natsOptions_SetMaxReconnect(o, -1);
    s = s ?: natsOptions_SetReconnectWait(o, RECONNECT_WAIT_MS);
    s = s ?: natsOptions_SetTimeout(o, CONNECT_TIMEOUT_MS);
    s = s ?: natsOptions_SetPingInterval(o, PING_INTERVAL_MS);
    s = s ?: natsOptions_SetMaxPingsOut(o, PINGS_OUT_MAX);
    s = s ?: natsOptions_SetFailRequestsOnDisconnect(o, true);
    /* One library thread moves messages of all connections into our delivery queues. */
    s = s ?: natsOptions_UseGlobalMessageDelivery(o, true);
    s = s ?: natsOptions_SetErrorHandler(o, on_async_error, bus);
    s = s ?: natsOptions_SetReconnectedCB(o, on_connected, bus);
    s = s ?: natsOptions_SetDisconnectedCB(o, on_disconnected, bus);
    s = s ?: natsOptions_SetClosedCB(o, on_closed, bus);
    if (retry_first)
        s = s ?: natsOptions_SetRetryOnFailedConnect(o, true, on_connected, bus);
    return s;
}

static struct error *make_options(struct nats_bus *bus, const struct bus_options *options,
                                  bool retry_first)
{
    natsStatus s = natsOptions_Create(&bus->options);

    s = s ?: set_servers(bus->options, options->url);
    s = s ?: set_behaviour(bus, retry_first);
    if (options->name)
        s = s ?: natsOptions_SetName(bus->options, options->name);
    if (options->inbox_prefix)
        s = s ?: natsOptions_SetCustomInboxPrefix(bus->options, options->inbox_prefix);
    if (s != NATS_OK)
        return nats_error(s, "options for '%s'", options->url);
    return nats_credentials_set(&bus->credentials, options, bus->options);
}

static void nats_bus_free(struct bus *base)
{
    struct nats_bus *bus = nats_of(base);

    bus->closing = true;
    jsCtx_Destroy(bus->js);
    if (bus->connection) {
        natsConnection_Close(bus->connection);
        (void)completion_wait(&bus->closed, COMPLETE_WAIT_MS);
    }
    nats_requests_free(bus->requests);
    natsConnection_Destroy(bus->connection);
    natsOptions_Destroy(bus->options);
    delivery_free(bus->delivery);
    completion_done(&bus->closed);
    nats_credentials_done(&bus->credentials);
    free(bus->last_async_error);
    free(bus);
}

static void nats_unsubscribe(struct bus_subscription *base)
{
    struct nats_subscription *subscription = (struct nats_subscription *)base;

    if (subscription->is_consumer)
        nats_consume_end(subscription);
    else
        nats_core_end(subscription);
}

static bool nats_is_connected(struct bus *base)
{
    /* 2 is CONNECTED, whose name differs between versions of the library. */
    return (int)natsConnection_Status(nats_of(base)->connection) == 2;
}

static bool nats_is_lost(struct bus *base)
{
    return natsConnection_IsClosed(nats_of(base)->connection);
}

static struct error *nats_drain(struct bus *base, int timeout_ms)
{
    struct nats_bus *bus = nats_of(base);

    if (!delivery_wait_idle(bus->delivery, timeout_ms))
        return error_new(ERROR_DEADLINE_EXCEEDED, "drain took longer than %d ms", timeout_ms);
    if (!nats_is_connected(base))
        return NULL;
    natsStatus status = natsConnection_FlushTimeout(bus->connection, timeout_ms);
    return status == NATS_OK ? NULL : nats_error(status, "flush");
}

struct error *nats_check_connected(struct nats_bus *bus)
{
    if (nats_is_connected(&bus->base))
        return NULL;
    return error_new(ERROR_UNAVAILABLE, "the bus is not connected");
}

static const struct bus_ops nats_ops = {
    .name = "nats",
    .publish = nats_publish,
    .publish_durable = nats_publish_durable,
    .publish_durable_many = nats_publish_durable_many,
    .request = nats_request,
    .subscribe = nats_subscribe,
    .consume = nats_consume,
    .ensure_streams = nats_ensure_streams,
    .unsubscribe = nats_unsubscribe,
    .is_connected = nats_is_connected,
    .is_lost = nats_is_lost,
    .drain = nats_drain,
    .free = nats_bus_free,
    .object_put = nats_object_put,
    .object_get = nats_object_get,
    .stream_next = nats_stream_next,
};

static struct error *open_connection(struct nats_bus *bus, const char *url)
{
    natsStatus s = natsConnection_Connect(&bus->connection, bus->options);

    for (int i = 0; i < CONNECT_ATTEMPTS && !bus->connection && bus->credentials.unlucky; i++)
        s = natsConnection_Connect(&bus->connection, bus->options);
    if (s == NATS_OK)
        on_connected(bus->connection, bus);
    else if (s == NATS_NOT_YET_CONNECTED)
        s = NATS_OK;
    s = s ?: natsConnection_JetStream(&bus->js, bus->connection, NULL);
    return s == NATS_OK ? NULL : nats_error(s, "connect to '%s'", url);
}

struct error *bus_nats_connect(const struct bus_options *options, bool retry_first,
                               struct bus **ret_bus)
{
    struct nats_bus *bus = xnew(struct nats_bus);
    struct error *err = delivery_new(&bus->delivery);

    bus->base.ops = &nats_ops;
    completion_init(&bus->closed);
    bus->requests = nats_requests_new(options->inbox_prefix);
    err = err ?: make_options(bus, options, retry_first);
    err = err ?: open_connection(bus, options->url);
    if (err) {
        nats_bus_free(&bus->base);
        return err;
    }
    *ret_bus = &bus->base;
    return NULL;
}
