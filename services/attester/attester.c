#include "services/attester/attester.h"

#include <malloc.h>
#include <pthread.h>
#include <time.h>

#include "services/attester/batch.h"
#include "services/attester/http.h"
#include "services/attester/standing.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "shared/base/log.h"
#include "shared/manifest/manifest.h"

#define POLL_S 3

static const struct config_row config_rows[] = {
    {"ATTESTER_LISTEN", CONFIG_STRING, offsetof(struct attester_config, listen), "0.0.0.0:8080",
     "address:port for the proxy"},
    {"ATTESTER_DOMAIN", CONFIG_STRING, offsetof(struct attester_config, domain), NULL,
     "the workload's name, whose TLS key is attested"},
    {"ATTESTER_PROXY", CONFIG_STRING, offsetof(struct attester_config, proxy), NULL,
     "host:port of the proxy that serves the name"},
    {"ATTESTER_TEE", CONFIG_STRING, offsetof(struct attester_config, tee), "auto",
     "auto, configfs-tsm, sev-guest or software"},
    {"ATTESTER_TEE_PATH", CONFIG_PATH, offsetof(struct attester_config, tee_path), "",
     "device or folder of the TEE, instead of the usual one"},
    {"ATTESTER_MANIFEST", CONFIG_PATH, offsetof(struct attester_config, manifest), NULL,
     "file with the manifest"},
    {"ATTESTER_IMAGE_VERSION", CONFIG_STRING, offsetof(struct attester_config, image_version), NULL,
     "version of the guest image"},
    {"ATTESTER_VCPUS", CONFIG_UINT, offsetof(struct attester_config, vcpus), NULL,
     "the guest's vCPUs, an input of the measurement"},
    {"ATTESTER_CPU_MODEL", CONFIG_STRING, offsetof(struct attester_config, cpu_model), "",
     "the guest's CPU model, an input of the measurement"},
    {"ATTESTER_GPUS", CONFIG_STRING, offsetof(struct attester_config, gpus), "none",
     "nvml: the guest has GPUs and shows their evidence; none: it has none"},
    {"ATTESTER_COLLATERAL", CONFIG_PATH, offsetof(struct attester_config, collateral), "",
     "file with the host's certificate table, which completes the TEE's own"},
    {"ATTESTER_COLLATERAL_AT_MS", CONFIG_UINT, offsetof(struct attester_config, collateral_at_ms),
     "0", "Unix time in milliseconds when its CRL came from the vendor; 0: not known"},
    {},
};

struct attester {
    struct evidence_maker *maker;
    struct live_key *key;
    struct standing *standing;
    struct batch batch;
    struct http_desks desks;
    struct http *http;
    pthread_t poller;
    bool polling;
    pthread_mutex_t mutex; /* of stopping */
    pthread_cond_t wake;
    bool stopping;
};

/* false: stop. */
static bool sleep_poll(struct attester *attester)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += POLL_S;
    pthread_mutex_lock(&attester->mutex);
    while (!attester->stopping &&
           pthread_cond_timedwait(&attester->wake, &attester->mutex, &until) == 0)
        ;
    bool go_on = !attester->stopping;
    pthread_mutex_unlock(&attester->mutex);
    return go_on;
}

/* Follows the certificate, so that its first visitor need not wait for a report. */
static void *poll_key(void *data)
{
    struct attester *attester = data;
    bool was_ok = true;

    do {
        bool is_new = false;
        struct error *err = standing_refresh(attester->standing, &is_new);
        bool ok = !err;

        if (is_new)
            log_info("new report: the TLS key changed");
        if (err && was_ok)
            log_failure(LOG_LEVEL_WARNING, "no report for the TLS key yet", err);
        else
            error_free(err);
        was_ok = ok;
    } while (sleep_poll(attester));
    return NULL;
}

static void close_desks(struct attester *attester)
{
    if (attester->desks.fresh)
        desk_close(attester->desks.fresh);
    if (attester->desks.standing)
        desk_close(attester->desks.standing);
}

static void stop(void *state)
{
    struct attester *attester = state;

    if (!attester)
        return;
    pthread_mutex_lock(&attester->mutex);
    attester->stopping = true;
    pthread_cond_signal(&attester->wake);
    pthread_mutex_unlock(&attester->mutex);
    if (attester->polling)
        pthread_join(attester->poller, NULL);
    close_desks(attester);
    http_free(attester->http);
    desk_free(attester->desks.fresh);
    desk_free(attester->desks.standing);
    standing_free(attester->standing);
    live_key_free(attester->key);
    evidence_maker_free(attester->maker);
    pthread_mutex_destroy(&attester->mutex);
    pthread_cond_destroy(&attester->wake);
    free(attester);
}
DEFINE_CLEANUP(void *, stop)

static struct error *make_maker(const struct attester_config *config,
                                struct evidence_maker **ret_maker)
{
    _cleanup_buffer_ struct buffer manifest = {}, collateral = {};
    struct tee *tee = NULL;

    struct error *err = file_read(config->manifest, MANIFEST_MAX, &manifest);
    if (!err && config->collateral[0])
        err = file_read(config->collateral, TEE_CERTIFICATES_MAX, &collateral);
    if (err)
        return err;
    if (manifest.size == 0 || memchr(manifest.data, 0, manifest.size))
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' is not a manifest", config->manifest);
    err = tee_open(config->tee, config->tee_path, &tee);
    if (err)
        return err;
    struct devices *devices = NULL;
    err = devices_open(config->gpus, NULL, &devices);
    if (err) {
        tee_free(tee);
        return err;
    }
    const struct evidence_facts facts = {
        .manifest = buffer_text(&manifest),
        .image_version = config->image_version,
        .cpu_model = config->cpu_model,
        .vcpus = config->vcpus,
        .devices = devices,
        .collateral = &collateral,
        .collateral_at_ms = (int64_t)config->collateral_at_ms,
    };
    *ret_maker = evidence_maker_new(tee, &facts);
    return NULL;
}

static struct error *start(const void *config_data, _unused_ struct bus *bus, void **ret_state)
{
    const struct attester_config *config = config_data;
    struct attester *attester = xnew(struct attester);
    _cleanup_(stopp) void *state = attester;

    mallopt(M_ARENA_MAX, 2); /* few threads, little memory */
    pthread_mutex_init(&attester->mutex, NULL);
    pthread_cond_init(&attester->wake, NULL);
    struct error *err = make_maker(config, &attester->maker);
    if (!err)
        err = live_key_open(config->proxy, config->domain, &attester->key);
    if (err)
        return err;
    attester->standing = standing_new(attester->maker, attester->key);
    attester->batch = (struct batch){attester->maker, attester->key};
    attester->desks.fresh = desk_new(batch_serve, &attester->batch, NULL);
    attester->desks.standing = desk_new(standing_serve, attester->standing, NULL);
    err = http_start(config->listen, &attester->desks, NULL, &attester->http);
    if (err)
        return err;
    attester->polling = pthread_create(&attester->poller, NULL, poll_key, attester) == 0;
    *ret_state = TAKE_PTR(state);
    return NULL;
}

const struct service attester_service = {
    .name = "attester",
    .config = config_rows,
    .config_size = sizeof(struct attester_config),
    .without_bus = true,
    .start = start,
    .stop = stop,
};
