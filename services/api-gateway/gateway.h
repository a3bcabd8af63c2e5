/*
 * The gateway's state. Nothing in it must survive a restart: N copies may run. The event loops and
 * the workers use it at once; what changes is behind a lock or atomic.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "services/api-gateway/commit_group.h"
#include "services/api-gateway/guest_signer.h"
#include "services/api-gateway/http.h"
#include "services/api-gateway/key_usage.h"
#include "services/api-gateway/limits.h"
#include "services/api-gateway/metrics.h"
#include "services/api-gateway/sse.h"
#include "services/api-gateway/webhook_feed.h"
#include "shared/base/clock.h"
#include "shared/bus/bus.h"
#include "shared/project/project.h"
#include "shared/seal/seal.h"
#include "shared/service/service.h"
#include "shared/store/store.h"
#include "shared/store/store_cache.h"

#define HTTP_DISCARD_MAX (64 * 1024 * 1024) /* read after a refusal, so that it is seen */

enum { SCHEDULER_TIMEOUT_MS = 15000, GUEST_TIMEOUT_MS = 8000 };

struct gateway_config {
    struct service_config service;
    char *listen;
    char *metrics_listen;
    char *redis_url;
    char *redis_password_file;
    char *fleet_dir;
    char *trust_file;
    char *bootstrap_key_file;
    char *admin_key_file;
    char *images_dir;
    char *docs_dir;
    char *tls_cert;
    char *tls_key;
    uint64_t max_connections;
    bool semver_only;
    uint64_t workers;
    uint64_t rate_per_minute;
    uint64_t rate_burst;
    uint64_t auth_failures_per_minute;
    uint64_t connections_per_address;
    uint64_t streams_per_account;
    char *cors_origins;
    bool webhook_insecure;
    uint64_t webhook_timeout_ms;
    uint64_t cache_mib;
};

/* The public facts of fleet.json. */
struct fleet {
    uint8_t authority_sign[SIGN_KEY_SIZE];
    uint8_t authority_box[SEAL_KEY_SIZE];
    char *workload_domain; /* workloads are <id>.<this> */
};

struct gateway {
    const struct gateway_config *config;
    struct bus *bus;
    struct store *store;       /* owned */
    pthread_mutex_t host_lock; /* of reading a host for its address: rendered.c */
    struct store_cache *cache; /* of reads: read_cache.h */
    struct commit_group audit; /* entries that are in no change */
    struct clock *clock;
    struct fleet fleet;
    struct guest_signer signer;
    struct metrics metrics;
    struct limits limits;
    struct token_buckets key_rates;     /* requests by API key */
    struct token_buckets failure_rates; /* failed authentication by address */
    struct token_buckets anybody_rates; /* requests without authentication, by address */
    struct sse_hub streams;
    struct key_usage key_usage;
    struct box_key webhook_key; /* seals webhooks' secrets */
    struct webhook_sender webhooks;
    struct webhook_feed webhook_feed;
    bool has_admin_key;
    uint8_t admin_key_sha256[SHA256_SIZE];
    pthread_mutex_t bootstrap_lock;
    atomic_bool bootstrapped;
    atomic_bool draining; /* on the way out: not ready any more */
    struct http_server *http;
    struct http_server *metrics_http;
};

extern const struct service api_gateway_service;
extern const struct config_row gateway_config_rows[];

/* Loads the fleet's facts and the signing key, and listens. Takes store, also on failure. */
struct error *gateway_new(const struct gateway_config *config, struct bus *bus, struct store *store,
                          struct clock *clock, struct gateway **ret_gateway) _must_check_;
void gateway_free(struct gateway *gateway);
DEFINE_CLEANUP(struct gateway *, gateway_free)

/* The account "dev" with the key of GATEWAY_BOOTSTRAP_KEY_FILE; again until it worked once. */
struct error *gateway_ensure_bootstrap(struct gateway *gateway) _must_check_;
