#include "services/api-gateway/gateway.h"

#include <jansson.h>
#include <malloc.h>
#include <sys/resource.h>

#include "services/api-gateway/auth.h"
#include "services/api-gateway/fleet_facts.h"
#include "services/api-gateway/read_cache.h"
#include "services/api-gateway/routes.h"
#include "services/api-gateway/webhook_sign.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "shared/base/log.h"

enum { DRAIN_MS = 4000, OTHER_FILES = 256, METRICS_CONNECTIONS = 16, METRICS_WORKERS = 4 };

#define ROW(name, type, member, fallback, help)                                                    \
    {                                                                                              \
        name, type, offsetof(struct gateway_config, member), fallback, help                        \
    }

const struct config_row gateway_config_rows[] = {
    ROW("GATEWAY_LISTEN", CONFIG_STRING, listen, "0.0.0.0:8080", "address:port of the API"),
    ROW("GATEWAY_METRICS_LISTEN", CONFIG_STRING, metrics_listen, "127.0.0.1:9090",
        "address:port of /metrics, /healthz and /readyz"),
    ROW("COFFER_REDIS_URL", CONFIG_STRING, redis_url, "redis://127.0.0.1:6379",
        "the fleet's state"),
    ROW("COFFER_REDIS_PASSWORD_FILE", CONFIG_PATH, redis_password_file, "",
        "file with the password of Redis"),
    ROW("GATEWAY_FLEET_DIR", CONFIG_PATH, fleet_dir, "/etc/coffer/fleet",
        "folder with fleet.json and gateway/sign.key"),
    ROW("GATEWAY_TRUST_FILE", CONFIG_PATH, trust_file, "",
        "JSON {acme: {directory, ca}, registry_cas: {server: PEM}} for manifests"),
    ROW("GATEWAY_BOOTSTRAP_KEY_FILE", CONFIG_PATH, bootstrap_key_file, "",
        "file with an API key: made valid for the account 'dev' if it is not yet"),
    ROW("GATEWAY_ADMIN_KEY_FILE", CONFIG_PATH, admin_key_file, "",
        "file with the key of the global admin; empty: there is none"),
    ROW("GATEWAY_IMAGES_DIR", CONFIG_PATH, images_dir, "",
        "folder with <version>/image.json, beside those that the scheduler publishes"),
    ROW("GATEWAY_DOCS_DIR", CONFIG_PATH, docs_dir, "",
        "folder with the files of Swagger UI, for /docs; empty: no page"),
    ROW("GATEWAY_TLS_CERT", CONFIG_PATH, tls_cert, "",
        "PEM chain; empty: plain HTTP. Read again when it changes"),
    ROW("GATEWAY_TLS_KEY", CONFIG_PATH, tls_key, "", "PEM key of GATEWAY_TLS_CERT"),
    ROW("GATEWAY_SEMVER_ONLY", CONFIG_BOOL, semver_only, "false",
        "whether only semantic versions of guest images may be enabled"),
    ROW("GATEWAY_MAX_CONNECTIONS", CONFIG_UINT, max_connections, "8192",
        "most connections at a time"),
    ROW("GATEWAY_CONNECTIONS_PER_ADDRESS", CONFIG_UINT, connections_per_address, "1000",
        "most connections of one address; 0: no limit, as behind a proxy"),
    ROW("GATEWAY_STREAMS_PER_ACCOUNT", CONFIG_UINT, streams_per_account, "32",
        "most event and log streams of one account at a time"),
    ROW("GATEWAY_CORS_ORIGINS", CONFIG_STRING, cors_origins, "",
        "origins of web pages that may ask from browsers, separated by commas; * for all"),
    ROW("GATEWAY_WORKERS", CONFIG_UINT, workers, "96",
        "most requests at a time that wait for the store, the bus or a guest; each has a thread"),
    ROW("GATEWAY_RATE_PER_MINUTE", CONFIG_UINT, rate_per_minute, "6000",
        "requests a minute of one API key, per copy of the gateway; 0: any number"),
    ROW("GATEWAY_RATE_BURST", CONFIG_UINT, rate_burst, "1000",
        "requests that one API key may make at once"),
    ROW("GATEWAY_AUTH_FAILURES_PER_MINUTE", CONFIG_UINT, auth_failures_per_minute, "120",
        "requests a minute with a bad API key from one address, then 429; 0: no limits of "
        "addresses, for a gateway behind a proxy"),
    ROW("GATEWAY_WEBHOOK_INSECURE", CONFIG_BOOL, webhook_insecure, "false",
        "webhooks may be http and lead to private addresses: for development only"),
    ROW("GATEWAY_WEBHOOK_TIMEOUT_MS", CONFIG_UINT, webhook_timeout_ms, "10000",
        "how long an attempt to deliver to a webhook may take; at most 20000"),
    ROW("GATEWAY_CACHE_MIB", CONFIG_UINT, cache_mib, "8", "most memory for what was read, in MiB"),
    {NULL, CONFIG_STRING, 0, NULL, NULL},
};

