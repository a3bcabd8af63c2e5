#include "shared/nvidia/gpu_references.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>

#include "shared/attestation/pem.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "shared/base/folder.h"
#include "shared/nvidia/rim.h"

#define OCSP_SIZE_MAX (64 * 1024)

DEFINE_CLEANUP(BIO *, BIO_free)
DEFINE_CLEANUP(X509 *, X509_free)
DEFINE_CLEANUP(OCSP_RESPONSE *, OCSP_RESPONSE_free)

struct target {
    struct gpu_references *references;
    struct arena *arena;
};

static struct error *add(const struct target *target, const struct buffer *bytes,
                         struct binding_bytes *list, size_t *n, size_t max)
{
    if (*n == max)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "more than %zu of its kind", max);
    list[(*n)++] =
        (struct binding_bytes){arena_memdup(target->arena, bytes->data, bytes->size), bytes->size};
    return NULL;
}

/* Whose RIM it is, the verifier says; here only that it is one. */
static struct error *add_rim(void *data, const struct buffer *bytes)
{
    const struct target *target = data;
    _cleanup_(rim_freep) struct rim *rim = NULL;

    struct error *err = rim_open(bytes->data, bytes->size, gpu_roots_nvidia.rim, &rim);
    return err ? err
               : add(target, bytes, target->references->rims, &target->references->n_rims,
                     GPU_RIMS_MAX);
}

static struct error *add_ocsp(void *data, const struct buffer *bytes)
{
    const struct target *target = data;
    const uint8_t *at = bytes->data;
    _cleanup_(OCSP_RESPONSE_freep) OCSP_RESPONSE *response =
        d2i_OCSP_RESPONSE(NULL, &at, (long)bytes->size);

    ERR_clear_error();
    if (!response || at != bytes->data + bytes->size)
        return error_new(ERROR_INVALID_ARGUMENT, "not an OCSP response");
    return add(target, bytes, target->references->ocsp, &target->references->n_ocsp, GPU_OCSP_MAX);
}

struct error *gpu_references_load(const char *dir, struct arena *arena,
                                  struct gpu_references *references)
{
    static const struct folder_kind kinds[] = {
        {".swidtag", RIM_SIZE_MAX, add_rim},
        {".xml", RIM_SIZE_MAX, add_rim},
        {".rim", RIM_SIZE_MAX, add_rim},
        {".ocsp", OCSP_SIZE_MAX, add_ocsp},
        {".ors", OCSP_SIZE_MAX, add_ocsp},
        {".der", OCSP_SIZE_MAX, add_ocsp},
        {},
    };
    struct target target = {references, arena};

    return folder_read(dir, kinds, &target);
}

static struct error *load_root(const char *dir, const char *name,
                               uint8_t fingerprint[X509_PATH_FINGERPRINT])
{
    _cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
    _cleanup_buffer_ struct buffer pem = {};

    struct error *err = file_read(path, X509_PATH_PEM_MAX, &pem);
    if (error_get_code(err) == ERROR_NOT_FOUND) {
        error_free(err);
        return NULL;
    }
    if (err)
        return err;
    _cleanup_(BIO_freep) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
    _cleanup_(X509_freep) X509 *root =
        bio ? PEM_read_bio_X509(bio, NULL, pem_no_password, NULL) : NULL;
    bool ok = root && X509_digest(root, EVP_sha256(), fingerprint, NULL) == 1;
    ERR_clear_error();
    return ok ? NULL : error_new(ERROR_INVALID_ARGUMENT, "'%s' is not a certificate", path);
}

struct error *gpu_roots_load(const char *dir, struct gpu_roots *roots)
{
    struct error *err = load_root(dir, "gpu-device.pem", roots->device);

    return err ? err : load_root(dir, "gpu-rim.pem", roots->rim);
}
