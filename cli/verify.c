#include "cli/verify.h"

#include <curl/curl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/verify_answer.h"
#include "cli/verify_appraise.h"
#include "cli/verify_fetch.h"
#include "cli/verify_options.h"
#include "cli/verify_print.h"
#include "shared/base/alloc.h"
#include "shared/base/clock.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"
#include "shared/manifest/manifest.h"

#define HEX_FILE_MAX 256

/* What the options name, loaded. */
struct reference {
    struct arena *arena;
    struct trust_roots *roots;
    uint8_t nonce[32];
    uint8_t manifest_sha256[32];
    bool have_manifest;
    struct image *image;
    const char *image_problem;
    enum verdict image_verdict;
};

static void reference_done(struct reference *reference)
{
    trust_roots_free(reference->roots);
    arena_free(reference->arena);
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

static struct error *load_nonce(const struct verify_options *options, struct reference *reference)
{
    if (strcmp(options->nonce, "auto") != 0)
        return hex_decode(options->nonce, reference->nonce, 32);
    return RAND_bytes(reference->nonce, 32) == 1 ? NULL : error_openssl("nonce");
}

static struct error *load_manifest(const struct verify_options *options,
                                   struct reference *reference)
{
    _cleanup_buffer_ struct buffer text = {};

    if (!options->manifest)
        return NULL;
    reference->have_manifest = true;
    if (is_hex_32(options->manifest, reference->manifest_sha256))
        return NULL;
    struct error *err = file_read(options->manifest, MANIFEST_MAX, &text);
    if (!err)
        manifest_hash(text.data, text.size, reference->manifest_sha256);
    return error_wrap(err, "--manifest");
}

static struct error *load_roots(const struct verify_options *options, struct reference *reference)
{
    if (!options->trust_root)
        return trust_roots_amd(&reference->roots);
    return error_wrap(trust_roots_load(options->trust_root, &reference->roots), "--trust-root");
}

/* NOT_FOUND: nobody said whose signature counts. */
static struct error *load_release_key(const struct verify_options *options,
                                      uint8_t ret_public[SIGN_KEY_SIZE])
{
    if (options->release_key)
        return error_wrap(load_hex(options->release_key, ret_public), "--release-key");
    if (!options->trust_root)
        return error_new(ERROR_NOT_FOUND, "no release key is given (--release-key)");
    _cleanup_free_ char *path = xasprintf("%s/release.pub", options->trust_root);
    return error_wrap(load_hex(path, ret_public), "no release key is given (--release-key)");
}

/* A description that is not the publisher's is a finding, not a failure of the command. */
static struct error *load_image(const struct verify_options *options, struct reference *reference)
{
    _cleanup_buffer_ struct buffer text = {};
    uint8_t public[SIGN_KEY_SIZE];

    if (!options->image)
        return NULL;
    struct error *err = file_read(options->image, IMAGE_JSON_MAX, &text);
    if (err)
        return error_wrap(err, "--image");
    err = load_release_key(options, public);
    reference->image_verdict = err ? VERDICT_UNKNOWN : VERDICT_FAIL;
    if (err && error_get_code(err) != ERROR_NOT_FOUND)
        return err;
    if (!err)
        err = image_parse(text.data, text.size, public, reference->arena, &reference->image);
    if (err)
        reference->image_problem = arena_strdup(reference->arena, error_text(err));
    error_free(err);
    return NULL;
}

static struct error *load_reference(const struct verify_options *options,
                                    struct reference *reference)
{
    struct error *err = load_nonce(options, reference);

    if (!err)
        err = load_manifest(options, reference);
    if (!err)
        err = load_roots(options, reference);
    if (!err)
        err = load_image(options, reference);
    return err;
}

static void add_tls(struct verify_result *result, const struct verify_options *options,
                    enum verdict verdict, const char *actual)
{
    verify_step_add(result, "tls", verdict,
                    arena_printf(result->arena, "a certificate valid for %s", options->host),
                    actual, "anyone could pretend to be the name");
}

/* false: no answer to appraise; the step says why. */
static bool fetch(const struct verify_options *options, const struct reference *reference,
                  struct verify_fetched *fetched, struct verify_result *result)
{
    struct error *err = verify_fetch(options, reference->nonce, fetched);

    if (err) {
        bool bad = error_get_code(err) == ERROR_PERMISSION_DENIED;
        add_tls(result, options, bad ? VERDICT_FAIL : VERDICT_UNKNOWN, error_text(err));
        error_free(err);
        return false;
    }
    if (fetched->status >= 300 && fetched->status < 400) {
        add_tls(result, options, VERDICT_FAIL,
                arena_printf(result->arena, "redirect to '%s', which is not followed",
                             fetched->redirect ? fetched->redirect : ""));
        return false;
    }
    add_tls(result, options, VERDICT_PASS, "");
    if (fetched->status == 200)
        return true;
    verify_step_add(result, "evidence", VERDICT_UNKNOWN, "evidence at /nilcc/api/v2/report",
                    arena_printf(result->arena, "HTTP status %ld", fetched->status),
                    "without evidence there is nothing to verify");
    return false;
}

static struct error *appraise(const struct reference *reference,
                              const struct verify_options *options,
                              const struct verify_fetched *fetched, struct verify_answer *answer,
                              bool *ret_parsed, struct verify_result *result)
{
    const struct verify_expected expected = {
        .roots = reference->roots,
        .nonce = reference->nonce,
        .spki_sha256 = fetched->spki_sha256,
        .manifest_sha256 = reference->have_manifest ? reference->manifest_sha256 : NULL,
        .any_manifest = options->any_manifest,
        .image = reference->image,
        .image_problem = reference->image_problem,
        .image_verdict = reference->image_verdict,
        .at_ms = clock_wall_ms(clock_system()),
    };

    struct error *err =
        verify_answer_parse(fetched->body.data, fetched->body.size, reference->arena, answer);
    *ret_parsed = !err;
    if (!err)
        return verify_appraise(&expected, answer, result);
    verify_step_add(result, "evidence", VERDICT_FAIL, "an attester's answer", error_text(err),
                    "without evidence there is nothing to verify");
    error_free(err);
    return NULL;
}

static int fail(struct error *err, int code)
{
    fprintf(stderr, "coffer verify: %s\n", error_text(err));
    error_free(err);
    return code;
}

static int run(const struct verify_options *options)
{
    _cleanup_(reference_done) struct reference reference = {.arena = arena_new()};
    _cleanup_(verify_fetched_done) struct verify_fetched fetched = {};
    _cleanup_(verify_answer_done) struct verify_answer answer = {};
    _cleanup_(verify_result_done) struct verify_result result;
    bool parsed = false;

    verify_result_init(&result);
    struct error *err = load_reference(options, &reference);
    if (err) /* a file that is not there, or not what it should be */
        return fail(err, EXIT_USAGE);
    if (fetch(options, &reference, &fetched, &result)) {
        err = appraise(&reference, options, &fetched, &answer, &parsed, &result);
        if (err)
            return fail(err, EXIT_CANNOT_TELL);
    }
    return verify_print(&result, parsed ? &answer : NULL, options->json);
}

int verify_main(int argc, char **argv)
{
    struct verify_options options = {};
    int code = verify_options_parse(argc, argv, &options);

    if (code != EXIT_OK)
        return code;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    code = run(&options);
    curl_global_cleanup();
    verify_options_done(&options);
    return code;
}
