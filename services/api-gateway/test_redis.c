#include "services/api-gateway/test_redis.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/wait.h>

#include "shared/base/alloc.h"
#include "shared/base/clock.h"

enum { START_MS = 20000, AGAIN_US = 20000 };

static void exec_server(const struct test_redis *redis)
{
    _cleanup_free_ char *socket = xasprintf("%s/redis.sock", redis->dir);

    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket, "--dir",
           redis->dir, "--save", "", "--logfile", "redis.log", NULL);
    _exit(127);
}

static void wait_for_server(const struct test_redis *redis)
{
    _cleanup_(store_freep) struct store *store = test_redis_open(redis);
    int64_t give_up_ms = clock_monotonic_ms(clock_system()) + START_MS;

    for (;;) {
        _cleanup_(error_freep) struct error *err = store_ping(store);
        int status = 0;
        if (!err)
            return;
        if (waitpid(redis->pid, &status, WNOHANG) == redis->pid)
            exit(WIFEXITED(status) && WEXITSTATUS(status) == 127 ? 77 : 1);
        if (clock_monotonic_ms(clock_system()) > give_up_ms)
            fail_msg("redis: %s", error_text(err));
        usleep(AGAIN_US);
    }
}

void test_redis_start(struct test_redis *redis)
{
    strcpy(redis->dir, "/tmp/coffer-redis-XXXXXX");
    assert_non_null(mkdtemp(redis->dir));
    redis->pid = fork();
    assert_true(redis->pid >= 0);
    if (redis->pid == 0)
        exec_server(redis);
    wait_for_server(redis);
}

void test_redis_stop(struct test_redis *redis)
{
    static const char *const names[] = {"redis.sock", "redis.log"};

    kill(redis->pid, SIGKILL);
    waitpid(redis->pid, NULL, 0);
    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", redis->dir, names[i]);
        unlink(path);
    }
    rmdir(redis->dir);
}

struct store *test_redis_open(const struct test_redis *redis)
{
    _cleanup_free_ char *url = xasprintf("redis+unix://%s/redis.sock", redis->dir);
    struct store *store = NULL;

    assert_null(store_open(url, NULL, &store));
    return store;
}