/* jansson's memory held what users sent us: wiped when it is given back. */
static void free_wiped(void *p)
{
    if (p)
        OPENSSL_cleanse(p, malloc_usable_size(p));
    free(p);
}

static void wipe_text(char **text)
{
    if (*text)
        OPENSSL_cleanse(*text, strlen(*text));
    free(*text);
}

/* Each connection is a file; what the system allows at most is what there is. */
static void raise_files(uint64_t connections)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= connections + OTHER_FILES)
        return;
    limit.rlim_cur =
        connections + OTHER_FILES < limit.rlim_max ? connections + OTHER_FILES : limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static struct error *listen_api(struct gateway *gateway)
{
    const struct gateway_config *config = gateway->config;
    const struct http_options options = {
        .listen = config->listen,
        .routes = gateway_routes,
        .gateway = gateway,
        .max_connections = (unsigned)config->max_connections,
        .max_per_address = (unsigned)config->connections_per_address,
        .workers = (unsigned)config->workers,
        .tls_cert = *config->tls_cert ? config->tls_cert : NULL,
        .tls_key = config->tls_key,
        .cors_origins = config->cors_origins,
    };

    if (!*config->tls_cert != !*config->tls_key)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "GATEWAY_TLS_CERT and GATEWAY_TLS_KEY go together");
    raise_files(config->max_connections);
    return http_server_start(&options, &gateway->http);
}

static struct error *listen_metrics(struct gateway *gateway)
{
    const struct http_options options = {
        .listen = gateway->config->metrics_listen,
        .routes = metrics_routes,
        .gateway = gateway,
        .max_connections = METRICS_CONNECTIONS,
        .workers = METRICS_WORKERS,
    };

    return http_server_start(&options, &gateway->metrics_http);
}

static struct error *start_webhooks(struct gateway *gateway)
{
    gateway->webhooks = (struct webhook_sender){.store = gateway->store,
                                                .clock = gateway->clock,
                                                .metrics = &gateway->metrics,
                                                .key = &gateway->webhook_key,
                                                .insecure = gateway->config->webhook_insecure,
                                                .timeout_ms = gateway->config->webhook_timeout_ms};
    gateway->webhook_feed = (struct webhook_feed){.gateway = gateway,
                                                  .store = gateway->store,
                                                  .clock = gateway->clock,
                                                  .sender = &gateway->webhooks};
    struct error *err = webhook_key_init(&gateway->signer.key, &gateway->webhook_key);
    err = err ?: webhook_sender_start(&gateway->webhooks);
    err = err ?: webhook_feed_start(&gateway->webhook_feed, gateway->bus);
    return error_wrap(err, "webhooks");
}

struct error *gateway_new(const struct gateway_config *config, struct bus *bus, struct store *store,
                          struct clock *clock, struct gateway **ret_gateway)
{
    _cleanup_(gateway_freep) struct gateway *gateway = xnew(struct gateway);
    _cleanup_free_ char *key_path = xasprintf("%s/gateway/sign.key", config->fleet_dir);

