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
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "schemas/host.pb-c.h"
#include "schemas/workload.pb-c.h"
#include "services/scheduler/secrets.h"
#include "shared/attestation/test_root.h"
#include "shared/base/alloc.h"
#include "shared/base/clock.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"
#include "shared/bus/bus.h"
#include "shared/bus/subject.h"
#include "shared/fleet/fleet.h"
#include "shared/manifest/manifest.h"
#include "shared/seal/seal.h"
#include "tests/integration/nats_server.h"

enum { HOSTS = 32, VMS_OF_HOST = 1024, HEARTBEAT_S = 5, TIMEOUT_MS = 30000, WARM_UP = 100 };

#define IMAGE   "1.0"
#define DOMAIN  "w.coffer.test"
#define COMPOSE "services:\n  web:\n    image: nginx\n"

struct host {
    char id[16];
    pthread_mutex_t lock;
    char vms[VMS_OF_HOST][40];
    size_t n_vms;
};

struct bench {
    char dir[64];
    struct nats_server nats;
    int redis_port;
    pid_t redis;
    pid_t scheduler;
    struct bus *gateway;
    struct bus *fleet; /* all hosts */
    struct bus_subscription *starts;
    struct sign_key authority_sign;
    struct box_key authority_box;
    struct arena *arena;
    ProtobufCBinaryData manifest;
    struct host hosts[HOSTS];
    atomic_uint launched;
    atomic_bool stop;
    pthread_t heart;
};

/* One caller's share. */
struct share {
    struct bench *bench;
    pthread_t thread;
    Coffer__V1__CreateWorkloadRequest **requests;
    int64_t *took_us;
    size_t n;
};

static void must(struct error *err)
{
    if (!err)
        return;
    fprintf(stderr, "%s (%s)\n", error_text(err), error_origin(err));
    exit(1);
}

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static pid_t spawn(char *const *argv, const char *log_path)
{
    pid_t pid = fork();

    if (pid)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!freopen(log_path, "a", stdout) || dup2(STDOUT_FILENO, STDERR_FILENO) < 0)
        _exit(126);
    execvp(argv[0], argv);
    _exit(127);
}

static char *text(struct bench *bench, const char *fmt, const char *value)
{
    char *made = arena_alloc(bench->arena, 256);

    snprintf(made, 256, "%s%s", fmt, value);
    return made;
}

static void write_image(struct bench *bench)
{
    _cleanup_buffer_ struct buffer bytes = {0};
    struct sign_key key;
    uint8_t signature[SIGN_SIZE];
    char digest[97];
    char hash[65];

    memset(digest, '5', 96);
    memset(hash, '0', 64);
    digest[96] = hash[64] = '\0';
    json_t *root =
        json_pack("{s:s, s:s, s:s, s:s, s:{s:{s:s, s:i}}, s:[{s:i, s:s, s:i, s:s}]}", "version",
                  IMAGE, "verity_root_hash", hash, "cmdline", "quiet", "firmware", "f.fd", "files",
                  "f.fd", "sha256", hash, "size", 1, "measurements", "vcpus", 2, "cpu_model",
                  "EPYC-v4", "guest_features", 1, "digest", digest);
    must(sign_key_load(text(bench, bench->dir, "/fleet/release/sign.key"), &key));
    must(canonical_json(root, &bytes));
    must(sign_bytes(&key, bytes.data, bytes.size, signature));
    _cleanup_free_ char *public_hex = hex_encode_new(key.public, sizeof(key.public));
    _cleanup_free_ char *value = base64_encode_new(signature, sizeof(signature));
    json_object_set_new(root, "signature",
                        json_pack("{s:s, s:s}", "key", public_hex, "value", value));
    _cleanup_free_ char *json = json_dumps(root, 0);
    must(dir_make(text(bench, bench->dir, "/images"), 0700));
    must(file_write_atomic(text(bench, bench->dir, "/images/" IMAGE ".json"), json, strlen(json),
                           0600));
    json_decref(root);
    sign_key_done(&key);
}

