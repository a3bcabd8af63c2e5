/* The development root's and hosts' folders (processor.h). What exists is kept. */
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <sys/stat.h>
#include <time.h>

#include "shared/attestation/certificates.h"
#include "shared/attestation/dev_certificate.h"
#include "shared/attestation/pem.h"
#include "shared/attestation/processor.h"
#include "shared/attestation/roots.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"

#define ISSUER_BITS 4096
#define PEM_MAX     (16 * 1024)
#define CRL_RENEW_S (90 * 24 * 3600L) /* made anew when it has less than this to go */

DEFINE_CLEANUP(BIO *, BIO_free)

static char *path_of(const char *dir, const char *name, const char *suffix)
{
    return xasprintf("%s/%s.%s", dir, name, suffix);
}

static struct error *write_bio(const char *path, BIO *bio, mode_t mode)
{
    char *data = NULL;
    long size = BIO_get_mem_data(bio, &data);

    struct error *err = file_write_atomic(path, data, (size_t)size, mode);
    OPENSSL_cleanse(data, (size_t)size); /* may be a key */
    return err;
}

static struct error *save_key(const char *path, EVP_PKEY *key)
{
    _cleanup_(BIO_freep) BIO *bio = BIO_new(BIO_s_mem());

    if (!bio || PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
        return error_openssl("write '%s'", path);
    return write_bio(path, bio, 0600);
}

static struct error *load_key(const char *path, EVP_PKEY **ret_key)
{
    _cleanup_buffer_ struct buffer text = {};

    struct error *err = file_read(path, PEM_MAX, &text);
    if (err)
        return err;
    _cleanup_(BIO_freep) BIO *bio = BIO_new_mem_buf(buffer_text(&text), (int)text.size);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, pem_no_password, NULL) : NULL;
    if (!key)
        return error_openssl("read '%s'", path);
    *ret_key = key;
    return NULL;
}

static struct error *load_or_make_key(const char *path, bool rsa, EVP_PKEY **ret_key)
{
    struct stat st;

    if (stat(path, &st) == 0)
        return load_key(path, ret_key);
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = rsa ? EVP_RSA_gen(ISSUER_BITS) : EVP_EC_gen("P-384");
    if (!key)
        return error_openssl("generate '%s'", path);
    struct error *err = save_key(path, key);
    if (err)
        return err;
    *ret_key = TAKE_PTR(key);
    return NULL;
}

static struct error *save_der(const char *dir, const char *name, X509 *certificate)
{
    _cleanup_free_ char *path = path_of(dir, name, "der");
    uint8_t *der = NULL;
    int size = i2d_X509(certificate, &der);

    if (size <= 0)
        return error_openssl("write '%s'", path);
    struct error *err = file_write_atomic(path, der, (size_t)size, 0644);
    OPENSSL_free(der);
    return err;
}

static struct error *save_pem(const char *dir, const char *name, X509 *certificate)
{
    _cleanup_free_ char *path = path_of(dir, name, "pem");
    _cleanup_(BIO_freep) BIO *bio = BIO_new(BIO_s_mem());

    if (!bio || PEM_write_bio_X509(bio, certificate) != 1)
        return error_openssl("write '%s'", path);
    return write_bio(path, bio, 0644);
}

/* NULL without an error: there is none yet, or not by this issuer. */
static struct error *load_certificate(const char *dir, const char *name, EVP_PKEY *issuer_key,
                                      X509 **ret_certificate)
{
    _cleanup_free_ char *path = path_of(dir, name, "der");
    _cleanup_buffer_ struct buffer der = {};

    struct error *err = file_read(path, CERTIFICATE_SIZE_MAX, &der);
    if (error_get_code(err) == ERROR_NOT_FOUND) {
        error_free(err);
        return NULL;
    }
    if (err)
        return err;
    const uint8_t *at = der.data;
    _cleanup_(X509_freep) X509 *certificate = d2i_X509(NULL, &at, (long)der.size);
    if (certificate && (!issuer_key || X509_verify(certificate, issuer_key) == 1))
        *ret_certificate = TAKE_PTR(certificate);
    ERR_clear_error();
    return NULL;
}

/* One level of the root: key, then certificate. */
static struct error *init_issuer(const char *dir, const char *name, X509 *parent,
                                 EVP_PKEY *parent_key, X509 **ret_certificate, EVP_PKEY **ret_key)
{
    _cleanup_free_ char *key_path = path_of(dir, name, "key");
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
    _cleanup_(X509_freep) X509 *certificate = NULL;

    struct error *err = load_or_make_key(key_path, true, &key);
    if (!err)
        err = load_certificate(dir, name, parent ? parent_key : key, &certificate);
    if (!err && !certificate)
        err = dev_certificate_issuer(key, parent, parent_key, &certificate);
    if (!err)
        err = save_der(dir, name, certificate);
    if (!err)
        err = save_pem(dir, name, certificate);
    if (err)
        return err;
    *ret_key = TAKE_PTR(key);
    *ret_certificate = TAKE_PTR(certificate);
    return NULL;
}

