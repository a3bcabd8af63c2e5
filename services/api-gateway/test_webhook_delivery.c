/* Deliveries from the event on the bus to a receiver on a loopback port, by the real sender. */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include "services/api-gateway/test_fixture.h"
#include "services/api-gateway/test_receiver.h"
#include "services/api-gateway/webhook_queue.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "shared/base/log.h"
#include "shared/store/keys.h"

#define START_MS INT64_C(1700000000000)
#define TRIES    2000 /* of 10 ms: what is waited for comes, or the test has failed */

DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
DEFINE_CLEANUP(X509 *, X509_free)
DEFINE_CLEANUP(BIO *, BIO_free_all)

/* A gateway whose store outlives it, and a receiver. */
struct scene {
    struct fixture *f;
    struct clock_fake clock;
    struct receiver *receiver;
    const struct store_ops *real_ops;
    struct store_ops kept_ops;
    struct bus *second_bus;
    struct gateway *second;
    char *id; /* of the webhook */
    char *secret;
};

static void keep_store(_unused_ struct store *store)
{
}

static void start_gateway(struct scene *scene)
{
    assert_null(gateway_new(&scene->f->config, scene->f->bus, scene->f->store, &scene->clock.base,
                            &scene->f->gateway));
}

static void restart_gateway(struct scene *scene)
{
    gateway_free(scene->f->gateway);
    scene->f->gateway = NULL;
    start_gateway(scene);
}

static void start_second(struct scene *scene)
{
    scene->second_bus = bus_memory_attach(scene->f->bus);
    assert_null(gateway_new(&scene->f->config, scene->second_bus, scene->f->store,
                            &scene->clock.base, &scene->second));
}

static struct scene *scene_new(void)
{
    struct scene *scene = xnew(struct scene);

    clock_fake_init(&scene->clock, START_MS);
    scene->f = fixture_new_with_clock(&scene->clock.base);
    gateway_free(scene->f->gateway); /* and its store */
    scene->f->store = store_memory_new();
    scene->real_ops = scene->f->store->ops;
    scene->kept_ops = *scene->real_ops;
    scene->kept_ops.free = keep_store;
    scene->f->store->ops = &scene->kept_ops;
    scene->f->config.webhook_insecure = true;
    start_gateway(scene);
    scene->receiver = receiver_new(NULL, NULL);
    return scene;
}

static void scene_free(struct scene *scene)
{
    if (scene->second)
        gateway_free(scene->second);
    if (scene->second_bus)
        bus_free(scene->second_bus);
    gateway_free(scene->f->gateway);
    scene->f->gateway = NULL;
    scene->f->store->ops = scene->real_ops;
    store_free(scene->f->store);
    fixture_free(scene->f);
    receiver_free(scene->receiver);
    free(scene->id);
    free(scene->secret);
    free(scene);
}
DEFINE_CLEANUP(struct scene *, scene_free)

static void make_webhook(struct scene *scene, const char *scheme, const char *rest)
{
    _cleanup_free_ char *body =
        xasprintf("{\"url\":\"%s://127.0.0.1:%u/in\"%s}", scheme, scene->receiver->port, rest);
    _cleanup_answer_ struct answer made = http_post(scene->f, "/api/v1/webhooks/create", body);

    assert_int_equal(made.status, 200);
    scene->id = xstrdup(answer_text(&made, "webhookId"));
    scene->secret = xstrdup(answer_text(&made, "secret"));
}

static struct scene *scene_with_webhook(void)
{
    struct scene *scene = scene_new();

    make_webhook(scene, "http", "");
    return scene;
}

static struct answer get(const struct scene *scene, const char *what)
{
    _cleanup_free_ char *path = xasprintf("/api/v1/webhooks/%s%s", scene->id, what);

    return http_get(scene->f, path);
}

static struct answer update(const struct scene *scene, const char *rest)
{
    _cleanup_free_ char *body = xasprintf("{\"webhookId\":\"%s\"%s}", scene->id, rest);

    return http_call(scene->f, "PUT", "/api/v1/webhooks/update", TEST_KEY, body);
}

/* Time passes, and the sender sees it. */
static void advance(struct scene *scene, int64_t ms)
{
    clock_fake_advance(&scene->clock, ms);
    webhook_sender_wake(&scene->f->gateway->webhooks);
}

