#include "services/guest-agent/guest_agent.h"

#include <curl/curl.h>
#include <malloc.h>
#include <signal.h>
#include <time.h>

#include "services/guest-agent/boot.h"
#include "services/guest-agent/gpus.h"
#include "services/guest-agent/handlers.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "shared/base/log.h"

enum { PROBE_TIMEOUT_MS = 2000, TEE_WAIT_MS = 20 * 1000, STOP_GRACE_S = 20 };

#define ROW(name, type, member, standard, help)                                                    \
    {                                                                                              \
        "GUEST_AGENT_" name, type, offsetof(struct guest_agent_config, member), standard, help     \
    }

static const struct config_row config_rows[] = {
    ROW("CONFIG_DISK", CONFIG_PATH, config_disk, "", "the config disk; empty: found by its serial"),
    ROW("RUN_DIR", CONFIG_PATH, run_dir, "/run/coffer", "a folder in memory for the project"),
    ROW("CERTS_DIR", CONFIG_PATH, certs_dir, "/run/coffer/certs.d",
        "where dockerd looks for registries' CAs"),
    ROW("IMAGES_DIR", CONFIG_PATH, images_dir, "/usr/lib/coffer/images", "has platform.tar"),
    ROW("IMAGE_VERSION_FILE", CONFIG_PATH, image_version_file, "/usr/lib/coffer/version",
        "holds the version of this guest image"),
    ROW("DOCKER", CONFIG_PATH, docker, "/usr/bin/docker", "the docker program"),
    ROW("COMPOSE", CONFIG_PATH, compose, "/usr/libexec/docker/cli-plugins/docker-compose",
        "compose v2, run by itself"),
    ROW("DOCKER_SOCKET", CONFIG_PATH, docker_socket, "/run/docker.sock", "the Docker Engine API"),
    ROW("TEE", CONFIG_STRING, tee, "auto", "configfs-tsm, sev-guest, software, or auto"),
    ROW("TEE_PATH", CONFIG_PATH, tee_path, "", "its device or folder; empty: the usual place"),
    ROW("GPUS", CONFIG_STRING, gpus, "auto",
        "nvml: there are GPUs, and they show evidence; none; auto: as the PCI bus says"),
    ROW("RIMS_DIR", CONFIG_PATH, rims_dir, "/usr/share/coffer/rims",
        "reference values of GPUs (RIM files, OCSP responses); may be absent"),
    ROW("HTTPS_PORT", CONFIG_UINT, https_port, "443", "port of the proxy on this machine"),
    {NULL, CONFIG_STRING, 0, NULL, NULL},
};

struct guest_agent {
    const struct guest_agent_config *config;
    struct identity identity;
    struct logs *logs;
    struct uplink *uplink;
    struct engine *engine;
    struct tee *tee;
    char *tee_device;
    struct gpus *gpus;
    char *image_version;
    struct monitor *monitor;
    struct handlers handlers;
    struct bus_subscription *subscriptions[GUEST_HANDLERS];
    struct boot *boot;
    pthread_t boot_thread;
    bool has_boot_thread;
    pthread_t stop_thread;
    bool has_stop_thread;
    pthread_mutex_t lock; /* over stopping */
    pthread_cond_t wake;
    bool stopping;
};

/* Under log.c's lock: must not log. */
static void ship_own_line(void *data, const char *line)
{
    struct guest_agent *agent = data;

    logs_add(agent->logs, LOGS_OWN, clock_wall_ms(clock_system()), true, line, strlen(line));
}

static bool pause_boot(void *data, int ms)
{
    struct guest_agent *agent = data;
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&agent->lock);
    while (!agent->stopping &&
           pthread_cond_timedwait(&agent->wake, &agent->lock, &until) != ETIMEDOUT)
        ;
    bool goes_on = !agent->stopping;
    pthread_mutex_unlock(&agent->lock);
    return goes_on;
}

static struct error *connect_leaf(void *data, const struct bus_options *options,
                                  struct bus **ret_bus)
{
    (void)data;
    return bus_connect(options, true, ret_bus);
}

static struct error *probe(void *data, const char *domain, struct certificate *ret_certificate)
{
    const struct guest_agent *agent = data;

    return certificate_probe("127.0.0.1", (uint16_t)agent->config->https_port, domain,
                             PROBE_TIMEOUT_MS, ret_certificate);
}

