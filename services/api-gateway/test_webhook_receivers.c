/* Deliveries to receivers that are slow, wrong or refused: each is held to what it may cost, and to
 * nobody else. */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include "services/api-gateway/test_webhook_kit.h"
#include "services/api-gateway/webhook_queue.h"
#include "shared/base/alloc.h"
#include "shared/store/keys.h"

DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
DEFINE_CLEANUP(X509 *, X509_free)
DEFINE_CLEANUP(BIO *, BIO_free_all)

static void test_no_answer_in_time_is_a_failure(_unused_ void **state)
{
    _cleanup_(hooks_freep) struct hooks *scene = hooks_new_with_webhook();

    scene->f->config.webhook_timeout_ms = 200;
    hooks_restart_gateway(scene);
    receiver_set_status(scene->receiver, 0);
    put_event(scene->f, "w-1", "dev", 1, "running");
    _cleanup_(json_decrefp) json_t *pending = hooks_wait_delivery(scene, "pending", 1);
    assert_string_equal(hooks_text(pending, "error"), "no answer in time");
    assert_null(json_object_get(pending, "responseStatus"));
    scene->f->config.webhook_timeout_ms = 10000; /* now there is time for an answer */
    hooks_restart_gateway(scene);
    receiver_set_status(scene->receiver, 204);
    hooks_advance(scene, 5000);
    _cleanup_(json_decrefp) json_t *delivered = hooks_wait_delivery(scene, "delivered", 2);
    assert_int_equal(json_integer_value(json_object_get(delivered, "responseStatus")), 204);
}

static void test_a_slow_receiver_holds_up_nobody_else(_unused_ void **state)
{
    _cleanup_(hooks_freep) struct hooks *scene = hooks_new_with_webhook();
    _cleanup_(receiver_freep) struct receiver *slow = scene->receiver;

    receiver_set_status(slow, 0);
    scene->receiver = receiver_new(NULL, NULL);
    _cleanup_free_ char *first_id = TAKE_PTR(scene->id);
    _cleanup_free_ char *first_secret = TAKE_PTR(scene->secret);
    hooks_make(scene, "http", "");
    for (uint64_t i = 1; i <= 20; i++)
        put_event(scene->f, "w-1", "dev", i, "running");
    receiver_wait(scene->receiver, 20);
    assert_int_equal(receiver_count(slow), 2);
    receiver_set_status(slow, 200);
    receiver_wait(slow, 20);
}

static void make_other_key(const struct hooks *scene, char **ret_account, char **ret_key)
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
    _cleanup_(hooks_freep) struct hooks *scene = hooks_new();
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
    _cleanup_(hooks_freep) struct hooks *scene = hooks_new_with_webhook();
    _cleanup_(receiver_freep) struct receiver *other = receiver_new(NULL, NULL);
    _cleanup_free_ char *location = xasprintf("http://127.0.0.1:%u/other", other->port);

    scene->receiver->location = location;
    receiver_set_status(scene->receiver, 307);
    put_event(scene->f, "w-1", "dev", 1, "running");
    _cleanup_(json_decrefp) json_t *pending = hooks_wait_delivery(scene, "pending", 1);
    assert_int_equal(json_integer_value(json_object_get(pending, "responseStatus")), 307);
    assert_non_null(strstr(hooks_text(pending, "error"), "redirect"));
    assert_int_equal(receiver_count(other), 0);
}

static void test_a_large_answer_is_not_read(_unused_ void **state)
{
    _cleanup_(hooks_freep) struct hooks *scene = hooks_new_with_webhook();

    scene->receiver->answer_size = 32 * 1024 * 1024;
    put_event(scene->f, "w-1", "dev", 1, "running");
    _cleanup_(json_decrefp) json_t *delivered = hooks_wait_delivery(scene, "delivered", 1);
    receiver_wait_cut_off(scene->receiver, 1);
    receiver_set_status(scene->receiver, 500);
    put_event(scene->f, "w-1", "dev", 2, "running");
    _cleanup_(json_decrefp) json_t *pending = hooks_wait_delivery(scene, "pending", 1);
    assert_int_equal(json_integer_value(json_object_get(pending, "responseStatus")), 500);
}

static void test_private_addresses_are_refused_at_the_connect(_unused_ void **state)
{
    _cleanup_(hooks_freep) struct hooks *scene = hooks_new();

    hooks_make(scene, "https", ""); /* as if its name had another address then */
    scene->f->config.webhook_insecure = false;
    hooks_restart_gateway(scene);
    put_event(scene->f, "w-1", "dev", 1, "running");
    _cleanup_(json_decrefp) json_t *pending = hooks_wait_delivery(scene, "pending", 1);
    assert_string_equal(hooks_text(pending, "error"), "the host has no public address");
    assert_int_equal(receiver_count(scene->receiver), 0);
}

