#include "services/attester/test_stand.h"

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include "shared/attestation/binding.h"
#include "shared/attestation/tee_backends.h"
#include "shared/base/encode.h"
#include "shared/seal/seal.h"

static void make_certificate(SSL_CTX *tls, uint8_t ret_spki_sha256[32])
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);
    X509V3_CTX ctx;
    uint8_t *der = NULL;

    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"localhost", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_set_pubkey(certificate, key);
    X509V3_set_ctx(&ctx, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_alt_name, "DNS:localhost");
    X509_add_ext(certificate, names, -1);
    X509_EXTENSION_free(names);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    assert_int_equal(SSL_CTX_use_certificate(tls, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(tls, key), 1);
    int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    sha256(der, (size_t)size, ret_spki_sha256);
    OPENSSL_free(der);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

void test_proxy_new_key(struct test_proxy *proxy)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    uint8_t spki_sha256[32];

    make_certificate(tls, spki_sha256);
    pthread_mutex_lock(&proxy->mutex);
    SSL_CTX_free(proxy->tls);
    proxy->tls = tls;
    memcpy(proxy->spki_sha256, spki_sha256, 32);
    pthread_mutex_unlock(&proxy->mutex);
}

void test_proxy_get_key(struct test_proxy *proxy, uint8_t ret_spki_sha256[32])
{
    pthread_mutex_lock(&proxy->mutex);
    memcpy(ret_spki_sha256, proxy->spki_sha256, 32);
    pthread_mutex_unlock(&proxy->mutex);
}

static void serve_one(struct test_proxy *proxy, int fd)
{
    pthread_mutex_lock(&proxy->mutex);
    SSL *ssl = SSL_new(proxy->tls);
    proxy->connections++;
    pthread_mutex_unlock(&proxy->mutex);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1)
        SSL_shutdown(ssl);
    SSL_free(ssl);
}

static void *serve(void *data)
{
    struct test_proxy *proxy = data;

    for (;;) {
        _cleanup_close_ int fd = accept(proxy->listener, NULL, NULL);
        if (fd < 0)
            return NULL;
        serve_one(proxy, fd);
    }
}

void test_proxy_init(struct test_proxy *proxy)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);

    *proxy = (struct test_proxy){};
    pthread_mutex_init(&proxy->mutex, NULL);
    test_proxy_new_key(proxy);
    proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(proxy->listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(proxy->listener, 16), 0);
    assert_int_equal(getsockname(proxy->listener, (struct sockaddr *)&address, &size), 0);
    proxy->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&proxy->thread, NULL, serve, proxy), 0);
}

void test_proxy_done(struct test_proxy *proxy)
{
    shutdown(proxy->listener, SHUT_RDWR);
    pthread_join(proxy->thread, NULL);
    close(proxy->listener);
    SSL_CTX_free(proxy->tls);
    pthread_mutex_destroy(&proxy->mutex);
}

static struct error *get_report(struct tee *base, const uint8_t report_data[TEE_REPORT_DATA_SIZE],
                                struct tee_evidence *ret_evidence)
{
    struct test_tee *tee = (struct test_tee *)base;

    pthread_mutex_lock(&tee->mutex);
    tee->asked++;
    pthread_cond_broadcast(&tee->changed);
    while (tee->held)
        pthread_cond_wait(&tee->changed, &tee->mutex);
    bool broken = tee->broken;
    unsigned delay_ms = tee->delay_ms;
    void (*meanwhile)(void *data) = tee->meanwhile;
    tee->meanwhile = NULL;
    tee->finished++;
    pthread_mutex_unlock(&tee->mutex);
    if (delay_ms)
        tee_pause(delay_ms);
    if (meanwhile)
        meanwhile(tee->meanwhile_data);
    if (broken)
        return error_new(ERROR_UNAVAILABLE, "the processor is away");
    return processor_report(tee->processor, &tee->guest, report_data, ret_evidence);
}

static void tee_release(struct tee *base)
{
    struct test_tee *tee = (struct test_tee *)base;

    pthread_mutex_destroy(&tee->mutex);
    pthread_cond_destroy(&tee->changed);
    free(tee);
}

static const struct tee_ops ops = {.name = "test", .get_report = get_report, .free = tee_release};

struct test_tee *test_tee_new(struct processor *processor, const uint8_t host_data[32])
{
    struct test_tee *tee = xnew(struct test_tee);

    tee->base.ops = &ops;
    tee->processor = processor;
    tee->guest = test_guest();
    memcpy(tee->guest.host_data, host_data, 32);
    pthread_mutex_init(&tee->mutex, NULL);
    pthread_cond_init(&tee->changed, NULL);
    return tee;
}

void test_tee_hold(struct test_tee *tee, bool held)
{
    pthread_mutex_lock(&tee->mutex);
    tee->held = held;
    pthread_cond_broadcast(&tee->changed);
    pthread_mutex_unlock(&tee->mutex);
}

void test_tee_wait_asked(struct test_tee *tee, unsigned n)
{
    pthread_mutex_lock(&tee->mutex);
    while (tee->asked < n)
        pthread_cond_wait(&tee->changed, &tee->mutex);
    pthread_mutex_unlock(&tee->mutex);
}

