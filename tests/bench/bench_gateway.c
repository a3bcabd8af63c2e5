/*
 * What the API gateway bears: the program itself before a real NATS server, a Redis that writes
 * each change to disk, the scheduler itself and simulated hosts, asked by wrk over the loopback;
 * everything on the same two cores. Prints figures beside what we aim at, and judges none.
 *
 *     bench_gateway [seconds of each measurement [creates]]
 *
 * With "creates" it measures these only.
 *
 * Whatever else the machine does is in the figures: the load is printed with them.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"
#include "shared/base/log.h"
#include "tests/bench/accepted.h"
#include "tests/bench/bare.h"
#include "tests/bench/gateway_program.h"
#include "tests/bench/streams.h"
#include "tests/bench/wrk.h"

enum {
    CORES = 2,
    HOSTS = 64,
    WORKLOADS = 100,
    CONNECTIONS = 50,
    STREAMS = 5000,
    IDLE_MS = 3000,
    EVENT_MS = 30000,
    SPARE_FILES = 256,
};

struct bench {
    struct stage stage;
    struct gateway_program gateway;
    unsigned seconds;
    pid_t bare;
    int bare_port;
    double bare_rate;  /* the faster one */
    double get_rate;   /* GET of a workload with nothing else going on */
    char workload[64]; /* one of them */
};

static void section(const char *title)
{
    printf("\n%s\n", title);
}

/* target NULL: only for comparison. */
static void row(const char *what, const char *figure, const char *target)
{
    printf("  %-34s %-58s %s\n", what, figure, target ?: "");
}

static void print_load(const char *when)
{
    double load[3] = {0};

    if (getloadavg(load, 3) == 3)
        printf("%s: load %.1f %.1f %.1f\n", when, load[0], load[1], load[2]);
}

static void use_two_cores(void)
{
    cpu_set_t allowed;
    cpu_set_t used;
    int n = 0;

    CPU_ZERO(&used);
    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
        give_up(error_errno(errno, "sched_getaffinity"));
    for (int i = 0; i < CPU_SETSIZE && n < CORES; i++)
        if (CPU_ISSET(i, &allowed)) {
            CPU_SET(i, &used);
            n++;
        }
    if (sched_setaffinity(0, sizeof(used), &used) != 0)
        give_up(error_errno(errno, "sched_setaffinity"));
    printf("cores in use: %d\n", n);
}

/* For the streams here and in the gateway. Returns how many files one process may open. */
static size_t raise_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        give_up(error_errno(errno, "getrlimit"));
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        give_up(error_errno(errno, "setrlimit"));
    return limit.rlim_cur;
}

static char *describe(struct bench *bench, const struct wrk_result *result, const char *more)
{
    const char *lost = result->refused + result->broken
                           ? arena_printf(bench->stage.arena, "; %lu refused, %lu broken",
                                          result->refused, result->broken)
                           : "";

    return arena_printf(bench->stage.arena, "%8.0f /s, p50 %.2f ms, p99 %.2f ms%s%s", result->rate,
                        result->p50_ms, result->p99_ms, more, lost);
}

/* 1. The bare one */

static void measure_bare(struct bench *bench, const char *what)
{
    struct wrk_result result = wrk_measure(&(struct wrk_options){.port = bench->bare_port,
                                                                 .path = "/",
                                                                 .script = "get",
                                                                 .connections = CONNECTIONS,
                                                                 .seconds = bench->seconds});

    if (result.rate > bench->bare_rate)
        bench->bare_rate = result.rate;
    row(what, describe(bench, &result, ""), NULL);
}

/* 2. Reads */

static struct wrk_result get(struct bench *bench, const char *path, unsigned seconds)
{
    return wrk_measure(&(struct wrk_options){.port = bench->gateway.port,
                                             .path = path,
                                             .script = "get",
                                             .connections = CONNECTIONS,
                                             .seconds = seconds,
                                             .key = bench->gateway.key});
}

static struct wrk_result get_workload(struct bench *bench, unsigned seconds)
{
    return get(bench, stage_text(&bench->stage, "/api/v1/workloads/", bench->workload), seconds);
}

static void measure_reads(struct bench *bench)
{
    section("reads, 50 connections");
    measure_bare(bench, "bare libmicrohttpd, before");
    (void)get_workload(bench, 1);
    struct wrk_result one = get_workload(bench, bench->seconds);
    (void)get(bench, "/api/v1/workloads/list", 1);
    struct wrk_result list = get(bench, "/api/v1/workloads/list", bench->seconds);
    measure_bare(bench, "bare libmicrohttpd, after");
    bench->get_rate = one.rate;
    const char *share =
        arena_printf(bench->stage.arena, ", %.1f %% of bare", 100 * one.rate / bench->bare_rate);
    row("GET workload", describe(bench, &one, share), ">= 15 % of bare, p99 <= 5 ms");
    row("GET list of 100", describe(bench, &list, ""), ">= 2500 /s");
}

/* 3. Creates */