/* The newest delivery, once it has the status and as many attempts. The caller releases it. */
static json_t *wait_delivery(const struct scene *scene, const char *status, int attempts)
{
    for (int i = 0; i < TRIES; i++) {
        _cleanup_answer_ struct answer answer = get(scene, "/deliveries");
        json_t *item = json_array_get(json_object_get(answer.json, "deliveries"), 0);
        const char *have = json_string_value(json_object_get(item, "status")) ?: "";
        if (strcmp(have, status) == 0 &&
            json_integer_value(json_object_get(item, "attempts")) == attempts)
            return json_incref(item);
        usleep(10000);
    }
    fail_msg("no delivery is '%s' after %d attempts", status, attempts);
    return NULL;
}

static const char *text_of(const json_t *json, const char *name)
{
    return json_string_value(json_object_get(json, name)) ?: "";
}

static bool signature_is_by(const char *secret, const struct received *item);

static void test_an_event_is_delivered(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_with_webhook();
    const struct received *item = &scene->receiver->items[0];

    put_event(scene->f, "w-1", "dev", 5, "running");
    receiver_wait(scene->receiver, 1);
    _cleanup_(json_decrefp) json_t *delivery = wait_delivery(scene, "delivered", 1);
    _cleanup_(json_decrefp) json_t *body =
        json_loadb((const char *)item->body.data, item->body.size, 0, NULL);
    const json_t *data = json_object_get(body, "data");

    assert_string_equal(item->path, "/in");
    assert_string_equal(item->content_type, "application/json");
    assert_string_equal(item->webhook_id, scene->id);
    assert_string_equal(item->delivery_id, text_of(delivery, "deliveryId"));
    assert_string_equal(text_of(body, "id"), "w-1.5");
    assert_string_equal(text_of(body, "type"), "workload.running");
    assert_string_equal(text_of(body, "createdAt"), "2023-11-14T22:13:20.000Z");
    assert_string_equal(text_of(data, "workloadId"), "w-1");
    assert_string_equal(text_of(json_object_get(data, "details"), "kind"), "running");
    assert_string_equal(text_of(delivery, "eventId"), "w-1.5");
    assert_string_equal(text_of(delivery, "kind"), "running");
    assert_int_equal(json_integer_value(json_object_get(delivery, "responseStatus")), 200);
    assert_null(json_object_get(delivery, "nextAttemptAt"));
    assert_true(signature_is_by(scene->secret, item));
}

static void test_only_what_is_wanted_is_delivered(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();

    make_webhook(scene, "http", ",\"events\":[\"error\"]");
    put_event(scene->f, "w-1", "dev", 1, "running"); /* another kind */
    put_event(scene->f, "w-2", "other", 1, "error"); /* another account's */
    put_event(scene->f, "w-1", "dev", 2, "error");
    receiver_wait(scene->receiver, 1);
    _cleanup_(json_decrefp) json_t *delivery = wait_delivery(scene, "delivered", 1);
    assert_string_equal(text_of(delivery, "eventId"), "w-1.2");
    _cleanup_answer_ struct answer all = get(scene, "/deliveries");
    assert_int_equal(json_array_size(json_object_get(all.json, "deliveries")), 1);
    assert_int_equal(receiver_count(scene->receiver), 1);
}

static void test_nothing_is_collected_while_it_is_off(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_with_webhook();
    _cleanup_answer_ struct answer off = update(scene, ",\"active\":false");
    _cleanup_free_ char *first_id = TAKE_PTR(scene->id);
    _cleanup_free_ char *first_secret = TAKE_PTR(scene->secret);
    _cleanup_free_ char *path = xasprintf("/api/v1/webhooks/%s/deliveries", first_id);

    assert_int_equal(off.status, 200);
    make_webhook(scene, "http", "");
    put_event(scene->f, "w-1", "dev", 1, "running");
    receiver_wait(scene->receiver, 1); /* for the other one */
    _cleanup_(json_decrefp) json_t *delivered = wait_delivery(scene, "delivered", 1);
    _cleanup_answer_ struct answer none = http_get(scene->f, path);
    assert_int_equal(json_array_size(json_object_get(none.json, "deliveries")), 0);
    assert_string_equal(scene->receiver->items[0].webhook_id, scene->id);
}

