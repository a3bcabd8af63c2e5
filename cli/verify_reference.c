#include "cli/verify_reference.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/alloc.h"
#include "shared/base/clock.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"
#include "shared/manifest/manifest.h"
#include "shared/manifest/signed_document.h"

#define HEX_FILE_MAX         256
#define CERTIFICATE_FILE_MAX (64 * 1024)
#define IMAGES_DIR           "/usr/share/coffer/images"

DEFINE_CLEANUP(BIO *, BIO_free)
DEFINE_CLEANUP(X509 *, X509_free)

void verify_reference_done(struct verify_reference *reference)
{
    trust_roots_free(reference->roots);
    if (reference->arena)
        arena_free(reference->arena);
    *reference = (struct verify_reference){};
}

static bool is_hex_32(const char *text, uint8_t ret_data[32])
{
    struct error *err = hex_decode(text, ret_data, 32);
    bool ok = !err;

    error_free(err);
    return ok;
}

/* 64 hex digits, as they are or in a file. */
static struct error *load_hex(const char *text, uint8_t ret_data[32])
{
    _cleanup_free_ char *content = NULL;

    if (is_hex_32(text, ret_data))
        return NULL;
    struct error *err = file_read_text(text, HEX_FILE_MAX, &content);
    return err ? err : error_wrap(hex_decode(content, ret_data, 32), "'%s'", text);
}

static const uint8_t *keep(struct verify_reference *reference, const void *data, size_t size)
{
    return arena_memdup(reference->arena, data, size);
}

/* A nonce of our own makes sense only for somebody who can still be asked. */
static struct error *load_nonce(const struct verify_options *options,
                                struct verify_reference *reference)
{
    uint8_t nonce[32];
    struct error *err = NULL;

    if (strcmp(options->nonce, "auto") != 0)
        err = hex_decode(options->nonce, nonce, sizeof(nonce));
    else if (options->report)
        return NULL;
    else if (RAND_bytes(nonce, sizeof(nonce)) != 1)
        err = error_openssl("nonce");
    if (!err)
        reference->nonce = keep(reference, nonce, sizeof(nonce));
    return err;
}

static struct error *spki_of_pem(const struct buffer *pem, uint8_t ret_sha256[32])
{
    _cleanup_(BIO_freep) BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->size);
    _cleanup_(X509_freep) X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    uint8_t *der = NULL;
    int size = certificate ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der) : -1;

    ERR_clear_error();
    if (size <= 0)
        return error_new(ERROR_INVALID_ARGUMENT, "not a certificate in PEM");
    sha256(der, (size_t)size, ret_sha256);
    OPENSSL_free(der);
    return NULL;
}

static struct error *load_peer(const struct verify_options *options,
                               struct verify_reference *reference)
{
    _cleanup_buffer_ struct buffer pem = {};
    struct error *err = NULL;
    uint8_t hash[32];

    if (!options->peer)
        return NULL;
    if (!is_hex_32(options->peer, hash)) {
        err = file_read(options->peer, CERTIFICATE_FILE_MAX, &pem);
        if (!err)
            err = spki_of_pem(&pem, hash);
    }
    if (!err)
        reference->spki_sha256 = keep(reference, hash, sizeof(hash));
    return error_wrap(err, "--peer");
}

static struct error *load_report_data(const struct verify_options *options,
                                      struct verify_reference *reference)
{
    uint8_t data[64];

    if (!options->report_data)
        return NULL;
    struct error *err = hex_decode(options->report_data, data, sizeof(data));
    if (!err)
        reference->report_data = keep(reference, data, sizeof(data));
    return err;
}

static struct error *load_manifest(const struct verify_options *options,
                                   struct verify_reference *reference)
{
    _cleanup_buffer_ struct buffer text = {};
    uint8_t hash[32];

