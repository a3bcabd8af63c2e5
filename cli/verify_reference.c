#include "cli/verify_reference.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <string.h>

#include "shared/attestation/pem.h"
#include "shared/base/alloc.h"
#include "shared/base/clock.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"
#include "shared/manifest/manifest.h"
#include "shared/manifest/signed_document.h"

#define HEX_FILE_MAX         256
#define CERTIFICATE_FILE_MAX (64 * 1024)
#define CA_FILE_MAX          (4 * 1024 * 1024)
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

    if (options->report && !options->nonce)
        return NULL;
    if (options->nonce && strcmp(options->nonce, "auto") != 0)
        err = hex_decode(options->nonce, nonce, sizeof(nonce));
    else if (RAND_bytes(nonce, sizeof(nonce)) != 1)
        err = error_openssl("nonce");
    if (!err)
        reference->nonce = keep(reference, nonce, sizeof(nonce));
    return err;
}

static struct error *spki_of_pem(const struct buffer *pem, uint8_t ret_sha256[32])
{
    _cleanup_(BIO_freep) BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->size);
    _cleanup_(X509_freep) X509 *certificate =
        bio ? PEM_read_bio_X509(bio, NULL, pem_no_password, NULL) : NULL;
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

/* Beside a development root only: a result under AMD's root is not marked, so that nothing from a
 * folder may count for it unsaid. */
static struct error *load_release_key_of_root(const char *dir, uint8_t ret_public[SIGN_KEY_SIZE],
                                              bool *ret_found)
{
    _cleanup_free_ char *path = xasprintf("%s/release.pub", dir);
    struct error *err = load_hex(path, ret_public);

    *ret_found = !err;
    if (error_get_code(err) != ERROR_NOT_FOUND)
        return error_wrap(err, "--trust-root");
    error_free(err);
    return NULL;
}

/* Given, or beside a development root, or pinned when this program was built. None is no error
 * yet: nobody may need it. */
static struct error *load_release_key(const struct verify_options *options,
                                      struct verify_reference *reference)
{
    uint8_t public[SIGN_KEY_SIZE];
    struct error *err = NULL;
    bool found = true;

    if (options->release_key)
        err = error_wrap(load_hex(options->release_key, public), "--release-key");
    else if (options->trust_root && trust_roots_are_development(reference->roots))
        err = load_release_key_of_root(options->trust_root, public, &found);
    else
        found = false;
    if (!err && !found && COFFER_RELEASE_KEY[0]) {
        err = hex_decode(COFFER_RELEASE_KEY, public, SIGN_KEY_SIZE);
        found = true;
    }
    if (!err && found)
        reference->release_key = keep(reference, public, sizeof(public));
    return err;
}

static struct error *no_release_key(void)
{
    return error_new(ERROR_NOT_FOUND, "no release key is given (--release-key)");
}

static bool is_path(const char *image)
{
    const char *dot = strrchr(image, '.');

    return strchr(image, '/') || (dot && strcmp(dot, ".json") == 0);
}

static bool is_version(const char *image)
{
    size_t plain = strspn(image, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "0123456789.-_+");

    return image[0] && image[0] != '.' && !image[plain];
}

/* A path, or a version among the images that are installed here: the name alone says which of the
 * two, whatever lies in the working directory. A policy names no paths. */
static struct error *image_path(const char *option, const char *name, char **ret_path)
{
    const char *dir = getenv("COFFER_IMAGES");

    if (option && is_path(option))
        *ret_path = xstrdup(option);
    else if (is_version(name))
        *ret_path = xasprintf("%s/%s/image.json", dir ? dir : IMAGES_DIR, name);
    else
        return error_new(ERROR_INVALID_ARGUMENT, "'%s' is no version of an image", name);
    return NULL;
}

static struct error *check_version(const struct image *image, const char *version)
{
    if (strcmp(image->version, version) == 0)
        return NULL;
    return error_new(ERROR_PERMISSION_DENIED, "image.json is of version '%s', not '%s'",
                     image->version, version);
}

