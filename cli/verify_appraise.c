#include "cli/verify_appraise.h"

#include <openssl/crypto.h>
#include <string.h>

#include "shared/attestation/binding.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/manifest/manifest.h"
#include "shared/seal/seal.h"

#define MEASUREMENTS_MAX 64
#define REPORT_DATA_AT   0x50

struct check {
    const struct verify_expected *expected;
    const struct verify_answer *answer;
    struct verify_result *result;
    uint8_t manifest_sha256[32]; /* of the text in the answer */
    bool have_manifest;
    uint8_t report_data[BINDING_SIZE]; /* what the report must say */
};

static const char *hex(struct check *c, const void *data, size_t size)
{
    _cleanup_free_ char *text = hex_encode_new(data, size);

    return arena_strdup(c->result->arena, text);
}

static void add(struct check *c, const char *id, enum verdict verdict, const char *expected,
                const char *actual, const char *why)
{
    verify_step_add(c->result, id, verdict, expected, actual, why);
}

/* report_data for this key, from our nonce; false: the Merkle path is malformed. */
static bool compute(const struct check *c, const uint8_t spki_sha256[32],
                    uint8_t ret_report_data[BINDING_SIZE])
{
    const struct verify_answer *answer = c->answer;
    uint8_t root[32];

    if (!answer->fresh) {
        binding_tls_static(spki_sha256, ret_report_data);
        return true;
    }
    struct error *err = merkle_root_from_path(
        c->expected->nonce, (size_t)answer->nonce_index, (size_t)answer->nonce_count,
        (const uint8_t(*)[32])answer->path, answer->n_path, root);
    if (err) {
        error_free(err);
        return false;
    }
    const struct binding_tls in = {
        .nonce_root = root,
        .spki_sha256 = spki_sha256,
        .manifest_sha256 = c->manifest_sha256,
    };
    binding_tls(&in, ret_report_data);
    return true;
}

static bool report_says(const struct check *c, const uint8_t report_data[BINDING_SIZE])
{
    return CRYPTO_memcmp(c->answer->report + REPORT_DATA_AT, report_data, BINDING_SIZE) == 0;
}

static void check_key(struct check *c, bool bound)
{
    static const char why[] = "somebody in between could answer with the evidence of another";
    const uint8_t *ours = c->expected->spki_sha256;
    const char *actual = hex(c, ours, 32);

    if (!bound)
        actual = memcmp(c->answer->spki_sha256, ours, 32) != 0 && c->answer->fresh
                     ? arena_printf(c->result->arena, "the evidence is for %s",
                                    hex(c, c->answer->spki_sha256, 32))
                     : "the report is not bound to it";
    add(c, "key", bound ? VERDICT_PASS : VERDICT_FAIL,
        arena_printf(c->result->arena, "this connection's key %s", hex(c, ours, 32)), actual, why);
}

/* A report for another key may still answer our nonce: say which of the two is wrong. */
static void check_freshness(struct check *c, bool bound)
{
    static const char why[] = "old evidence could be shown again";
    uint8_t other[BINDING_SIZE];
    const char *nonce = hex(c, c->expected->nonce, 32);

    if (!c->answer->fresh) {
        add(c, "freshness", VERDICT_FAIL, nonce, "the evidence answers no nonce", why);
        return;
    }
    bool fresh = bound || (compute(c, c->answer->spki_sha256, other) && report_says(c, other));
    add(c, "freshness", fresh ? VERDICT_PASS : VERDICT_FAIL, nonce,
        fresh ? arena_printf(c->result->arena, "answered, with %llu more",
                             (unsigned long long)c->answer->nonce_count - 1)
              : "the report does not answer it",
        why);
}

static void check_binding(struct check *c)
{
    bool bound =
        compute(c, c->expected->spki_sha256, c->report_data) && report_says(c, c->report_data);

    check_key(c, bound);
    check_freshness(c, bound);
    if (c->answer->has_devices)
        add(c, "devices", VERDICT_UNKNOWN, "no devices", "devices, which are not verified yet",
            "a device could be something else than it says");
}

struct measurements {
    uint8_t digests[MEASUREMENTS_MAX][LAUNCH_DIGEST_SIZE];
    size_t n;
};

