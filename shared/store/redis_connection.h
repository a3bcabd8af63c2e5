/*
 * One connection to Redis: made when it is needed, replaced when it broke, with a back-off after
 * failed attempts and a deadline on every command. Not locked: its owner is (store_redis_call.c).
 */
#pragma once

#include <hiredis/hiredis.h>

#include "shared/store/backends.h"

enum redis_script {
    REDIS_SCRIPT_COMMIT,
    REDIS_SCRIPT_SET_TERM,
    REDIS_SCRIPT_GET_MANY,
    REDIS_SCRIPT_CLEAR,
    REDIS_SCRIPT_MAX_
};

struct redis_connection {
    struct redis_address address;
    redisContext *context; /* NULL: not connected */
    int64_t retry_at_ms;   /* monotonic; no attempt before */
    int backoff_ms;
    const char *scripts[REDIS_SCRIPT_MAX_]; /* their text; NULL: not used */
    char hashes[REDIS_SCRIPT_MAX_][41];     /* as the server named them */
};

static inline void redis_reply_free(redisReply *reply)
{
    freeReplyObject(reply);
}
DEFINE_CLEANUP(redisReply *, redis_reply_free)

void redis_connection_done(struct redis_connection *connection);

/* Closes; the next command connects again. */
void redis_connection_drop(struct redis_connection *connection);

/* One command and its reply; an error reply of the server is INTERNAL with its words. */
struct error *redis_command(struct redis_connection *connection, int argc, const char **argv,
                            const size_t *sizes, redisReply **ret_reply) _must_check_;

/* Same for a script: argv holds what follows its hash (number of keys, keys, arguments). */
struct error *redis_script_call(struct redis_connection *connection, enum redis_script script,
                                int argc, const char **argv, const size_t *sizes,
                                redisReply **ret_reply) _must_check_;