static void test_what_was_before_it_is_not_delivered(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();

    clock_fake_advance(&scene->clock, 3600 * 1000);
    make_webhook(scene, "http", "");
    put_event(scene->f, "w-1", "dev", 1, "running"); /* an hour old */
    _cleanup_free_ char *body = xasprintf("{\"webhookId\":\"%s\"}", scene->id);
    for (int i = 0; i < 3; i++) {
        _cleanup_answer_ struct answer test = http_post(scene->f, "/api/v1/webhooks/test", body);
        assert_int_equal(test.status, 200);
        receiver_wait(scene->receiver, (size_t)i + 1);
    }
    for (size_t i = 0; i < 3; i++)
        assert_non_null(strstr(buffer_text(&scene->receiver->items[i].body), "\"type\":\"test\""));
}

static void test_a_test_is_delivered_signed(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_with_webhook();
    _cleanup_free_ char *body = xasprintf("{\"webhookId\":\"%s\"}", scene->id);
    _cleanup_answer_ struct answer test = http_post(scene->f, "/api/v1/webhooks/test", body);

    assert_int_equal(test.status, 200);
    assert_string_equal(answer_text(&test, "kind"), "test");
    assert_string_equal(answer_text(&test, "status"), "pending");
    receiver_wait(scene->receiver, 1);
    _cleanup_(json_decrefp) json_t *delivery = wait_delivery(scene, "delivered", 1);
    assert_string_equal(text_of(delivery, "deliveryId"), answer_text(&test, "deliveryId"));
    assert_true(signature_is_by(scene->secret, &scene->receiver->items[0]));
}

static void test_a_failure_is_repeated_with_the_same_bytes(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_with_webhook();
    const struct received *items = scene->receiver->items;

    scene->receiver->fail_first = 1;
    put_event(scene->f, "w-1", "dev", 1, "error");
    _cleanup_(json_decrefp) json_t *pending = wait_delivery(scene, "pending", 1);
    assert_int_equal(json_integer_value(json_object_get(pending, "responseStatus")), 500);
    assert_string_equal(text_of(pending, "error"), "the receiver answered 500");
    assert_true(*text_of(pending, "nextAttemptAt"));
    advance(scene, 3999); /* not yet */
    assert_int_equal(receiver_count(scene->receiver), 1);
    advance(scene, 5000);
    receiver_wait(scene->receiver, 2);
    _cleanup_(json_decrefp) json_t *delivered = wait_delivery(scene, "delivered", 2);
    assert_string_equal(text_of(delivered, "error"), "");
    assert_int_equal(items[0].body.size, items[1].body.size);
    assert_memory_equal(items[0].body.data, items[1].body.data, items[0].body.size);
    assert_string_equal(items[0].delivery_id, items[1].delivery_id);
    assert_string_not_equal(items[0].signature, items[1].signature); /* of another time */
    assert_true(signature_is_by(scene->secret, &items[1]));
}

static void test_a_restart_loses_nothing(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_with_webhook();

    scene->receiver->fail_first = 3;
    for (uint64_t i = 1; i <= 3; i++)
        put_event(scene->f, "w-1", "dev", i, "error");
    receiver_wait(scene->receiver, 3);
    _cleanup_(json_decrefp) json_t *pending = wait_delivery(scene, "pending", 1);
    gateway_free(scene->f->gateway);
    put_event(scene->f, "w-1", "dev", 4, "running"); /* while nobody is there */
    start_gateway(scene);
    receiver_wait(scene->receiver, 4);
    advance(scene, 10000);
    receiver_wait(scene->receiver, 7);
    for (int i = 0; i < TRIES; i++) {
        _cleanup_answer_ struct answer got = get(scene, "");
        if (!json_integer_value(json_object_get(got.json, "pendingDeliveries")))
            break;
        usleep(10000);
    }
    _cleanup_answer_ struct answer got = get(scene, "");
    assert_int_equal(json_integer_value(json_object_get(got.json, "pendingDeliveries")), 0);
    assert_int_equal(receiver_count(scene->receiver), 7);
}