/* vCPUs and model are claims: a wrong one leads to a measurement that is not the report's. */
static void check_image(struct check *c, struct measurements *ret_allowed)
{
    static const char why[] = "measurements are worth as much as who published them";
    static const char wanted[] = "image.json signed by the release key";
    const struct verify_expected *expected = c->expected;
    const struct verify_answer *answer = c->answer;
    const char *model = answer->cpu_model ? answer->cpu_model : "";

    ret_allowed->n = 0;
    if (!expected->image && expected->image_problem)
        add(c, "image", expected->image_verdict, wanted, expected->image_problem, why);
    if (!expected->image)
        return;
    ret_allowed->n = image_measurements_for(expected->image, answer->vcpus, model,
                                            ret_allowed->digests, MEASUREMENTS_MAX);
    if (ret_allowed->n > 0)
        add(c, "image", VERDICT_PASS, wanted,
            arena_printf(c->result->arena, "version %s", expected->image->version), why);
    else
        add(c, "image", VERDICT_FAIL, "a measurement for this guest's vCPUs and CPU model",
            arena_printf(c->result->arena, "version %s has none for %u of '%s'",
                         expected->image->version, answer->vcpus, model),
            why);
}

static struct error *check_report(struct check *c, const struct measurements *allowed)
{
    const struct verify_expected *expected = c->expected;
    const struct verify_policy policy = {
        .roots = expected->roots,
        .report_data = c->report_data,
        .host_data = c->have_manifest ? c->manifest_sha256 : expected->manifest_sha256,
        .measurements = (const uint8_t(*)[LAUNCH_DIGEST_SIZE])allowed->digests,
        .n_measurements = allowed->n,
        .any_chip_id = true,
        .crl = POLICY_CRL_SOFT,
        .at_ms = expected->at_ms,
    };

    return verify_snp(&policy, c->answer->report, TEE_REPORT_SIZE, c->answer->certificates.data,
                      c->answer->certificates.size, c->result);
}

static void check_manifest(struct check *c)
{
    static const char why[] = "another project could run there";
    const struct verify_expected *expected = c->expected;
    const uint8_t *actual =
        c->have_manifest ? c->manifest_sha256 : c->answer->report + 0xc0; /* HOST_DATA */
    const char *text = hex(c, actual, 32);

    if (expected->any_manifest)
        add(c, "manifest", VERDICT_PASS, "any, as asked for", text, why);
    else if (!expected->manifest_sha256)
        add(c, "manifest", VERDICT_UNKNOWN, "not given (--manifest or --any-manifest)", text, why);
    else
        add(c, "manifest",
            CRYPTO_memcmp(expected->manifest_sha256, actual, 32) == 0 ? VERDICT_PASS : VERDICT_FAIL,
            hex(c, expected->manifest_sha256, 32), text, why);
}

/* Informative: an unpinned image is allowed, and said. */
static void check_pinning(struct check *c)
{
    static const char why[] = "an image without a digest is what its registry says that day";
    static const char expected[] = "every image by its digest";
    _cleanup_buffer_ struct buffer list = {};
    struct manifest *manifest = NULL;

    if (!c->have_manifest) {
        add(c, "pinning", VERDICT_UNKNOWN, expected, "the answer carries no manifest", why);
        return;
    }
    struct error *err = manifest_parse(c->answer->manifest, strlen(c->answer->manifest),
                                       c->result->arena, &manifest);
    if (err) {
        add(c, "pinning", VERDICT_UNKNOWN, expected, error_text(err), why);
        error_free(err);
        return;
    }
    for (size_t i = 0; i < manifest->n_services; i++)
        if (strcmp(manifest->services[i].digest, "unpinned") == 0)
            buffer_printf(&list, "%s%s (%s)",
                          list.size ? ", " : "not pinned: ", manifest->services[i].name,
                          manifest->services[i].image);
    add(c, "pinning", VERDICT_PASS, expected, list.size ? buffer_text(&list) : "all pinned", why);
}

struct error *verify_appraise(const struct verify_expected *expected,
                              const struct verify_answer *answer, struct verify_result *result)
{
    struct check c = {.expected = expected, .answer = answer, .result = result};
    struct measurements allowed;

    c.have_manifest = answer->manifest != NULL;
    if (c.have_manifest)
        sha256(answer->manifest, strlen(answer->manifest), c.manifest_sha256);
    else if (expected->manifest_sha256)
        memcpy(c.manifest_sha256, expected->manifest_sha256, 32);
    check_binding(&c);
    check_image(&c, &allowed);
    struct error *err = check_report(&c, &allowed);
    if (err)
        return err;
    check_manifest(&c);
    check_pinning(&c);
    return NULL;
}
