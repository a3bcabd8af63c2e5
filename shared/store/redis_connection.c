#include "shared/store/redis_connection.h"

#include <assert.h>
#include <poll.h>
#include <sys/time.h>

#include "shared/base/alloc.h"
#include "shared/base/clock.h"

enum { CONNECT_TIMEOUT_MS = 1000, COMMAND_TIMEOUT_MS = 2000, BACKOFF_MIN_MS = 50 };
enum { BACKOFF_MAX_MS = 2000 };

void redis_connection_drop(struct redis_connection *connection)
{
    if (connection->context)
        redisFree(connection->context);
    connection->context = NULL;
}

void redis_connection_done(struct redis_connection *connection)
{
    redis_connection_drop(connection);
    redis_address_done(&connection->address);
}

static struct timeval timeout_of(int ms)
{
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

/* A broken connection cannot be used again; what it was doing may or may not have happened. */
static struct error *broken(struct redis_connection *connection)
{
    struct error *err = error_new(
        ERROR_UNAVAILABLE, "redis: %s",
        connection->context->err == REDIS_ERR_IO ? strerror(errno) : connection->context->errstr);

    redis_connection_drop(connection);
    return err;
}

static struct error *exchange(struct redis_connection *connection, int argc, const char **argv,
                              const size_t *sizes, redisReply **ret_reply)
{
    assert(connection->context);
    redisReply *reply = redisCommandArgv(connection->context, argc, argv, sizes);

    if (!reply)
        return broken(connection);
    *ret_reply = reply;
    return NULL;
}

static struct error *check_reply(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ERROR)
        return NULL;
    if (strncmp(reply->str, "LOADING", 7) == 0 || strncmp(reply->str, "READONLY", 8) == 0 ||
        strncmp(reply->str, "MASTERDOWN", 10) == 0)
        return error_new(ERROR_UNAVAILABLE, "redis: %s", reply->str);
    return error_new(ERROR_INTERNAL, "redis: %s", reply->str);
}

static struct error *simple(struct redis_connection *connection, int argc, const char **argv)
{
    _cleanup_(redis_reply_freep) redisReply *reply = NULL;
    struct error *err = exchange(connection, argc, argv, NULL, &reply);

    return err ?: check_reply(reply);
}

static struct error *load_scripts(struct redis_connection *connection)
{
    for (int i = 0; i < REDIS_SCRIPT_MAX_; i++) {
        _cleanup_(redis_reply_freep) redisReply *reply = NULL;
        const char *argv[] = {"SCRIPT", "LOAD", connection->scripts[i]};
        if (!argv[2])
            continue;
        struct error *err = exchange(connection, 3, argv, NULL, &reply);
        err = err ?: check_reply(reply);
        if (err)
            return err;
        if (reply->type != REDIS_REPLY_STRING || reply->len != 40)
            return error_new(ERROR_INTERNAL, "redis: unexpected answer to SCRIPT LOAD");
        memcpy(connection->hashes[i], reply->str, 41);
    }
    return NULL;
}

static struct error *introduce(struct redis_connection *connection)
{
    const struct redis_address *address = &connection->address;
    struct error *err = NULL;
    char db[16];

    if (address->password)
        err = simple(connection, 2, (const char *[]){"AUTH", address->password});
    if (!err && address->db) {
        snprintf(db, sizeof(db), "%d", address->db);
        err = simple(connection, 2, (const char *[]){"SELECT", db});
    }
    err = err ?: load_scripts(connection);
    if (err)
        redis_connection_drop(connection);
    return err;
}

static struct error *connect_now(struct redis_connection *connection)
{
    const struct redis_address *address = &connection->address;
    struct timeval timeout = timeout_of(CONNECT_TIMEOUT_MS);
    redisContext *context = address->socket_path
                                ? redisConnectUnixWithTimeout(address->socket_path, timeout)
                                : redisConnectWithTimeout(address->host, address->port, timeout);

    if (!context)
        return error_new(ERROR_INTERNAL, "redis: cannot allocate a connection");
    connection->context = context;
    if (context->err || redisSetTimeout(context, timeout_of(COMMAND_TIMEOUT_MS)) != REDIS_OK)
        return broken(connection);
    return introduce(connection);
}

/* An idle connection that is readable was closed by the server: nothing was asked. */
static void drop_if_closed(struct redis_connection *connection)
{
    if (!connection->context)
        return;
    struct pollfd pfd = {.fd = connection->context->fd, .events = POLLIN};
    if (poll(&pfd, 1, 0) != 0)
        redis_connection_drop(connection);
}

static struct error *ensure_connected(struct redis_connection *connection)
{
    int64_t now_ms = clock_monotonic_ms(clock_system());

    drop_if_closed(connection);
    if (connection->context)
        return NULL;
    if (now_ms < connection->retry_at_ms)
        return error_new(ERROR_UNAVAILABLE, "redis: not connected, next attempt in %d ms",
                         (int)(connection->retry_at_ms - now_ms));
    struct error *err = connect_now(connection);
    if (!err) {
        connection->backoff_ms = 0;
        return NULL;
    }
    int backoff_ms = connection->backoff_ms ? connection->backoff_ms * 2 : BACKOFF_MIN_MS;
    connection->backoff_ms = backoff_ms < BACKOFF_MAX_MS ? backoff_ms : BACKOFF_MAX_MS;
    connection->retry_at_ms = clock_monotonic_ms(clock_system()) + connection->backoff_ms;
    return error_wrap(err, "connect");
}

struct error *redis_command(struct redis_connection *connection, int argc, const char **argv,
                            const size_t *sizes, redisReply **ret_reply)
{
    _cleanup_(redis_reply_freep) redisReply *reply = NULL;
    struct error *err = ensure_connected(connection);

    err = err ?: exchange(connection, argc, argv, sizes, &reply);
    err = err ?: check_reply(reply);
    if (!err)
        *ret_reply = TAKE_PTR(reply);
    return err;
}

struct error *redis_script_call(struct redis_connection *connection, enum redis_script script,
                                int argc, const char **argv, const size_t *sizes,
                                redisReply **ret_reply)
{
    _cleanup_free_ const char **all = xnew_array(const char *, (size_t)argc + 2);
    _cleanup_free_ size_t *all_sizes = xnew_array(size_t, (size_t)argc + 2);
    _cleanup_(redis_reply_freep) redisReply *reply = NULL;
    struct error *err = ensure_connected(connection);

    if (err)
        return err;
    memcpy(all + 2, argv, (size_t)argc * sizeof(*argv));
    memcpy(all_sizes + 2, sizes, (size_t)argc * sizeof(*sizes));
    all[0] = "EVALSHA";
    all[1] = connection->hashes[script];
    all_sizes[0] = strlen(all[0]);
    all_sizes[1] = strlen(all[1]);
    err = exchange(connection, argc + 2, all, all_sizes, &reply);
    if (!err && reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOSCRIPT", 8) == 0) {
        redis_reply_freep(&reply);
        reply = NULL;
        all[0] = "EVAL";
        all[1] = connection->scripts[script];
        all_sizes[0] = strlen(all[0]);
        all_sizes[1] = strlen(all[1]);
        err = exchange(connection, argc + 2, all, all_sizes, &reply);
    }
    err = err ?: check_reply(reply);
    if (!err)
        *ret_reply = TAKE_PTR(reply);
    return err;
}
