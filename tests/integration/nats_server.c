#include "tests/integration/nats_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "shared/base/alloc.h"
#include "shared/base/file.h"

enum { READY_ATTEMPTS = 3000, READY_PAUSE_MS = 20 };

static const char *program(void)
{
    return getenv("NATS_SERVER") ?: "nats-server";
}

bool nats_server_is_available(int major, int minor)
{
    _cleanup_free_ char *command = xasprintf("%s --version 2>/dev/null", program());
    int have_major = 0;
    int have_minor = 0;

    FILE *out = popen(command, "r");
    if (!out)
        return false;
    int n = fscanf(out, "nats-server: v%d.%d", &have_major, &have_minor);
    (void)pclose(out);
    return n == 2 && (have_major > major || (have_major == major && have_minor >= minor));
}

static bool loopback(int port, struct sockaddr_in *ret_address)
{
    *ret_address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return inet_pton(AF_INET, "127.0.0.1", &ret_address->sin_addr) == 1;
}

int free_port(void)
{
    _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address;
    socklen_t size = sizeof(address);

    if (fd < 0 || !loopback(0, &address) || bind(fd, (struct sockaddr *)&address, size) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        abort();
    return ntohs(address.sin_port);
}

struct error *nats_server_init(struct nats_server *server, int port)
{
    *server = (struct nats_server){.dir = "/tmp/coffer-nats-XXXXXX"};
    if (!mkdtemp(server->dir))
        return error_errno(errno, "make a directory");
    server->port = port ? port : free_port();
    return NULL;
}

static bool answers(int port)
{
    _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address;

    return fd >= 0 && loopback(port, &address) &&
           connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

static struct error *wait_until_ready(struct nats_server *server)
{
    const struct timespec pause = {.tv_nsec = READY_PAUSE_MS * 1000000L};

    for (int i = 0; i < READY_ATTEMPTS; i++) {
        if (answers(server->port))
            return NULL;
        if (waitpid(server->pid, NULL, WNOHANG) == server->pid) {
            _cleanup_free_ char *log = nats_server_log(server);
            server->pid = 0;
            return error_new(ERROR_INTERNAL, "nats-server ended: %s", log ?: "");
        }
        nanosleep(&pause, NULL);
    }
    return error_new(ERROR_DEADLINE_EXCEEDED, "nats-server does not answer on %d", server->port);
}

static _Noreturn void run_server(const char *config_path, const char *log_path)
{
    /* A test that dies takes its servers with it. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (log >= 0) {
        dup2(log, STDOUT_FILENO);
        dup2(log, STDERR_FILENO);
    }
    execlp(program(), "nats-server", "-c", config_path, (char *)NULL);
    _exit(127);
}

struct error *nats_server_start(struct nats_server *server, const char *config)
{
    _cleanup_free_ char *path = xasprintf("%s/server.conf", server->dir);
    _cleanup_free_ char *log = xasprintf("%s/server.log", server->dir);
    struct error *err = file_write_atomic(path, config, strlen(config), 0600);

    if (err)
        return err;
    server->pid = fork();
    if (server->pid < 0)
        return error_errno(errno, "fork");
    if (server->pid == 0)
        run_server(path, log);
    return wait_until_ready(server);
}

void nats_server_stop(struct nats_server *server)
{
    if (server->pid <= 0)
        return;
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
    server->pid = 0;
}

void nats_server_done(struct nats_server *server)
{
    nats_server_stop(server);
    if (strncmp(server->dir, "/tmp/coffer-nats-", 17) != 0)
        return;
    _cleanup_free_ char *command = xasprintf("rm -rf '%s'", server->dir);
    if (system(command) != 0)
        fprintf(stderr, "could not remove '%s'\n", server->dir);
}

char *nats_server_log(const struct nats_server *server)
{
    _cleanup_free_ char *path = xasprintf("%s/server.log", server->dir);
    char *text = NULL;
    struct error *err = file_read_text(path, 4 * 1024 * 1024, &text);

    error_free(err);
    return text;
}
