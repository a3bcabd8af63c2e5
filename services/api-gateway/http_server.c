#include <arpa/inet.h>
#include <netdb.h>
#include <openssl/rand.h>

#include "services/api-gateway/gateway.h"
#include "services/api-gateway/http_internal.h"
#include "shared/base/alloc.h"

enum {
    IDLE_S = 60,
    LOOPS = 2,
    LOOP_STACK_BYTES = 512 * 1024,
    CONNECTION_MEMORY = 8 * 1024,
    BACKLOG = 1024,
};

static void on_connection(void *state, struct MHD_Connection *connection, void **client_place,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http_server *server = state;

    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        *client_place = http_client_new(&server->clients, server, connection);
    else
        http_client_free(&server->clients, *client_place);
}

DEFINE_CLEANUP(struct addrinfo *, freeaddrinfo)

static struct error *resolve(const char *listen, struct addrinfo **ret_address)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                                   .ai_socktype = SOCK_STREAM};
    _cleanup_free_ char *host = xstrdup(listen);
    char *colon = strrchr(host, ':');

    if (!colon)
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' is not ADDRESS:PORT", listen);
    *colon = '\0';
    char *name = host;
    if (*name == '[' && colon[-1] == ']') {
        name++;
        colon[-1] = '\0';
    }
    int rc = getaddrinfo(*name ? name : NULL, colon + 1, &hints, ret_address);
    if (rc != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' is not ADDRESS:PORT: %s", listen,
                         gai_strerror(rc));
    return NULL;
}

static struct MHD_Daemon *start_daemon(struct http_server *server, const struct sockaddr *address)
{
    const struct http_options *options = &server->options;
    unsigned flags =
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_TURBO;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)options->tls_cert},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)options->tls_key},
        {MHD_OPTION_END, 0, NULL},
    };

    if (options->tls_cert)
        flags |= MHD_USE_TLS;
    else
        tls[0] = tls[2];
    if (address->sa_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    return MHD_start_daemon(
        flags, 0, NULL, NULL, http_on_access, server, MHD_OPTION_SOCK_ADDR, address,
        MHD_OPTION_NOTIFY_COMPLETED, http_on_completed, server, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, server, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)LOOPS,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S, MHD_OPTION_CONNECTION_LIMIT,
        options->max_connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_THREAD_STACK_SIZE, (size_t)LOOP_STACK_BYTES, MHD_OPTION_LISTEN_BACKLOG_SIZE,
        (unsigned)BACKLOG, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1U, MHD_OPTION_ARRAY, tls,
        MHD_OPTION_END);
}

static struct http_server *server_new(const struct http_options *options)
{
    struct http_server *server = xnew(struct http_server);

    server->options = *options;
    server->listen_fd = -1;
    if (RAND_bytes((uint8_t *)server->id_seed, sizeof(server->id_seed)) != 1)
        abort();
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->idle, NULL);
    server->pool = http_pool_new(options->workers);
    return server;
}

struct error *http_server_start(const struct http_options *options, struct http_server **ret_server)
{
    _cleanup_(freeaddrinfop) struct addrinfo *address = NULL;
    _cleanup_(http_server_stopp) struct http_server *server = NULL;
    struct error *err = resolve(options->listen, &address);

    if (err)
        return err;
    server = server_new(options);
    err = http_clients_start(&server->clients, 0);
    if (err)
        return err;
    errno = 0;
    server->daemon = start_daemon(server, address->ai_addr);
    if (!server->daemon)
        return error_new(ERROR_UNAVAILABLE, "listen on '%s': %s", options->listen,
                         errno ? strerror(errno) : "libmicrohttpd does not start");
    *ret_server = TAKE_PTR(server);
    return NULL;
}

/* The pool first: no connection may be suspended when the daemon ends. */
void http_server_stop(struct http_server *server)
{
    if (!server)
        return;
    atomic_store(&server->draining, true);
    http_pool_free(server->pool);
    if (server->daemon)
        MHD_stop_daemon(server->daemon);
    if (server->listen_fd >= 0)
        close(server->listen_fd);
    http_clients_stop(&server->clients);
    http_spare_free(server);
    pthread_cond_destroy(&server->idle);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

uint16_t http_server_port(const struct http_server *server)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);

    return info ? info->port : 0;
}
