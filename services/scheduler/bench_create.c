/*
 * How many creates a second the scheduler accepts durably, and how long each takes: the program
 * itself, a real NATS server with JetStream and a Redis that writes each change to disk before it
 * answers, all started here on the loopback; hosts that report and start VMs are simulated. Prints
 * figures and judges none.
 *
 *     bench_scheduler_create [creates at 8 callers [creates at 64 callers]]
 *
 * Everybody shares this machine: what callers and hosts cost is in the figures.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "schemas/workload.pb-c.h"
#include "services/scheduler/secrets.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/manifest/manifest.h"
#include "tests/bench/stage.h"

enum { HOSTS = 32, TIMEOUT_MS = 30000, WARM_UP = 100 };

#define COMPOSE "services:\n  web:\n    image: nginx\n"

struct bench {
    struct stage stage;
    struct bus *gateway;
    ProtobufCBinaryData manifest;
};

/* One caller's share. */
struct share {
    struct bench *bench;
    pthread_t thread;
    Coffer__V1__CreateWorkloadRequest **requests;
    int64_t *took_us;
    size_t n;
};

static void make_manifest(struct bench *bench)
{
    _cleanup_buffer_ struct buffer json = {0};
    const char *env[] = {"DATABASE_URL", "SECRET"};
    struct manifest_service service = {.name = "web", .image = "nginx", .digest = "unpinned"};
    struct manifest manifest = {
        .image_version = STAGE_IMAGE,
        .public_service = "web",
        .public_port = 80,
        .acme_directory = "https://acme.test/dir",
        .acme_ca = "",
        .policy_egress = "any",
        .policy_logs = "platform",
        .policy_storage = "ephemeral",
        .env = env,
        .n_env = 2,
        .services = &service,
        .n_services = 1,
    };

    sha256(COMPOSE, strlen(COMPOSE), manifest.compose_sha256);
    memcpy(manifest.authority_sign, bench->stage.authority_sign.public, SIGN_KEY_SIZE);
    must(manifest_write(&manifest, &json));
    bench->manifest = arena_bytes(bench->stage.arena, json.data, json.size);
}

static ProtobufCBinaryData seal_secrets(struct bench *bench, const char *id)
{
    _cleanup_buffer_ struct buffer box = {0};
    Coffer__V1__Secrets secrets = COFFER__V1__SECRETS__INIT;
    Coffer__V1__EnvironmentVariable variable = COFFER__V1__ENVIRONMENT_VARIABLE__INIT;
    Coffer__V1__EnvironmentVariable *list[] = {&variable};
    uint8_t plain[256];

    variable.name = (char *)"SECRET";
    variable.value = (char *)"a secret of some length, as they have";
    secrets.environment = list;
    secrets.n_environment = 1;
    size_t size = coffer__v1__secrets__pack(&secrets, plain);
    must(seal_to(bench->stage.authority_box.public, stage_text(&bench->stage, SECRETS_CONTEXT, id),
                 plain, size, &box));
    return arena_bytes(bench->stage.arena, box.data, box.size);
}

static Coffer__V1__CreateWorkloadRequest *make_request(struct bench *bench)
{
    struct arena *arena = bench->stage.arena;
    Coffer__V1__CreateWorkloadRequest *request = arena_alloc(arena, sizeof(*request));
    Coffer__V1__Resources *resources = arena_alloc(arena, sizeof(*resources));
    char id[UUID_TEXT_SIZE];

    uuid_generate_text(id);
    coffer__v1__create_workload_request__init(request);
    coffer__v1__resources__init(resources);
    resources->cpus = STAGE_CPUS;
    resources->memory_mib = 1024;
    resources->disk_gib = 10;
    request->workload_id = arena_strdup(arena, id);
    request->account_id = (char *)"acme";
    request->name = (char *)"bench";
    request->manifest = bench->manifest;
    request->compose = arena_bytes(arena, COMPOSE, strlen(COMPOSE));
    request->sealed_secrets = seal_secrets(bench, id);
    request->resources = resources;
    request->image_version = (char *)STAGE_IMAGE;
    request->allowance = arena_alloc(arena, sizeof(*request->allowance));
    coffer__v1__allowance__init(request->allowance);
    request->allowance->workloads = UINT32_MAX;
    request->domain = arena_printf(arena, "%s." STAGE_DOMAIN, id);
    return request;
}