/* What takes part in a create, but for wrk. */
struct usage {
    double gateway_ms;
    double scheduler_ms;
    double redis_ms;
    double nats_ms;
    double hosts_ms; /* this program */
};

static struct usage usage_now(const struct bench *bench)
{
    return (struct usage){
        .gateway_ms = process_cpu_ms(bench->gateway.pid),
        .scheduler_ms = process_cpu_ms(bench->stage.scheduler),
        .redis_ms = process_cpu_ms(bench->stage.redis),
        .nats_ms = process_cpu_ms(bench->stage.nats.pid),
        .hosts_ms = process_cpu_ms(getpid()),
    };
}

static void print_usage(struct bench *bench, const struct usage *before, const struct usage *after,
                        unsigned long n)
{
    const double per = 1000 / (double)(n ? n : 1);
    const double gateway = (after->gateway_ms - before->gateway_ms) * per;
    const double scheduler = (after->scheduler_ms - before->scheduler_ms) * per;
    const double redis = (after->redis_ms - before->redis_ms) * per;
    const double nats = (after->nats_ms - before->nats_ms) * per;
    const double hosts = (after->hosts_ms - before->hosts_ms) * per;

    row("  processor time of one, us",
        arena_printf(bench->stage.arena,
                     "%.0f: gateway %.0f, scheduler %.0f, redis %.0f, nats %.0f, hosts %.0f",
                     gateway + scheduler + redis + nats + hosts, gateway, scheduler, redis, nats,
                     hosts),
        "");
}

static void measure_creates(struct bench *bench, unsigned connections, const char *target)
{
    char *folder = arena_printf(bench->stage.arena, "%s/ids-%u", bench->stage.dir, connections);
    char *what = arena_printf(bench->stage.arena, "creates, %u connections", connections);

    must(dir_make(folder, 0700));
    struct usage before = usage_now(bench);
    struct wrk_result result = wrk_measure(&(struct wrk_options){.port = bench->gateway.port,
                                                                 .path = "/api/v1/workloads/create",
                                                                 .script = "create",
                                                                 .connections = connections,
                                                                 .seconds = bench->seconds,
                                                                 .key = bench->gateway.key,
                                                                 .ids_folder = folder});
    struct usage after = usage_now(bench);
    row(what, describe(bench, &result, ""), target);
    print_usage(bench, &before, &after, result.requests);
    if (*result.statuses)
        row("  answers other than 200", result.statuses, "none");
    struct accepted accepted = accepted_count(folder, bench->stage.redis_url);
    row("  accepted, and of them in Redis",
        arena_printf(bench->stage.arena, "%zu, %zu", accepted.n, accepted.n_stored), "equal");
}

/* 4. Memory */

static void print_memory(struct bench *bench, const char *when)
{
    row(stage_text(&bench->stage, "gateway, peak resident, ", when),
        arena_printf(bench->stage.arena, "%.1f MB", process_memory_mb(bench->gateway.pid, "VmHWM")),
        "<= 40 MB");
}

/* 5. Streams */

/* The sequence of the latest event: where a client that has seen all goes on. */
static uint64_t last_event(struct bus *bus)
{
    uint64_t low = 0;
    uint64_t high = 1ULL << 32;

    while (high - low > 1) {
        _cleanup_(arena_freep) struct arena *arena = arena_new();
        uint64_t middle = low + (high - low) / 2;
        struct bus_message message;
        struct error *err =
            bus_stream_next(bus, "EVENTS", "evt.workload.*.*", middle, 5000, arena, &message);
        if (!err)
            low = message.stream_sequence;
        else if (error_get_code(err) == ERROR_NOT_FOUND)
            high = middle;
        else
            must(err);
        error_free(err);
    }
    return low;
}

static void measure_event(struct bench *bench, struct streams *streams, size_t n)
{
    char *body = arena_printf(bench->stage.arena, "{\"workloadId\": \"%s\"}", bench->workload);

    streams_forget(streams);
    int64_t start_us = now_us();
    json_decref(gateway_program_ask(&bench->gateway, "/api/v1/workloads/stop", body));
    int64_t answered_us = now_us();
    size_t had = streams_await(streams, bench->workload, EVENT_MS);
    row("one event at all of them",
        arena_printf(bench->stage.arena, "%zu of %zu have it %.0f ms after the stop was asked for",
                     had, n, (double)(now_us() - start_us) / 1000),
        arena_printf(bench->stage.arena, "(the stop was answered after %.0f ms)",
                     (double)(answered_us - start_us) / 1000));
}