static void test_two_gateways_deliver_each_event_once(_unused_ void **state)
{
    enum { EVENTS = 60 };
    _cleanup_(scene_freep) struct scene *scene = scene_with_webhook();

    start_second(scene);
    for (uint64_t i = 1; i <= EVENTS; i++)
        put_event(scene->f, "w-1", "dev", i, "running");
    receiver_wait(scene->receiver, EVENTS);
    for (int i = 0; i < TRIES; i++) {
        _cleanup_answer_ struct answer got = get(scene, "");
        if (!json_integer_value(json_object_get(got.json, "pendingDeliveries")))
            break;
        usleep(10000);
    }
    assert_int_equal(receiver_count(scene->receiver), EVENTS);
    for (size_t i = 0; i < EVENTS; i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(scene->receiver->items[i].delivery_id,
                                    scene->receiver->items[k].delivery_id);
}

static void test_no_answer_in_time_is_a_failure(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_with_webhook();

    scene->f->config.webhook_timeout_ms = 200;
    restart_gateway(scene);
    receiver_set_status(scene->receiver, 0);
    put_event(scene->f, "w-1", "dev", 1, "running");
    _cleanup_(json_decrefp) json_t *pending = wait_delivery(scene, "pending", 1);
    assert_string_equal(text_of(pending, "error"), "no answer in time");
    assert_null(json_object_get(pending, "responseStatus"));
    receiver_set_status(scene->receiver, 204);
    advance(scene, 5000);
    _cleanup_(json_decrefp) json_t *delivered = wait_delivery(scene, "delivered", 2);
    assert_int_equal(json_integer_value(json_object_get(delivered, "responseStatus")), 204);
}

static void damage(const struct scene *scene, const char *key)
{
    const struct store_write write = {
        .key = key, .expected_version = UINT64_MAX, .value = {.data = (uint8_t *)"{", .len = 1}};

    assert_null(
        store_commit(scene->f->store, &(struct store_change){.writes = &write, .n_writes = 1}));
}

static void test_a_damaged_record_holds_up_nobody_else(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_with_webhook();
    const struct store_index_edit edit = {.set = KEY_WEBHOOK_QUEUES, .member = "broken"};

    damage(scene, KEY_WEBHOOKS_OF "broken"); /* found by the feed */
    damage(scene, KEY_WEBHOOK "broken");     /* and by the sender */
    assert_null(
        store_commit(scene->f->store, &(struct store_change){.edits = &edit, .n_edits = 1}));
    put_event(scene->f, "w-2", "broken", 1, "running");
    for (uint64_t i = 1; i <= 5; i++)
        put_event(scene->f, "w-1", "dev", i, "running");
    receiver_wait(scene->receiver, 5);
}

static void test_a_slow_receiver_holds_up_nobody_else(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_with_webhook();
    _cleanup_(receiver_freep) struct receiver *slow = scene->receiver;

    receiver_set_status(slow, 0);
    scene->receiver = receiver_new(NULL, NULL);
    _cleanup_free_ char *first_id = TAKE_PTR(scene->id);
    _cleanup_free_ char *first_secret = TAKE_PTR(scene->secret);
    make_webhook(scene, "http", "");
    for (uint64_t i = 1; i <= 20; i++)
        put_event(scene->f, "w-1", "dev", i, "running");
    receiver_wait(scene->receiver, 20);
    assert_int_equal(receiver_count(slow), 2);
    receiver_set_status(slow, 200);
    receiver_wait(slow, 20);
}

static void make_other_key(const struct scene *scene, char **ret_account, char **ret_key)
{
    _cleanup_answer_ struct answer account =
        http_admin(scene->f, "POST", "/api/v1/accounts/create", "{\"name\":\"other\"}");
    _cleanup_free_ char *body =
        xasprintf("{\"accountId\":\"%s\",\"type\":\"user\"}", answer_text(&account, "accountId"));
    _cleanup_answer_ struct answer key =
        http_admin(scene->f, "POST", "/api/v1/api-keys/create", body);

    assert_int_equal(key.status, 200);
    *ret_account = xstrdup(answer_text(&account, "accountId"));
    *ret_key = xstrdup(answer_text(&key, "id"));
}

static void test_an_account_with_many_slow_ones_holds_up_no_other(_unused_ void **state)
{
    enum { WEBHOOKS = 12 };
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_(receiver_freep) struct receiver *slow = receiver_new(NULL, NULL);
    _cleanup_free_ char *account = NULL;
    _cleanup_free_ char *key = NULL;
    _cleanup_free_ char *slow_body = xasprintf("{\"url\":\"http://127.0.0.1:%u/\"}", slow->port);
    _cleanup_free_ char *body =
        xasprintf("{\"url\":\"http://127.0.0.1:%u/\"}", scene->receiver->port);

    make_other_key(scene, &account, &key);
    receiver_set_status(slow, 0);
    for (int i = 0; i < WEBHOOKS; i++) {
        _cleanup_answer_ struct answer made =
            http_post(scene->f, "/api/v1/webhooks/create", slow_body);
        assert_int_equal(made.status, 200);
    }
    _cleanup_answer_ struct answer made =
        http_call(scene->f, "POST", "/api/v1/webhooks/create", key, body);
    assert_int_equal(made.status, 200);
    put_event(scene->f, "w-1", "dev", 1, "running");
    put_event(scene->f, "w-1", "dev", 2, "running");
    receiver_wait(slow, WEBHOOK_CALLS_OF_MAX);
    put_event(scene->f, "w-2", account, 1, "running");
    receiver_wait(scene->receiver, 1);
    assert_int_equal(receiver_count(slow), WEBHOOK_CALLS_OF_MAX);
    receiver_set_status(slow, 200);
    receiver_wait(slow, 2 * WEBHOOKS);
}

static void test_redirects_are_not_followed(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_with_webhook();
    _cleanup_(receiver_freep) struct receiver *other = receiver_new(NULL, NULL);
    _cleanup_free_ char *location = xasprintf("http://127.0.0.1:%u/other", other->port);

    scene->receiver->location = location;
    receiver_set_status(scene->receiver, 307);
    put_event(scene->f, "w-1", "dev", 1, "running");
    _cleanup_(json_decrefp) json_t *pending = wait_delivery(scene, "pending", 1);
    assert_int_equal(json_integer_value(json_object_get(pending, "responseStatus")), 307);
    assert_non_null(strstr(text_of(pending, "error"), "redirect"));
    assert_int_equal(receiver_count(other), 0);
}

static void test_a_large_answer_is_not_read(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_with_webhook();

    scene->receiver->answer_size = 32 * 1024 * 1024;
    put_event(scene->f, "w-1", "dev", 1, "running");
    _cleanup_(json_decrefp) json_t *delivered = wait_delivery(scene, "delivered", 1);
    receiver_wait_cut_off(scene->receiver, 1);
    receiver_set_status(scene->receiver, 500);
    put_event(scene->f, "w-1", "dev", 2, "running");
    _cleanup_(json_decrefp) json_t *pending = wait_delivery(scene, "pending", 1);
    assert_int_equal(json_integer_value(json_object_get(pending, "responseStatus")), 500);
}

static void test_private_addresses_are_refused_at_the_connect(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();

    make_webhook(scene, "https", ""); /* as if its name had another address then */
    scene->f->config.webhook_insecure = false;
    restart_gateway(scene);
    put_event(scene->f, "w-1", "dev", 1, "running");
    _cleanup_(json_decrefp) json_t *pending = wait_delivery(scene, "pending", 1);
    assert_string_equal(text_of(pending, "error"), "the host has no public address");
    assert_int_equal(receiver_count(scene->receiver), 0);
}

static void test_plain_http_is_refused_at_the_call(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_with_webhook();

    scene->f->config.webhook_insecure = false;
    restart_gateway(scene);
    put_event(scene->f, "w-1", "dev", 1, "running");
    _cleanup_(json_decrefp) json_t *pending = wait_delivery(scene, "pending", 1);
    assert_true(*text_of(pending, "error"));
    assert_int_equal(receiver_count(scene->receiver), 0);
}

static char *pem_text(BIO *bio)
{
    char *data = NULL;
    long size = BIO_get_mem_data(bio, &data);

    return xstrndup(data, (size_t)size);
}

/* For 127.0.0.1, by nobody that anyone trusts. */
static void make_certificate(char **ret_cert, char **ret_key)
{
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = EVP_EC_gen("P-256");
    _cleanup_(X509_freep) X509 *cert = X509_new();
    _cleanup_(BIO_free_allp) BIO *cert_bio = BIO_new(BIO_s_mem());
    _cleanup_(BIO_free_allp) BIO *key_bio = BIO_new(BIO_s_mem());
    X509_NAME *name = X509_get_subject_name(cert);
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1");

    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"127.0.0.1", -1, -1, 0);
    X509_set_issuer_name(cert, name);
    X509_set_pubkey(cert, key);
    X509_add_ext(cert, names, -1);
    X509_EXTENSION_free(names);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_bio_X509(cert_bio, cert), 1);
    assert_int_equal(PEM_write_bio_PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL), 1);
    *ret_cert = pem_text(cert_bio);
    *ret_key = pem_text(key_bio);
}