    reference->any_manifest = options->any_manifest;
    if (!options->manifest)
        return NULL;
    if (!is_hex_32(options->manifest, hash)) {
        struct error *err = file_read(options->manifest, MANIFEST_MAX, &text);
        if (err)
            return error_wrap(err, "--manifest");
        manifest_hash(text.data, text.size, hash);
        reference->manifest = arena_strdup(reference->arena, buffer_text(&text));
    }
    reference->manifest_sha256 = keep(reference, hash, sizeof(hash));
    return NULL;
}

static struct error *load_roots(const struct verify_options *options,
                                struct verify_reference *reference)
{
    if (!options->trust_root)
        return trust_roots_amd(&reference->roots);
    return error_wrap(trust_roots_load(options->trust_root, &reference->roots), "--trust-root");
}

/* How many there must be, the caller says or his policy: no manifest does. */
static struct error *load_gpus(const struct verify_options *options,
                               struct verify_reference *reference)
{
    const struct policy_gpus *policy = &reference->policy.gpus;

    reference->any_gpus = !options->gpus && !policy->has_count;
    reference->n_gpus = options->gpus ? options->n_gpus : policy->count;
    reference->gpu_roots = gpu_roots_nvidia;
    struct error *err =
        options->trust_root ? gpu_roots_load(options->trust_root, &reference->gpu_roots) : NULL;
    if (err || !options->rims)
        return error_wrap(err, "--trust-root");
    return error_wrap(gpu_references_load(options->rims, reference->arena, &reference->rims),
                      "--rims");
}

/* Given, or beside a development root, or pinned when this program was built. NOT_FOUND: nobody
 * said whose signature counts. */
static struct error *load_release_key(const struct verify_options *options,
                                      uint8_t ret_public[SIGN_KEY_SIZE])
{
    if (options->release_key)
        return error_wrap(load_hex(options->release_key, ret_public), "--release-key");
    if (options->trust_root) {
        _cleanup_free_ char *path = xasprintf("%s/release.pub", options->trust_root);
        struct error *err = load_hex(path, ret_public);
        if (error_get_code(err) != ERROR_NOT_FOUND)
            return err;
        error_free(err);
    }
    if (COFFER_RELEASE_KEY[0])
        return hex_decode(COFFER_RELEASE_KEY, ret_public, SIGN_KEY_SIZE);
    return error_new(ERROR_NOT_FOUND, "no release key is given (--release-key)");
}

/* A path, or a version among the images that are installed here. */
static char *image_path(const char *image, bool *ret_is_version)
{
    const char *dir = getenv("COFFER_IMAGES");
    size_t plain = strspn(image, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "0123456789.-_+");

    *ret_is_version = image[0] && image[0] != '.' && !image[plain] && access(image, F_OK) != 0;
    return *ret_is_version ? xasprintf("%s/%s/image.json", dir ? dir : IMAGES_DIR, image)
                           : xstrdup(image);
}

static struct error *check_version(const struct image *image, const char *version)
{
    if (strcmp(image->version, version) == 0)
        return NULL;
    return error_new(ERROR_PERMISSION_DENIED, "image.json is of version '%s', not '%s'",
                     image->version, version);
}

/* A description that is not the publisher's is a finding, not a failure of the command. */
static struct error *load_image(const struct verify_options *options, const char *name,
                                struct verify_reference *reference)
{
    bool is_version = false;
    _cleanup_free_ char *path = image_path(name, &is_version);
    _cleanup_buffer_ struct buffer text = {};
    uint8_t public[SIGN_KEY_SIZE];
    struct image *image = NULL;

    struct error *err = file_read(path, IMAGE_JSON_MAX, &text);
    if (err)
        return error_wrap(err, "--image");
    err = load_release_key(options, public);
    reference->image_verdict = err ? VERDICT_UNKNOWN : VERDICT_FAIL;
    if (err && error_get_code(err) != ERROR_NOT_FOUND)
        return err;
    if (!err)
        err = image_parse(text.data, text.size, public, reference->arena, &image);
    if (!err && is_version)
        err = check_version(image, name);
    if (!err && reference->policy.image_version)
        err = check_version(image, reference->policy.image_version);
    if (err)
        reference->image_problem = arena_strdup(reference->arena, error_text(err));
    else
        reference->image = image;
    error_free(err);
    return NULL;
}

