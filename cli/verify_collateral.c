#include "cli/verify_collateral.h"

#include <dirent.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "shared/attestation/crl.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"

#define FILE_MAX CRL_SIZE_MAX

DEFINE_CLEANUP(BIO *, BIO_free)
DEFINE_CLEANUP(DIR *, closedir)

static struct error *too_many(void)
{
    return error_new(ERROR_RESOURCE_EXHAUSTED, "more than %d certificates or revocation lists",
                     VERIFY_COLLATERAL_MAX);
}

/* By trying: what a DER file holds does not stand in its name. */
static struct error *add_der(struct verify_extra *extra, struct arena *arena, const uint8_t *der,
                             size_t size)
{
    const uint8_t *at = der;
    X509 *certificate = d2i_X509(NULL, &at, (long)size);
    bool is_certificate = certificate && at == der + size;
    _cleanup_(crl_freep) struct crl *crl = NULL;

    X509_free(certificate);
    ERR_clear_error();
    if (!is_certificate) {
        struct error *err = crl_parse(der, size, &crl);
        if (err) {
            error_free(err);
            return error_new(ERROR_INVALID_ARGUMENT, "neither a certificate nor a revocation list");
        }
    }
    size_t *n = is_certificate ? &extra->collateral.n_certificates : &extra->collateral.n_crls;
    struct certificate_view *views = is_certificate ? extra->certificates : extra->crls;
    if (*n == VERIFY_COLLATERAL_MAX)
        return too_many();
    views[(*n)++] = (struct certificate_view){arena_memdup(arena, der, size), size};
    return NULL;
}

static struct error *add_pem(struct verify_extra *extra, struct arena *arena,
                             const struct buffer *text)
{
    _cleanup_(BIO_freep) BIO *bio = BIO_new_mem_buf(text->data, (int)text->size);
    struct error *err = NULL;
    size_t n = 0;

    while (!err && bio) {
        char *name = NULL, *header = NULL;
        uint8_t *der = NULL;
        long size = 0;

        if (PEM_read_bio(bio, &name, &header, &der, &size) != 1)
            break;
        err = add_der(extra, arena, der, (size_t)size);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(der);
        n++;
    }
    ERR_clear_error();
    return err || n > 0 ? err : error_new(ERROR_INVALID_ARGUMENT, "holds nothing in PEM");
}

static struct error *add_file(const char *path, struct arena *arena, struct verify_extra *extra)
{
    _cleanup_buffer_ struct buffer bytes = {};

    struct error *err = file_read(path, FILE_MAX, &bytes);
    if (err)
        return err;
    bool pem = strstr(buffer_text(&bytes), "-----BEGIN ") != NULL;
    err = pem ? add_pem(extra, arena, &bytes) : add_der(extra, arena, bytes.data, bytes.size);
    return error_wrap(err, "'%s'", path);
}

static bool has_our_suffix(const char *name)
{
    static const char *const suffixes[] = {".der", ".crt", ".cer", ".pem", ".crl"};
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; dot && i < ELEMENTSOF(suffixes); i++)
        if (strcmp(dot, suffixes[i]) == 0)
            return true;
    return false;
}

struct error *verify_extra_load(const char *dir, struct arena *arena, struct verify_extra *extra)
{
    _cleanup_(closedirp) DIR *stream = opendir(dir);
    struct error *err = NULL;

    if (!stream)
        return error_errno(errno, "open '%s'", dir);
    for (struct dirent *entry; !err && (entry = readdir(stream));) {
        if (!has_our_suffix(entry->d_name))
            continue;
        _cleanup_free_ char *path = xasprintf("%s/%s", dir, entry->d_name);
        err = add_file(path, arena, extra);
    }
    extra->collateral.certificates = extra->certificates;
    extra->collateral.crls = extra->crls;
    return err;
}