static void make_fleet(struct bench *bench)
{
    const char *fleet = text(bench, bench->dir, "/fleet");
    const char *ids[HOSTS];
    uint8_t chip[FLEET_CHIP_ID_SIZE] = {0};

    for (size_t i = 0; i < HOSTS; i++) {
        snprintf(bench->hosts[i].id, sizeof(bench->hosts[i].id), "h%zu", i);
        pthread_mutex_init(&bench->hosts[i].lock, NULL);
        ids[i] = bench->hosts[i].id;
    }
    must(fleet_init(
        fleet, &(struct fleet_options){.hosts = ids, .n_hosts = HOSTS, .workload_domain = DOMAIN}));
    for (size_t i = 0; i < HOSTS; i++) {
        chip[0] = (uint8_t)(i + 1);
        must(fleet_enroll_host(fleet, ids[i], chip));
    }
    must(test_root_init(text(bench, bench->dir, "/root")));
    must(sign_key_load(text(bench, fleet, "/authority/sign.key"), &bench->authority_sign));
    must(box_key_load(text(bench, fleet, "/authority/box.key"), &bench->authority_box));
    write_image(bench);
}

static void start_servers(struct bench *bench)
{
    char port[16];
    /* Without identities, which servers before 2.10 read otherwise. */
    _cleanup_free_ char *config = xasprintf("listen: 127.0.0.1:%d\nmax_payload: 1114112\n"
                                            "jetstream { store_dir: \"%s/store\" }\n",
                                            bench->nats.port, bench->nats.dir);

    bench->redis_port = free_port();
    snprintf(port, sizeof(port), "%d", bench->redis_port);
    char *argv[] = {"redis-server", "--bind",        "127.0.0.1", "--port", port,
                    "--dir",        bench->dir,      "--save",    "",       "--appendonly",
                    "yes",          "--appendfsync", "always",    NULL};
    bench->redis = spawn(argv, text(bench, bench->dir, "/redis.log"));
    must(nats_server_start(&bench->nats, config));
}

static void start_scheduler(struct bench *bench)
{
    char nats[64];
    char redis[64];

    snprintf(nats, sizeof(nats), "--coffer-nats-url=nats://127.0.0.1:%d", bench->nats.port);
    snprintf(redis, sizeof(redis), "--coffer-redis-url=redis://127.0.0.1:%d", bench->redis_port);
    char *argv[] = {
        (char *)SCHEDULER_PROGRAM,
        nats,
        redis,
        text(bench, "--scheduler-fleet-dir=", text(bench, bench->dir, "/fleet")),
        text(bench, "--scheduler-images-dir=", text(bench, bench->dir, "/images")),
        text(bench, "--scheduler-trust-root-dir=", text(bench, bench->dir, "/root")),
        (char *)"--scheduler-allow-software-tee=true",
        NULL,
    };
    bench->scheduler = spawn(argv, text(bench, bench->dir, "/scheduler.log"));
}

static struct bus *connect_as(struct bench *bench, const char *name)
{
    char url[64];
    char inbox[64];
    struct bus *bus;

    snprintf(url, sizeof(url), "nats://127.0.0.1:%d", bench->nats.port);
    snprintf(inbox, sizeof(inbox), "_INBOX.%s", name);
    must(bus_connect(&(struct bus_options){.url = url, .name = name, .inbox_prefix = inbox}, false,
                     &bus));
    return bus;
}

/* The hosts: what they are told to start they have from then on. */

static struct error *on_start(void *state, struct bus_call *call)
{
    struct bench *bench = state;
    const Coffer__V1__StartVmRequest *request = call->in;
    Coffer__V1__VmReply *reply = call->out;
    char id[16];

    (void)subject_token(call->message->subject, 2, id, sizeof(id));
    struct host *host = &bench->hosts[strtoul(id + 1, NULL, 10) % HOSTS];
    pthread_mutex_lock(&host->lock);
    if (host->n_vms < VMS_OF_HOST)
        snprintf(host->vms[host->n_vms++], sizeof(host->vms[0]), "%s", request->workload_id);
    pthread_mutex_unlock(&host->lock);
    reply->vm = arena_alloc(call->arena, sizeof(*reply->vm));
    coffer__v1__vm__init(reply->vm);
    reply->vm->workload_id = request->workload_id;
    reply->vm->generation = request->generation;
    reply->vm->state = COFFER__V1__VM_STATE__VM_RUNNING;
    atomic_fetch_add(&bench->launched, 1);
    return NULL;
}

