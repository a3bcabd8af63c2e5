/*
 * What reads out of memory cost: one workload, a list of 100, one rendering, and one look into the
 * cache. Figures, not a test. bench_gateway_reads [SECONDS [REDIS_URL]]: wrk must be installed;
 * without a url the store is in memory, else it is that Redis. A heartbeat of the host of all is
 * written every 50 ms meanwhile.
 */
#include <stdio.h>

#include "schemas/host.pb-c.h"
#include "services/api-gateway/rendered.h"
#include "services/api-gateway/test_fixture.h"
#include "shared/base/alloc.h"
#include "shared/store/keys.h"

enum { WORKLOADS = 100, STAGES = 6, CONNECTIONS = 50, LOOKS = 1000000, RENDERINGS = 20000 };

static void put_one(const struct fixture *f, int i)
{
    Coffer__V1__Workload workload = COFFER__V1__WORKLOAD__INIT;
    Coffer__V1__Resources resources = COFFER__V1__RESOURCES__INIT;
    Coffer__V1__StageTime stages[STAGES];
    Coffer__V1__StageTime *places[STAGES];
    char id[32];

    snprintf(id, sizeof(id), "w-%d", i);
    _cleanup_free_ char *key = xasprintf("%s%s", KEY_WORKLOAD, id);
    for (int k = 0; k < STAGES; k++) {
        coffer__v1__stage_time__init(&stages[k]);
        stages[k].stage = "pulling";
        stages[k].at_ms = 1700000000123;
        stages[k].duration_ms = 1234;
        places[k] = &stages[k];
    }
    workload.workload_id = id;
    workload.account_id = "dev";
    workload.name = "a workload";
    workload.host_id = TEST_HOST;
    workload.domain = "one.w.coffer.test";
    workload.image_version = TEST_IMAGE;
    workload.status = COFFER__V1__WORKLOAD_STATUS__RUNNING;
    workload.resources = &resources;
    workload.stages = places;
    workload.n_stages = STAGES;
    workload.created_at_ms = 1700000000123 + i;
    put_message(f, key, &workload.base);
    index_add(f, KEY_WORKLOADS_OF "dev", id);
}

static void measure(const struct fixture *f, const char *what, const char *path, int seconds)
{
    _cleanup_free_ char *command =
        xasprintf("wrk -t2 -c%d -d%ds --latency -H 'Authorization: Bearer " TEST_KEY
                  "' http://127.0.0.1:%u%s",
                  CONNECTIONS, seconds, http_server_port(f->gateway->http), path);
    FILE *output = popen(command, "r");
    char line[256];

    printf("%s\n", what);
    while (output && fgets(line, sizeof(line), output))
        if (strstr(line, "Requests/sec") || strstr(line, "50%") || strstr(line, "99%") ||
            strstr(line, "Non-2xx"))
            printf("  %s", line);
    if (output)
        pclose(output);
}

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

static void measure_looks(const struct fixture *f)
{
    int64_t start_us = now_us();

    for (int i = 0; i < LOOKS; i++)
        store_cached_unref(rendered_now(f->gateway, "w-7", true));
    printf("look into the cache: %lld ns\n", (long long)(now_us() - start_us) * 1000 / LOOKS);
}

static void measure_rendering(const struct fixture *f)
{
    struct request request = {.gateway = f->gateway, .account = "dev"};
    int64_t start_us = now_us();

    for (int i = 0; i < RENDERINGS; i++) {
        _cleanup_(arena_freep) struct arena *arena = arena_new();
        _cleanup_(store_cached_unrefp) struct store_cached *value = NULL;
        request.arena = arena;
        read_cache_forget(f->gateway, KEY_WORKLOAD, "w-7");
        error_free(rendered_load(&request, "w-7", &value));
    }
    printf("read and render: %lld ns\n", (long long)(now_us() - start_us) * 1000 / RENDERINGS);
}

static void print_memory(void)
{
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];

    while (status && fgets(line, sizeof(line), status))
        if (strncmp(line, "VmRSS", 5) == 0 || strncmp(line, "VmHWM", 5) == 0)
            printf("%s", line);
    if (status)
        fclose(status);
}

static void put_heartbeat(const struct fixture *f)
{
    Coffer__V1__HostHeartbeat heartbeat = COFFER__V1__HOST_HEARTBEAT__INIT;
    Coffer__V1__Host host = COFFER__V1__HOST__INIT;

    heartbeat.public_address = "192.0.2.7";
    host.host_id = TEST_HOST;
    host.heartbeat = &heartbeat;
    host.last_seen_at_ms = now_us();
    put_message(f, KEY_HOST TEST_HOST, &host.base);
}

struct beating {
    const struct fixture *f;
    atomic_bool done;
};

static void *beat(void *state)
{
    struct beating *beating = state;

    while (!atomic_load(&beating->done)) {
        put_heartbeat(beating->f);
        nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
    }
    return NULL;
}

static struct store *open_store(const char *url)
{
    struct store *store = NULL;

    assert_null(store_open(url, NULL, &store));
    return store;
}

int main(int argc, char **argv)
{
    _cleanup_(fixture_freep) struct fixture *f =
        fixture_new_with(clock_system(), open_store(argc > 2 ? argv[2] : "memory:"));
    struct beating beating = {.f = f};
    int seconds = argc > 1 ? atoi(argv[1]) : 3;
    pthread_t heart;

    pthread_create(&heart, NULL, beat, &beating);
    for (int i = 0; i < WORKLOADS; i++)
        put_one(f, i);
    measure(f, "GET workload", "/api/v1/workloads/w-7", seconds);
    measure(f, "GET list of 100", "/api/v1/workloads/list", seconds);
    atomic_store(&beating.done, true);
    pthread_join(heart, NULL);
    print_memory();
    measure_rendering(f);
    measure_looks(f);
    return 0;
}
