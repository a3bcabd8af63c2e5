#include "tests/bench/streams.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/alloc.h"
#include "tests/bench/process.h"

enum { BATCH = 250, ANSWER_MS = 60000, EVENTS = 256, CHUNK = 16 * 1024 };

struct stream {
    int fd;
    bool seen;
};

struct streams {
    int epoll;
    struct stream *list;
    size_t n;
};

static int connect_to(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        give_up(error_errno(errno, "connect"));
    return fd;
}

static void open_one(struct streams *streams, int port, const char *request)
{
    struct stream *stream = &streams->list[streams->n++];
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = stream};

    stream->fd = connect_to(port);
    if (send(stream->fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request) ||
        fcntl(stream->fd, F_SETFL, O_NONBLOCK) < 0 ||
        epoll_ctl(streams->epoll, EPOLL_CTL_ADD, stream->fd, &event) < 0)
        give_up(error_errno(errno, "open a stream"));
}

struct streams *streams_open(int port, const char *path, const char *key, uint64_t last, size_t n)
{
    struct streams *streams = xnew(struct streams);
    _cleanup_free_ char *request =
        xasprintf("GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n"
                  "Last-Event-ID: %llu\r\n\r\n",
                  path, key, (unsigned long long)last);

    streams->epoll = epoll_create1(EPOLL_CLOEXEC);
    streams->list = xnew_array(struct stream, n);
    if (streams->epoll < 0)
        give_up(error_errno(errno, "epoll_create1"));
    while (streams->n < n) {
        for (size_t i = 0; i < BATCH && streams->n < n; i++)
            open_one(streams, port, request);
        if (streams_await(streams, "retry:", ANSWER_MS) < streams->n)
            give_up(error_new(ERROR_INTERNAL, "not all of %zu streams were opened", streams->n));
    }
    return streams;
}

void streams_close(struct streams *streams)
{
    for (size_t i = 0; i < streams->n; i++)
        close(streams->list[i].fd);
    close(streams->epoll);
    free(streams->list);
    free(streams);
}

void streams_forget(struct streams *streams)
{
    for (size_t i = 0; i < streams->n; i++)
        streams->list[i].seen = false;
}

/* All that is there; true when the text is in it. */
static bool read_stream(const struct stream *stream, const char *text)
{
    char chunk[CHUNK];
    bool found = false;
    ssize_t n;

    while ((n = recv(stream->fd, chunk, sizeof(chunk), 0)) > 0)
        found = found || memmem(chunk, (size_t)n, text, strlen(text));
    if (n == 0)
        give_up(error_new(ERROR_UNAVAILABLE, "the gateway ended a stream"));
    return found;
}

static size_t count_unseen(const struct streams *streams)
{
    size_t n = 0;

    for (size_t i = 0; i < streams->n; i++)
        n += !streams->list[i].seen;
    return n;
}

size_t streams_await(struct streams *streams, const char *text, int timeout_ms)
{
    int64_t end_us = now_us() + (int64_t)timeout_ms * 1000;
    struct epoll_event events[EVENTS];
    size_t unseen = count_unseen(streams);

    while (unseen && now_us() < end_us) {
        int n = epoll_wait(streams->epoll, events, EVENTS, (int)((end_us - now_us()) / 1000) + 1);
        for (int i = 0; i < n; i++) {
            struct stream *stream = events[i].data.ptr;
            if (read_stream(stream, text) && !stream->seen) {
                stream->seen = true;
                unseen--;
            }
        }
    }
    return streams->n - unseen;
}