static void beat(struct bench *bench, struct host *host)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    Coffer__V1__HostHeartbeat heartbeat = COFFER__V1__HOST_HEARTBEAT__INIT;
    Coffer__V1__Resources total = COFFER__V1__RESOURCES__INIT;
    Coffer__V1__ImageState image = COFFER__V1__IMAGE_STATE__INIT;
    Coffer__V1__ImageState *images[] = {&image};
    char subject[64];

    image.version = (char *)IMAGE;
    image.ready = true;
    total.cpus = 1000;
    total.memory_mib = 500 * 1024;
    total.disk_gib = 100000;
    heartbeat.host_id = host->id;
    heartbeat.total = &total;
    heartbeat.images = images;
    heartbeat.n_images = 1;
    heartbeat.tee = (char *)"software";
    heartbeat.public_address = (char *)"192.0.2.1";
    pthread_mutex_lock(&host->lock);
    heartbeat.vms = arena_alloc(arena, (host->n_vms + 1) * sizeof(*heartbeat.vms));
    for (size_t i = 0; i < host->n_vms; i++) {
        Coffer__V1__Vm *vm = arena_alloc(arena, sizeof(*vm));
        coffer__v1__vm__init(vm);
        vm->workload_id = arena_strdup(arena, host->vms[i]);
        vm->generation = 1;
        vm->state = COFFER__V1__VM_STATE__VM_RUNNING;
        heartbeat.vms[heartbeat.n_vms++] = vm;
    }
    pthread_mutex_unlock(&host->lock);
    snprintf(subject, sizeof(subject), "hb.host.%s", host->id);
    error_free(bus_send(bench->fleet, subject, &heartbeat.base, NULL, NULL, 1000));
}

static void *heart_main(void *data)
{
    struct bench *bench = data;

    while (!atomic_load(&bench->stop))
        for (size_t i = 0; i < HOSTS && !atomic_load(&bench->stop); i++) {
            beat(bench, &bench->hosts[i]);
            nanosleep(&(struct timespec){.tv_nsec = HEARTBEAT_S * 1000000000L / HOSTS}, NULL);
        }
    return NULL;
}

static void start_hosts(struct bench *bench)
{
    static const struct bus_handler row = {"cmd.host.*.start",
                                           &coffer__v1__start_vm_request__descriptor,
                                           &coffer__v1__vm_reply__descriptor, on_start, NULL};

    bench->fleet = connect_as(bench, "ops");
    must(bus_subscribe(bench->fleet, &row, row.subject, bench, &bench->starts));
    for (size_t i = 0; i < HOSTS; i++)
        beat(bench, &bench->hosts[i]);
    if (pthread_create(&bench->heart, NULL, heart_main, bench) != 0)
        exit(1);
}

/* The callers. */

