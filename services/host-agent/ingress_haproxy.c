/*
 * haproxy as the ingress: write the configuration, let haproxy itself check it, put it in place,
 * ask the master process to reload. Connections of the old configuration run on to their end.
 */
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "services/host-agent/haproxy_config.h"
#include "shared/base/alloc.h"

#define REPLY_TIMEOUT_MS 10000

struct haproxy_ingress {
    struct ingress base;
    char *path;     /* haproxy.cfg */
    char *proposal; /* what haproxy checks before it becomes haproxy.cfg */
    char *socket;
    char *applied; /* text that runs; NULL: unknown */
};

static struct error *spawn_check(struct haproxy_ingress *haproxy, pid_t *ret_pid)
{
    char *argv[] = {(char *)"haproxy", (char *)"-c",      (char *)"-q",
                    (char *)"-f",      haproxy->proposal, NULL};
    char *environment[] = {(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_init(&attributes);
    sigemptyset(&none); /* our threads block the signals that end us; a child must not */
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    int rc = posix_spawnp(ret_pid, "haproxy", &actions, &attributes, argv, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return rc ? error_errno(rc, "run haproxy") : NULL;
}

static struct error *check(struct haproxy_ingress *haproxy)
{
    pid_t pid;
    int status;
    struct error *err = spawn_check(haproxy, &pid);

    if (err)
        return err;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return error_errno(errno, "wait for haproxy");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return error_new(ERROR_INTERNAL, "haproxy refuses '%s'", haproxy->proposal);
    return NULL;
}

static struct error *connect_master(const char *path, int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return error_errno(errno, "socket");
    if (strlen(path) >= sizeof(address.sun_path))
        return error_new(ERROR_INVALID_ARGUMENT, "socket path '%s' is too long", path);
    memcpy(address.sun_path, path, strlen(path));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return error_recode(error_errno(errno, "connect to '%s'", path), ERROR_UNAVAILABLE);
    *ret_fd = TAKE_FD(fd);
    return NULL;
}

/* The master answers "Success=1" (haproxy 2.7 and later) or just closes, and then has reloaded. */
static struct error *read_reply(int fd)
{
    char reply[1024] = {0};
    size_t size = 0;
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    while (size < sizeof(reply) - 1) {
        int rc = poll(&poll_fd, 1, REPLY_TIMEOUT_MS);
        if (rc < 0 && errno == EINTR)
            continue;
        if (rc <= 0)
            return error_new(ERROR_DEADLINE_EXCEEDED, "haproxy's master does not answer");
        ssize_t n = read(fd, reply + size, sizeof(reply) - 1 - size);
        if (n < 0 && errno != ECONNRESET)
            return error_errno(errno, "read from haproxy's master");
        if (n <= 0)
            break;
        size += (size_t)n;
    }
    if (strstr(reply, "Success=0"))
        return error_new(ERROR_INTERNAL, "haproxy's master could not reload");
    return NULL;
}

static struct error *reload(struct haproxy_ingress *haproxy)
{
    static const char command[] = "reload\n";
    _cleanup_close_ int fd = -1;
    struct error *err = connect_master(haproxy->socket, &fd);

    if (err)
        return err;
    if (send(fd, command, sizeof(command) - 1, MSG_NOSIGNAL) != sizeof(command) - 1)
        return error_errno(errno, "write to haproxy's master");
    return read_reply(fd);
}

/* The proposal becomes the configuration by renaming it, so it is on disk before that. */
static struct error *propose(struct haproxy_ingress *haproxy, const char *text)
{
    _cleanup_close_ int fd =
        open(haproxy->proposal, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    size_t size = strlen(text);

    if (fd < 0)
        return error_errno(errno, "create '%s'", haproxy->proposal);
    if (write(fd, text, size) != (ssize_t)size || fsync(fd) < 0)
        return error_errno(errno ?: ENOSPC, "write '%s'", haproxy->proposal);
    return NULL;
}

static struct error *install(struct haproxy_ingress *haproxy, const char *text)
{
    struct error *err = propose(haproxy, text);

    if (!err)
        err = check(haproxy);
    if (!err && rename(haproxy->proposal, haproxy->path) < 0)
        err = error_errno(errno, "rename '%s'", haproxy->proposal);
    return err ? err : reload(haproxy);
}

static struct error *haproxy_apply(struct ingress *ingress, const struct ingress_route *routes,
                                   size_t n)
{
    struct haproxy_ingress *haproxy = (struct haproxy_ingress *)ingress;
    _cleanup_buffer_ struct buffer text = {0};
    struct error *err = ingress_check(routes, n);

    if (err)
        return err;
    haproxy_config(routes, n, &text);
    if (haproxy->applied && strcmp(haproxy->applied, buffer_text(&text)) == 0)
        return NULL;
    free(haproxy->applied);
    haproxy->applied = NULL;
    err = install(haproxy, buffer_text(&text));
    if (err)
        return error_wrap(err, "ingress");
    haproxy->applied = buffer_take_text(&text);
    return NULL;
}

static void haproxy_free(struct ingress *ingress)
{
    struct haproxy_ingress *haproxy = (struct haproxy_ingress *)ingress;

    free(haproxy->path);
    free(haproxy->proposal);
    free(haproxy->socket);
    free(haproxy->applied);
    free(haproxy);
}

static const struct ingress_ops haproxy_ops = {
    .name = "haproxy", .apply = haproxy_apply, .free = haproxy_free};

struct ingress *ingress_haproxy_new(const char *dir, const char *socket)
{
    struct haproxy_ingress *haproxy = xnew(struct haproxy_ingress);

    haproxy->base.ops = &haproxy_ops;
    haproxy->path = xasprintf("%s/haproxy.cfg", dir);
    haproxy->proposal = xasprintf("%s/haproxy.cfg.next", dir);
    haproxy->socket = xstrdup(socket);
    return &haproxy->base;
}
