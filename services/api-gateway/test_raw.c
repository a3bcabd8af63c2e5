#include "services/api-gateway/test_raw.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "shared/base/cleanup.h"

enum { PATIENCE_MS = 20000 };

/* -1: nobody listens. */
static int try_connect(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

int raw_connect(uint16_t port)
{
    int fd = try_connect(port);

    if (fd < 0)
        abort();
    return fd;
}

bool raw_is_listening(uint16_t port)
{
    _cleanup_close_ int fd = try_connect(port);

    return fd >= 0;
}

void raw_send_bytes(int fd, const void *data, size_t size)
{
    const char *at = data;

    while (size) {
        ssize_t n = send(fd, at, size, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        at += n;
        size -= (size_t)n;
    }
}

void raw_send(int fd, const char *text)
{
    raw_send_bytes(fd, text, strlen(text));
}

/* 1: something, 0: the end, -1: nothing within the time. */
static int read_some(int fd, struct buffer *seen)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    char data[4096];

    if (poll(&poll_fd, 1, PATIENCE_MS) != 1)
        return -1;
    ssize_t n = recv(fd, data, sizeof(data), 0);
    if (n <= 0)
        return 0;
    buffer_add(seen, data, (size_t)n);
    return 1;
}

bool raw_read_until(int fd, const char *text, struct buffer *seen)
{
    while (!strstr(buffer_text(seen), text))
        if (read_some(fd, seen) != 1)
            return false;
    return true;
}

bool raw_read_to_end(int fd, struct buffer *seen)
{
    int rc;

    while ((rc = read_some(fd, seen)) == 1)
        ;
    return rc == 0;
}

unsigned raw_status(const struct buffer *seen)
{
    unsigned status = 0;

    (void)sscanf(buffer_text(seen), "HTTP/1.1 %u", &status);
    return status;
}

size_t raw_count(const struct buffer *seen, const char *text)
{
    size_t n = 0;

    for (const char *at = buffer_text(seen); (at = strstr(at, text)); at++)
        n++;
    return n;
}
