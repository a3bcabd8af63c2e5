/* A renewed certificate counts without a restart; a bad one changes nothing. */
#include "services/api-gateway/test_fixture.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <time.h>

#include "services/api-gateway/routes.h"
#include "services/api-gateway/test_raw.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"

enum { PATIENCE_TRIES = 400, PAUSE_MS = 50 };

DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
DEFINE_CLEANUP(X509 *, X509_free)
DEFINE_CLEANUP(BIO *, BIO_free_all)
DEFINE_CLEANUP(SSL *, SSL_free)
DEFINE_CLEANUP(SSL_CTX *, SSL_CTX_free)

static char *path_in(const struct fixture *f, const char *name)
{
    return xasprintf("%s/%s", f->dir, name);
}

static void write_file(const struct fixture *f, const char *name, const char *data, size_t size)
{
    _cleanup_free_ char *path = path_in(f, name);

    assert_null(file_write_atomic(path, data, size, 0600));
}

static void write_bio(const struct fixture *f, const char *name, BIO *bio)
{
    char *data = NULL;
    long size = BIO_get_mem_data(bio, &data);

    write_file(f, name, data, (size_t)size);
}

static X509 *make_certificate(EVP_PKEY *key, const char *name)
{
    X509 *certificate = X509_new();
    X509_NAME *subject = X509_get_subject_name(certificate);

    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(certificate, subject);
    X509_set_pubkey(certificate, key);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    return certificate;
}

/* A certificate of that name; the key only if wanted, so that a pair can be made wrong. */
static void write_pair(const struct fixture *f, const char *name, bool rsa, bool with_key)
{
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
    _cleanup_(X509_freep) X509 *certificate = make_certificate(key, name);
    _cleanup_(BIO_free_allp) BIO *cert_pem = BIO_new(BIO_s_mem());
    _cleanup_(BIO_free_allp) BIO *key_pem = BIO_new(BIO_s_mem());

    PEM_write_bio_X509(cert_pem, certificate);
    PEM_write_bio_PrivateKey(key_pem, key, NULL, NULL, 0, NULL, NULL);
    if (with_key)
        write_bio(f, "tls.key", key_pem);
    write_bio(f, "tls.crt", cert_pem);
}

static SSL *handshake(SSL_CTX *context, int fd)
{
    SSL *ssl = SSL_new(context);

    SSL_set_fd(ssl, fd);
    if (SSL_connect(ssl) != 1)
        fail_msg("the handshake failed");
    return ssl;
}

/* The name in the certificate that a new connection is shown, and what /health answers on it. */
static char *served_name(uint16_t port, struct buffer *ret_answer)
{
    static const char request[] = "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    _cleanup_(SSL_CTX_freep) SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    _cleanup_close_ int fd = raw_connect(port);
    _cleanup_(SSL_freep) SSL *ssl = handshake(context, fd);
    _cleanup_(X509_freep) X509 *certificate = SSL_get1_peer_certificate(ssl);
    char name[64] = "";
    char data[1024];
    int n;

    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name,
                              sizeof(name));
    assert_true(SSL_write(ssl, request, sizeof(request) - 1) > 0);
    while ((n = SSL_read(ssl, data, sizeof(data))) > 0)
        buffer_add(ret_answer, data, (size_t)n);
    return xstrdup(name);
}

static bool serves(uint16_t port, const char *name)
{
    _cleanup_buffer_ struct buffer answer = {0};
    _cleanup_free_ char *served = served_name(port, &answer);

    assert_int_equal(raw_status(&answer), 200);
    assert_int_equal(raw_count(&answer, "Strict-Transport-Security: "), 1);
    return strcmp(served, name) == 0;
}

static bool serves_soon(uint16_t port, const char *name)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};

    for (int i = 0; i < PATIENCE_TRIES; i++) {
        if (serves(port, name))
            return true;
        nanosleep(&pause, NULL);
    }
    return false;
}

static struct http_server *start(const struct fixture *f)
{
    _cleanup_free_ char *cert = path_in(f, "tls.crt");
    _cleanup_free_ char *key = path_in(f, "tls.key");
    const struct http_options options = {.listen = "127.0.0.1:0",
                                         .routes = gateway_routes,
                                         .gateway = f->gateway,
                                         .max_connections = 64,
                                         .workers = 4,
                                         .tls_cert = cert,
                                         .tls_key = key};
    struct http_server *server = NULL;

    assert_null(http_server_start(&options, &server));
    return server;
}

static void remove_pair(const struct fixture *f)
{
    _cleanup_free_ char *cert = path_in(f, "tls.crt");
    _cleanup_free_ char *key = path_in(f, "tls.key");

    unlink(cert);
    unlink(key);
}

