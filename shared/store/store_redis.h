/* What the parts of the store in Redis share: its connections, and commands on one of them. */
#pragma once

#include <pthread.h>

#include "shared/store/redis_connection.h"

/*
 * Threads need not wait for each other's answers: the server writes changes that arrive together to
 * disk together. A line is connected when it is first needed; the one that was used last is taken
 * first, so that few are where little is asked.
 */
enum { REDIS_LINES = 16 };
struct redis_line {
    struct redis_line *next; /* free ones */
    struct redis_connection connection;
};

struct store_redis {
    struct store base;
    pthread_mutex_t lock; /* of the next two */
    pthread_cond_t freed;
    struct redis_line *free;
    struct redis_line lines[REDIS_LINES];
};

/* So many keys are asked for, or entries cleared, in one command. */
enum { REDIS_CHUNK = 512 };

/* A command under construction; texts it owns live in its arena. */
struct redis_args {
    struct arena *arena;
    const char **argv;
    size_t *sizes;
    size_t n;
    size_t room;
};

void redis_args_init(struct redis_args *args);
void redis_args_done(struct redis_args *args);
#define _cleanup_args_ _cleanup_(redis_args_done)

/* data stays the caller's, and must live until the command has run; so must a text. */
void redis_args_add(struct redis_args *args, const void *data, size_t size);
void redis_args_text(struct redis_args *args, const char *text);
void redis_args_number(struct redis_args *args, uint64_t number);

/* One command, on a connection that is free or becomes so in time; else UNAVAILABLE. */
struct error *redis_run(struct store *store, const struct redis_args *args,
                        redisReply **ret_reply) _must_check_;

/* The same for a script: args are what follows its hash (redis_connection.h). */
struct error *redis_run_script(struct store *store, enum redis_script script,
                               const struct redis_args *args, redisReply **ret_reply) _must_check_;

/* The same for one that answers "ok"; ABORTED with what it says instead. */
struct error *redis_run_script_ok(struct store *store, enum redis_script script,
                                  const struct redis_args *args) _must_check_;

/* The first max (at least 1) items of a list: an array. */
struct error *redis_range(struct store *store, const char *key, size_t max,
                          redisReply **ret_reply) _must_check_;

/* INTERNAL: the server answers what it should not. */
static inline struct error *redis_unexpected(const redisReply *reply)
{
    return error_new(ERROR_INTERNAL, "redis: unexpected answer of type %d", reply->type);
}

/* store_redis_commit.c */
extern const char store_redis_commit_script[];
struct error *store_redis_commit(struct store *store,
                                 const struct store_change *change) _must_check_;

/* store_redis_outbox.c */
extern const char store_redis_clear_script[];
struct error *store_redis_outbox_peek(struct store *store, size_t max, struct arena *arena,
                                      struct store_outbox_entry **ret_entries,
                                      size_t *ret_n) _must_check_;
struct error *store_redis_outbox_clear(struct store *store, const char *const *ids,
                                       size_t n) _must_check_;