static void measure_streams(struct bench *bench, size_t n)
{
    _cleanup_(bus_freep) struct bus *bus = stage_connect(&bench->stage, "bench");
    struct arena *arena = bench->stage.arena;

    section("idle event streams");
    (void)get_workload(bench, 2);
    double before = process_memory_mb(bench->gateway.pid, "VmRSS");
    int64_t start_us = now_us();
    struct streams *streams =
        streams_open(bench->gateway.port, "/api/v1/events", bench->gateway.key, last_event(bus), n);
    double took_s = (double)(now_us() - start_us) / 1e6;
    streams_forget(streams);
    (void)streams_await(streams, "nothing like this", IDLE_MS);
    double after = process_memory_mb(bench->gateway.pid, "VmRSS");
    row(arena_printf(arena, "%zu streams", n),
        arena_printf(arena, "%.1f MB (%.1f -> %.1f), opened in %.1f s", after - before, before,
                     after, took_s),
        "<= 60 MB");
    measure_event(bench, streams, n);
    streams_close(streams);
}

/* 6. A scheduler that does not answer */

static void measure_stall(struct bench *bench)
{
    struct arena *arena = bench->stage.arena;
    struct wrk_run creates;

    section("reads while the scheduler is stopped and 64 creates wait for it");
    kill(bench->stage.scheduler, SIGSTOP);
    wrk_start(&(struct wrk_options){.port = bench->gateway.port,
                                    .path = "/api/v1/workloads/create",
                                    .script = "create",
                                    .connections = 64,
                                    .seconds = bench->seconds + 2,
                                    .key = bench->gateway.key,
                                    .ids_folder = bench->stage.dir},
              &creates);
    nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    struct wrk_result one = get_workload(bench, bench->seconds);
    struct wrk_result hung = wrk_finish(&creates);
    kill(bench->stage.scheduler, SIGCONT);
    row("GET workload",
        describe(bench, &one,
                 arena_printf(arena, ", %.0f %% of before", 100 * one.rate / bench->get_rate)),
        "not slower");
    row("  creates answered meanwhile", arena_printf(arena, "%lu", hung.requests), "none");
}

/* The whole */

/* Cuts the text at the mark; returns what is behind it. */
static char *cut_at(char *text, const char *mark)
{
    char *at = strstr(text, mark);

    if (at) {
        *at = '\0';
        return at + strlen(mark);
    }
    give_up(error_new(ERROR_INTERNAL, "create.json has no place for an id"));
}

static void make_workloads(struct bench *bench)
{
    _cleanup_free_ char *text = NULL;

    must(file_read_text(BENCH_SCRIPTS "/create.json", 64 * 1024, &text));
    const char *rest = cut_at(text, "@ID@");
    for (size_t i = 0; i < WORKLOADS; i++) {
        char id[UUID_TEXT_SIZE];
        uuid_generate_text(id);
        _cleanup_free_ char *body = xasprintf("%s%s%s", text, id, rest);
        json_decref(gateway_program_ask(&bench->gateway, "/api/v1/workloads/create", body));
        snprintf(bench->workload, sizeof(bench->workload), "%s", id);
    }
    /* Until they are launched, so that nothing goes on. */
    for (int i = 0; i < 100 && atomic_load(&bench->stage.launched) < WORKLOADS; i++)
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    nanosleep(&(struct timespec){.tv_sec = 2}, NULL);
}

static void measure_all_creates(struct bench *bench)
{
    section("creates that are in Redis, synced, before they are answered");
    measure_creates(bench, 8, "p50 <= 10 ms");
    measure_creates(bench, 64, ">= 2000 /s");
    print_memory(bench, "after creates");
}

static void measure_only_creates(struct bench *bench)
{
    gateway_program_start(&bench->stage, &bench->gateway);
    make_workloads(bench);
    measure_all_creates(bench);
    gateway_program_end(&bench->gateway);
}

static void measure_all(struct bench *bench, size_t n_streams)
{
    gateway_program_start(&bench->stage, &bench->gateway);
    make_workloads(bench);
    gateway_program_end(&bench->gateway);
    gateway_program_start(&bench->stage, &bench->gateway);
    measure_streams(bench, n_streams);
    gateway_program_end(&bench->gateway);
    gateway_program_start(&bench->stage, &bench->gateway);
    measure_reads(bench);
    print_memory(bench, "after reads");
    measure_all_creates(bench);
    measure_stall(bench);
    gateway_program_end(&bench->gateway);
}

int main(int argc, char **argv)
{
    struct bench *bench = xnew(struct bench);
    size_t n_files = raise_files();
    size_t n_streams = n_files > STREAMS + SPARE_FILES ? STREAMS : n_files / 2;

    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* children inherit what is not written */
    bench->seconds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 5;
    if (!stage_is_available() || !wrk_is_available()) {
        fprintf(stderr, "needs nats-server, redis-server and wrk\n");
        return 77;
    }
    log_init("bench", LOG_LEVEL_WARNING);
    use_two_cores();
    print_load("before");
    bench->bare_port = free_port();
    bench->bare = bare_start(bench->bare_port);
    stage_start(&bench->stage, HOSTS);
    if (argc > 2 && strcmp(argv[2], "creates") == 0)
        measure_only_creates(bench);
    else
        measure_all(bench, n_streams);
    stage_end(&bench->stage);
    process_end(&bench->bare, SIGKILL);
    print_load("\nafter");
    free(bench);
    return 0;
}
