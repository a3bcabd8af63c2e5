#include "services/host-agent/collateral.h"

#include <curl/curl.h>
#include <pthread.h>
#include <time.h>

#include "shared/base/alloc.h"
#include "shared/base/log.h"

struct host_collateral {
    struct collateral_client *client;
    struct trust_roots *own_roots; /* NULL: the caller's are used */
    struct kds_chip chip;
    struct clock *clock;
    pthread_t thread;
    bool runs;
    pthread_mutex_t lock; /* of the rest */
    pthread_cond_t wake;
    bool stopping;
    bool settled; /* a first turn has ended */
    int64_t born_ms;
    struct buffer table;
    int64_t at_ms;
};

static struct timespec after(int64_t ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return until;
}

/* false: the host-agent ends. */
static bool wait_ms(void *data, int64_t ms)
{
    struct host_collateral *collateral = data;
    const struct timespec until = after(ms);

    pthread_mutex_lock(&collateral->lock);
    while (!collateral->stopping &&
           pthread_cond_timedwait(&collateral->wake, &collateral->lock, &until) == 0)
        ;
    bool goes_on = !collateral->stopping;
    pthread_mutex_unlock(&collateral->lock);
    return goes_on;
}

static struct error *open_client(struct host_collateral *collateral,
                                 const struct host_collateral_options *options)
{
    _cleanup_free_ char *dir = xasprintf("%s/collateral", options->state_dir);
    struct error *err = NULL;

    if (!options->roots)
        err = trust_roots_amd(&collateral->own_roots);
    if (err)
        return err;
    const struct collateral_options client = {
        .dir = dir,
        .base_url = strcmp(options->kds_url, "offline") == 0 ? NULL : options->kds_url,
        .ca_file = options->kds_ca[0] ? options->kds_ca : NULL,
        .allow_http = options->allow_http,
        .roots = options->roots ? options->roots : collateral->own_roots,
        .clock = options->clock,
        .crl_max_age_ms = HOST_COLLATERAL_REFRESH_MS,
        .pause = wait_ms,
        .data = collateral,
    };
    return collateral_client_new(&client, &collateral->client);
}

struct error *host_collateral_new(const struct host_collateral_options *options,
                                  struct host_collateral **ret_collateral)
{
    struct host_collateral *collateral = xnew(struct host_collateral);
    pthread_condattr_t attributes;

    pthread_mutex_init(&collateral->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&collateral->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    curl_global_init(CURL_GLOBAL_DEFAULT); /* counted; a host without a chip needs none of it */
    collateral->chip = options->chip->kds;
    collateral->clock = options->clock;
    collateral->born_ms = clock_monotonic_ms(options->clock);
    struct error *err = open_client(collateral, options);
    if (err) {
        host_collateral_free(collateral);
        return err;
    }
    *ret_collateral = collateral;
    return NULL;
}

void host_collateral_free(struct host_collateral *collateral)
{
    if (!collateral)
        return;
    pthread_mutex_lock(&collateral->lock);
    collateral->stopping = true;
    pthread_cond_signal(&collateral->wake);
    pthread_mutex_unlock(&collateral->lock);
    if (collateral->runs)
        pthread_join(collateral->thread, NULL);
    collateral_client_free(collateral->client);
    trust_roots_free(collateral->own_roots);
    buffer_done(&collateral->table);
    pthread_cond_destroy(&collateral->wake);
    pthread_mutex_destroy(&collateral->lock);
    free(collateral);
    curl_global_cleanup();
}

/* NULL: everything, and fresh. */
static struct error *what_lacks(const struct collateral *got)
{
    if (got->crl.size == 0)
        return error_new(ERROR_UNAVAILABLE, "no CRL: %s", got->crl_note);
    if (got->crl_stale)
        return error_new(ERROR_UNAVAILABLE, "the CRL is stale: %s", got->crl_note);
    return NULL;
}

static void keep(struct host_collateral *collateral, const struct collateral *got)
{
    pthread_mutex_lock(&collateral->lock);
    if (got) {
        buffer_done(&collateral->table);
        collateral_write_table(got, &collateral->table);
        collateral->at_ms = got->crl_origin.at_ms;
    }
    collateral->settled = true;
    pthread_mutex_unlock(&collateral->lock);
}

struct error *host_collateral_refresh(struct host_collateral *collateral)
{
    _cleanup_(collateral_done) struct collateral got = {0};
    struct error *err = collateral_get(collateral->client, VEK_VCEK, &collateral->chip, &got);

    keep(collateral, err ? NULL : &got);
    return err ? err : what_lacks(&got);
}

/* A failure that repeats is said once. */
static void *run(void *data)
{
    struct host_collateral *collateral = data;
    _cleanup_free_ char *last = NULL;
    bool failed;

    do {
        struct error *err = host_collateral_refresh(collateral);
        bool repeated = err && last && strcmp(last, error_text(err)) == 0;

        failed = err != NULL;
        if (!failed && last)
            log_info("collateral of this host's chip is complete again");
        free(last);
        last = err ? xstrdup(error_text(err)) : NULL;
        if (repeated)
            error_free(err);
        else
            log_failure(LOG_LEVEL_WARNING, "collateral of this host's chip is not complete", err);
    } while (wait_ms(collateral, failed ? HOST_COLLATERAL_RETRY_MS : HOST_COLLATERAL_REFRESH_MS));
    return NULL;
}

struct error *host_collateral_start(struct host_collateral *collateral)
{
    int rc = pthread_create(&collateral->thread, NULL, run, collateral);

    if (rc)
        return error_errno(rc, "start the collateral thread");
    collateral->runs = true;
    return NULL;
}

struct error *host_collateral_copy(struct host_collateral *collateral, struct buffer *ret_table,
                                   int64_t *ret_at_ms)
{
    struct error *err = NULL;
    int64_t age = clock_monotonic_ms(collateral->clock) - collateral->born_ms;

    pthread_mutex_lock(&collateral->lock);
    if (!collateral->settled && age < HOST_COLLATERAL_WAIT_MS)
        err = error_new(ERROR_UNAVAILABLE, "collateral of the chip is still being fetched");
    if (!err) {
        buffer_add(ret_table, collateral->table.data, collateral->table.size);
        *ret_at_ms = collateral->at_ms;
    }
    pthread_mutex_unlock(&collateral->lock);
    return err;
}
