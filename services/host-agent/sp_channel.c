#include "services/host-agent/sp_channel.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "shared/attestation/processor.h"
#include "shared/base/alloc.h"
#include "shared/base/reader.h"

#define CONNECT_EVERY_MS 500
#define STALE_MS         2000 /* a request that does not get complete is forgotten */
#define HEADER_SIZE      8

struct peer {
    char *workload_id;
    char path[SP_CHANNEL_PATH_MAX];
    struct processor_guest guest;
    int fd; /* -1: not connected */
    uint8_t request[TEE_SOFTWARE_REQUEST_MAX];
    size_t request_size;
    int64_t request_began_ms;
    struct buffer response;
    size_t sent;
};

struct sp_channel {
    struct processor *processor;
    pthread_mutex_t lock; /* of all below */
    struct peer **peers;
    size_t n;
    bool stopping;
    int wake_fd;
    pthread_t thread;
};

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void forget_request(struct peer *peer)
{
    peer->request_size = 0;
    buffer_done(&peer->response);
    peer->sent = 0;
}

static void disconnect(struct peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
    forget_request(peer);
}

static void peer_free(struct peer *peer)
{
    disconnect(peer);
    free(peer->workload_id);
    free(peer);
}

static_assert(SP_CHANNEL_PATH_MAX == sizeof(((struct sockaddr_un *)0)->sun_path), "sockaddr_un");

static void connect_peer(struct peer *peer)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return;
    memcpy(address.sun_path, peer->path, sizeof(peer->path));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        peer->fd = TAKE_FD(fd);
}

/* Size of the frame whose header is there; 0: these bytes are no request. */
static size_t frame_size(const struct peer *peer)
{
    struct reader reader;

    reader_init(&reader, peer->request, peer->request_size);
    const uint8_t *magic = reader_view(&reader, 4);
    uint32_t length = reader_u32be(&reader);
    if (!magic || memcmp(magic, TEE_SOFTWARE_MAGIC, 4) != 0 ||
        length > TEE_SOFTWARE_REQUEST_MAX - HEADER_SIZE)
        return 0;
    return HEADER_SIZE + length;
}

static void answer(struct sp_channel *channel, struct peer *peer, size_t size)
{
    struct error *err =
        processor_answer(channel->processor, &peer->guest, peer->request, size, &peer->response);

    peer->request_size = 0; /* one at a time: what came behind it is not waited for */
    if (err)                /* malformed: no response, as the wire says */
        forget_request(peer);
    error_free(err);
}

static void receive(struct sp_channel *channel, struct peer *peer)
{
    size_t room = sizeof(peer->request) - peer->request_size;
    ssize_t n = recv(peer->fd, peer->request + peer->request_size, room, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        disconnect(peer);
        return;
    }
    if (!peer->request_size)
        peer->request_began_ms = now_ms();
    peer->request_size += (size_t)n;
    if (peer->request_size < HEADER_SIZE)
        return;
    size_t size = frame_size(peer);
    if (!size)
        forget_request(peer);
    else if (peer->request_size >= size)
        answer(channel, peer, size);
}

static void transmit(struct peer *peer)
{
    ssize_t n = send(peer->fd, peer->response.data + peer->sent, peer->response.size - peer->sent,
                     MSG_NOSIGNAL);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        disconnect(peer);
        return;
    }
    peer->sent += (size_t)n;
    if (peer->sent == peer->response.size)
        forget_request(peer);
}

/* Returns how long to wait at most. fds[0] is the wake-up. */
static int prepare(struct sp_channel *channel, struct pollfd *fds)
{
    int timeout = -1;

    fds[0] = (struct pollfd){.fd = channel->wake_fd, .events = POLLIN};
    for (size_t i = 0; i < channel->n; i++) {
        struct peer *peer = channel->peers[i];
        if (peer->fd < 0)
            connect_peer(peer);
        if (peer->fd < 0)
            timeout = CONNECT_EVERY_MS;
        if (peer->request_size && now_ms() - peer->request_began_ms > STALE_MS)
            forget_request(peer);
        /* while a response waits nothing more is read: a guest cannot pile up work */
        fds[i + 1] =
            (struct pollfd){.fd = peer->fd, .events = peer->response.size ? POLLOUT : POLLIN};
    }
    return timeout;
}