    gateway->config = config;
    gateway->bus = bus;
    gateway->store = store;
    gateway->clock = clock;
    pthread_mutex_init(&gateway->bootstrap_lock, NULL);
    pthread_mutex_init(&gateway->host_lock, NULL);
    commit_group_init(&gateway->audit, store);
    metrics_init(&gateway->metrics);
    limits_init(&gateway->limits);
    token_buckets_init(&gateway->key_rates, config->rate_per_minute, config->rate_burst);
    token_buckets_init(&gateway->failure_rates, config->auth_failures_per_minute,
                       config->auth_failures_per_minute);
    token_buckets_init(&gateway->anybody_rates,
                       config->auth_failures_per_minute ? config->rate_per_minute : 0,
                       config->rate_burst); /* behind a proxy there is but one address */
    limits_set_max(&gateway->limits, LIMIT_STREAMS, (unsigned)config->streams_per_account);
    /* with the shares of http_pool.c that leaves some workers to reads */
    limits_set_total(&gateway->limits, LIMIT_WAITS,
                     config->workers / 6 ? (unsigned)config->workers / 6 : 1);
    struct error *err = sse_hub_init(&gateway->streams, gateway);
    err = err ?: guest_signer_init(&gateway->signer, key_path, clock);
    err = err ?: fleet_load(config->fleet_dir, &gateway->fleet);
    err = err ?: auth_load_admin_key(gateway);
    err = err ?: read_cache_start(gateway);
    err = err ?: key_usage_start(&gateway->key_usage, store, clock);
    err = err ?: start_webhooks(gateway);
    err = err ?: listen_metrics(gateway);
    err = err ?: listen_api(gateway);
    if (err)
        return err;
    *ret_gateway = TAKE_PTR(gateway);
    return NULL;
}

/* No new connections; what is in hand is finished, and streams are told to go on elsewhere. */
static void drain(struct gateway *gateway)
{
    atomic_store(&gateway->draining, true);
    if (gateway->http)
        http_server_drain(gateway->http);
    sse_hub_stop(&gateway->streams);
    if (gateway->http && !http_server_wait(gateway->http, DRAIN_MS))
        log_warning("requests are cut off at the end");
    else
        (void)sse_hub_wait(&gateway->streams, DRAIN_MS / 2);
}

void gateway_free(struct gateway *gateway)
{
    if (!gateway)
        return;
    if (gateway->cache)
        store_cache_stop(gateway->cache); /* ends long polls */
    drain(gateway);
    http_server_stop(gateway->http);
    http_server_stop(gateway->metrics_http);
    webhook_feed_stop(&gateway->webhook_feed);
    webhook_sender_stop(&gateway->webhooks);
    box_key_done(&gateway->webhook_key);
    sse_hub_done(&gateway->streams);
    key_usage_stop(&gateway->key_usage);
    limits_done(&gateway->limits);
    token_buckets_done(&gateway->key_rates);
    token_buckets_done(&gateway->failure_rates);
    token_buckets_done(&gateway->anybody_rates);
    metrics_done(&gateway->metrics);
    guest_signer_done(&gateway->signer);
    fleet_done(&gateway->fleet);
    pthread_mutex_destroy(&gateway->bootstrap_lock);
    pthread_mutex_destroy(&gateway->host_lock);
    commit_group_done(&gateway->audit);
    store_cache_free(gateway->cache);
    store_free(gateway->store);
    free(gateway);
}

static struct error *bootstrap(struct gateway *gateway)
{
    _cleanup_(wipe_text) char *key = NULL;
    struct error *err = file_read_text(gateway->config->bootstrap_key_file, 1024, &key);

    return err ?: auth_ensure_key(gateway, "dev", key);
}

struct error *gateway_ensure_bootstrap(struct gateway *gateway)
{
    struct error *err = NULL;

    if (!*gateway->config->bootstrap_key_file || atomic_load(&gateway->bootstrapped))
        return NULL;
    pthread_mutex_lock(&gateway->bootstrap_lock);
    if (!atomic_load(&gateway->bootstrapped))
        err = bootstrap(gateway);
    if (!err)
        atomic_store(&gateway->bootstrapped, true);
    pthread_mutex_unlock(&gateway->bootstrap_lock);
    return error_wrap(err, "bootstrap key");
}

static struct error *start(const void *config, struct bus *bus, void **ret_state)
{
    const struct gateway_config *settings = config;
    struct gateway *gateway = NULL;
    struct store *store = NULL;

    json_set_alloc_funcs(malloc, free_wiped);
    struct error *err = store_open(settings->redis_url, settings->redis_password_file, &store);
    err = err ?: gateway_new(settings, bus, store, clock_system(), &gateway);
    if (err)
        return err;
    err = gateway_ensure_bootstrap(gateway);
    if (error_get_code(err) != ERROR_UNAVAILABLE && err) {
        gateway_free(gateway);
        return err;
    }
    log_failure(LOG_LEVEL_WARNING, "the store is away: it will be tried again", err);
    *ret_state = gateway;
    return NULL;
}

static void stop(void *state)
{
    gateway_free(state);
}

const struct service api_gateway_service = {
    .name = "api-gateway",
    .config = gateway_config_rows,
    .config_size = sizeof(struct gateway_config),
    .start = start,
    .stop = stop,
};