static void test_a_certificate_of_nobody_is_refused(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_free_ char *cert = NULL;
    _cleanup_free_ char *key = NULL;

    make_certificate(&cert, &key);
    receiver_free(scene->receiver);
    scene->receiver = receiver_new(cert, key);
    make_webhook(scene, "https", "");
    put_event(scene->f, "w-1", "dev", 1, "running");
    _cleanup_(json_decrefp) json_t *pending = wait_delivery(scene, "pending", 1);
    assert_non_null(strstr(text_of(pending, "error"), "TLS failed"));
    assert_int_equal(receiver_count(scene->receiver), 0);
}

/* Each round all that wait are tried once. */
static void test_a_webhook_that_only_fails_is_switched_off_and_on_again(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_with_webhook();
    bool active = true;

    receiver_set_status(scene->receiver, 503);
    for (uint64_t i = 1; i <= 10; i++)
        put_event(scene->f, "w-1", "dev", i, "running");
    for (int i = 0; i < TRIES && active; i++) {
        _cleanup_answer_ struct answer got = get(scene, "");
        active = json_is_true(json_object_get(got.json, "active"));
        advance(scene, 60000);
        usleep(10000);
    }
    _cleanup_answer_ struct answer off = get(scene, "");
    assert_string_equal(answer_text(&off, "disabledReason"), "50 attempts in a row have failed");
    receiver_set_status(scene->receiver, 200);
    _cleanup_answer_ struct answer on = update(scene, ",\"active\":true");
    assert_int_equal(on.status, 200);
    assert_string_equal(answer_text(&on, "disabledReason"), "");
    put_event(scene->f, "w-1", "dev", 11, "stopped");
    _cleanup_(json_decrefp) json_t *delivered = wait_delivery(scene, "delivered", 1);
    assert_string_equal(text_of(delivered, "eventId"), "w-1.11");
    _cleanup_answer_ struct answer got = get(scene, "");
    assert_int_equal(json_integer_value(json_object_get(got.json, "failuresInARow")), 0);
}