static void *stop_project(void *data)
{
    struct guest_agent *agent = data;

    log_info("the project is stopped on command");
    log_failure(LOG_LEVEL_WARNING, "project not stopped", engine_stop(agent->engine, STOP_GRACE_S));
    return NULL;
}

/* On the delivery thread: a second command while one is at work changes nothing. */
static void on_stop_command(void *data)
{
    struct guest_agent *agent = data;

    if (!agent->has_stop_thread)
        agent->has_stop_thread =
            pthread_create(&agent->stop_thread, NULL, stop_project, agent) == 0;
}

/* The release is there: answer the authority and its gateway, and look after things. */
static struct error *serve(void *data, struct bus *bus, const struct guest_config *config,
                           const struct release *release)
{
    struct guest_agent *agent = data;
    struct handlers *handlers = &agent->handlers;

    *handlers = (struct handlers){.identity = &agent->identity,
                                  .monitor = agent->monitor,
                                  .logs = agent->logs,
                                  .engine = agent->engine,
                                  .uplink = agent->uplink,
                                  .stop = on_stop_command,
                                  .data = agent};
    command_guard_init(&handlers->guard, clock_system());
    command_guard_allow(&handlers->guard, config->manifest->authority_sign);
    if (release->has_gateway)
        command_guard_allow(&handlers->guard, release->gateway_sign_public);
    struct error *err = handlers_subscribe(handlers, bus, config->host_id, config->workload_id,
                                           agent->subscriptions);
    return err ? err : monitor_start(agent->monitor);
}

static const char *find_place(const char *tee)
{
    static const struct {
        const char *tee;
        const char *path;
    } places[] = {
        {"configfs-tsm", "/sys/kernel/config/tsm/report"},
        {"sev-guest", "/dev/sev-guest"},
        {"software", "/dev/virtio-ports/" TEE_SOFTWARE_CHANNEL},
    };

    for (size_t i = 0; i < ELEMENTSOF(places); i++) {
        if (strcmp(places[i].tee, tee) == 0)
            return places[i].path;
    }
    return "";
}

/* The device that the attester's container gets, by its real name. */
static char *find_tee_device(const struct guest_agent *agent)
{
    const char *path =
        agent->config->tee_path[0] ? agent->config->tee_path : find_place(agent->tee->ops->name);
    char *real = realpath(path, NULL);

    return real ? real : xstrdup(path);
}

static bool answers(struct tee *tee)
{
    const uint8_t nothing[TEE_REPORT_DATA_SIZE] = {0};
    struct tee_evidence evidence = {0};
    struct error *err = tee_get_report(tee, nothing, &evidence);
    bool good = err == NULL;

    tee_evidence_done(&evidence);
    error_free(err);
    return good;
}

/*
 * configfs-tsm may be there without a provider behind it, so with "auto" and a development channel
 * beside it, the first that answers is taken. Real hardware has no such channel, and is not asked.
 */
static struct error *choose_tee(struct guest_agent *agent)
{
    const char *name = agent->config->tee;
    const char *path = agent->config->tee_path[0] ? agent->config->tee_path : NULL;
    bool channel = access(find_place("software"), F_OK) == 0;
    struct error *err = tee_open(name, path, &agent->tee);

    if (err || path || !channel || strcmp(name, "auto") != 0 || answers(agent->tee))
        return err;
    tee_free(TAKE_PTR(agent->tee));
    return tee_open("software", NULL, &agent->tee);
}

/* The device may turn up a moment after this program. Without one the boot fails, and says so. */
static void open_tee(struct guest_agent *agent)
{
    struct clock *clock = clock_system();
    int64_t end = clock_monotonic_ms(clock) + TEE_WAIT_MS;
    struct error *err = NULL;

    do {
        error_free(err);
        err = choose_tee(agent);
    } while (err && clock_monotonic_ms(clock) < end && pause_boot(agent, 100));
    if (!err)
        agent->tee_device = find_tee_device(agent);
    log_failure(LOG_LEVEL_ERROR, "no security processor", err);
}

/* "8512 kB"; NULL: not known. Caller frees. */
static char *resident_memory(void)
{
    _cleanup_free_ char *text = NULL;
    struct error *err = file_read_text("/proc/self/status", 16 * 1024, &text);
    const char *field = err ? NULL : strstr(text, "VmRSS:");

    error_free(err);
    if (!field)
        return NULL;
    field += strlen("VmRSS:");
    field += strspn(field, " \t");
    return xstrndup(field, strcspn(field, "\n"));
}

