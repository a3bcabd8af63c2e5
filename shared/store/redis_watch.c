/*
 * Changes of keys as Redis tells them: client-side caching in broadcasting mode ("CLIENT TRACKING
 * ... BCAST", Redis 6). In RESP2 the news come as messages of a channel, to the connection named by
 * REDIRECT; here that is the tracking connection itself, so that the two cannot part: when it
 * breaks, both are gone and a new one starts over.
 *
 * Redis puts the news of a write into our connection before it answers the writer, so what is told
 * here is hardly ever later than the writer knows.
 */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "shared/base/alloc.h"
#include "shared/base/clock.h"
#include "shared/store/redis_connection.h"

#define CHANNEL "__redis__:invalidate"

enum { PING_MS = 1000, RETRY_MS = 100 };

struct redis_watch {
    struct store_watch base;
    struct redis_connection connection;
    pthread_t thread;
    int stop_fd;         /* readable: end */
    bool told_away;      /* the last news was STORE_UNWATCHED */
    int64_t heard_at_ms; /* monotonic: the latest bytes of the server */
    int64_t asked_at_ms; /* the latest PING */
};

static int64_t now_ms(void)
{
    return clock_monotonic_ms(clock_system());
}

static void tell(struct redis_watch *watch, enum store_news news, const char *text)
{
    watch->told_away = news == STORE_UNWATCHED;
    watch->base.told(watch->base.state, news, text);
}

/* Waits; whether to end. */
static bool stopped(const struct redis_watch *watch, int timeout_ms)
{
    struct pollfd pfd = {.fd = watch->stop_fd, .events = POLLIN};

    return poll(&pfd, 1, timeout_ms) > 0;
}

static struct error *command(struct redis_watch *watch, const char **argv, size_t n,
                             redisReply **ret_reply)
{
    return redis_command(&watch->connection, (int)n, argv, NULL, ret_reply);
}

static struct error *track(struct redis_watch *watch, long long id)
{
    _cleanup_(redis_reply_freep) redisReply *reply = NULL;
    _cleanup_free_ const char **argv = xnew_array(const char *, 6 + 2 * watch->base.n_prefixes);
    char number[24];
    size_t n = 0;

    snprintf(number, sizeof(number), "%lld", id);
    argv[n++] = "CLIENT";
    argv[n++] = "TRACKING";
    argv[n++] = "ON";
    argv[n++] = "REDIRECT";
    argv[n++] = number;
    argv[n++] = "BCAST";
    for (size_t i = 0; i < watch->base.n_prefixes; i++) {
        argv[n++] = "PREFIX";
        argv[n++] = watch->base.prefixes[i];
    }
    return error_wrap(command(watch, argv, n, &reply), "CLIENT TRACKING");
}

static struct error *begin(struct redis_watch *watch)
{
    _cleanup_(redis_reply_freep) redisReply *id = NULL;
    _cleanup_(redis_reply_freep) redisReply *subscribed = NULL;
    struct error *err = command(watch, (const char *[]){"CLIENT", "ID"}, 2, &id);

    err = err ?: track(watch, id->integer);
    err = err ?: command(watch, (const char *[]){"SUBSCRIBE", CHANNEL}, 2, &subscribed);
    if (err)
        return err;
    watch->heard_at_ms = watch->asked_at_ms = now_ms();
    tell(watch, STORE_WATCHED, "");
    return NULL;
}

static void hear(struct redis_watch *watch, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
        return; /* the answer to a PING */
    const redisReply *keys = reply->element[2];
    if (keys->type != REDIS_REPLY_ARRAY) {
        tell(watch, STORE_WATCHED, ""); /* the database was flushed */
        return;
    }
    for (size_t i = 0; i < keys->elements; i++)
        tell(watch, STORE_CHANGED, keys->element[i]->str);
}

static struct error *broken(const struct redis_watch *watch)
{
    const redisContext *context = watch->connection.context;

