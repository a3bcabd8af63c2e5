#include "services/api-gateway/gateway.h"

#include <jansson.h>
#include <malloc.h>

#include "services/api-gateway/auth.h"
#include "services/api-gateway/fleet_facts.h"
#include "services/api-gateway/routes.h"
#include "services/api-gateway/webhook_sign.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "shared/base/log.h"

enum { PEM_MAX = 256 * 1024, METRICS_CONNECTIONS = 16 };

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
    ROW("GATEWAY_TLS_CERT", CONFIG_PATH, tls_cert, "", "PEM chain; empty: plain HTTP"),
    ROW("GATEWAY_TLS_KEY", CONFIG_PATH, tls_key, "", "PEM key of GATEWAY_TLS_CERT"),
    ROW("GATEWAY_MAX_CONNECTIONS", CONFIG_UINT, max_connections, "256",
        "most connections at a time; each has a thread"),
    ROW("GATEWAY_WEBHOOK_INSECURE", CONFIG_BOOL, webhook_insecure, "false",
        "webhooks may be http and lead to private addresses: for development only"),
    ROW("GATEWAY_WEBHOOK_TIMEOUT_MS", CONFIG_UINT, webhook_timeout_ms, "10000",
        "how long an attempt to deliver to a webhook may take; at most 20000"),
    {NULL, CONFIG_STRING, 0, NULL, NULL},
};

/* jansson's memory held what users sent us: wiped when it is given back. */
static void free_wiped(void *p)
{
    if (p)
        OPENSSL_cleanse(p, malloc_usable_size(p));
    free(p);
}

static struct error *read_pem(const char *path, char **ret_text)
{
    *ret_text = NULL;
    return *path ? file_read_text(path, PEM_MAX, ret_text) : NULL;
}

static void wipe_text(char **text)
{
    if (*text)
        OPENSSL_cleanse(*text, strlen(*text));
    free(*text);
}

static struct error *listen_api(struct gateway *gateway)
{
    _cleanup_(wipe_text) char *key = NULL;
    _cleanup_free_ char *cert = NULL;
    struct error *err = read_pem(gateway->config->tls_cert, &cert);

    err = err ?: read_pem(gateway->config->tls_key, &key);
    if (!err && !cert != !key)
        err = error_new(ERROR_INVALID_ARGUMENT, "GATEWAY_TLS_CERT and GATEWAY_TLS_KEY go together");
    if (err)
        return err;
    const struct http_options options = {
        .listen = gateway->config->listen,
        .routes = gateway_routes,
        .gateway = gateway,
        .max_connections = (unsigned)gateway->config->max_connections,
        .tls_cert = cert,
        .tls_key = key,
    };
    return http_server_start(&options, &gateway->http);
}

static struct error *listen_metrics(struct gateway *gateway)
{
    const struct http_options options = {
        .listen = gateway->config->metrics_listen,
        .routes = metrics_routes,
        .gateway = gateway,
        .max_connections = METRICS_CONNECTIONS,
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
    gateway->webhook_feed = (struct webhook_feed){
        .store = gateway->store, .clock = gateway->clock, .sender = &gateway->webhooks};
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
    metrics_init(&gateway->metrics);
    limits_init(&gateway->limits);
    sse_hub_init(&gateway->streams);
    struct error *err = guest_signer_init(&gateway->signer, key_path, clock);
    err = err ?: fleet_load(config->fleet_dir, &gateway->fleet);
    err = err ?: auth_load_admin_key(gateway);
    err = err ?: key_usage_start(&gateway->key_usage, store, clock);
    err = err ?: start_webhooks(gateway);
    err = err ?: listen_metrics(gateway);
    err = err ?: listen_api(gateway);
    if (err)
        return err;
    *ret_gateway = TAKE_PTR(gateway);
    return NULL;
}

void gateway_free(struct gateway *gateway)
{
    if (!gateway)
        return;
    sse_hub_stop(&gateway->streams);
    http_server_stop(gateway->http);
    http_server_stop(gateway->metrics_http);
    webhook_feed_stop(&gateway->webhook_feed);
    webhook_sender_stop(&gateway->webhooks);
    box_key_done(&gateway->webhook_key);
    sse_hub_done(&gateway->streams);
    key_usage_stop(&gateway->key_usage);
    limits_done(&gateway->limits);
    metrics_done(&gateway->metrics);
    guest_signer_done(&gateway->signer);
    fleet_done(&gateway->fleet);
    pthread_mutex_destroy(&gateway->bootstrap_lock);
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
