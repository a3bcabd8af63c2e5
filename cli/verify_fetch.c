#include "cli/verify_fetch.h"

#include <curl/curl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <time.h>

#include "shared/attestation/pem.h"
#include "shared/base/alloc.h"
#include "shared/base/clock.h"
#include "shared/base/encode.h"
#include "shared/seal/seal.h"

#define PATH              "/nilcc/api/v2/report"
#define CONNECT_TIMEOUT_S 15L
#define ATTEMPTS          4
#define PAUSE_MS          2000

DEFINE_CLEANUP(CURL *, curl_easy_cleanup)
DEFINE_CLEANUP(struct curl_slist *, curl_slist_free_all)
DEFINE_CLEANUP(X509 *, X509_free)
DEFINE_CLEANUP(BIO *, BIO_free)

void verify_fetched_done(struct verify_fetched *fetched)
{
    buffer_done(&fetched->body);
    free(fetched->redirect);
    *fetched = (struct verify_fetched){};
}

static size_t on_body(char *data, size_t size, size_t n, void *body_data)
{
    struct buffer *body = body_data;

    if (body->size + size * n > VERIFY_ANSWER_MAX)
        return 0; /* CURLE_WRITE_ERROR */
    buffer_add(body, data, size * n);
    return size * n;
}

static struct error *curl_problem(CURLcode code, const char *text)
{
    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
        return error_new(ERROR_PERMISSION_DENIED, "%s", text);
    case CURLE_WRITE_ERROR:
    case CURLE_FILESIZE_EXCEEDED:
        return error_new(ERROR_RESOURCE_EXHAUSTED, "the answer is larger than %d bytes",
                         VERIFY_ANSWER_MAX);
    case CURLE_SSL_CACERT_BADFILE:
        return error_new(ERROR_FAILED_PRECONDITION, "%s", text);
    default:
        return error_new(ERROR_UNAVAILABLE, "%s", text);
    }
}

static void set_limits(CURL *curl, int64_t timeout_ms)
{
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(curl, CURLOPT_MAXFILESIZE, (long)VERIFY_ANSWER_MAX);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
}

/* A handle is used once: no session is resumed, so the handshake shows the certificate. */
static void set_tls(CURL *curl, const struct verify_options *options)
{
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(curl, CURLOPT_SSL_SESSIONID_CACHE, 0L);
    curl_easy_setopt(curl, CURLOPT_CERTINFO, 1L);
    if (options->ca) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, options->ca);
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    }
}

/* The first certificate that libcurl lists is the peer's own. */
static const char *peer_pem(CURL *curl)
{
    struct curl_certinfo *info = NULL;

    if (curl_easy_getinfo(curl, CURLINFO_CERTINFO, &info) != CURLE_OK || !info ||
        info->num_of_certs < 1)
        return NULL;
    for (struct curl_slist *line = info->certinfo[0]; line; line = line->next)
        if (strncmp(line->data, "Cert:", 5) == 0)
            return line->data + 5;
    return NULL;
}

static struct error *take_key(CURL *curl, uint8_t ret_spki_sha256[32])
{
    const char *pem = peer_pem(curl);
    _cleanup_(BIO_freep) BIO *bio = pem ? BIO_new_mem_buf(pem, -1) : NULL;
    _cleanup_(X509_freep) X509 *certificate =
        bio ? PEM_read_bio_X509(bio, NULL, pem_no_password, NULL) : NULL;
    uint8_t *der = NULL;
    int size = certificate ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der) : -1;

    ERR_clear_error();
    if (size <= 0)
        return error_new(ERROR_INTERNAL, "the peer's certificate is not to be had");
    sha256(der, (size_t)size, ret_spki_sha256);
    OPENSSL_free(der);
    return NULL;
}

static struct error *perform(CURL *curl, struct verify_fetched *fetched)
{
    char text[CURL_ERROR_SIZE] = "";
    char *redirect = NULL;

    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, text);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &fetched->body);
    CURLcode code = curl_easy_perform(curl);
    if (code != CURLE_OK)
        return curl_problem(code, text[0] ? text : curl_easy_strerror(code));
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &fetched->status);
    if (curl_easy_getinfo(curl, CURLINFO_REDIRECT_URL, &redirect) == CURLE_OK && redirect)
        fetched->redirect = xstrdup(redirect);
    return take_key(curl, fetched->spki_sha256);
}

static struct error *fetch_once(const struct verify_options *options, const char *url,
                                int64_t timeout_ms, struct verify_fetched *fetched)
{
    _cleanup_(curl_easy_cleanupp) CURL *curl = curl_easy_init();
    _cleanup_(curl_slist_free_allp) struct curl_slist *connect_to = NULL;

    if (!curl)
        return error_new(ERROR_INTERNAL, "libcurl");
    curl_easy_setopt(curl, CURLOPT_URL, url);
    set_limits(curl, timeout_ms);
    set_tls(curl, options);
    if (options->connect) {
        _cleanup_free_ char *rule =
            xasprintf("%s:%s:%s", options->host, options->port, options->connect);
        connect_to = curl_slist_append(NULL, rule);
        curl_easy_setopt(curl, CURLOPT_CONNECT_TO, connect_to);
        curl_easy_setopt(curl, CURLOPT_PROXY, "");
    }
    return perform(curl, fetched);
}

struct error *verify_fetch(const struct verify_options *options, const uint8_t nonce[32],
                           int64_t timeout_ms, struct verify_fetched *ret_fetched)
{
    _cleanup_free_ char *hex = hex_encode_new(nonce, 32);
    _cleanup_free_ char *url =
        xasprintf("https://%s:%s" PATH "?nonce=%s", options->host, options->port, hex);

    int64_t end_ms = clock_monotonic_ms(clock_system()) + timeout_ms;

    for (int i = 0;; i++) {
        _cleanup_(verify_fetched_done) struct verify_fetched fetched = {};

        int64_t left_ms = end_ms - clock_monotonic_ms(clock_system());
        struct error *err = fetch_once(options, url, left_ms, &fetched);
        if (err)
            return err;
        left_ms = end_ms - clock_monotonic_ms(clock_system());
        bool later = fetched.status == 503 || fetched.status == 429; /* 429: our address, not all */
        if (!later || i + 1 == ATTEMPTS || left_ms <= PAUSE_MS) {
            *ret_fetched = fetched;
            fetched = (struct verify_fetched){};
            return NULL;
        }
        nanosleep(&(struct timespec){.tv_sec = PAUSE_MS / 1000}, NULL);
    }
}
