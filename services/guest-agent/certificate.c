#include "services/guest-agent/certificate.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "shared/base/alloc.h"
#include "shared/seal/seal.h"

DEFINE_CLEANUP(SSL_CTX *, SSL_CTX_free)
DEFINE_CLEANUP(SSL *, SSL_free)

static struct error *dial(const char *address, uint16_t port, int timeout_ms, int *ret_fd)
{
    _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {timeout_ms / 1000, (timeout_ms % 1000) * 1000};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};

    if (fd < 0)
        return error_errno(errno, "make a socket");
    if (inet_pton(AF_INET, address, &to.sin_addr) != 1)
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' is not an address", address);
    /* Also bounds connect() on Linux, and each read and write. */
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
        return error_new(ERROR_UNAVAILABLE, "nobody answers on port %u", port);
    *ret_fd = TAKE_FD(fd);
    return NULL;
}

static struct error *time_of(const ASN1_TIME *time, int64_t *ret_ms)
{
    struct tm parts;

    if (ASN1_TIME_to_tm(time, &parts) != 1)
        return error_openssl("certificate has a time that cannot be read");
    *ret_ms = (int64_t)timegm(&parts) * 1000;
    return NULL;
}

static struct error *hash_key(X509 *x509, uint8_t ret_sha256[32])
{
    unsigned char *der = NULL;
    int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x509), &der);

    if (size <= 0)
        return error_openssl("encode the certificate's key");
    sha256(der, (size_t)size, ret_sha256);
    OPENSSL_free(der);
    return NULL;
}

static struct error *read_certificate(X509 *x509, const char *domain, struct certificate *out)
{
    if (X509_check_host(x509, domain, 0, 0, NULL) != 1)
        return error_new(ERROR_FAILED_PRECONDITION, "the certificate is not for '%s'", domain);
    X509_NAME_get_text_by_NID(X509_get_issuer_name(x509), NID_commonName, out->issuer,
                              sizeof(out->issuer));
    if (X509_NAME_cmp(X509_get_issuer_name(x509), X509_get_subject_name(x509)) == 0 ||
        strncmp(out->issuer, "Caddy Local Authority", 21) == 0)
        return error_new(ERROR_FAILED_PRECONDITION, "the certificate was made by its holder");
    struct error *err = time_of(X509_get0_notBefore(x509), &out->not_before_ms);
    if (!err)
        err = time_of(X509_get0_notAfter(x509), &out->not_after_ms);
    return err ? err : hash_key(x509, out->spki_sha256);
}

static struct error *handshake(int fd, const char *domain, SSL *ssl)
{
    SSL_set_fd(ssl, fd);
    if (SSL_set_tlsext_host_name(ssl, domain) != 1)
        return error_openssl("set the server name");
    if (SSL_connect(ssl) != 1) {
        ERR_clear_error();
        return error_new(ERROR_UNAVAILABLE, "no certificate for '%s' yet", domain);
    }
    return NULL;
}

struct error *certificate_probe(const char *address, uint16_t port, const char *domain,
                                int timeout_ms, struct certificate *ret_certificate)
{
    _cleanup_close_ int fd = -1;
    struct certificate certificate = {0};
    struct error *err = dial(address, port, timeout_ms, &fd);

    if (err)
        return err;
    _cleanup_(SSL_CTX_freep) SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    _cleanup_(SSL_freep) SSL *ssl = context ? SSL_new(context) : NULL;
    if (!ssl)
        return error_openssl("set up TLS");
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    err = handshake(fd, domain, ssl);
    if (err)
        return err;
    X509 *x509 = SSL_get1_peer_certificate(ssl);
    if (!x509)
        return error_new(ERROR_UNAVAILABLE, "no certificate for '%s' yet", domain);
    err = read_certificate(x509, domain, &certificate);
    X509_free(x509);
    SSL_shutdown(ssl);
    if (!err)
        *ret_certificate = certificate;
    return err;
}
