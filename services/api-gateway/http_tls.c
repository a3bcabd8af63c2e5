#include "services/api-gateway/http_tls.h"

#include <gnutls/x509.h>
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>

#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "shared/base/log.h"

enum { PEM_MAX = 256 * 1024, WATCH_S = 1, CHAIN_MAX = 16 };

/* What tells one content of a file from another. */
struct stamp {
    struct timespec changed;
    ino_t inode;
    off_t size;
};

struct http_tls {
    char *cert_path;
    char *key_path;
    struct stamp stamps[2]; /* of the files that were tried last */
    pthread_t thread;
    bool running;

    pthread_mutex_t lock; /* the rest */
    pthread_cond_t changed;
    gnutls_datum_t chain; /* PEM */
    gnutls_datum_t key;
    bool stopping;
};

static void datum_done(gnutls_datum_t *datum)
{
    if (datum->data)
        OPENSSL_cleanse(datum->data, datum->size);
    free(datum->data);
    *datum = (gnutls_datum_t){0};
}

static struct error *gnutls_refused(int rc, const char *what)
{
    return error_new(ERROR_INVALID_ARGUMENT, "%s: %s", what, gnutls_strerror(rc));
}

static struct error *read_pem(const char *path, gnutls_datum_t *ret_pem)
{
    char *text = NULL;
    struct error *err = file_read_text(path, PEM_MAX, &text);

    if (err)
        return err;
    *ret_pem = (gnutls_datum_t){(unsigned char *)text, (unsigned)strlen(text)};
    return NULL;
}

/* gnutls itself looks whether they belong together. */
static struct error *check_pair(const gnutls_datum_t *chain, const gnutls_datum_t *key)
{
    gnutls_certificate_credentials_t credentials = NULL;
    int rc = gnutls_certificate_allocate_credentials(&credentials);

    if (rc < 0)
        return gnutls_refused(rc, "credentials");
    rc = gnutls_certificate_set_x509_key_mem(credentials, chain, key, GNUTLS_X509_FMT_PEM);
    gnutls_certificate_free_credentials(credentials);
    return rc < 0 ? gnutls_refused(rc, "certificate and key") : NULL;
}

static struct stamp stamp_of(const char *path)
{
    struct stat status = {0};

    (void)stat(path, &status);
    return (struct stamp){status.st_mtim, status.st_ino, status.st_size};
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
    return a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec &&
           a->inode == b->inode && a->size == b->size;
}

/* The stamps are taken first: what changes while we read is seen next time. */
static struct error *load(struct http_tls *tls)
{
    _cleanup_(datum_done) gnutls_datum_t chain = {0};
    _cleanup_(datum_done) gnutls_datum_t key = {0};

    tls->stamps[0] = stamp_of(tls->cert_path);
    tls->stamps[1] = stamp_of(tls->key_path);
    struct error *err = read_pem(tls->cert_path, &chain);
    err = err ?: read_pem(tls->key_path, &key);
    err = err ?: check_pair(&chain, &key);
    if (err)
        return error_wrap(err, "TLS certificate '%s'", tls->cert_path);
    pthread_mutex_lock(&tls->lock);
    gnutls_datum_t before[] = {tls->chain, tls->key};
    tls->chain = chain;
    tls->key = key;
    pthread_mutex_unlock(&tls->lock);
    chain = before[0];
    key = before[1];
    return NULL;
}

static void look(struct http_tls *tls)
{
    struct stamp cert = stamp_of(tls->cert_path);
    struct stamp key = stamp_of(tls->key_path);

    if (same_stamp(&cert, &tls->stamps[0]) && same_stamp(&key, &tls->stamps[1]))
        return;
    struct error *err = load(tls);
    if (err)
        log_failure(LOG_LEVEL_ERROR, "the TLS certificate stays as it was", err);
    else
        log_info("new TLS certificate", "file", tls->cert_path);
}

static void *watch(void *state)
{
    struct http_tls *tls = state;
    struct timespec next;

    pthread_mutex_lock(&tls->lock);
    while (!tls->stopping) {
        clock_gettime(CLOCK_MONOTONIC, &next);
        next.tv_sec += WATCH_S;
        if (pthread_cond_timedwait(&tls->changed, &tls->lock, &next) == 0)
            continue;
        pthread_mutex_unlock(&tls->lock);
        look(tls);
        pthread_mutex_lock(&tls->lock);
    }
    pthread_mutex_unlock(&tls->lock);
    return NULL;
}

struct error *http_tls_new(const char *cert_path, const char *key_path, struct http_tls **ret_tls)
{
    struct http_tls *tls = xnew(struct http_tls);
    pthread_condattr_t attributes;

    tls->cert_path = xstrdup(cert_path);
    tls->key_path = xstrdup(key_path);
    pthread_mutex_init(&tls->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&tls->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    struct error *err = load(tls);
    if (!err) {
        int rc = pthread_create(&tls->thread, NULL, watch, tls);
        tls->running = rc == 0;
        err = rc == 0 ? NULL : error_errno(rc, "start a thread");
    }
    if (err) {
        http_tls_free(tls);
        return err;
    }
    *ret_tls = tls;
    return NULL;
}

void http_tls_free(struct http_tls *tls)
{
    if (!tls)
        return;
    if (tls->running) {
        pthread_mutex_lock(&tls->lock);
        tls->stopping = true;
        pthread_cond_signal(&tls->changed);
        pthread_mutex_unlock(&tls->lock);
        pthread_join(tls->thread, NULL);
    }
    datum_done(&tls->chain);
    datum_done(&tls->key);
    pthread_cond_destroy(&tls->changed);
    pthread_mutex_destroy(&tls->lock);
    free(tls->cert_path);
    free(tls->key_path);
    free(tls);
}

static int copy_chain(const gnutls_datum_t *pem, gnutls_pcert_st **ret_chain, unsigned *ret_n)
{
    unsigned n = CHAIN_MAX;
    gnutls_pcert_st *chain = gnutls_calloc(n, sizeof(*chain));

    if (!chain)
        return GNUTLS_E_MEMORY_ERROR;
    int rc = gnutls_pcert_list_import_x509_raw(chain, &n, pem, GNUTLS_X509_FMT_PEM, 0);
    if (rc < 0) {
        gnutls_free(chain);
        return rc;
    }
    *ret_chain = chain;
    *ret_n = n;
    return 0;
}

static int copy_key(const gnutls_datum_t *pem, gnutls_privkey_t *ret_key)
{
    gnutls_privkey_t key = NULL;
    int rc = gnutls_privkey_init(&key);

    if (rc < 0)
        return rc;
    rc = gnutls_privkey_import_x509_raw(key, pem, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (rc < 0)
        gnutls_privkey_deinit(key);
    else
        *ret_key = key;
    return rc;
}

static void chain_free(gnutls_pcert_st *chain, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        gnutls_pcert_deinit(&chain[i]);
    gnutls_free(chain);
}

int http_tls_certificate(struct http_tls *tls, gnutls_pcert_st **ret_chain, unsigned *ret_n,
                         gnutls_privkey_t *ret_key)
{
    gnutls_pcert_st *chain = NULL;
    unsigned n = 0;

    pthread_mutex_lock(&tls->lock);
    int rc = copy_chain(&tls->chain, &chain, &n);
    if (rc == 0)
        rc = copy_key(&tls->key, ret_key);
    pthread_mutex_unlock(&tls->lock);
    if (rc < 0) {
        chain_free(chain, n);
        return -1;
    }
    *ret_chain = chain;
    *ret_n = n;
    return 0;
}
