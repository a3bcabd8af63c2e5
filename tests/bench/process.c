#include "tests/bench/process.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shared/base/cleanup.h"

_Noreturn void give_up(struct error *err)
{
    fprintf(stderr, "%s (%s)\n", error_text(err), error_origin(err));
    exit(1);
}

void must(struct error *err)
{
    if (err)
        give_up(err);
}

int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static _Noreturn void run_program(char *const *argv, char *const *environment, const char *log_path)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (; environment && *environment; environment++)
        (void)putenv(*environment);
    if (!freopen(log_path, "a", stdout) || dup2(STDOUT_FILENO, STDERR_FILENO) < 0)
        _exit(126);
    execvp(argv[0], argv);
    _exit(127);
}

pid_t process_start(char *const *argv, char *const *environment, const char *log_path)
{
    pid_t pid = fork();

    if (pid < 0)
        give_up(error_errno(errno, "fork"));
    if (pid == 0)
        run_program(argv, environment, log_path);
    return pid;
}

int process_end(pid_t *pid, int how)
{
    int status = 0;

    if (*pid <= 0)
        return 0;
    if (how)
        kill(*pid, how);
    waitpid(*pid, &status, 0);
    *pid = 0;
    return status;
}

double process_memory_mb(pid_t pid, const char *field)
{
    char path[64];
    char line[128];
    long kib = 0;

    snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid);
    _cleanup_fclose_ FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof(line), file))
        if (strncmp(line, field, strlen(field)) == 0)
            kib = strtol(line + strlen(field) + 1, NULL, 10);
    return (double)kib / 1024;
}

double process_cpu_ms(pid_t pid)
{
    char path[64];
    char line[1024] = "";
    unsigned long user = 0;
    unsigned long kernel = 0;

    snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
    _cleanup_fclose_ FILE *file = fopen(path, "r");
    if (!file || !fgets(line, sizeof(line), file))
        return 0;
    const char *behind_name = strrchr(line, ')');
    if (!behind_name ||
        sscanf(behind_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
               &kernel) != 2)
        return 0;
    return (double)(user + kernel) * 1000 / (double)sysconf(_SC_CLK_TCK);
}
