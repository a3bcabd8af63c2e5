#include "services/attester/live_key.h"

#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "shared/base/alloc.h"
#include "shared/seal/seal.h"

#define TIMEOUT_MS 5000

DEFINE_CLEANUP(SSL *, SSL_free)
DEFINE_CLEANUP(X509 *, X509_free)
DEFINE_CLEANUP(struct addrinfo *, freeaddrinfo)

struct live_key {
    char *host;
    char *port;
    char *domain;
    SSL_CTX *tls;
};

struct error *live_key_open(const char *address, const char *domain, struct live_key **ret_key)
{
    const char *colon = strrchr(address, ':');

    if (!colon || colon == address || !colon[1])
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' is not host:port", address);
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    if (!tls)
        return error_openssl("tls");
    SSL_CTX_set_verify(tls, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    struct live_key *key = xnew(struct live_key);
    key->host = xstrndup(address, (size_t)(colon - address));
    key->port = xstrdup(colon + 1);
    key->domain = xstrdup(domain);
    key->tls = tls;
    *ret_key = key;
    return NULL;
}

void live_key_free(struct live_key *key)
{
    if (!key)
        return;
    SSL_CTX_free(key->tls);
    free(key->host);
    free(key->port);
    free(key->domain);
    free(key);
}

/* 0 or an errno. */
static int connect_within(int fd, const struct addrinfo *address)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLOUT};
    int failed = 0;
    socklen_t size = sizeof(failed);

    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    if (poll(&pollfd, 1, TIMEOUT_MS) != 1)
        return ETIMEDOUT;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size) < 0 ? errno : failed;
}

static struct error *connect_proxy(const struct live_key *key, int *ret_fd)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    const struct timeval timeout = {.tv_sec = TIMEOUT_MS / 1000};
    _cleanup_(freeaddrinfop) struct addrinfo *addresses = NULL;
    int failed = getaddrinfo(key->host, key->port, &hints, &addresses);

    if (failed)
        return error_new(ERROR_UNAVAILABLE, "resolve '%s': %s", key->host, gai_strerror(failed));
    failed = EADDRNOTAVAIL;
    for (const struct addrinfo *a = addresses; a; a = a->ai_next) {
        _cleanup_close_ int fd =
            socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        failed = fd < 0 ? errno : connect_within(fd, a);
        if (failed)
            continue;
        if (fcntl(fd, F_SETFL, 0) < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
            return error_errno(errno, "socket");
        *ret_fd = TAKE_FD(fd);
        return NULL;
    }
    return error_new(ERROR_UNAVAILABLE, "connect to '%s:%s': %s", key->host, key->port,
                     strerror(failed));
}

static struct error *hash_key(X509 *certificate, uint8_t ret_spki_sha256[32])
{
    uint8_t *der = NULL;
    int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);

    if (size <= 0)
        return error_openssl("public key");
    sha256(der, (size_t)size, ret_spki_sha256);
    OPENSSL_free(der);
    return NULL;
}

static struct error *ask_proxy(const struct live_key *key, uint8_t ret_spki_sha256[32])
{
    _cleanup_close_ int fd = -1;

    struct error *err = connect_proxy(key, &fd);
    if (err)
        return err;
    _cleanup_(SSL_freep) SSL *ssl = SSL_new(key->tls);
    if (!ssl || SSL_set_fd(ssl, fd) != 1 || SSL_set_tlsext_host_name(ssl, key->domain) != 1)
        return error_openssl("tls");
    if (SSL_connect(ssl) != 1)
        return error_recode(error_openssl("no certificate for '%s' yet", key->domain),
                            ERROR_UNAVAILABLE);
    _cleanup_(X509_freep) X509 *certificate = SSL_get1_peer_certificate(ssl);
    if (!certificate)
        return error_new(ERROR_UNAVAILABLE, "the proxy shows no certificate");
    SSL_shutdown(ssl);
    return hash_key(certificate, ret_spki_sha256);
}

struct error *live_key_get(struct live_key *key, uint8_t ret_spki_sha256[32])
{
    struct error *err = ask_proxy(key, ret_spki_sha256);

    ERR_clear_error();
    return error_wrap(err, "live key");
}
