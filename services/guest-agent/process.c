#include "services/guest-agent/process.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "shared/base/alloc.h"
#include "shared/base/clock.h"

enum { ERRORS_MAX = 8192, LINE_MAX_SIZE = 4096 };

/* The parent's ends of the tool's three streams; -1 when closed. */
struct child {
    pid_t pid;
    int in;
    int out;
    int err;
    size_t written;
    struct buffer line;
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void child_done(struct child *child)
{
    close_fd(&child->in);
    close_fd(&child->out);
    close_fd(&child->err);
    buffer_done(&child->line);
}

void process_result_done(struct process_result *result)
{
    buffer_done(&result->output);
    buffer_done(&result->errors);
}

static struct error *make_pipe(int ends[2])
{
    return pipe2(ends, O_CLOEXEC) < 0 ? error_errno(errno, "make a pipe") : NULL;
}

static int spawn_with(const struct process_options *options, const int in[2], const int out[2],
                      const int err[2], pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigset_t all;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err[1], STDERR_FILENO);
    posix_spawnattr_init(&attributes);
    /* Our blocked signals are not the tool's; its own group, so that all of it can be ended. */
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    int rc = posix_spawn(ret_pid, options->argv[0], &actions, &attributes,
                         (char *const *)options->argv, (char *const *)options->environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return rc;
}

static struct error *child_start(const struct process_options *options, struct child *child)
{
    int in[2] = {-1, -1};
    int out[2] = {-1, -1};
    int err[2] = {-1, -1};
    struct error *error = make_pipe(in);

    if (!error)
        error = make_pipe(out);
    if (!error)
        error = make_pipe(err);
    int rc = error ? 0 : spawn_with(options, in, out, err, &child->pid);
    if (rc)
        error = error_errno(rc, "start '%s'", options->argv[0]);
    close_fd(&in[0]);
    close_fd(&out[1]);
    close_fd(&err[1]);
    child->in = in[1];
    child->out = out[0];
    child->err = err[0];
    return error;
}

/* A tool that stops reading must not block us, nor end us with SIGPIPE. */
static void feed(struct child *child, const char *input)
{
    assert(input); /* without any, the pipe was closed at once */
    size_t left = strlen(input) - child->written;
    ssize_t n = left ? write(child->in, input + child->written, left) : 0;

    if (n > 0)
        child->written += (size_t)n;
    if ((n < 0 && errno != EAGAIN && errno != EINTR) || child->written == strlen(input))
        close_fd(&child->in);
}

static void emit_line(struct child *child, const struct process_options *options)
{
    if (options->on_line && child->line.size)
        options->on_line(options->data, buffer_text(&child->line));
    buffer_done(&child->line);
}

static void split_lines(struct child *child, const struct process_options *options,
                        const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] == '\n' || data[i] == '\r' || child->line.size >= LINE_MAX_SIZE)
            emit_line(child, options);
        if (data[i] != '\n' && data[i] != '\r' && data[i] != '\0')
            buffer_add(&child->line, &data[i], 1);
    }
}

static void keep_tail(struct buffer *errors, const char *data, size_t size)
{
    buffer_add(errors, data, size);
    if (errors->size <= ERRORS_MAX)
        return;
    size_t extra = errors->size - ERRORS_MAX;
    memmove(errors->data, errors->data + extra, ERRORS_MAX);
    errors->size = ERRORS_MAX;
    errors->data[errors->size] = 0;
}

/* False at the stream's end. */
static bool drain_fd(int *fd, char *block, size_t size, size_t *ret_n)
{
    ssize_t n = read(*fd, block, size);

    *ret_n = n > 0 ? (size_t)n : 0;
    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
        close_fd(fd);
    return n > 0;
}

static struct error *pump_once(struct child *child, const struct process_options *options,
                               int timeout_ms, struct process_result *result)
{
    struct pollfd fds[3] = {{.fd = child->out, .events = POLLIN},
                            {.fd = child->err, .events = POLLIN},
                            {.fd = child->in, .events = POLLOUT}};
    char block[8192];
    size_t n;

    if (poll(fds, 3, timeout_ms) < 0)
        return errno == EINTR ? NULL : error_errno(errno, "poll");
    if (fds[2].revents)
        feed(child, options->input);
    if (fds[1].revents && drain_fd(&child->err, block, sizeof(block), &n)) {
        keep_tail(&result->errors, block, n);
        split_lines(child, options, block, n);
    }
    if (fds[0].revents && drain_fd(&child->out, block, sizeof(block), &n)) {
        if (result->output.size + n > options->output_max)
            return error_new(ERROR_RESOURCE_EXHAUSTED, "output is larger than %zu bytes",
                             options->output_max);
        buffer_add(&result->output, block, n);
    }
    OPENSSL_cleanse(block, sizeof(block));
    return NULL;
}

static struct error *pump(struct child *child, const struct process_options *options,
                          struct process_result *result)
{
    int64_t end = clock_monotonic_ms(clock_system()) + options->timeout_ms;
    struct error *err = NULL;

    while (!err && (child->out >= 0 || child->err >= 0)) {
        int64_t left = end - clock_monotonic_ms(clock_system());
        if (left <= 0)
            return error_new(ERROR_DEADLINE_EXCEEDED, "not done within %d s",
                             options->timeout_ms / 1000);
        err = pump_once(child, options, left > 60000 ? 60000 : (int)left, result);
    }
    emit_line(child, options);
    return err;
}

static int wait_for(pid_t pid)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

struct error *process_run(const struct process_options *options, struct process_result *ret_result)
{
    struct child child = {.in = -1, .out = -1, .err = -1};
    struct error *err = child_start(options, &child);

    if (!err) {
        fcntl(child.in, F_SETFL, O_NONBLOCK);
        if (!options->input || !options->input[0])
            close_fd(&child.in);
        err = pump(&child, options, ret_result);
        if (err)
            kill(-child.pid, SIGKILL);
        ret_result->exit_code = wait_for(child.pid);
    }
    child_done(&child);
    return error_wrap(err, "%s", options->argv[0]);
}
