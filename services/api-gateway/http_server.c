#include <openssl/rand.h>

#include "services/api-gateway/gateway.h"
#include "services/api-gateway/http_internal.h"
#include "services/api-gateway/http_unescape.h"
#include "shared/base/alloc.h"
#include "shared/bus/delivery.h"

#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

/* Refuse what a client may not send, rather than guess. */
#if MHD_VERSION >= 0x00097701
#define STRICT_OPTION MHD_OPTION_CLIENT_DISCIPLINE_LVL
#else
#define STRICT_OPTION MHD_OPTION_STRICT_FOR_CLIENT
#endif

enum {
    IDLE_S = 60,
    LOOPS = 2,
    LOOP_STACK_BYTES = 512 * 1024,
    CONNECTION_MEMORY = 8 * 1024,
};

struct http_client *http_client_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *place =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return place ? place->socket_context : NULL;
}

static void on_connection(void *state, struct MHD_Connection *connection, void **client_place,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http_server *server = state;

    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *client_place = http_client_new(&server->clients, server, connection);
        return;
    }
    http_client_free(&server->clients, *client_place);
    atomic_fetch_sub(&server->n_connections, 1);
}

/* gnutls calls for each handshake; libmicrohttpd left it the connection. */
static int on_handshake(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
                        gnutls_pcert_st **ret_chain, unsigned *ret_n, gnutls_ocsp_data_st **ocsp,
                        unsigned *n_ocsp, gnutls_privkey_t *ret_key, unsigned *flags)
{
    const struct http_client *client = http_client_of(gnutls_session_get_ptr(session));

    (void)info;
    *ocsp = NULL;
    *n_ocsp = 0;
    *flags = GNUTLS_CERT_RETR_DEINIT_ALL;
    return client ? http_tls_certificate(client->server->tls, ret_chain, ret_n, ret_key) : -1;
}

/* The first that ends the list ends it early without TLS. */
static void tls_options(const struct http_server *server, struct MHD_OptionItem ret_items[3])
{
    ret_items[0] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_CERT_CALLBACK2, 0, NULL};
    ret_items[0].ptr_value = (void *)(uintptr_t)on_handshake;
    ret_items[1] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)TLS_PRIORITIES};
    ret_items[2] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    if (!server->tls)
        ret_items[0] = ret_items[2];
}

static size_t on_escaped(void *state, struct MHD_Connection *connection, char *text)
{
    (void)state;
    (void)connection;
    return http_unescape(text);
}

/*
 * Never reached: an event loop of 0.9.75 that is handed one more than its part of the limit never
 * unlocks what it counts with, and stands still. How many there are is the listener's matter.
 */
static unsigned limit_of_library(const struct http_options *options)
{
    return LOOPS * (options->max_connections + 1);
}

static struct MHD_Daemon *start_daemon(struct http_server *server)
{
    const struct http_options *options = &server->options;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
                     MHD_USE_TURBO | MHD_USE_NO_LISTEN_SOCKET;
    struct MHD_OptionItem tls[3];

    tls_options(server, tls);
    if (server->tls)
        flags |= MHD_USE_TLS;
    return MHD_start_daemon(
        flags, 0, NULL, NULL, http_on_access, server, MHD_OPTION_NOTIFY_COMPLETED,
        http_on_completed, server, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
        MHD_OPTION_UNESCAPE_CALLBACK, on_escaped, server, MHD_OPTION_THREAD_POOL_SIZE,
        (unsigned)LOOPS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
        MHD_OPTION_CONNECTION_LIMIT, limit_of_library(options), MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        options->max_per_address, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        STRICT_OPTION, 1, MHD_OPTION_THREAD_STACK_SIZE, (size_t)LOOP_STACK_BYTES, MHD_OPTION_ARRAY,
        tls, MHD_OPTION_END);
}

static struct http_server *server_new(const struct http_options *options)
{
    struct http_server *server = xnew(struct http_server);
    pthread_condattr_t attributes;

    server->options = *options;
    if (RAND_bytes((uint8_t *)server->id_seed, sizeof(server->id_seed)) != 1)
        abort();
    pthread_mutex_init(&server->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&server->idle, &attributes);
    pthread_condattr_destroy(&attributes);
    server->pool = http_pool_new(options->workers);
    return server;
}

/* libmicrohttpd closes what it does not want. */
static void take_connection(void *state, int fd, const struct sockaddr *address, socklen_t size)
{
    struct http_server *server = state;

    atomic_fetch_add(&server->n_connections, 1);
    if (MHD_add_connection(server->daemon, fd, address, size) != MHD_YES)
        atomic_fetch_sub(&server->n_connections, 1);
}

static bool is_full(void *state)
{
    struct http_server *server = state;

    return atomic_load(&server->n_connections) >= server->options.max_connections;
}

static struct error *start_parts(struct http_server *server)
{
    const struct http_options *options = &server->options;
    struct error *err = http_listener_new(options->listen, &server->listener);

    err = err ?: http_clients_start(&server->clients, &options->times);
    err = err ?: http_cors_init(&server->cors, options->cors_origins ?: "");
    if (!err && options->tls_cert)
        err = http_tls_new(options->tls_cert, options->tls_key, &server->tls);
    return err;
}

struct error *http_server_start(const struct http_options *options, struct http_server **ret_server)
{
    _cleanup_(http_server_stopp) struct http_server *server = server_new(options);
    const struct http_listener_calls calls = {take_connection, is_full, server};
    struct error *err = start_parts(server);

    if (err)
        return err;
    errno = 0;
    server->daemon = start_daemon(server);
    if (!server->daemon)
        return error_new(ERROR_UNAVAILABLE, "serve '%s': %s", options->listen,
                         errno ? strerror(errno) : "libmicrohttpd does not start");
    err = http_listener_start(server->listener, &calls);
    if (!err)
        *ret_server = TAKE_PTR(server);
    return err;
}

void http_server_drain(struct http_server *server)
{
    atomic_store(&server->draining, true);
    http_listener_stop(server->listener);
}

bool http_server_wait(struct http_server *server, int timeout_ms)
{
    struct timespec deadline;
    int rc = 0;

    deadline_after_ms(timeout_ms, &deadline);
    pthread_mutex_lock(&server->lock);
    while (server->n_open && rc == 0)
        rc = pthread_cond_timedwait(&server->idle, &server->lock, &deadline);
    bool idle = server->n_open == 0;
    pthread_mutex_unlock(&server->lock);
    return idle;
}

/* The pool first: no connection may be suspended when the daemon ends. */
void http_server_stop(struct http_server *server)
{
    if (!server)
        return;
    atomic_store(&server->draining, true);
    if (server->listener)
        http_listener_stop(server->listener);
    http_pool_free(server->pool);
    if (server->daemon)
        MHD_stop_daemon(server->daemon);
    http_listener_free(server->listener);
    http_clients_stop(&server->clients);
    http_spare_free(server);
    http_tls_free(server->tls);
    http_cors_done(&server->cors);
    pthread_cond_destroy(&server->idle);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

uint16_t http_server_port(const struct http_server *server)
{
    return http_listener_port(server->listener);
}
