#include "services/api-gateway/http_clients.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include "shared/base/alloc.h"
#include "shared/base/clock.h"
#include "shared/bus/delivery.h"

enum {
    HEADERS_MS = 60 * 1000,
    TRANSFER_MS = 30 * 1000, /* and then at least so fast: */
    BYTES_PER_MS = 32,
    TICK_MS = 250,
    GONE_MS = 60 * 1000, /* what we sent is not acknowledged for so long */
};

static int64_t now_ms(void)
{
    return clock_monotonic_ms(clock_system());
}

void http_client_expects_headers(const struct http_clients *clients, struct http_client *client)
{
    atomic_store_explicit(&client->deadline_ms, now_ms() + clients->times.headers_ms,
                          memory_order_relaxed);
}

void http_client_transfers(const struct http_clients *clients, struct http_client *client,
                           int64_t since_ms, size_t bytes)
{
    int64_t deadline = since_ms + clients->times.transfer_ms + (int64_t)(bytes / BYTES_PER_MS);

    atomic_store_explicit(&client->deadline_ms, deadline, memory_order_relaxed);
}

void http_client_waits(struct http_client *client)
{
    atomic_store_explicit(&client->deadline_ms, 0, memory_order_relaxed);
}

bool http_client_has_left(int fd)
{
    struct pollfd place = {.fd = fd, .events = POLLRDHUP};

    return poll(&place, 1, 0) == 1;
}

static int socket_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

    return info ? info->connect_fd : -1;
}

struct http_client *http_client_new(struct http_clients *clients, struct http_server *server,
                                    struct MHD_Connection *connection)
{
    struct http_client *client = xnew(struct http_client);
    const unsigned gone_ms = GONE_MS;

    client->server = server;
    client->fd = socket_of(connection);
    (void)setsockopt(client->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &gone_ms, sizeof(gone_ms));
    http_client_expects_headers(clients, client);
    pthread_mutex_lock(&clients->lock);
    client->next = clients->head;
    client->previous = &clients->head;
    if (client->next)
        client->next->previous = &client->next;
    clients->head = client;
    pthread_mutex_unlock(&clients->lock);
    return client;
}

void http_client_free(struct http_clients *clients, struct http_client *client)
{
    pthread_mutex_lock(&clients->lock);
    *client->previous = client->next;
    if (client->next)
        client->next->previous = client->previous;
    pthread_mutex_unlock(&clients->lock);
    free(client);
}

/* Under the lock, so that no socket is closed, and its number used again, meanwhile. The event
 * loop sees the end of the connection, and does the rest. */
static void end_late_ones(struct http_clients *clients)
{
    int64_t now = now_ms();

    for (struct http_client *client = clients->head; client; client = client->next) {
        int64_t deadline = atomic_load_explicit(&client->deadline_ms, memory_order_relaxed);
        if (deadline && now >= deadline) {
            http_client_waits(client);
            (void)shutdown(client->fd, SHUT_RDWR);
        }
    }
}

static void *run(void *state)
{
    struct http_clients *clients = state;
    struct timespec next;

    pthread_mutex_lock(&clients->lock);
    while (!clients->stopping) {
        deadline_after_ms(TICK_MS, &next);
        (void)pthread_cond_timedwait(&clients->changed, &clients->lock, &next);
        end_late_ones(clients);
    }
    pthread_mutex_unlock(&clients->lock);
    return NULL;
}

struct error *http_clients_start(struct http_clients *clients, const struct http_times *times)
{
    pthread_condattr_t attributes;

    pthread_mutex_init(&clients->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&clients->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    clients->times.headers_ms = times->headers_ms ? times->headers_ms : HEADERS_MS;
    clients->times.transfer_ms = times->transfer_ms ? times->transfer_ms : TRANSFER_MS;
    int rc = pthread_create(&clients->thread, NULL, run, clients);
    if (rc != 0)
        return error_errno(rc, "start a thread");
    clients->running = true;
    return NULL;
}

void http_clients_stop(struct http_clients *clients)
{
    if (!clients->running)
        return;
    pthread_mutex_lock(&clients->lock);
    clients->stopping = true;
    pthread_cond_signal(&clients->changed);
    pthread_mutex_unlock(&clients->lock);
    pthread_join(clients->thread, NULL);
    pthread_cond_destroy(&clients->changed);
    pthread_mutex_destroy(&clients->lock);
    clients->running = false;
}