static void create(struct bench *bench, const Coffer__V1__CreateWorkloadRequest *request)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    void *reply;

    must(bus_call(bench->gateway, "svc.scheduler.workload.create", &request->base,
                  &coffer__v1__workload_reply__descriptor, NULL, NULL, TIMEOUT_MS, arena, &reply,
                  NULL));
}

static void *share_main(void *data)
{
    struct share *share = data;

    for (size_t i = 0; i < share->n; i++) {
        int64_t start = now_us();
        create(share->bench, share->requests[i]);
        share->took_us[i] = now_us() - start;
    }
    return NULL;
}

static int compare_times(const void *a, const void *b)
{
    const int64_t *left = a, *right = b;

    return *left < *right ? -1 : *left > *right;
}

static void measure(struct bench *bench, size_t callers, size_t n)
{
    struct share *shares = arena_alloc(bench->stage.arena, callers * sizeof(*shares));
    int64_t *took_us = arena_alloc(bench->stage.arena, n * sizeof(*took_us));
    Coffer__V1__CreateWorkloadRequest **requests =
        arena_alloc(bench->stage.arena, n * sizeof(*requests));

    n -= n % callers;
    for (size_t i = 0; i < n; i++)
        requests[i] = make_request(bench);
    int64_t start = now_us();
    for (size_t i = 0; i < callers; i++) {
        size_t each = n / callers;
        shares[i] = (struct share){.bench = bench,
                                   .requests = requests + i * each,
                                   .took_us = took_us + i * each,
                                   .n = each};
        if (pthread_create(&shares[i].thread, NULL, share_main, &shares[i]) != 0)
            exit(1);
    }
    for (size_t i = 0; i < callers; i++)
        pthread_join(shares[i].thread, NULL);
    double seconds = (double)(now_us() - start) / 1e6;
    qsort(took_us, n, sizeof(*took_us), compare_times);
    printf("%2zu callers: %zu creates, %.0f/s, p50 %.1f ms, p99 %.1f ms, %u launched by then\n",
           callers, n, (double)n / seconds, (double)took_us[n / 2] / 1000,
           (double)took_us[n * 99 / 100] / 1000, atomic_load(&bench->stage.launched));
    fflush(stdout);
}

/* Until all that was created has been started somewhere, or nothing happens any more. */
static void measure_launches(struct bench *bench, size_t total)
{
    int64_t start = now_us();
    unsigned first = atomic_load(&bench->stage.launched);
    unsigned last = first;

    for (int idle = 0; idle < 100 && atomic_load(&bench->stage.launched) < total; idle++) {
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        if (atomic_load(&bench->stage.launched) != last)
            idle = 0;
        last = atomic_load(&bench->stage.launched);
    }
    double seconds = (double)(now_us() - start) / 1e6;
    printf("launched %u of %zu, the last %u in %.1f s\n", atomic_load(&bench->stage.launched),
           total, atomic_load(&bench->stage.launched) - first, seconds);
}

int main(int argc, char **argv)
{
    struct bench *bench = xnew(struct bench);
    size_t at_8 = argc > 1 ? strtoul(argv[1], NULL, 10) : 2000;
    size_t at_64 = argc > 2 ? strtoul(argv[2], NULL, 10) : 6000;

    if (!stage_is_available())
        return 77;
    stage_start(&bench->stage, HOSTS);
    bench->gateway = stage_connect(&bench->stage, "api-gateway");
    make_manifest(bench);
    for (size_t i = 0; i < WARM_UP; i++)
        create(bench, make_request(bench));
    measure(bench, 8, at_8);
    measure(bench, 64, at_64);
    measure_launches(bench, WARM_UP + at_8 - at_8 % 8 + at_64 - at_64 % 64);
    bus_free(bench->gateway);
    stage_end(&bench->stage);
    free(bench);
    return 0;
}