static struct error *read_policy(const struct verify_options *options,
                                 struct verify_reference *reference)
{
    _cleanup_buffer_ struct buffer text = {}, body = {};
    uint8_t public[SIGN_KEY_SIZE];
    json_auto_t *root = NULL;

    struct error *err = file_read(options->policy, POLICY_MAX, &text);
    if (!err)
        err = load_release_key(options, public);
    if (!err)
        err = signed_document_open(text.data, text.size, public, &root);
    if (!err)
        err = canonical_json(root, &body);
    if (!err)
        err = policy_parse(buffer_text(&body), body.size, reference->arena, &reference->policy);
    if (!err && !reference->policy.name)
        reference->policy.name = arena_strdup(reference->arena, options->policy);
    return error_wrap(err, "--policy");
}

/* Attestation says what runs, not where: a named policy lets any chip answer, a file decides. */
static struct error *load_policy(const struct verify_options *options,
                                 struct verify_reference *reference)
{
    const char *name = options->policy ? options->policy : "strict";
    struct error *err = policy_named(name, &reference->policy);

    if (!err) {
        reference->policy.any_chip_id = true;
        reference->accept_static = strcmp(name, "nilcc") == 0;
        return NULL;
    }
    error_free(err);
    return read_policy(options, reference);
}

/* Options and policy may each say what must run; they may not contradict each other. */
static struct error *merge(const struct verify_options *options, struct verify_reference *reference)
{
    const struct verify_policy *policy = &reference->policy;
    bool listed = policy->n_measurements > 0 || policy->any_measurement;

    if (listed && (options->image || options->n_measurements > 0))
        return error_new(ERROR_INVALID_ARGUMENT,
                         "the policy says which measurements count: no --image or --measurement");
    if (policy->host_data && options->any_manifest)
        return error_new(ERROR_INVALID_ARGUMENT, "the policy says which manifest must run");
    if (policy->host_data && reference->manifest_sha256 &&
        memcmp(policy->host_data, reference->manifest_sha256, 32) != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "--manifest is not the one of the policy");
    if (policy->gpus.has_count && options->gpus && policy->gpus.count != options->n_gpus)
        return error_new(ERROR_INVALID_ARGUMENT, "the policy says how many GPUs there must be");
    if (!reference->manifest_sha256)
        reference->manifest_sha256 = policy->host_data;
    if (!reference->manifest_sha256 && policy->any_host_data)
        reference->any_manifest = true;
    if (options->n_measurements > 0)
        reference->measurements = arena_memdup(reference->arena, options->measurements,
                                               options->n_measurements * LAUNCH_DIGEST_SIZE);
    reference->n_measurements = options->n_measurements;
    return NULL;
}

static struct error *load(const struct verify_options *options, struct verify_reference *reference)
{
    struct error *err = load_nonce(options, reference);

    if (!err)
        err = load_peer(options, reference);
    if (!err)
        err = load_report_data(options, reference);
    if (!err)
        err = load_manifest(options, reference);
    if (!err)
        err = load_roots(options, reference);
    if (!err)
        err = load_policy(options, reference);
    if (!err)
        err = merge(options, reference);
    const char *image = options->image ? options->image : reference->policy.image_version;
    if (!err && image && options->n_measurements == 0)
        err = load_image(options, image, reference);
    if (!err && options->certs)
        err = error_wrap(verify_extra_load(options->certs, reference->arena, &reference->extra),
                         "--certs");
    return err ? err : load_gpus(options, reference);
}

struct error *verify_reference_load(const struct verify_options *options,
                                    struct verify_reference *reference)
{
    reference->arena = arena_new();
    struct error *err = load(options, reference);
    reference->policy.roots = reference->roots;
    reference->policy.at_ms = options->at_ms ? options->at_ms : clock_wall_ms(clock_system());
    return err;
}