/* Looks at the account of the tests. */
static struct {
    const struct store_ops *real;
    struct store_ops ops;
    atomic_uint n;
} looks;

static struct error *count_looks(struct store *store, const char *key, struct arena *arena,
                                 struct store_record *ret_record)
{
    struct error *err = looks.real->get(store, key, arena, ret_record);

    atomic_fetch_add(&looks.n, strcmp(key, KEY_ACCOUNT "dev") == 0);
    return err;
}

/* No route does it yet, but records may say so. */
static void set_account_active(const struct scene *scene, bool active)
{
    _cleanup_(json_decrefp) json_t *json =
        json_pack("{s:s, s:s, s:b, s:s, s:s, s:i}", "account", "dev", "name", "dev", "active",
                  active, "created_at", "", "wallet", "", "balance_micro_usd", 0);
    _cleanup_free_ char *text = json_dumps(json, JSON_COMPACT);
    const struct store_write write = {.key = KEY_ACCOUNT "dev",
                                      .expected_version = UINT64_MAX,
                                      .value = {strlen(text), (uint8_t *)text}};

    assert_null(
        store_commit(scene->f->store, &(struct store_change){.writes = &write, .n_writes = 1}));
}

static void wait_no_queue(const struct scene *scene)
{
    for (int i = 0; i < TRIES; i++) {
        _cleanup_(arena_freep) struct arena *arena = arena_new();
        const char **queues;
        size_t n = 1;
        assert_null(store_members(scene->f->store, KEY_WEBHOOK_QUEUES, 10, arena, &queues, &n));
        if (!n)
            return;
        usleep(10000);
    }
    fail_msg("something is still pending");
}

