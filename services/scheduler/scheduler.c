#include "services/scheduler/scheduler.h"

#include <inttypes.h>
#include <time.h>

#include "services/scheduler/appraisal_gpus.h"
#include "services/scheduler/artifacts.h"
#include "services/scheduler/credentials.h"
#include "services/scheduler/reconcile.h"
#include "services/scheduler/sources.h"
#include "shared/base/alloc.h"
#include "shared/base/log.h"
#include "shared/nvidia/gpu_references.h"

/* How long a start waits for the store and the streams before it gives up. */
enum { START_PATIENCE_MS = 60 * 1000, START_PAUSE_MS = 250 };

#define ROW(name, type, field, value, help)                                                        \
    {                                                                                              \
        name, type, offsetof(struct scheduler_config, field), value, help                          \
    }

const struct config_row scheduler_config_rows[] = {
    ROW("COFFER_REDIS_URL", CONFIG_STRING, redis_url, NULL, "store, redis://host[:port][/db]"),
    ROW("COFFER_REDIS_PASSWORD_FILE", CONFIG_PATH, redis_password_file, "",
        "file with the store's password"),
    ROW("SCHEDULER_FLEET_DIR", CONFIG_PATH, fleet_dir, NULL,
        "folder of 'coffer fleet init': fleet.json, authority/, nats/"),
    ROW("SCHEDULER_IMAGES_DIR", CONFIG_PATH, images_dir, NULL,
        "folder with the signed image.json of each guest image version"),
    ROW("SCHEDULER_ACME_DIRECTORY", CONFIG_STRING, acme_directory, "",
        "ACME directory that manifests must name; empty: any"),
    ROW("SCHEDULER_ACME_EAB_FILE", CONFIG_PATH, acme_eab_file, "",
        "JSON {key_id, mac_key}: external account binding for ACME"),
    ROW("SCHEDULER_PLATFORM_REGISTRY_FILE", CONFIG_PATH, platform_registry_file, "",
        "JSON [{server, username, password}]: registry accounts given to every guest"),
    ROW("SCHEDULER_DNS_SERVER", CONFIG_STRING, dns_server, "",
        "host[:port] of the zone's primary for RFC 2136 updates; empty: names are kept elsewhere"),
    ROW("SCHEDULER_DNS_ZONE", CONFIG_STRING, dns_zone, "", "zone of the workload domain"),
    ROW("SCHEDULER_DNS_TSIG_FILE", CONFIG_PATH, dns_tsig_file, "",
        "file with one line hmac-sha256:name:base64 that signs updates"),
    ROW("SCHEDULER_TRUST_ROOT_DIR", CONFIG_PATH, trust_root_dir, "",
        "ark.pem and ask.pem of the development root, gpu-device.pem and gpu-rim.pem of "
        "development GPUs; used only with the next setting"),
    ROW("SCHEDULER_ALLOW_SOFTWARE_TEE", CONFIG_BOOL, allow_software_tee, "false",
        "release secrets to guests of the software TEE (development)"),
    ROW("SCHEDULER_REQUIRE_CRL", CONFIG_BOOL, require_crl, "true",
        "refuse evidence without a current revocation list of the chip's vendor"),
    ROW("SCHEDULER_GPU_RIMS", CONFIG_PATH, gpu_rims, "",
        "folder with NVIDIA's RIM files and OCSP responses; empty: guests with GPUs get nothing"),
    ROW("SCHEDULER_GPU_REQUIRE_OCSP", CONFIG_BOOL, gpu_require_ocsp, "true",
        "refuse GPUs without a current OCSP response for each certificate"),
    ROW("SCHEDULER_GPU_REQUIRE_CURRENT_RIMS", CONFIG_BOOL, gpu_require_current_rims, "true",
        "refuse reference values of GPUs whose signer's certificate is out of date"),
    ROW("SCHEDULER_SUSPECT_AFTER_MS", CONFIG_UINT, suspect_after_ms, "15000",
        "silence after which a host is suspect"),
    ROW("SCHEDULER_LOST_AFTER_MS", CONFIG_UINT, lost_after_ms, "60000",
        "silence after which a host is lost"),
    ROW("SCHEDULER_BOOT_DEADLINE_MS", CONFIG_UINT, boot_deadline_ms, "600000",
        "longest time of one stage of a boot"),
    ROW("SCHEDULER_RESTART_BACKOFF_MS", CONFIG_UINT, restart_backoff_ms, "10000",
        "pause before the first automatic restart, doubled each time"),
    ROW("SCHEDULER_RESTART_MAX", CONFIG_UINT, restart_max, "5",
        "automatic restarts before a workload stays in error"),
    ROW("SCHEDULER_TOMBSTONE_MS", CONFIG_UINT, tombstone_ms, "86400000",
        "how long a deleted workload's record is kept"),
    {0},
};

