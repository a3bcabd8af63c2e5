/* A redis-server of a test's own, on a unix socket in a temporary directory. */
#pragma once

#include <sys/types.h>

#include "shared/store/store.h"

struct test_redis {
    char dir[32];
    pid_t pid;
};

/* Exits with 77 when there is no redis-server. */
void test_redis_start(struct test_redis *redis);
void test_redis_stop(struct test_redis *redis);

/* One more connection. The caller frees it. */
struct store *test_redis_open(const struct test_redis *redis);