/* Signed by the release key, of the version that was asked for: by the option, by the policy. */
static struct error *open_image(const struct verify_options *options, const struct buffer *text,
                                struct verify_reference *reference, struct image **ret_image)
{
    const char *asked = options->image && !is_path(options->image) ? options->image : NULL;
    const char *of_policy = reference->policy.image_version;

    struct error *err =
        image_parse(text->data, text->size, reference->release_key, reference->arena, ret_image);
    if (!err && asked)
        err = check_version(*ret_image, asked);
    if (!err && of_policy)
        err = check_version(*ret_image, of_policy);
    return err;
}

/* A description that is not the publisher's is a finding, not a failure of the command. */
static struct error *load_image(const struct verify_options *options,
                                struct verify_reference *reference)
{
    const char *name = options->image ? options->image : reference->policy.image_version;
    _cleanup_buffer_ struct buffer text = {};
    _cleanup_free_ char *path = NULL;
    struct image *image = NULL;

    if (!name)
        return NULL;
    struct error *err = image_path(options->image, name, &path);
    if (!err)
        err = file_read(path, IMAGE_JSON_MAX, &text);
    if (err)
        return error_wrap(err, "--image");
    reference->image_verdict = reference->release_key ? VERDICT_FAIL : VERDICT_UNKNOWN;
    err = reference->release_key ? open_image(options, &text, reference, &image) : no_release_key();
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
    json_auto_t *root = NULL;

    struct error *err = file_read(options->policy, POLICY_MAX, &text);
    if (!err && !reference->release_key)
        err = no_release_key();
    if (!err)
        err = signed_document_open(text.data, text.size, reference->release_key, &root);
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

/* What may run: the list of a policy counts beside the image that it names, and beside no other. */
static struct error *merge_measurements(const struct verify_options *options,
                                        struct verify_reference *reference)
{
    const struct verify_policy *policy = &reference->policy;
    bool listed = policy->n_measurements > 0 || policy->any_measurement;

    if (listed && (options->n_measurements > 0 || (options->image && !policy->image_version)))
        return error_new(ERROR_INVALID_ARGUMENT,
                         "the policy says which measurements count: no --image or --measurement");
    if (policy->image_version && options->n_measurements > 0)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "the policy says which image may run: no --measurement");
    if (options->n_measurements > 0)
        reference->measurements = arena_memdup(reference->arena, options->measurements,
                                               options->n_measurements * LAUNCH_DIGEST_SIZE);
    reference->n_measurements = options->n_measurements;
    return NULL;
}

static struct error *merge_manifest(const struct verify_options *options,
                                    struct verify_reference *reference)
{
    const struct verify_policy *policy = &reference->policy;

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
    return NULL;
}

/* Beside what is computed from nonce and key, which must match too. */
static struct error *merge_report_data(struct verify_reference *reference)
{
    const uint8_t *of_policy = reference->policy.report_data;

    if (of_policy && reference->report_data && memcmp(of_policy, reference->report_data, 64) != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "--report-data is not the one of the policy");
    if (of_policy)
        reference->report_data = of_policy;
    return NULL;
}

/* Options and policy may each say what must run; they may not contradict each other. */
static struct error *merge(const struct verify_options *options, struct verify_reference *reference)
{
    struct error *err = merge_measurements(options, reference);

    if (!err)
        err = merge_manifest(options, reference);
    return err ? err : merge_report_data(reference);
}

/* libcurl reads it again; here a file that is none is said before anybody is asked. */
static struct error *check_ca(const struct verify_options *options)
{
    _cleanup_buffer_ struct buffer pem = {};
    uint8_t hash[32];

    if (!options->ca)
        return NULL;
    struct error *err = file_read(options->ca, CA_FILE_MAX, &pem);
    return error_wrap(err ? err : spki_of_pem(&pem, hash), "--ca");
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
        err = check_ca(options);
    if (!err)
        err = load_roots(options, reference);
    if (!err)
        err = load_release_key(options, reference);
    if (!err)
        err = load_policy(options, reference);
    if (!err)
        err = merge(options, reference);
    if (!err)
        err = load_image(options, reference);
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
