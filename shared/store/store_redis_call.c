/* Commands under construction, and calls on the connection that is free. */
#include "shared/store/store_redis.h"

#include <inttypes.h>
#include <time.h>

#include "shared/base/alloc.h"

void redis_args_add(struct redis_args *args, const void *data, size_t size)
{
    if (args->n == args->room) {
        args->room = args->room ? args->room * 2 : 32;
        args->argv = xrealloc_array(args->argv, args->room, sizeof(*args->argv));
        args->sizes = xrealloc_array(args->sizes, args->room, sizeof(*args->sizes));
    }
    args->argv[args->n] = data ? data : "";
    args->sizes[args->n++] = size;
}

void redis_args_text(struct redis_args *args, const char *text)
{
    redis_args_add(args, text, strlen(text));
}

void redis_args_number(struct redis_args *args, uint64_t number)
{
    redis_args_text(args, arena_printf(args->arena, "%" PRIu64, number));
}

void redis_args_init(struct redis_args *args)
{
    *args = (struct redis_args){.arena = arena_new()};
}

void redis_args_done(struct redis_args *args)
{
    free(args->argv);
    free(args->sizes);
    arena_free(args->arena);
}

/* What is left of the deadline after a wait of this long is enough for one exchange. */
enum { LINE_WAIT_MS = STORE_DEADLINE_MS - 2000 };

/* NULL: all are busy, and were for long. */
static struct redis_line *take_line(struct store_redis *redis)
{
    struct timespec deadline;
    int rc = 0;

    pthread_mutex_lock(&redis->lock);
    if (!redis->free) {
        clock_gettime(CLOCK_MONOTONIC, &deadline);
        deadline.tv_sec += LINE_WAIT_MS / 1000;
    }
    while (!redis->free && rc == 0)
        rc = pthread_cond_timedwait(&redis->freed, &redis->lock, &deadline);
    struct redis_line *line = redis->free;
    if (line)
        redis->free = line->next;
    pthread_mutex_unlock(&redis->lock);
    return line;
}

static void give_line(struct store_redis *redis, struct redis_line *line)
{
    pthread_mutex_lock(&redis->lock);
    line->next = redis->free;
    redis->free = line;
    pthread_cond_signal(&redis->freed);
    pthread_mutex_unlock(&redis->lock);
}

static struct error *all_busy(void)
{
    return error_new(ERROR_UNAVAILABLE, "redis: no connection is free");
}

struct error *redis_run(struct store *store, const struct redis_args *args, redisReply **ret_reply)
{
    struct store_redis *redis = (struct store_redis *)store;
    struct redis_line *line = take_line(redis);

    if (!line)
        return all_busy();
    struct error *err =
        redis_command(&line->connection, (int)args->n, args->argv, args->sizes, ret_reply);

    give_line(redis, line);
    return err;
}

struct error *redis_run_script(struct store *store, enum redis_script script,
                               const struct redis_args *args, redisReply **ret_reply)
{
    struct store_redis *redis = (struct store_redis *)store;
    struct redis_line *line = take_line(redis);

    if (!line)
        return all_busy();
    struct error *err = redis_script_call(&line->connection, script, (int)args->n, args->argv,
                                          args->sizes, ret_reply);

    give_line(redis, line);
    return err;
}

struct error *redis_run_script_ok(struct store *store, enum redis_script script,
                                  const struct redis_args *args)
{
    _cleanup_(redis_reply_freep) redisReply *reply = NULL;
    struct error *err = redis_run_script(store, script, args, &reply);

    if (err)
        return err;
    if (reply->type != REDIS_REPLY_STRING)
        return error_new(ERROR_INTERNAL, "redis: unexpected answer of a script");
    if (strcmp(reply->str, "ok") != 0)
        return error_new(ERROR_ABORTED, "%s", reply->str);
    return NULL;
}