static void make_manifest(struct bench *bench)
{
    _cleanup_buffer_ struct buffer json = {0};
    const char *env[] = {"DATABASE_URL", "SECRET"};
    struct manifest_service service = {.name = "web", .image = "nginx", .digest = "unpinned"};
    struct manifest manifest = {
        .image_version = IMAGE,
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
    memcpy(manifest.authority_sign, bench->authority_sign.public, SIGN_KEY_SIZE);
    must(manifest_write(&manifest, &json));
    bench->manifest = arena_bytes(bench->arena, json.data, json.size);
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
    must(seal_to(bench->authority_box.public, text(bench, SECRETS_CONTEXT, id), plain, size, &box));
    return arena_bytes(bench->arena, box.data, box.size);
}

static Coffer__V1__CreateWorkloadRequest *make_request(struct bench *bench)
{
    struct arena *arena = bench->arena;
    Coffer__V1__CreateWorkloadRequest *request = arena_alloc(arena, sizeof(*request));
    Coffer__V1__Resources *resources = arena_alloc(arena, sizeof(*resources));
    char id[UUID_TEXT_SIZE];

    uuid_generate_text(id);
    coffer__v1__create_workload_request__init(request);
    coffer__v1__resources__init(resources);
    resources->cpus = 2;
    resources->memory_mib = 1024;
    resources->disk_gib = 10;
    request->workload_id = arena_strdup(arena, id);
    request->account_id = (char *)"acme";
    request->name = (char *)"bench";
    request->manifest = bench->manifest;
    request->compose = arena_bytes(arena, COMPOSE, strlen(COMPOSE));
    request->sealed_secrets = seal_secrets(bench, id);
    request->resources = resources;
    request->image_version = (char *)IMAGE;
    request->allowance = arena_alloc(arena, sizeof(*request->allowance));
    coffer__v1__allowance__init(request->allowance);
    request->allowance->workloads = UINT32_MAX;
    request->domain = arena_printf(arena, "%s." DOMAIN, id);
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
    struct share *shares = arena_alloc(bench->arena, callers * sizeof(*shares));
    int64_t *took_us = arena_alloc(bench->arena, n * sizeof(*took_us));
    Coffer__V1__CreateWorkloadRequest **requests = arena_alloc(bench->arena, n * sizeof(*requests));

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
           (double)took_us[n * 99 / 100] / 1000, atomic_load(&bench->launched));
    fflush(stdout);
}

/* Until all that was created has been started somewhere, or nothing happens any more. */
static void measure_launches(struct bench *bench, size_t total)
{
    int64_t start = now_us();
    unsigned first = atomic_load(&bench->launched);
    unsigned last = first;

    for (int idle = 0; idle < 100 && atomic_load(&bench->launched) < total; idle++) {
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        if (atomic_load(&bench->launched) != last)
            idle = 0;
        last = atomic_load(&bench->launched);
    }
    double seconds = (double)(now_us() - start) / 1e6;
    printf("launched %u of %zu, the last %u in %.1f s\n", atomic_load(&bench->launched), total,
           atomic_load(&bench->launched) - first, seconds);
}

static void end(struct bench *bench)
{
    atomic_store(&bench->stop, true);
    pthread_join(bench->heart, NULL);
    bus_unsubscribe(bench->starts);
    bus_free(bench->fleet);
    bus_free(bench->gateway);
    kill(bench->scheduler, SIGTERM);
    waitpid(bench->scheduler, NULL, 0);
    nats_server_done(&bench->nats);
    kill(bench->redis, SIGKILL);
    waitpid(bench->redis, NULL, 0);
    sign_key_done(&bench->authority_sign);
    box_key_done(&bench->authority_box);
    _cleanup_free_ char *command = xasprintf("rm -rf '%s'", bench->dir);
    if (!getenv("BENCH_KEEP") && system(command) != 0)
        exit(1);
    arena_free(bench->arena);
}

int main(int argc, char **argv)
{
    struct bench *bench = xnew(struct bench);
    size_t at_8 = argc > 1 ? strtoul(argv[1], NULL, 10) : 2000;
    size_t at_64 = argc > 2 ? strtoul(argv[2], NULL, 10) : 6000;

    if (!nats_server_is_available(2, 9))
        return 77;
    bench->arena = arena_new();
    strcpy(bench->dir, "/tmp/scheduler-bench-XXXXXX");
    if (!mkdtemp(bench->dir))
        return 1;
    must(nats_server_init(&bench->nats, 0));
    make_fleet(bench);
    start_servers(bench);
    start_scheduler(bench);
    bench->gateway = connect_as(bench, "api-gateway");
    start_hosts(bench);
    make_manifest(bench);
    sleep(HEARTBEAT_S + 2);
    for (size_t i = 0; i < WARM_UP; i++)
        create(bench, make_request(bench));
    measure(bench, 8, at_8);
    measure(bench, 64, at_64);
    measure_launches(bench, WARM_UP + at_8 - at_8 % 8 + at_64 - at_64 % 64);
    end(bench);
    free(bench);
    return 0;
}
