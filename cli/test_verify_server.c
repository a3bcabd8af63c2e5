#include "cli/test_verify_server.h"

#include <jansson.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include "shared/attestation/binding.h"
#include "shared/attestation/certificates.h"
#include "shared/base/encode.h"
#include "shared/base/test_findings.h"
#include "shared/seal/seal.h"

static X509 *make_certificate(EVP_PKEY *key, const char *host, long seconds_left)
{
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);
    _cleanup_free_ char *alternative = xasprintf("DNS:%s", host);
    X509V3_CTX ctx;

    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), seconds_left);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)host, -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_set_pubkey(certificate, key);
    X509V3_set_ctx(&ctx, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_alt_name, alternative);
    X509_add_ext(certificate, names, -1);
    X509_EXTENSION_free(names);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    return certificate;
}

static void set_hex(json_t *object, const char *name, const void *data, size_t size)
{
    _cleanup_free_ char *text = hex_encode_new(data, size);

    json_object_set_new(object, name, json_string(text));
}

static json_t *pem_of(const struct certificate_view *view)
{
    const uint8_t *at = view->data;
    X509 *certificate = d2i_X509(NULL, &at, (long)view->size);
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;

    PEM_write_bio_X509(bio, certificate);
    long size = BIO_get_mem_data(bio, &text);
    json_t *value = json_stringn(text, (size_t)size);
    BIO_free(bio);
    X509_free(certificate);
    return value;
}

static json_t *crl_of(const struct verify_server *server, const struct certificate_view *view)
{
    _cleanup_free_ char *text = base64_encode_new(view->data, view->size);

    return server->no_crl ? json_null() : json_string(text);
}

/* The nonces of a batch; ours is the third when there is company. */
static size_t make_tree(const struct verify_server *server, const uint8_t nonce[32],
                        uint8_t (*ret_nonces)[32], size_t *ret_index)
{
    size_t n = server->batch ? 5 : 1;

    memset(ret_nonces, 0x77, 5 * 32);
    *ret_index = server->batch ? 2 : 0;
    memcpy(ret_nonces[*ret_index], nonce, 32);
    return n;
}

/* false: there are none. */
static bool devices_hash(const struct verify_server *server, uint8_t ret_hash[32])
{
    struct binding_bytes bytes[32];

    if (!expect_that(server->n_devices <= ELEMENTSOF(bytes)))
        return false;
    for (size_t i = 0; i < server->n_devices; i++)
        bytes[i] = (struct binding_bytes){server->devices[i].data, server->devices[i].size};
    return binding_devices(bytes, server->n_devices, ret_hash) != NULL;
}

static json_t *devices_json(const struct verify_server *server)
{
    json_t *list = json_array();

    for (size_t i = 0; i < server->n_devices; i++)
        json_array_append_new(
            list, json_stringn(buffer_text(&server->devices[i]), server->devices[i].size));
    return list;
}

static json_t *make_binding(const struct verify_server *server, const uint8_t asked[32],
                            uint8_t ret_report_data[BINDING_SIZE])
{
    uint8_t nonces[5][32], path[64][32], root[32], manifest_sha256[32], spki[32], nonce[32];
    uint8_t hash[32];
    json_t *binding = json_object(), *hashes = json_array();
    size_t index, n_path;

    memcpy(nonce, asked, 32);
    if (server->old_nonce)
        nonce[0] ^= 1;
    size_t n = make_tree(server, nonce, nonces, &index);
    _cleanup_(merkle_tree_freep) struct merkle_tree *tree =
        merkle_tree_new((const uint8_t(*)[32])nonces, n);
    merkle_tree_root(tree, root);
    n_path = merkle_tree_path(tree, index, path);
    sha256(server->manifest, strlen(server->manifest), manifest_sha256);
    memcpy(spki, server->spki_sha256, 32);
    if (server->other_key)
        spki[0] ^= 1;
    bool has_devices = devices_hash(server, hash);
    const struct binding_tls in = {root, spki, manifest_sha256, has_devices ? hash : NULL};
    binding_tls(&in, ret_report_data);
    if (server->no_nonce)
        binding_tls_static(spki, ret_report_data);
    for (size_t i = 0; i < n_path; i++) {
        _cleanup_free_ char *text = hex_encode_new(path[i], 32);
        json_array_append_new(hashes, json_string(text));
    }
    json_object_set_new(binding, "tag",
                        json_string(server->no_nonce ? "static-v0" : "coffer/report-data/v1"));
    json_object_set_new(binding, "nonce_index", json_integer((json_int_t)index));
    json_object_set_new(binding, "nonce_count", json_integer((json_int_t)n));
    json_object_set_new(binding, "merkle_path", hashes);
    json_object_set_new(binding, "devices_hash", json_string(""));
    if (has_devices && !server->no_nonce)
        set_hex(binding, "devices_hash", hash, sizeof(hash));
    set_hex(binding, "spki_sha256", spki, 32);
    return binding;
}