static void *boot_main(void *data)
{
    struct guest_agent *agent = data;

    open_tee(agent);
    const struct boot_ports ports = {
        .clock = clock_system(),
        .engine = agent->engine,
        .tee = agent->tee,
        .tee_device = agent->tee_device,
        .gpus = agent->gpus,
        .identity = &agent->identity,
        .logs = agent->logs,
        .uplink = agent->uplink,
        .monitor = agent->monitor,
        .config_disk = agent->config->config_disk,
        .run_dir = agent->config->run_dir,
        .certs_dir = agent->config->certs_dir,
        .images_dir = agent->config->images_dir,
        .image_version = agent->image_version,
        .https_port = (uint16_t)agent->config->https_port,
        .connect = connect_leaf,
        .probe = probe,
        .serve = serve,
        .pause = pause_boot,
        .data = agent,
    };
    agent->boot = boot_new(&ports);
    if (boot_run(agent->boot)) {
        _cleanup_free_ char *memory = resident_memory();
        log_info("running", "resident", memory);
    }
    return NULL;
}

static struct error *make_parts(struct guest_agent *agent)
{
    const struct guest_agent_config *config = agent->config;
    _cleanup_free_ char *state = xasprintf("%s/docker", config->run_dir);
    const struct engine_docker_options engine = {
        .docker = config->docker,
        .compose = config->compose,
        .socket = config->docker_socket,
        .state = state,
    };
    const struct gpus_options gpus = {
        .mode = config->gpus, .sys = "/sys", .dev = "/dev", .rims = config->rims_dir};
    struct error *err = identity_init(&agent->identity);

    if (!err)
        err = file_read_text(config->image_version_file, 256, &agent->image_version);
    if (!err)
        err = engine_docker_new(&engine, &agent->engine);
    if (!err)
        err = gpus_new(&gpus, &agent->gpus);
    if (err)
        return err;
    agent->logs = logs_new(clock_system());
    log_set_sink(ship_own_line, agent);
    agent->uplink = uplink_new(clock_system(), &agent->identity, agent->logs);
    const struct monitor_options monitor = {
        .clock = clock_system(),
        .engine = agent->engine,
        .uplink = agent->uplink,
        .logs = agent->logs,
        .proc = "/proc",
        .https_port = (uint16_t)config->https_port,
    };
    agent->monitor = monitor_new(&monitor);
    return uplink_start(agent->uplink);
}

static void stop(void *state)
{
    struct guest_agent *agent = state;

    if (!agent)
        return;
    pthread_mutex_lock(&agent->lock);
    agent->stopping = true;
    pthread_cond_broadcast(&agent->wake);
    pthread_mutex_unlock(&agent->lock);
    if (agent->has_boot_thread)
        pthread_join(agent->boot_thread, NULL);
    for (size_t i = 0; i < GUEST_HANDLERS; i++)
        bus_unsubscribe(agent->subscriptions[i]);
    if (agent->has_stop_thread)
        pthread_join(agent->stop_thread, NULL);
    monitor_free(agent->monitor);
    log_set_sink(NULL, NULL);
    uplink_free(agent->uplink);
    boot_free(agent->boot);
    engine_free(agent->engine);
    tee_free(agent->tee);
    gpus_free(agent->gpus);
    logs_free(agent->logs);
    identity_done(&agent->identity);
    free(agent->tee_device);
    free(agent->image_version);
    free(agent);
    curl_global_cleanup();
}

static struct error *start(const void *config, struct bus *bus, void **ret_state)
{
    struct guest_agent *agent = xnew(struct guest_agent);
    pthread_condattr_t attributes;

    (void)bus; /* its own, from the config disk's hints */
    signal(SIGPIPE, SIG_IGN);
    mallopt(M_ARENA_MAX, 1); /* a dozen threads that mostly wait need no heap each */
    curl_global_init(CURL_GLOBAL_DEFAULT);
    agent->config = config;
    pthread_mutex_init(&agent->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&agent->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    struct error *err = make_parts(agent);
    if (!err) {
        int rc = pthread_create(&agent->boot_thread, NULL, boot_main, agent);
        agent->has_boot_thread = rc == 0;
        err = rc ? error_errno(rc, "start the boot's thread") : NULL;
    }
    if (err) {
        stop(agent);
        return err;
    }
    *ret_state = agent;
    return NULL;
}

const struct service guest_agent_service = {
    .name = "guest-agent",
    .config = config_rows,
    .config_size = sizeof(struct guest_agent_config),
    .without_bus = true,
    .start = start,
    .stop = stop,
};
