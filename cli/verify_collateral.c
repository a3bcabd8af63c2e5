#include "cli/verify_collateral.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "shared/attestation/crl.h"
#include "shared/base/folder.h"

#define FILE_MAX CRL_SIZE_MAX

DEFINE_CLEANUP(BIO *, BIO_free)

static struct error *too_many(void)
{
    return error_new(ERROR_RESOURCE_EXHAUSTED, "more than %d certificates or revocation lists",
                     VERIFY_FOLDER_MAX);
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
    if (*n == VERIFY_FOLDER_MAX)
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

struct target {
    struct verify_extra *extra;
    struct arena *arena;
};

static struct error *add_file(void *data, const struct buffer *bytes)
{
    const struct target *target = data;
    bool pem = strstr(buffer_text(bytes), "-----BEGIN ") != NULL;

    return pem ? add_pem(target->extra, target->arena, bytes)
               : add_der(target->extra, target->arena, bytes->data, bytes->size);
}

struct error *verify_extra_load(const char *dir, struct arena *arena, struct verify_extra *extra)
{
    static const struct folder_kind kinds[] = {
        {".der", FILE_MAX, add_file}, {".crt", FILE_MAX, add_file}, {".cer", FILE_MAX, add_file},
        {".pem", FILE_MAX, add_file}, {".crl", FILE_MAX, add_file}, {},
    };
    struct target target = {extra, arena};

    extra->collateral.certificates = extra->certificates;
    extra->collateral.crls = extra->crls;
    return folder_read(dir, kinds, &target);
}