static void test_an_account_that_is_not_active_gets_nothing(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_with_webhook();

    looks.real = scene->f->store->ops;
    looks.ops = *looks.real;
    looks.ops.get = count_looks;
    scene->f->store->ops = &looks.ops;
    receiver_set_status(scene->receiver, 500);
    put_event(scene->f, "w-1", "dev", 1, "running");
    _cleanup_(json_decrefp) json_t *pending = wait_delivery(scene, "pending", 1);
    receiver_set_status(scene->receiver, 200);
    set_account_active(scene, false);
    advance(scene, 2 * WEBHOOK_RETRY_FIRST_MS);
    wait_no_queue(scene);
    unsigned before = atomic_load(&looks.n);
    put_event(scene->f, "w-1", "dev", 2, "running");
    for (int i = 0; i < TRIES && atomic_load(&looks.n) == before; i++)
        usleep(10000);
    assert_true(atomic_load(&looks.n) > before); /* the feed has judged */
    set_account_active(scene, true);
    _cleanup_(json_decrefp) json_t *failed = wait_delivery(scene, "failed", 1);
    assert_string_equal(text_of(failed, "error"), "the account is not active");
    put_event(scene->f, "w-1", "dev", 3, "running");
    _cleanup_(json_decrefp) json_t *delivered = wait_delivery(scene, "delivered", 1);
    assert_string_equal(text_of(delivered, "eventId"), "w-1.3");
    _cleanup_answer_ struct answer all = get(scene, "/deliveries");
    assert_int_equal(json_array_size(json_object_get(all.json, "deliveries")), 2);
    assert_int_equal(receiver_count(scene->receiver), 2); /* the first attempt, and the third */
}

static void test_both_secrets_sign_for_a_day(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_with_webhook();
    const struct received *items = scene->receiver->items;
    _cleanup_answer_ struct answer rotated = update(scene, ",\"rotateSecret\":true");
    const char *next = answer_text(&rotated, "secret");

    put_event(scene->f, "w-1", "dev", 1, "running");
    receiver_wait(scene->receiver, 1);
    assert_true(signature_is_by(scene->secret, &items[0]));
    assert_true(signature_is_by(next, &items[0]));
    clock_fake_advance(&scene->clock, INT64_C(24) * 3600 * 1000);
    _cleanup_free_ char *body = xasprintf("{\"webhookId\":\"%s\"}", scene->id);
    _cleanup_answer_ struct answer test = http_post(scene->f, "/api/v1/webhooks/test", body);
    receiver_wait(scene->receiver, 2);
    assert_true(signature_is_by(next, &items[1]));
    assert_false(signature_is_by(scene->secret, &items[1]));
}

static void test_metrics_count_attempts_and_ends(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_with_webhook();

    scene->receiver->fail_first = 1;
    put_event(scene->f, "w-1", "dev", 1, "running");
    json_decref(wait_delivery(scene, "pending", 1));
    advance(scene, 5000);
    json_decref(wait_delivery(scene, "delivered", 2));
    _cleanup_free_ char *url =
        xasprintf("http://127.0.0.1:%u/metrics", http_server_port(scene->f->gateway->metrics_http));
    _cleanup_answer_ struct answer metrics = http_call(scene->f, "GET", url, NULL, NULL);
    const char *text = buffer_text(&metrics.body);
    assert_non_null(strstr(text, "webhook_attempts_total{result=\"ok\"} 1\n"));
    assert_non_null(strstr(text, "webhook_attempts_total{result=\"failed\"} 1\n"));
    assert_non_null(strstr(text, "webhook_deliveries_total{result=\"delivered\"} 1\n"));
}

static struct buffer logged;
static pthread_mutex_t logged_lock = PTHREAD_MUTEX_INITIALIZER;

static void on_log_line(_unused_ void *data, const char *line)
{
    pthread_mutex_lock(&logged_lock);
    buffer_add_text(&logged, line);
    pthread_mutex_unlock(&logged_lock);
}

/* Also when it cannot be opened, which is what a gateway with another sign.key sees. */
static void test_secrets_are_never_logged(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_with_webhook();
    _cleanup_free_ char *path = xasprintf("%s/gateway/sign.key", scene->f->dir);
    struct sign_key other;

    log_set_sink(on_log_line, NULL);
    assert_null(sign_key_generate(&other));
    assert_null(key_file_save(path, other.secret));
    restart_gateway(scene);
    put_event(scene->f, "w-1", "dev", 1, "running");
    _cleanup_(json_decrefp) json_t *pending = wait_delivery(scene, "pending", 1);
    assert_string_equal(text_of(pending, "error"), "not signed: change the webhook's secret");
    assert_int_equal(receiver_count(scene->receiver), 0);
    log_set_sink(NULL, NULL);
    assert_non_null(strstr(buffer_text(&logged), scene->id)); /* it was told, by its id */
    assert_null(strstr(buffer_text(&logged), scene->secret + 6));
    buffer_done(&logged);
}

/* ---- the recipes of docs/webhooks.md ---- */

