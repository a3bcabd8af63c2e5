#include "services/api-gateway/test_fixture_parts.h"

#include <curl/curl.h>
#include <unistd.h>

#include "shared/base/alloc.h"
#include "shared/base/file.h"

static void write_text(const struct fixture *fixture, const char *name, const char *text)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", fixture->dir, name);

    assert_null(file_write_atomic(path, text, strlen(text), 0600));
}

static void write_fleet(struct fixture *fixture)
{
    struct sign_key authority;
    char sign[65];
    char box[65];

    assert_null(sign_key_generate(&authority));
    assert_null(box_key_generate(&fixture->authority_box));
    assert_null(sign_key_generate(&fixture->gateway_key));
    assert_null(sign_key_generate(&fixture->guest_key));
    hex_encode(authority.public, 32, sign);
    hex_encode(fixture->authority_box.public, 32, box);
    _cleanup_free_ char *json =
        xasprintf("{\"authority_sign_public\":\"%s\",\"authority_box_public\":\"%s\","
                  "\"workload_domain\":\"w.coffer.test\"}",
                  sign, box);
    write_text(fixture, "fleet.json", json);
    _cleanup_free_ char *dir = xasprintf("%s/gateway", fixture->dir);
    assert_null(dir_make(dir, 0700));
    _cleanup_free_ char *key = xasprintf("%s/gateway/sign.key", fixture->dir);
    assert_null(key_file_save(key, fixture->gateway_key.secret));
    write_text(fixture, "key", TEST_KEY "\n");
    write_text(fixture, "admin-key", TEST_ADMIN "\n");
    write_text(fixture, "trust.json",
               "{\"acme\":{\"directory\":\"https://acme.coffer.test/dir\",\"ca\":\"\"},"
               "\"registry_cas\":{}}");
}

static void configure(struct fixture *fixture)
{
    struct gateway_config *config = &fixture->config;

    config->listen = xstrdup("127.0.0.1:0");
    config->metrics_listen = xstrdup("127.0.0.1:0");
    config->redis_url = xstrdup("memory:");
    config->redis_password_file = xstrdup("");
    config->fleet_dir = xstrdup(fixture->dir);
    config->trust_file = xasprintf("%s/trust.json", fixture->dir);
    config->bootstrap_key_file = xasprintf("%s/key", fixture->dir);
    config->admin_key_file = xasprintf("%s/admin-key", fixture->dir);
    config->images_dir = xstrdup("");
    config->docs_dir = xstrdup("");
    config->tls_cert = xstrdup("");
    config->tls_key = xstrdup("");
    config->cache_mib = 8;
    config->max_connections = 64;
    config->workers = 16;
    config->streams_per_account = 32;
    config->cors_origins = xstrdup("https://console.coffer.test");
    config->webhook_timeout_ms = 10000;
}

struct fixture *fixture_new(void)
{
    return fixture_new_with_clock(clock_system());
}

struct fixture *fixture_new_with_clock(struct clock *clock)
{
    return fixture_new_with(clock, store_memory_new_with_clock(clock));
}

struct fixture *fixture_new_with(struct clock *clock, struct store *store)
{
    struct fixture *fixture = xnew(struct fixture);

    atomic_store(&findings_count, 0); /* a test before may have failed by another thing */
    fixture->own_thread = pthread_self();
    pthread_mutex_init(&fixture->lock, NULL);
    strcpy(fixture->dir, "/tmp/coffer-gateway-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
    curl_global_init(CURL_GLOBAL_DEFAULT);
    write_fleet(fixture);
    configure(fixture);
    fixture->bus = bus_memory_new();
    fixture->peer = bus_memory_attach(fixture->bus);
    assert_null(bus_ensure_streams(fixture->peer));
    fixture->store = store;
    fixture->store_ops = store->ops;
    put_host(fixture);
    fixture_subscribe_scheduler(fixture);
    assert_null(
        gateway_new(&fixture->config, fixture->bus, fixture->store, clock, &fixture->gateway));
    return fixture;
}

static void remove_files(const struct fixture *fixture)
{
    static const char *const names[] = {"fleet.json", "gateway/sign.key", "key", "admin-key",
                                        "trust.json"};

    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", fixture->dir, names[i]);
        unlink(path);
    }
    _cleanup_free_ char *dir = xasprintf("%s/gateway", fixture->dir);
    rmdir(dir);
    rmdir(fixture->dir);
}

void fixture_free(struct fixture *fixture)
{
    gateway_free(fixture->gateway);
    for (size_t i = 0; i < fixture->n_subscriptions; i++)
        bus_unsubscribe(fixture->subscriptions[i]);
    bus_free(fixture->peer);
    bus_free(fixture->bus);
    config_done(gateway_config_rows, &fixture->config);
    remove_files(fixture);
    buffer_done(&fixture->last_payload);
    buffer_done(&fixture->all_payloads);
    pthread_mutex_destroy(&fixture->lock);
    free(fixture);
    assert_no_findings();
}