static void serve(struct sp_channel *channel, const struct pollfd *fds, size_t n)
{
    for (size_t i = 0; i < n && i < channel->n; i++) {
        struct peer *peer = channel->peers[i];
        if (peer->fd < 0 || peer->fd != fds[i + 1].fd || !fds[i + 1].revents)
            continue;
        if (peer->response.size)
            transmit(peer);
        else
            receive(channel, peer);
    }
}

static void *run(void *data)
{
    struct sp_channel *channel = data;
    struct pollfd *fds = NULL;
    uint64_t count;

    pthread_mutex_lock(&channel->lock);
    while (!channel->stopping) {
        size_t n = channel->n;
        fds = xrealloc_array(fds, n + 1, sizeof(*fds));
        int timeout = prepare(channel, fds);
        pthread_mutex_unlock(&channel->lock);
        poll(fds, n + 1, timeout);
        if (fds[0].revents && read(channel->wake_fd, &count, sizeof(count)) < 0)
            fds[0].revents = 0;
        pthread_mutex_lock(&channel->lock);
        serve(channel, fds, n);
    }
    pthread_mutex_unlock(&channel->lock);
    free(fds);
    return NULL;
}

static void wake(struct sp_channel *channel)
{
    uint64_t one = 1;

    if (write(channel->wake_fd, &one, sizeof(one)) < 0)
        return; /* full: it is awake anyway */
}

struct error *sp_channel_open(const char *dir, struct sp_channel **ret_channel)
{
    struct sp_channel *channel = xnew(struct sp_channel);
    struct error *err = processor_open(dir, &channel->processor);

    channel->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&channel->lock, NULL);
    if (!err && channel->wake_fd < 0)
        err = error_errno(errno, "eventfd");
    int rc = err ? 0 : pthread_create(&channel->thread, NULL, run, channel);
    if (rc)
        err = error_errno(rc, "start the channel thread");
    if (!err) {
        *ret_channel = channel;
        return NULL;
    }
    if (channel->wake_fd >= 0)
        close(channel->wake_fd);
    processor_free(channel->processor);
    free(channel);
    return error_wrap(err, "software security processor");
}

void sp_channel_free(struct sp_channel *channel)
{
    if (!channel)
        return;
    pthread_mutex_lock(&channel->lock);
    channel->stopping = true;
    pthread_mutex_unlock(&channel->lock);
    wake(channel);
    pthread_join(channel->thread, NULL);
    for (size_t i = 0; i < channel->n; i++)
        peer_free(channel->peers[i]);
    free(channel->peers);
    close(channel->wake_fd);
    pthread_mutex_destroy(&channel->lock);
    processor_free(channel->processor);
    free(channel);
}

const uint8_t *sp_channel_chip_id(const struct sp_channel *channel)
{
    return processor_chip_id(channel->processor);
}

static void remove_locked(struct sp_channel *channel, const char *workload_id)
{
    for (size_t i = 0; i < channel->n; i++) {
        if (strcmp(channel->peers[i]->workload_id, workload_id) != 0)
            continue;
        peer_free(channel->peers[i]);
        channel->peers[i] = channel->peers[--channel->n];
        return;
    }
}

void sp_channel_add(struct sp_channel *channel, const char *workload_id, const char *path,
                    const struct sp_guest *guest)
{
    struct peer *peer = xnew(struct peer);

    peer->workload_id = xstrdup(workload_id);
    snprintf(peer->path, sizeof(peer->path), "%s", path);
    peer->fd = -1;
    peer->guest = (struct processor_guest){.policy = 0x30000};
    memcpy(peer->guest.measurement, guest->measurement, sizeof(guest->measurement));
    memcpy(peer->guest.host_data, guest->host_data, sizeof(guest->host_data));
    memcpy(peer->guest.report_id, guest->report_id, sizeof(guest->report_id));
    pthread_mutex_lock(&channel->lock);
    remove_locked(channel, workload_id);
    channel->peers = xrealloc_array(channel->peers, channel->n + 1, sizeof(*channel->peers));
    channel->peers[channel->n++] = peer;
    pthread_mutex_unlock(&channel->lock);
    wake(channel);
}

void sp_channel_remove(struct sp_channel *channel, const char *workload_id)
{
    pthread_mutex_lock(&channel->lock);
    remove_locked(channel, workload_id);
    pthread_mutex_unlock(&channel->lock);
    wake(channel);
}
