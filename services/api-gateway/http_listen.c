#include "services/api-gateway/http_listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "shared/base/alloc.h"
#include "shared/base/log.h"

enum {
    BACKLOG = 1024,
    AT_ONCE = 64,  /* taken before it looks at the rest again */
    PAUSE_MS = 20, /* while there is no room, or no file descriptor */
};

struct http_listener {
    int fd;
    int stop_fd; /* readable: it is over */
    uint16_t port;
    struct http_listener_calls calls;
    pthread_t thread;
    bool running;
};

DEFINE_CLEANUP(struct addrinfo *, freeaddrinfo)
DEFINE_CLEANUP(struct http_listener *, http_listener_free)

static struct error *resolve(const char *where, struct addrinfo **ret_address)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                                   .ai_socktype = SOCK_STREAM};
    _cleanup_free_ char *host = xstrdup(where);
    char *colon = strrchr(host, ':');

    if (!colon)
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' is not ADDRESS:PORT", where);
    *colon = '\0';
    char *name = host;
    if (*name == '[' && colon[-1] == ']') {
        name++;
        colon[-1] = '\0';
    }
    if (strtoul(colon + 1, NULL, 10) > UINT16_MAX) /* the resolver would take what is left of it */
        return error_new(ERROR_INVALID_ARGUMENT, "'%s': no port is that large", where);
    int rc = getaddrinfo(*name ? name : NULL, colon + 1, &hints, ret_address);
    if (rc != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' is not ADDRESS:PORT: %s", where,
                         gai_strerror(rc));
    return NULL;
}

static struct error *failed(const char *where)
{
    return error_new(ERROR_UNAVAILABLE, "listen on '%s': %s", where, strerror(errno));
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);

    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        return 0;
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}

static struct error *open_socket(struct http_listener *listener, const char *where,
                                 const struct addrinfo *address)
{
    const int on = 1;

    listener->fd =
        socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (listener->fd < 0)
        return failed(where);
    (void)setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address->ai_family == AF_INET6)
        (void)setsockopt(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(listener->fd, address->ai_addr, address->ai_addrlen) != 0 ||
        listen(listener->fd, BACKLOG) != 0)
        return failed(where);
    listener->port = port_of(listener->fd);
    return NULL;
}

struct error *http_listener_new(const char *where, struct http_listener **ret_listener)
{
    _cleanup_(freeaddrinfop) struct addrinfo *address = NULL;
    _cleanup_(http_listener_freep) struct http_listener *listener = xnew(struct http_listener);
    struct error *err = resolve(where, &address);

    listener->fd = -1;
    listener->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (!err && listener->stop_fd < 0)
        err = failed(where);
    err = err ?: open_socket(listener, where, address);
    if (!err)
        *ret_listener = TAKE_PTR(listener);
    return err;
}

/* False: there is none now, or none can be taken. *ret_pause: look again later, also without news.
 */
static bool take_one(struct http_listener *listener, bool *ret_pause)
{
    const struct http_listener_calls *calls = &listener->calls;
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);

    *ret_pause = calls->full(calls->state);
    if (*ret_pause)
        return false;
    int fd =
        accept4(listener->fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        calls->take(calls->state, fd, (struct sockaddr *)&address, size);
        return true;
    }
    if (errno == EINTR || errno == ECONNABORTED)
        return true;
    *ret_pause = errno != EAGAIN; /* EMFILE and the like: one that ends makes room */
    return false;
}

static void *run(void *data)
{
    struct http_listener *listener = data;
    struct pollfd fds[] = {{.fd = listener->stop_fd, .events = POLLIN},
                           {.fd = listener->fd, .events = POLLIN}};
    bool pause = false;

    for (;;) {
        (void)poll(fds, pause ? 1 : 2, pause ? PAUSE_MS : -1);
        if (fds[0].revents)
            return NULL;
        for (int i = 0; i < AT_ONCE && take_one(listener, &pause); i++)
            continue;
    }
}

struct error *http_listener_start(struct http_listener *listener,
                                  const struct http_listener_calls *calls)
{
    listener->calls = *calls;
    int rc = pthread_create(&listener->thread, NULL, run, listener);
    if (rc != 0)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "start a thread: %s", strerror(rc));
    listener->running = true;
    return NULL;
}

void http_listener_stop(struct http_listener *listener)
{
    const uint64_t one = 1;

    if (listener->running) {
        (void)!write(listener->stop_fd, &one, sizeof(one));
        pthread_join(listener->thread, NULL);
        listener->running = false;
    }
    if (listener->fd >= 0)
        close(listener->fd);
    listener->fd = -1;
}

void http_listener_free(struct http_listener *listener)
{
    if (!listener)
        return;
    http_listener_stop(listener);
    if (listener->stop_fd >= 0)
        close(listener->stop_fd);
    free(listener);
}

uint16_t http_listener_port(const struct http_listener *listener)
{
    return listener->port;
}