static char *recipe(void)
{
    static const char start[] = "```python\n";
    char *text = NULL;

    assert_null(file_read_text("docs/webhooks.md", 256 * 1024, &text));
    _cleanup_free_ char *owned = text;
    char *from = strstr(text, start);
    assert_non_null(from);
    char *to = strstr(from + strlen(start), "```");
    assert_non_null(to);
    return xstrndup(from + strlen(start), (size_t)(to - from) - strlen(start));
}

static void save(const char *dir, const char *name, const void *data, size_t size)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", dir, name);

    assert_null(file_write_atomic(path, data, size, 0600));
}

static int run(const char *dir, const char *command)
{
    _cleanup_free_ char *line = xasprintf("cd '%s' && %s", dir, command);

    return system(line);
}

/* By the document's own words, on the bytes that came. */
static bool signature_is_by(const char *secret, const struct received *item)
{
    char dir[] = "/tmp/coffer-webhook-XXXXXX";
    _cleanup_free_ char *code = recipe();
    _cleanup_free_ char *driver =
        xasprintf("%s\n"
                  "secret, signature = (open(n).read() for n in ('secret', 'signature'))\n"
                  "body = open('body', 'rb').read()\n"
                  "now = int(signature[2:].split(',')[0])\n"
                  "assert not verify(secret, signature, body + b' ', now)\n"
                  "assert not verify(secret, signature, body, now + 301)\n"
                  "assert not verify(secret, signature.replace('t=', 't=1'), body, now)\n"
                  "assert not verify(secret, 'v1=00', body, now)\n"
                  "raise SystemExit(0 if verify(secret, signature, body, now) else 3)\n",
                  code);

    assert_non_null(mkdtemp(dir));
    save(dir, "verify.py", driver, strlen(driver));
    save(dir, "secret", secret, strlen(secret));
    save(dir, "signature", item->signature, strlen(item->signature));
    save(dir, "body", item->body.data, item->body.size);
    int by_python = run(dir, "python3 verify.py");
    int by_hand = run(dir, "T=$(sed 's/^t=//; s/,.*//' signature) && SECRET=$(cat secret) && "
                           "{ printf '%s.' \"$T\"; cat body; } | "
                           "openssl dgst -sha256 -hmac \"$SECRET\" | sed 's/.* //' > mac && "
                           "grep -qF \"$(cat mac)\" signature");
    assert_int_equal(run(dir, "rm verify.py secret signature body mac"), 0);
    rmdir(dir);
    assert_int_equal(by_python == 0, by_hand == 0);
    return by_python == 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_event_is_delivered),
        cmocka_unit_test(test_only_what_is_wanted_is_delivered),
        cmocka_unit_test(test_nothing_is_collected_while_it_is_off),
        cmocka_unit_test(test_what_was_before_it_is_not_delivered),
        cmocka_unit_test(test_a_test_is_delivered_signed),
        cmocka_unit_test(test_a_failure_is_repeated_with_the_same_bytes),
        cmocka_unit_test(test_a_restart_loses_nothing),
        cmocka_unit_test(test_two_gateways_deliver_each_event_once),
        cmocka_unit_test(test_no_answer_in_time_is_a_failure),
        cmocka_unit_test(test_a_damaged_record_holds_up_nobody_else),
        cmocka_unit_test(test_a_slow_receiver_holds_up_nobody_else),
        cmocka_unit_test(test_an_account_with_many_slow_ones_holds_up_no_other),
        cmocka_unit_test(test_redirects_are_not_followed),
        cmocka_unit_test(test_a_large_answer_is_not_read),
        cmocka_unit_test(test_private_addresses_are_refused_at_the_connect),
        cmocka_unit_test(test_plain_http_is_refused_at_the_call),
        cmocka_unit_test(test_a_certificate_of_nobody_is_refused),
        cmocka_unit_test(test_a_webhook_that_only_fails_is_switched_off_and_on_again),
        cmocka_unit_test(test_an_account_that_is_not_active_gets_nothing),
        cmocka_unit_test(test_both_secrets_sign_for_a_day),
        cmocka_unit_test(test_metrics_count_attempts_and_ends),
        cmocka_unit_test(test_secrets_are_never_logged),
    };

    if (system("python3 -c '' && command -v openssl >/dev/null") != 0) {
        printf("no python3 or openssl in PATH: skipped\n");
        return 77;
    }
    /* A proxy of the environment would be where nobody is. */
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("https_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    log_init("test", LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