static void on_done(struct waiter *waiter)
{
    sem_post(&((struct test_caller *)waiter)->done);
}

static void start(struct desk *desk, struct test_caller *caller)
{
    sem_init(&caller->done, 0, 0);
    caller->waiter.done = on_done;
    desk_ask(desk, &caller->waiter);
}

void test_callers_start(struct desk *desk, struct test_caller *callers, size_t n)
{
    static uint32_t number;

    for (size_t i = 0; i < n; i++, number++) {
        memcpy(callers[i].waiter.nonce, &number,
               sizeof(number)); /* a crowd: no two of one address */
        memcpy(callers[i].waiter.client, &number, sizeof(number));
        callers[i].waiter.is_known = true;
        start(desk, &callers[i]);
    }
}

struct error *test_caller_wait(struct test_caller *caller, struct buffer *ret_json)
{
    struct reply *reply = &caller->waiter.reply;

    while (sem_wait(&caller->done) < 0)
        ;
    sem_destroy(&caller->done);
    struct error *err = TAKE_PTR(reply->err);
    if (!err) {
        buffer_add_text(ret_json, reply->evidence->common);
        buffer_add_text(ret_json, buffer_text(&reply->binding));
    }
    reply_done(reply);
    return err;
}

struct error *test_ask(struct desk *desk, const uint8_t *nonce, struct buffer *ret_json)
{
    struct test_caller caller = {};

    if (nonce)
        memcpy(caller.waiter.nonce, nonce, 32);
    start(desk, &caller);
    return test_caller_wait(&caller, ret_json);
}

const char test_manifest[] = "{\"schema\":\"coffer.manifest/v1\"}";

void test_attester_init(struct test_attester *stand, struct processor *processor,
                        struct devices *devices)
{
    const struct evidence_facts facts = {test_manifest, "0.1.0", "EPYC-v4", 2, NULL, 0, devices};
    uint8_t hash[32];
    char address[32];

    sha256(test_manifest, strlen(test_manifest), hash);
    test_proxy_init(&stand->proxy);
    snprintf(address, sizeof(address), "127.0.0.1:%u", stand->proxy.port);
    stand->tee = test_tee_new(processor, hash);
    stand->maker = evidence_maker_new(&stand->tee->base, &facts);
    expect_ok(live_key_open(address, "localhost", &stand->key));
    stand->standing = standing_new(stand->maker, stand->key);
    stand->batch = (struct batch){stand->maker, stand->key};
    stand->desks = (struct http_desks){desk_new(batch_serve, &stand->batch, NULL),
                                       desk_new(standing_serve, stand->standing, NULL)};
    expect_ok(http_start("127.0.0.1:0", &stand->desks, NULL, &stand->http));
}

void test_attester_done(struct test_attester *stand)
{
    desk_close(stand->desks.fresh);
    desk_close(stand->desks.standing);
    http_free(stand->http);
    desk_free(stand->desks.fresh);
    desk_free(stand->desks.standing);
    standing_free(stand->standing);
    live_key_free(stand->key);
    evidence_maker_free(stand->maker);
    test_proxy_done(&stand->proxy);
}

json_t *test_parse(const struct buffer *body)
{
    json_t *json = json_loadb(buffer_text(body), body->size, 0, NULL);

    assert_non_null(json);
    return json;
}

const char *test_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    if (!text)
        fail_msg("no text '%s'", name);
    return text;
}

void test_expect_hex(const json_t *object, const char *name, const void *data, size_t size)
{
    _cleanup_free_ char *expected = hex_encode_new(data, size);

    assert_string_equal(test_text(object, name), expected);
}

void test_check_binding(struct test_attester *stand, const json_t *answer, const uint8_t nonce[32])
{
    json_t *binding = json_object_get(answer, "binding"), *path, *hash;
    uint8_t hashes[64][32], root[32], spki[32], manifest_hash[32], report_data[BINDING_SIZE];
    size_t i;

    path = json_object_get(binding, "merkle_path");
    json_array_foreach(path, i, hash) expect_ok(hex_decode(json_string_value(hash), hashes[i], 32));
    expect_ok(merkle_root_from_path(
        nonce, (size_t)json_integer_value(json_object_get(binding, "nonce_index")),
        (size_t)json_integer_value(json_object_get(binding, "nonce_count")),
        (const uint8_t(*)[32])hashes, json_array_size(path), root));
    test_expect_hex(binding, "nonce_root", root, 32);
    test_proxy_get_key(&stand->proxy, spki);
    sha256(test_manifest, strlen(test_manifest), manifest_hash);
    const struct binding_tls in = {root, spki, manifest_hash, NULL};
    binding_tls(&in, report_data);
    test_expect_hex(json_object_get(answer, "report"), "report_data", report_data, 64);
    test_expect_hex(binding, "nonce", nonce, 32);
    assert_string_equal(test_text(binding, "tag"), "coffer/report-data/v1");
    assert_true(json_is_true(json_object_get(answer, "fresh")));
}