void scheduler_count(struct scheduler *scheduler, enum counter counter, const char *subject,
                     const char *detail)
{
    static const char *const names[COUNTER_MAX_] = {
        [COUNTER_FORGED_CLAIM] = "forged claim",
        [COUNTER_STALE_CLAIM] = "stale claim",
        [COUNTER_MALFORMED_CLAIM] = "malformed claim",
        [COUNTER_ILLEGAL_EVENT] = "illegal event",
        [COUNTER_UNKNOWN_HOST] = "unknown host",
        [COUNTER_REFUSED_RELEASE] = "refused release",
    };
    char total[24];

    snprintf(total, sizeof(total), "%" PRIuFAST64,
             atomic_fetch_add(&scheduler->counters[counter], 1) + 1);
    log_event(counter == COUNTER_STALE_CLAIM ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING, "refused",
              "what", names[counter], "subject", subject, "detail", detail, "total", total, NULL);
}

uint64_t scheduler_counter(const struct scheduler *scheduler, enum counter counter)
{
    return atomic_load(&scheduler->counters[counter]);
}

static struct error *load_roots(struct scheduler *scheduler)
{
    const struct scheduler_config *config = scheduler->config;
    struct error *err = trust_roots_amd(&scheduler->roots);

    if (err || !config->allow_software_tee)
        return err;
    if (!config->trust_root_dir[0])
        return error_new(ERROR_INVALID_ARGUMENT,
                         "SCHEDULER_ALLOW_SOFTWARE_TEE needs SCHEDULER_TRUST_ROOT_DIR");
    log_warning("guests of the software TEE get secrets: development only");
    scheduler->gpu_development_roots = gpu_roots_nvidia;
    err = gpu_roots_load(config->trust_root_dir, &scheduler->gpu_development_roots);
    return err ?: trust_roots_load(config->trust_root_dir, &scheduler->development_roots);
}

static struct error *open_dns(struct scheduler *scheduler)
{
    const struct scheduler_config *config = scheduler->config;

    if (!config->dns_server[0]) {
        scheduler->dns = dns_none_new();
        return NULL;
    }
    if (!config->dns_zone[0])
        return error_new(ERROR_INVALID_ARGUMENT, "SCHEDULER_DNS_SERVER needs SCHEDULER_DNS_ZONE");
    return dns_rfc2136_new(config->dns_server, config->dns_zone, config->dns_tsig_file,
                           &scheduler->dns);
}

static struct error *load_files(struct scheduler *scheduler)
{
    const struct scheduler_config *config = scheduler->config;
    struct error *err = authority_load(config->fleet_dir, &scheduler->authority);

    err = err
              ?: platform_load(config->acme_directory, config->acme_eab_file,
                               config->platform_registry_file, &scheduler->platform);
    err = err
              ?: images_open(config->images_dir, scheduler->authority.image_release_public,
                             &scheduler->images);
    err = err ?: load_roots(scheduler);
    err = err ?: appraisal_gpus_check(config);
    return err ?: open_dns(scheduler);
}

/* Fences out every scheduler before this one. */
static struct error *take_term(struct scheduler *scheduler)
{
    uint64_t term;
    struct error *err = store_get_term(scheduler->store, &term);

    err = err ?: store_set_term(scheduler->store, term + 1);
    if (!err)
        scheduler->term = term + 1;
    return err;
}