static bool crl_will_do(const struct buffer *der, EVP_PKEY *ark_key)
{
    const uint8_t *at = der->data;
    _cleanup_(X509_CRL_freep) X509_CRL *crl = at ? d2i_X509_CRL(NULL, &at, (long)der->size) : NULL;
    time_t end = time(NULL) + CRL_RENEW_S;
    bool good = crl && X509_CRL_verify(crl, ark_key) == 1 &&
                X509_cmp_time(X509_CRL_get0_nextUpdate(crl), &end) > 0;

    ERR_clear_error();
    return good;
}

static struct error *make_crl(const char *path, X509 *ark, EVP_PKEY *ark_key)
{
    _cleanup_(X509_CRL_freep) X509_CRL *crl = NULL;
    uint8_t *der = NULL;

    /* The time only grows, as the number must. */
    struct error *err = dev_certificate_crl(ark, ark_key, (uint64_t)time(NULL), NULL, &crl);
    int size = err ? 0 : i2d_X509_CRL(crl, &der);
    if (err || size <= 0)
        return err ? err : error_openssl("write '%s'", path);
    err = file_write_atomic(path, der, (size_t)size, 0644);
    OPENSSL_free(der);
    return err;
}

static struct error *init_crl(const char *dir, X509 *ark, EVP_PKEY *ark_key)
{
    _cleanup_free_ char *path = path_of(dir, "crl", "der");
    _cleanup_buffer_ struct buffer der = {};

    struct error *err = file_read(path, CERTIFICATE_SIZE_MAX, &der);
    if (!err && crl_will_do(&der, ark_key))
        return NULL;
    if (err && error_get_code(err) != ERROR_NOT_FOUND)
        return err;
    error_free(err);
    return make_crl(path, ark, ark_key);
}

struct error *tee_dev_init_root(const char *dir)
{
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *ark_key = NULL, *ask_key = NULL;
    _cleanup_(X509_freep) X509 *ark = NULL, *ask = NULL;

    struct error *err = dir_make(dir, 0755);
    if (!err)
        err = init_issuer(dir, "ark", NULL, NULL, &ark, &ark_key);
    if (!err)
        err = init_issuer(dir, "ask", ark, ark_key, &ask, &ask_key);
    if (!err)
        err = init_crl(dir, ark, ark_key);
    return error_wrap(err, "development root '%s'", dir);
}

static struct error *init_chip_id(const char *dir, uint8_t ret_chip_id[64])
{
    _cleanup_free_ char *path = xasprintf("%s/chip_id", dir);
    _cleanup_free_ char *text = NULL;
    char line[130];

    struct error *err = file_read_text(path, 256, &text);
    if (!err)
        return hex_decode(text, ret_chip_id, 64);
    if (error_get_code(err) != ERROR_NOT_FOUND)
        return err;
    error_free(err);
    if (RAND_bytes(ret_chip_id, 64) != 1)
        return error_openssl("chip id");
    hex_encode(ret_chip_id, 64, line);
    line[128] = '\n';
    return file_write_atomic(path, line, 129, 0644);
}

static struct error *init_vcek(const char *root_dir, const char *dir, X509 *ask)
{
    _cleanup_free_ char *ask_key_path = path_of(root_dir, "ask", "key");
    _cleanup_free_ char *key_path = path_of(dir, "vcek", "key");
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *ask_key = NULL, *key = NULL;
    _cleanup_(X509_freep) X509 *vcek = NULL;
    uint8_t chip_id[64];

    struct error *err = init_chip_id(dir, chip_id);
    if (!err)
        err = load_or_make_key(key_path, false, &key);
    if (!err)
        err = load_certificate(dir, "vcek", X509_get0_pubkey(ask), &vcek);
    if (err || vcek)
        return err;
    err = load_key(ask_key_path, &ask_key);
    if (!err)
        err = dev_certificate_vcek(key, chip_id, ask, ask_key, &vcek);
    if (!err)
        err = save_der(dir, "vcek", vcek);
    return err;
}

/* A root that was made before there were CRLs has none. */
static struct error *copy_crl(const char *root_dir, const char *dir)
{
    _cleanup_free_ char *from = path_of(root_dir, "crl", "der");
    _cleanup_free_ char *to = path_of(dir, "crl", "der");
    _cleanup_buffer_ struct buffer der = {};

    struct error *err = file_read(from, CERTIFICATE_SIZE_MAX, &der);
    if (error_get_code(err) == ERROR_NOT_FOUND) {
        error_free(err);
        return NULL;
    }
    return err ? err : file_write_atomic(to, der.data, der.size, 0644);
}

struct error *tee_dev_init_host(const char *root_dir, const char *dir)
{
    _cleanup_(X509_freep) X509 *ark = NULL, *ask = NULL;

    struct error *err = dir_make(dir, 0755);
    if (!err)
        err = load_certificate(root_dir, "ark", NULL, &ark);
    if (!err)
        err = load_certificate(root_dir, "ask", NULL, &ask);
    if (!err && (!ark || !ask))
        err = error_new(ERROR_FAILED_PRECONDITION, "no development root in '%s'", root_dir);
    if (!err)
        err = init_vcek(root_dir, dir, ask);
    if (!err)
        err = save_der(dir, "ask", ask);
    if (!err)
        err = save_der(dir, "ark", ark);
    if (!err)
        err = copy_crl(root_dir, dir);
    return error_wrap(err, "development processor '%s'", dir);
}