    return error_new(ERROR_UNAVAILABLE, "redis: %s",
                     context->err == REDIS_ERR_IO && errno ? strerror(errno) : context->errstr);
}

/* All that was read so far. */
static struct error *hear_all(struct redis_watch *watch)
{
    redisReader *reader = watch->connection.context->reader;

    for (;;) {
        void *place = NULL;
        if (redisReaderGetReply(reader, &place) != REDIS_OK)
            return error_new(ERROR_UNAVAILABLE, "redis: %s", reader->errstr);
        _cleanup_(redis_reply_freep) redisReply *reply = place;
        if (!reply)
            return NULL;
        hear(watch, reply);
    }
}

static struct error *take(struct redis_watch *watch)
{
    errno = 0;
    if (redisBufferRead(watch->connection.context) != REDIS_OK)
        return broken(watch);
    watch->heard_at_ms = now_ms();
    return hear_all(watch);
}

/* A server that is gone without a word says nothing at all, so it is asked. */
static struct error *ask(struct redis_watch *watch)
{
    redisContext *context = watch->connection.context;
    int64_t now = now_ms();
    int done = 0;

    if (now - watch->heard_at_ms > STORE_WATCH_SILENCE_MS - PING_MS)
        return error_new(ERROR_UNAVAILABLE, "redis: it is silent");
    if (now - watch->asked_at_ms < PING_MS)
        return NULL;
    watch->asked_at_ms = now;
    errno = 0;
    if (redisAppendCommand(context, "PING") != REDIS_OK)
        return broken(watch);
    while (!done)
        if (redisBufferWrite(context, &done) != REDIS_OK)
            return broken(watch);
    return NULL;
}

/* Until it breaks, which is the error, or the end, NULL. */
static struct error *follow(struct redis_watch *watch)
{
    struct error *err = begin(watch);

    err = err ?: hear_all(watch); /* news may have come with the answer to SUBSCRIBE */
    while (!err) {
        struct pollfd pfds[] = {{.fd = watch->connection.context->fd, .events = POLLIN},
                                {.fd = watch->stop_fd, .events = POLLIN}};
        (void)poll(pfds, 2, PING_MS);
        if (pfds[1].revents)
            return NULL;
        if (pfds[0].revents)
            err = take(watch);
        err = err ?: ask(watch);
    }
    return err;
}

static void *run(void *state)
{
    struct redis_watch *watch = state;

    do {
        struct error *err = follow(watch);
        redis_connection_drop(&watch->connection);
        if (err && !watch->told_away)
            tell(watch, STORE_UNWATCHED, error_text(err));
        error_free(err);
    } while (!stopped(watch, RETRY_MS));
    return NULL;
}

static void address_copy(const struct redis_address *from, struct redis_address *ret_address)
{
    *ret_address = (struct redis_address){
        .socket_path = xstrdup(from->socket_path),
        .host = xstrdup(from->host),
        .port = from->port,
        .db = from->db,
        .password = xstrdup(from->password),
    };
}

static void release(struct redis_watch *watch)
{
    redis_connection_done(&watch->connection);
    close(watch->stop_fd);
    free(watch);
}

struct error *redis_watch_new(const struct redis_address *address, const struct store_watch *base,
                              struct store_watch **ret_watch)
{
    int stop_fd = eventfd(0, EFD_CLOEXEC);

    if (stop_fd < 0)
        return error_errno(errno, "eventfd");
    struct redis_watch *watch = xnew(struct redis_watch);
    watch->base = *base;
    watch->stop_fd = stop_fd;
    address_copy(address, &watch->connection.address);
    int rc = pthread_create(&watch->thread, NULL, run, watch);
    if (rc != 0) {
        release(watch);
        return error_errno(rc, "start a thread");
    }
    *ret_watch = &watch->base;
    return NULL;
}

void redis_watch_free(struct store_watch *base)
{
    struct redis_watch *watch = (struct redis_watch *)base;
    const uint64_t one = 1;

    while (write(watch->stop_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
    pthread_join(watch->thread, NULL);
    release(watch);
}