/* The store and the hub may come up after us. */
static struct error *with_patience(struct scheduler *scheduler,
                                   struct error *(*step)(struct scheduler *))
{
    int64_t give_up_ms = clock_monotonic_ms(clock_system()) + START_PATIENCE_MS;
    bool said = false;

    for (;;) {
        struct error *err = step(scheduler);
        enum error_code code = error_get_code(err);
        bool again =
            code == ERROR_UNAVAILABLE || code == ERROR_DEADLINE_EXCEEDED || code == ERROR_ABORTED;
        if (!again || clock_monotonic_ms(clock_system()) >= give_up_ms)
            return err;
        log_failure(said ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, "waiting", err);
        said = true;
        nanosleep(&(struct timespec){.tv_nsec = START_PAUSE_MS * 1000000L}, NULL);
    }
}

static struct error *publish_images(struct scheduler *scheduler)
{
    return images_publish(scheduler->images, scheduler->store, scheduler->term);
}

static struct error *ensure_streams(struct scheduler *scheduler)
{
    return bus_ensure_streams(scheduler->bus);
}

static void init_job(struct scheduler *scheduler)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&scheduler->job_wake, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&scheduler->job_lock, NULL);
}

struct scheduler *scheduler_new(const struct scheduler_config *config, struct bus *bus,
                                struct clock *clock)
{
    struct scheduler *scheduler = xnew(struct scheduler);

    scheduler->config = config;
    scheduler->bus = bus;
    scheduler->clock = clock;
    scheduler->make_credentials = credentials_mint;
    scheduler->credentials_data = &scheduler->authority;
    scheduler->started_at_ms = clock_wall_ms(clock);
    scheduler->changed.ids = xcalloc(CHANGED_MAX, sizeof(*scheduler->changed.ids));
    ledger_init(&scheduler->ledger);
    host_memory_init(&scheduler->host_memory);
    init_job(scheduler);
    return scheduler;
}

void scheduler_free(struct scheduler *scheduler)
{
    if (!scheduler)
        return;
    bus_unsubscribe(scheduler->sources);
    reconcile_stop(scheduler);
    intake_done(&scheduler->intake);
    ledger_done(&scheduler->ledger);
    host_memory_done(&scheduler->host_memory);
    arena_free(scheduler->host_ids.arena);
    free(scheduler->changed.ids);
    dns_free(scheduler->dns);
    store_free(scheduler->store);
    trust_roots_free(scheduler->roots);
    trust_roots_free(scheduler->development_roots);
    images_free(scheduler->images);
    platform_done(&scheduler->platform);
    authority_done(&scheduler->authority);
    pthread_cond_destroy(&scheduler->job_wake);
    pthread_mutex_destroy(&scheduler->job_lock);
    free(scheduler);
}

struct error *scheduler_open(struct scheduler *scheduler)
{
    struct error *err = load_files(scheduler);

    if (!err && !scheduler->store)
        err = store_open(scheduler->config->redis_url, scheduler->config->redis_password_file,
                         &scheduler->store);
    err = err ?: with_patience(scheduler, take_term);
    err = err ?: with_patience(scheduler, publish_images);
    return err ?: with_patience(scheduler, artifacts_adopt);
}

static struct error *start(const void *config, struct bus *bus, void **ret_state)
{
    _cleanup_(scheduler_freep) struct scheduler *scheduler =
        scheduler_new(config, bus, clock_system());
    struct error *err = scheduler_open(scheduler);

    err = err ?: with_patience(scheduler, ensure_streams);
    err = err ?: with_patience(scheduler, sources_start);
    err = err ?: reconcile_start(scheduler);
    if (err)
        return err;
    *ret_state = TAKE_PTR(scheduler);
    return NULL;
}

static void stop(void *state)
{
    scheduler_free(state);
}

const struct service scheduler_service = {
    .name = "scheduler",
    .config = scheduler_config_rows,
    .config_size = sizeof(struct scheduler_config),
    .handlers = scheduler_handlers,
    .start = start,
    .stop = stop,
};