static void test_plain_http_is_refused_at_the_call(_unused_ void **state)
{
    _cleanup_(hooks_freep) struct hooks *scene = hooks_new_with_webhook();

    scene->f->config.webhook_insecure = false;
    hooks_restart_gateway(scene);
    put_event(scene->f, "w-1", "dev", 1, "running");
    _cleanup_(json_decrefp) json_t *pending = hooks_wait_delivery(scene, "pending", 1);
    assert_true(*hooks_text(pending, "error"));
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
    _cleanup_(hooks_freep) struct hooks *scene = hooks_new();
    _cleanup_free_ char *cert = NULL;
    _cleanup_free_ char *key = NULL;

    make_certificate(&cert, &key);
    receiver_free(scene->receiver);
    scene->receiver = receiver_new(cert, key);
    hooks_make(scene, "https", "");
    put_event(scene->f, "w-1", "dev", 1, "running");
    _cleanup_(json_decrefp) json_t *pending = hooks_wait_delivery(scene, "pending", 1);
    assert_non_null(strstr(hooks_text(pending, "error"), "TLS failed"));
    assert_int_equal(receiver_count(scene->receiver), 0);
}

/* Each round all that wait are tried once. */
static void test_a_webhook_that_only_fails_is_switched_off_and_on_again(_unused_ void **state)
{
    _cleanup_(hooks_freep) struct hooks *scene = hooks_new_with_webhook();
    bool active = true;

    receiver_set_status(scene->receiver, 503);
    for (uint64_t i = 1; i <= 10; i++)
        put_event(scene->f, "w-1", "dev", i, "running");
    for (int i = 0; i < TRIES && active; i++) {
        _cleanup_answer_ struct answer got = hooks_get(scene, "");
        active = json_is_true(json_object_get(got.json, "active"));
        hooks_advance(scene, 60000);
        usleep(10000);
    }
    _cleanup_answer_ struct answer off = hooks_get(scene, "");
    assert_string_equal(answer_text(&off, "disabledReason"), "50 attempts in a row have failed");
    receiver_set_status(scene->receiver, 200);
    _cleanup_answer_ struct answer on = hooks_update(scene, ",\"active\":true");
    assert_int_equal(on.status, 200);
    assert_string_equal(answer_text(&on, "disabledReason"), "");
    put_event(scene->f, "w-1", "dev", 11, "stopped");
    _cleanup_(json_decrefp) json_t *delivered = hooks_wait_delivery(scene, "delivered", 1);
    assert_string_equal(hooks_text(delivered, "eventId"), "w-1.11");
    _cleanup_answer_ struct answer got = hooks_get(scene, "");
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
static void set_account_active(const struct hooks *scene, bool active)
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

static void wait_no_queue(const struct hooks *scene)
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
    _cleanup_(hooks_freep) struct hooks *scene = hooks_new_with_webhook();

    looks.real = scene->f->store->ops;
    looks.ops = *looks.real;
    looks.ops.get = count_looks;
    scene->f->store->ops = &looks.ops;
    receiver_set_status(scene->receiver, 500);
    put_event(scene->f, "w-1", "dev", 1, "running");
    _cleanup_(json_decrefp) json_t *pending = hooks_wait_delivery(scene, "pending", 1);
    receiver_set_status(scene->receiver, 200);
    set_account_active(scene, false);
    hooks_advance(scene, 2 * WEBHOOK_RETRY_FIRST_MS);
    wait_no_queue(scene);
    unsigned before = atomic_load(&looks.n);
    put_event(scene->f, "w-1", "dev", 2, "running");
    for (int i = 0; i < TRIES && atomic_load(&looks.n) == before; i++)
        usleep(10000);
    assert_true(atomic_load(&looks.n) > before); /* the feed has judged */
    set_account_active(scene, true);
    _cleanup_(json_decrefp) json_t *failed = hooks_wait_delivery(scene, "failed", 1);
    assert_string_equal(hooks_text(failed, "error"), "the account is not active");
    put_event(scene->f, "w-1", "dev", 3, "running");
    _cleanup_(json_decrefp) json_t *delivered = hooks_wait_delivery(scene, "delivered", 1);
    assert_string_equal(hooks_text(delivered, "eventId"), "w-1.3");
    _cleanup_answer_ struct answer all = hooks_get(scene, "/deliveries");
    assert_int_equal(json_array_size(json_object_get(all.json, "deliveries")), 2);
    assert_int_equal(receiver_count(scene->receiver), 2); /* the first attempt, and the third */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_answer_in_time_is_a_failure),
        cmocka_unit_test(test_a_slow_receiver_holds_up_nobody_else),
        cmocka_unit_test(test_an_account_with_many_slow_ones_holds_up_no_other),
        cmocka_unit_test(test_redirects_are_not_followed),
        cmocka_unit_test(test_a_large_answer_is_not_read),
        cmocka_unit_test(test_private_addresses_are_refused_at_the_connect),
        cmocka_unit_test(test_plain_http_is_refused_at_the_call),
        cmocka_unit_test(test_a_certificate_of_nobody_is_refused),
        cmocka_unit_test(test_a_webhook_that_only_fails_is_switched_off_and_on_again),
        cmocka_unit_test(test_an_account_that_is_not_active_gets_nothing),
    };

    hooks_prepare();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
