/* A Redis server of a test's own on a unix socket, and its end. The test is skipped (77) where
 * there is none to run. */
#pragma once

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "shared/base/alloc.h"
#include "shared/base/clock.h"
#include "shared/store/store.h"

struct redis_server {
    char dir[64];
    char url[128];
    pid_t pid;
};

/* Also again after redis_server_kill(): with what the server wrote before. */
static inline void redis_server_run(struct redis_server *server)
{
    _cleanup_free_ char *socket = xasprintf("%s/redis.sock", server->dir);

    server->pid = fork();
    assert_true(server->pid >= 0);
    if (server->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves none behind */
        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket, "--dir",
               server->dir, "--save", "", "--appendonly", "yes", "--appendfsync", "always",
               "--logfile", "redis.log", NULL);
        _exit(127);
    }
}

static inline void redis_server_start(struct redis_server *server)
{
    signal(SIGPIPE, SIG_IGN); /* as service_main() does: the server goes away in many a test */
    strcpy(server->dir, "/tmp/redis-test-XXXXXX");
    assert_non_null(mkdtemp(server->dir));
    snprintf(server->url, sizeof(server->url), "redis+unix://%s/redis.sock", server->dir);
    redis_server_run(server);
}

/* Until it answers the store. */
static inline void redis_server_wait(const struct redis_server *server, struct store *store)
{
    int64_t give_up = clock_monotonic_ms(clock_system()) + 20000;
    struct error *err;
    int status;

    while ((err = store_ping(store))) {
        if (clock_monotonic_ms(clock_system()) > give_up)
            fail_msg("%s", error_text(err));
        error_free(err);
        if (waitpid(server->pid, &status, WNOHANG) == server->pid)
            exit(WIFEXITED(status) && WEXITSTATUS(status) == 127 ? 77 : 1);
        nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
    }
}

/* A store of its own on the server, once that answers. */
static inline struct store *redis_server_open(struct redis_server *server)
{
    struct store *store = NULL;

    assert_null(store_open(server->url, NULL, &store));
    redis_server_wait(server, store);
    return store;
}

static inline void redis_server_kill(const struct redis_server *server)
{
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
}

/* With its files. */
static inline void redis_server_end(const struct redis_server *server)
{
    _cleanup_free_ char *command = xasprintf("rm -rf '%s'", server->dir);

    redis_server_kill(server);
    assert_int_equal(system(command), 0);
}
