#include "tests/bench/wrk.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "shared/base/alloc.h"
#include "tests/bench/process.h"

enum { THREADS = 2 };

bool wrk_is_available(void)
{
    return system("command -v wrk >/dev/null") == 0;
}

static void set_environment(const struct wrk_options *options)
{
    (void)setenv("BENCH_SCRIPTS", BENCH_SCRIPTS, 1);
    (void)setenv("BENCH_KEY", options->key ?: "", 1);
    (void)setenv("BENCH_IDS", options->ids_folder ?: "", 1);
}

static _Noreturn void run_wrk(const struct wrk_options *options, int output)
{
    char threads[16], connections[16], seconds[16];
    _cleanup_free_ char *script = xasprintf("%s/%s.lua", BENCH_SCRIPTS, options->script);
    _cleanup_free_ char *url = xasprintf("http://127.0.0.1:%d%s", options->port, options->path);

    snprintf(threads, sizeof(threads), "%d", THREADS);
    snprintf(connections, sizeof(connections), "%u", options->connections);
    snprintf(seconds, sizeof(seconds), "%u", options->seconds);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    set_environment(options);
    dup2(output, STDOUT_FILENO);
    execlp("wrk", "wrk", "-t", threads, "-c", connections, "-d", seconds, "--timeout", "20", "-s",
           script, url, (char *)NULL);
    _exit(127);
}

void wrk_start(const struct wrk_options *options, struct wrk_run *ret_run)
{
    int ends[2];

    if (pipe(ends) < 0)
        give_up(error_errno(errno, "pipe"));
    ret_run->pid = fork();
    if (ret_run->pid < 0)
        give_up(error_errno(errno, "fork"));
    if (ret_run->pid == 0) {
        close(ends[0]);
        run_wrk(options, ends[1]);
    }
    close(ends[1]);
    ret_run->output = fdopen(ends[0], "r");
}

static bool read_report(const char *line, struct wrk_result *result)
{
    unsigned long long us, p50_us, p99_us;

    if (sscanf(line, "report %lu %llu %llu %llu %lu %lu %127s", &result->requests, &us, &p50_us,
               &p99_us, &result->refused, &result->broken, result->statuses) < 6 ||
        us == 0)
        return false;
    result->rate = (double)result->requests / ((double)us / 1e6);
    result->p50_ms = (double)p50_us / 1000;
    result->p99_ms = (double)p99_us / 1000;
    return true;
}

struct wrk_result wrk_finish(struct wrk_run *run)
{
    struct wrk_result result = {0};
    bool known = false;
    char line[512];

    while (run->output && fgets(line, sizeof(line), run->output))
        known = read_report(line, &result) || known;
    fclose(run->output);
    if (process_end(&run->pid, 0) != 0 || !known)
        give_up(error_new(ERROR_INTERNAL, "wrk did not report"));
    return result;
}

struct wrk_result wrk_measure(const struct wrk_options *options)
{
    struct wrk_run run;

    wrk_start(options, &run);
    return wrk_finish(&run);
}