static void test_a_renewed_certificate_counts_without_a_restart(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();

    write_pair(f, "first", false, true);
    struct http_server *server = start(f);
    uint16_t port = http_server_port(server);
    assert_true(serves(port, "first"));
    write_pair(f, "second", true, true);
    assert_true(serves_soon(port, "second"));
    write_file(f, "tls.crt", "no certificate", 14);
    assert_true(serves(port, "second"));
    write_pair(f, "without its key", false, false);
    assert_true(serves(port, "second"));
    write_pair(f, "third", false, true);
    assert_true(serves_soon(port, "third"));
    http_server_stop(server);
    remove_pair(f);
}

static void test_a_server_does_not_start_with_a_bad_pair(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_free_ char *cert = path_in(f, "tls.crt");
    _cleanup_free_ char *key = path_in(f, "tls.key");
    const struct http_options options = {.listen = "127.0.0.1:0",
                                         .routes = gateway_routes,
                                         .gateway = f->gateway,
                                         .max_connections = 8,
                                         .workers = 1,
                                         .tls_cert = cert,
                                         .tls_key = key};
    struct http_server *server = NULL;

    for (int i = 0; i < 2; i++) {
        _cleanup_(error_freep) struct error *err = http_server_start(&options, &server);
        assert_non_null(err);
        assert_null(server);
        write_pair(f, "first", false, true);
        write_pair(f, "another", false, false);
    }
    remove_pair(f);
}

/* The old versions of TLS, and plain HTTP, are not spoken. */
static void test_only_tls_of_today(_unused_ void **state)
{
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_buffer_ struct buffer seen = {0};

    write_pair(f, "first", false, true);
    struct http_server *server = start(f);
    int fd = raw_connect(http_server_port(server));
    raw_send(fd, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(raw_read_to_end(fd, &seen));
    assert_null(strstr(buffer_text(&seen), "OK"));
    close(fd);
    _cleanup_(SSL_CTX_freep) SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION);
    fd = raw_connect(http_server_port(server));
    _cleanup_(SSL_freep) SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    assert_int_not_equal(SSL_connect(ssl), 1);
    close(fd);
    http_server_stop(server);
    remove_pair(f);
}

static bool tls_read_until(SSL *ssl, const char *text, struct buffer *seen)
{
    char data[4096];

    while (!strstr(buffer_text(seen), text)) {
        int n = SSL_read(ssl, data, sizeof(data));
        if (n <= 0)
            return false;
        buffer_add(seen, data, (size_t)n);
    }
    return true;
}

/* Handlers and streams suspend the connection, with bytes of it in gnutls's hands. */
static void test_requests_and_streams_over_tls(_unused_ void **state)
{
    static const char requests[] =
        "GET /api/v1/workloads/list HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " TEST_KEY
        "\r\n\r\nPOST /api/v1/workloads/stop HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " TEST_KEY
        "\r\nContent-Length: 2\r\n\r\n{}GET /api/v1/events HTTP/1.1\r\nHost: x\r\n"
        "Authorization: Bearer " TEST_KEY "\r\n\r\n";
    _cleanup_(fixture_freep) struct fixture *f = fixture_new();
    _cleanup_(SSL_CTX_freep) SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    _cleanup_buffer_ struct buffer seen = {0};

    write_pair(f, "first", false, true);
    struct http_server *server = start(f);
    int fd = raw_connect(http_server_port(server));
    SSL *ssl = handshake(context, fd);
    assert_true(SSL_write(ssl, requests, sizeof(requests) - 1) > 0);
    assert_true(tls_read_until(ssl, "retry: 1000", &seen));
    assert_int_equal(raw_count(&seen, "HTTP/1.1 200"), 2);
    assert_int_equal(raw_count(&seen, "HTTP/1.1 400"), 1);
    for (uint64_t i = 1; i <= 100; i++) {
        _cleanup_free_ char *id = xasprintf("\"w-1.%d\"", (int)i);
        put_event(f, "w-1", "dev", i, "stage");
        assert_true(tls_read_until(ssl, id, &seen));
    }
    SSL_free(ssl);
    close(fd);
    assert_true(sse_hub_wait(&f->gateway->streams, 20000));
    http_server_stop(server);
    remove_pair(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_renewed_certificate_counts_without_a_restart),
        cmocka_unit_test(test_a_server_does_not_start_with_a_bad_pair),
        cmocka_unit_test(test_only_tls_of_today),
        cmocka_unit_test(test_requests_and_streams_over_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