char *verify_server_body(struct verify_server *server, const uint8_t nonce[32])
{
    uint8_t report_data[BINDING_SIZE];
    struct tee_evidence evidence;
    struct certificate_table table;
    json_t *binding = make_binding(server, nonce, report_data);

    sha256(server->manifest, strlen(server->manifest), server->guest.host_data);
    if (!expect_no_error(
            processor_report(server->processor, &server->guest, report_data, &evidence)) ||
        !expect_no_error(certificate_table_parse(evidence.certificates.data,
                                                 evidence.certificates.size, &table))) {
        json_decref(binding);
        return xstrdup("");
    }
    json_auto_t *root = json_pack(
        "{s:{s:i}, s:s, s:s, s:s, s:o, s:{s:o, s:o, s:o}, s:{s:o}}", "environment", "cpu_count", 2,
        "cpu_model", server->cpu_model, "provider", "software", "manifest",
        server->shown_manifest ? server->shown_manifest : server->manifest, "binding", binding,
        "certificates", "vcek", pem_of(&table.vcek), "ask", pem_of(&table.ask), "ark",
        pem_of(&table.ark), "collateral", "crl", crl_of(server, &table.crl));
    set_hex(root, "raw_report", evidence.report, TEE_REPORT_SIZE);
    json_object_set_new(root, "devices", devices_json(server));
    if (server->huge) {
        _cleanup_free_ char *filler = xcalloc(1, 2 * 1024 * 1024 + 1);
        memset(filler, 'x', 2 * 1024 * 1024);
        json_object_set_new(root, "filler", json_string(filler));
    }
    tee_evidence_done(&evidence);
    return json_dumps(root, JSON_COMPACT);
}

static void answer(struct verify_server *server, SSL *ssl)
{
    char request[4096] = "";
    int size = SSL_read(ssl, request, sizeof(request) - 1);
    const char *argument = size > 0 ? strstr(request, "nonce=") : NULL;
    uint8_t nonce[32];

    server->asked++;
    if (server->raw) {
        SSL_write(ssl, server->raw, (int)strlen(server->raw));
        return;
    }
    if (!argument)
        return;
    _cleanup_free_ char *hex = xstrndup(argument + 6, 64);
    if (!expect_no_error(hex_decode(hex, nonce, sizeof(nonce))))
        return;
    _cleanup_free_ char *body = verify_server_body(server, nonce);
    _cleanup_free_ char *reply = xasprintf("HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n"
                                           "Connection: close\r\n\r\n%s",
                                           strlen(body), body);
    SSL_write(ssl, reply, (int)strlen(reply));
}

static void *serve(void *data)
{
    struct verify_server *server = data;

    for (;;) {
        _cleanup_close_ int fd = accept(server->listener, NULL, NULL);
        if (fd < 0)
            return NULL;
        SSL *ssl = SSL_new(server->tls);
        SSL_set_fd(ssl, fd);
        if (SSL_accept(ssl) == 1) {
            answer(server, ssl);
            SSL_shutdown(ssl);
        }
        SSL_free(ssl);
    }
}

static void make_tls(struct verify_server *server, const char *ca_path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = make_certificate(key, server->name, server->expired ? -60 : 3600);
    FILE *ca = fopen(ca_path, "w");
    uint8_t *der = NULL;

    assert_non_null(ca);
    PEM_write_X509(ca, certificate);
    fclose(ca);
    server->tls = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(server->tls, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(server->tls, key), 1);
    int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    sha256(der, (size_t)size, server->spki_sha256);
    OPENSSL_free(der);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

void verify_server_start(struct verify_server *server, const char *ca_path)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);

    make_tls(server, ca_path);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(server->listener, 16), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &size), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

void verify_server_stop(struct verify_server *server)
{
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
    SSL_CTX_free(server->tls);
    assert_no_findings();
}
